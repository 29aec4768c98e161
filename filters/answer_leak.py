"""Drops chains whose writer saw the answer: they speak of a given one, or quote the reference.

`mentions_answer_key`: "the answer key", "the reference solution", "the given answer" and their like, in English,
Chinese, Japanese, Russian, German, French and Spanish. "The correct answer" and "the intended answer" are how models
think aloud, and so is what they only suppose ("maybe the answer key says …") or deny ("I have no answer key"). No leak
is what the question shows: the same phrase, an answer to check, the very value that is said to be given; and questions
about examinations, machine learning or chemistry have keys, ground truths and solutions of their own.
`quotes_reference`: `RUN` words in a row of a reference in prose, folded in white space and case, that the prompt does
not show; of a reference that is a test set in JSON, hidden tests of `TESTED` characters together. Verifiers that want
their reference word for word (`DERIVED`) are left out: a chain that finds it writes it.

Of the 627 chains in `traces/long_reasoning` none is dropped: 4 speak of a given answer, 2 of them suppose it and 2
mean one that they quote from the question. Of the 8,652 solutions in `labelled/math_l5_outputs` 7 are, taken as
reasoning, 2 of them correct ("the provided answer (1.8) does not match the correct solution (12)"): all were read, all
speak of an answer that nobody gave them. Leaks planted into the chains (tests/filters/test_answer_leak.py) are found in
99.0 %. All tests of a problem, quoted, are found for 66 % of MBPP and 65 % of HumanEval, the others are too short;
of the 1,500 programs in `labelled/mbpp_solutions` none quotes one; of the 2,638 solutions in
`labelled/gsm8k_solutions`, whose models were trained on such, 2 have a run of the reference. 270 MB/s a core, 90 MB/s
where the reference is a test set. Does not see a chain that uses the answer and says nothing of it; and takes an answer
that is known by heart, a poem, for a quotation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace
from tracemill.filters.length import count_words

RUN = 20
"""Words of a quotation."""
TESTED = 40
"""Characters, white space aside, of the hidden tests that a chain quotes; fewer it may have made up."""
TEST = 12
"""Characters of the shortest test that counts."""
SEARCHED = 20
"""Runs or tests of one reference that are looked for."""
DERIVED = frozenset({"exact", "reasoning_gym"})
"""Verifiers whose right answer is the reference itself: a grid, a deciphered text."""

_NOUN = r"(?:answer|solution)"
_WHOLE = r"(?![\w-])(?! (?:choice|option|format|set|space|path|template|box|field|tag|pattern)s?\b)"
_VALUE = r"[\s\"'“$\\({*]*(?:\d|boxed|[A-E]\b)"
_SOURCE = re.compile(
    rf"\b(?:the|this|that|your|to|with|per) (?:\w+ )?{_NOUN}s? (?:key|manual)\b"
    rf"|\b(?:reference|gold(?:en)?|ground[- ]truth) (?:final |correct )?{_NOUN}s?{_WHOLE}"
    rf"|\bthe ground[- ]truth(?: (?:is|says|gives){_VALUE}|(?=[.,;)]))",
    re.IGNORECASE,
)
"""Where answers stand that nobody shows to who has to find them."""
_GIVEN = re.compile(
    rf"\b(?:the|this|your|user'?s?) (?:provided|given|supplied) (?:final |correct |expected )?{_NOUN}{_WHOLE}"
    rf"|\banswer (?:is|was|has been) (?:already )?(?:provided|given|supplied|stated|listed) (?:as|to be){_VALUE}",
    re.IGNORECASE,
)
"""An answer that somebody gave; the prompt may have."""
_BEFORE = r"(?:ided|iven|lied|ence|gold|lden|ruth)"
_STEMS = (
    re.compile(
        rf"nswer(?:(?<={_BEFORE} .nswer)|(?<={_BEFORE} final .nswer)|(?<={_BEFORE} correct .nswer)"
        r"|(?=s? (?:[Kk]ey|[Mm]anual|(?:is|was|has been) (?:given|prov|suppl|stat|list|alre))))"
    ),
    re.compile(rf"olution(?:(?<={_BEFORE} .olution)|(?=s? (?:[Kk]ey|[Mm]anual)))"),
    re.compile(r"round.truth"),
)
"""What of the two can be found fast: patterns that begin with letters are 50 times as fast as they are."""
_ABROAD = (
    ("答", re.compile(r"参考答案|标准答案|標準答案|[给給][定出]的?答案|提供的(?:正确)?答案")),
    ("答", re.compile(r"模範解答|(?:与え|提供さ)られた(?:答え|解答)")),
    ("твет", re.compile(r"(?:эталонн|предоставленн)\w+ ответ\w*|ключ\w* с ответами", re.IGNORECASE)),
    ("ешени", re.compile(r"(?:эталонн|предоставленн)\w+ решени\w*", re.IGNORECASE)),
)
"""The same in languages of other scripts, after a literal without which it is not there."""
_NEAR = (
    ("ösung", re.compile(r"\b(?:Muster|Referenz)lösung\b|\b(?:vor|an)?gegebenen? Lösung\b", re.IGNORECASE)),
    ("ntwort", re.compile(r"\bReferenzantwort\b|\b(?:vor|an)gegebenen? Antwort\b", re.IGNORECASE)),
    ("éponse", re.compile(r"\bréponse (?:fournie|donnée|de référence)\b|\bclé de réponses\b", re.IGNORECASE)),
    ("corrigé", re.compile(r"\b(?:le|du|au) corrigé\b", re.IGNORECASE)),
    ("espuesta", re.compile(r"\brespuesta (?:proporcionada|dada|de referencia)\b", re.IGNORECASE)),
    ("espuestas", re.compile(r"\bclave de respuestas\b", re.IGNORECASE)),
)
"""In languages of English's own script: not looked for in texts that begin in English."""
_SUPPOSED = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|presumably|likely|might|may|could|would|if|unless|suppose|imagine|guess|hope"
    r"|no|without|vielleicht|wahrscheinlich|vermutlich|falls|wenn|keine?|ohne|peut-être|probablement|si|sans|aucune?"
    r"|quizás?|tal vez|probablemente|sin|ninguna?|возможно|наверное|вероятно|если|без)\b"
    r"|(?:n't|n’t|\bnot|\bnever|\bcannot) (?:\w+ )?(?:have|know|see|need|get|find|been|provided?|access|given)\b"
    r"|没有|不知|可能|也许|如果|假如|或许|もし|おそらく|たぶん",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"[\s\"'”*]*(?:(?:is|are|was|isn['’]t) )?(?:also )?(?:likely|probably|presumably|perhaps|maybe|might|may|could"
    r"|would|(?:not )?(?:unknown|given|known|available|provided))\b|がない|はない",
    re.IGNORECASE,
)
_ASSERTED = re.compile(r"\bassert\b[^(\n]*(\(.+?)(?:,\s*[\"'][^\"'\n]*[\"'].*)?$", re.MULTILINE)
"""What an assert says of a call, without the call's name and a message."""
_SENTENCE = re.compile(r"[.!?\n。！？]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_TO_CHECK = re.compile(
    r"\b(?:his|her|their|\w+['’]s|students?|following|this|that|given|provided|claimed|proposed|suggested|wrong) "
    r"(?:\w+ )?(?:answer|solution)|\b(?:answer|solution)s? (?:is|was|given|provided|by|of)\b"
    r"|\b(?:answer|solution):\s*\S|\banswered\b",
    re.IGNORECASE,
)
"""A prompt that holds somebody's answer."""
_WORLDS = {
    "ground": re.compile(
        r"\b(?:labels?|labell?ed|annotat\w+|data ?sets?|predict\w*|classif\w+|segmentation|neural|models?)\b",
        re.IGNORECASE,
    ),
    "key": re.compile(
        r"\b(?:exam\w*|quiz\w*|(?:an?|the|this|each|her|his|their|choice) tests?|test (?:paper|question|score)s?"
        r"|homework|worksheets?|grad(?:e|es|ed|ing)|teachers?|professors?|cheat\w*|answer sheets?)\b",
        re.IGNORECASE,
    ),
    "solution": re.compile(
        r"\b(?:ph|buffer|acid\w*|mol\w*|concentrat\w+|dissolv\w+|titrat\w+|aqueous)\b", re.IGNORECASE
    ),
}
"""Prompts in whose world there is a ground truth, a key, or a solution in a glass."""


@dataclass(frozen=True, slots=True)
class AnswerLeak:
    """What a chain may do."""

    mention: bool = False
    """Speak of an answer that it was given."""
    quote: bool = False
    """Quote a long reference, or hidden tests."""

    name: ClassVar[str] = "answer_leak"
    version: ClassVar[str] = "1"

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `mentions_answer_key` or `quotes_reference`, with the place as detail."""
        for text in (trace.reasoning, trace.answer):
            if not self.mention and (place := _mention(text, prompt.text, text is trace.answer)):
                return Drop(trace.id, self.name, self.version, "mentions_answer_key", place)
            if not self.quote and (quoted := _quotation(text, prompt)):
                return Drop(trace.id, self.name, self.version, "quotes_reference", quoted)
        return None


def _mention(text: str, question: str, own: bool) -> str | None:
    """The first place that speaks of an answer given, with what stands around it; `own` text gives one itself."""
    for kind, found in _phrases(text):
        start, end = found.span()
        before = _SENTENCE.split(text[max(0, start - 120) : start])[-1]
        if (own and kind is _GIVEN) or _SUPPOSED.search(before) or _DOUBTED.match(text, end):
            continue
        if not _is_asked(kind, found[0], text[end : end + 60], question):
            return f"at character {start}: {' '.join(text[max(0, start - 60) : end + 60].split())!r}"
    return None


def _phrases(text: str) -> Iterator[tuple[re.Pattern[str], re.Match[str]]]:
    """What speaks of a given answer, whatever it says of it, with the pattern that found it."""
    for stem in _STEMS:
        for hit in stem.finditer(text):
            for pattern in (_SOURCE, _GIVEN):
                if found := pattern.search(text, max(0, hit.start() - 40), hit.end() + 40):
                    yield pattern, found
    is_english = text.count(" the ", 0, 2000) > 1
    for literal, pattern in _ABROAD if is_english else _ABROAD + _NEAR:
        if literal in text:
            for found in pattern.finditer(text):
                yield pattern, found


def _is_asked(kind: re.Pattern[str], phrase: str, after: str, question: str) -> bool:
    """Whether the question itself shows what the phrase speaks of."""
    asked, said = question.lower(), phrase.lower()
    if said in asked or said.removeprefix("the ") in asked:
        return True
    if kind is _SOURCE:
        return any(word in said and world.search(question) for word, world in _WORLDS.items())
    if (value := _NUMBER.search(phrase + after)) and value[0] in _NUMBER.findall(question):
        return True
    return kind is _GIVEN and ("solution" in asked if "solution" in said else _TO_CHECK.search(question) is not None)


def _quotation(text: str, prompt: Prompt) -> str | None:
    """What of the reference stands in the text."""
    if len(text) < TESTED:
        return None
    runs, tests = _telling(prompt.reference, prompt.text, prompt.verifier)
    if runs:
        folded = " ".join(text.lower().split())
        return next((f"{run[:120]!r}" for run in runs if run in folded), None)
    if tests:
        bare = _bare(text)
        quoted = [test for test in tests if test in bare]
        if sum(map(len, quoted)) >= TESTED:
            return f"{len(quoted)} hidden tests: {quoted[0][:120]!r}"
    return None


@lru_cache(maxsize=64)
def _telling(reference: str, question: str, verifier: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Runs of words, and tests, that only who saw the reference writes. Remembered, since a prompt has many traces."""
    if len(reference) < TEST or verifier in DERIVED:
        return (), ()
    if verifier == "code":
        asked, tests = _bare(question), dict.fromkeys(map(_bare, _tests(reference)))
        hidden = [test for test in tests if len(test) >= TEST and test.partition("==")[0] not in asked]
        return (), tuple(sorted(hidden, key=len, reverse=True)[:SEARCHED])
    asked, folded = " ".join(question.lower().split()), " ".join(reference.lower().split())
    return tuple([run for run in _runs(folded) if run not in asked][:SEARCHED]), ()


def _runs(folded: str) -> Iterator[str]:
    """A text in runs of `RUN` words, those of prose: with at least so many letters that no formula is one."""
    words = folded.split()
    if 4 * len(words) < count_words(folded):  # a script without spaces: two characters are a word
        pieces, letters = [folded[at : at + 2 * RUN] for at in range(0, len(folded) - 2 * RUN + 1, 2 * RUN)], RUN
    else:
        pieces, letters = [" ".join(words[at : at + RUN]) for at in range(0, len(words) - RUN + 1, RUN)], 3 * RUN
    yield from (piece for piece in pieces if sum(map(str.isalpha, piece)) >= letters)


def _tests(reference: str) -> Iterator[str]:
    """Asserts, arguments and inputs of a test set in any form of docs/reference/code.md; nothing of what is none."""
    try:
        raw = json.loads(reference)
    except (ValueError, RecursionError):
        raw = {"check": reference}
    if isinstance(raw, list):
        raw = {"asserts": raw, "cases": raw}
    if not isinstance(raw, dict):
        return
    for code in (raw.get("check"), *_list(raw.get("asserts"))):
        if isinstance(code, str):
            yield from _ASSERTED.findall(code)
    cases = [case.get("args", case.get("input")) for case in _list(raw.get("cases")) if isinstance(case, dict)]
    for given in (*_list(raw.get("inputs")), *cases):
        yield given if isinstance(given, str) else json.dumps(given)[1:-1]


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _bare(code: str) -> str:
    """Without white space, and with one kind of quotation marks."""
    return "".join(code.split()).replace("'", '"')


plugin = AnswerLeak()

_QUESTION = "A farm has 16 ducks. Each lays an egg a day, and 3 are eaten. How many are left?"
_STORY = "A teacher lost the answers to a quiz with four questions. In how many ways can she guess them?"
EXAMPLES = (
    FilterExample("16 - 3 is 13, so the correct answer is 13.", None, "right: an answer found"),
    FilterExample("So the final answer is 13. The answer choices do not matter.", None, "right: speaks of its answer"),
    FilterExample("17? But the answer key says 13, so 3 are eaten.", "mentions_answer_key", "wrong: the key"),
    FilterExample("That matches the reference solution.", "mentions_answer_key", "wrong: the reference"),
    FilterExample("This does not match the provided answer (14).", "mentions_answer_key", "wrong: was given one"),
    FilterExample("Fine.", "mentions_answer_key", "wrong: in the answer", answer="13, as in the solution manual."),
    FilterExample("The answer is given as 14, so I count again.", "mentions_answer_key", "wrong: told the value"),
    FilterExample("根据参考答案,结果是13。", "mentions_answer_key", "wrong: Chinese"),
    FilterExample("与えられた答えは13です。", "mentions_answer_key", "wrong: Japanese"),
    FilterExample("Согласно эталонному ответу, это 13.", "mentions_answer_key", "wrong: Russian"),
    FilterExample("Laut der Musterlösung sind es 13.", "mentions_answer_key", "wrong: German"),
    FilterExample("C'est bien la réponse fournie : 13.", "mentions_answer_key", "wrong: French"),
    FilterExample("Según la respuesta proporcionada son 13.", "mentions_answer_key", "wrong: Spanish"),
    FilterExample("Maybe the answer key says 13, but I count 12.", None, "adversarial: supposed", prompt=_QUESTION),
    FilterExample("I don't have the answer key, so I count.", None, "adversarial: denied"),
    FilterExample("The given answer is likely the classic one.", None, "adversarial: guessed"),
    FilterExample("这道题没有标准答案。", None, "adversarial: there is no standard answer"),
    FilterExample("J'ai corrigé mon erreur.", None, "adversarial: corrected, no key"),
    FilterExample("The answer key says B, she thinks. 256 ways.", None, "adversarial: a school's key", prompt=_STORY),
    FilterExample("The given answer choices are odd.", None, "adversarial: choices"),
    FilterExample("The reference solution stays at 7.", None, "adversarial: chemistry", prompt="A buffer's pH?"),
    FilterExample(
        "The given answer 14 is wrong.", None, "adversarial: the question gives it", prompt="Ann says 14. Is she right?"
    ),
    FilterExample(
        "The provided solution forgets x = 0.", None, "adversarial: a solution to check",
        prompt="Find the mistake in this solution of x^2 = x: divide by x, so x = 1.",
    ),
    FilterExample("42", None, "adversarial: an answer that speaks of itself", answer="The provided answer fits."),
    FilterExample("The given answer is 14.", None, "adversarial: allowed", options={"mention": True}),
)  # fmt: skip
