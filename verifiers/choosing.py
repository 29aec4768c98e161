"""Reads which letters an answer chooses, given the options, or says why that cannot be read.

Each final answer that the text marks is read (`extraction.finals`), else its first and last line; what they choose must
be the same. A sentence chooses a letter only where all its words are known to do nothing else ("so I would go with
option C"): whatever else stands beside it ("avoid", "some say", "anything but") may turn it around. Does not know the
reference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from tracemill.core.types import Outcome
from tracemill.verifiers.extraction import finals, tagged
from tracemill.verifiers.normal_text import fold, holds, unwrapped
from tracemill.verifiers.options import LETTERS, letters_with, option_lines
from tracemill.verifiers.retractions import SECOND_THOUGHT


class Unclear(Exception):
    """No choice can be read: the verdict's outcome and reason."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


LONGEST_VALUE = 4000
"""Longest final answer (characters) that is read."""
LONGEST_LIST = 100
"""Longest text (characters) that is read as a list of letters."""
MOST_ANSWERS = 20
"""Final answers that are read; a text that gives more different ones gives none."""
SEVERAL = (Outcome.UNPARSED, "several_answers")
IN_SENTENCE = (Outcome.UNDECIDED, "in_sentence")
_LETTER = r"[\[(（]?\s*([A-Ja-j])\s*[\])）]?"
_LED = re.compile(
    r"^(?:(?:the\s+)?(?:correct\s+|final\s+)?(?:option|choice|answer|letter)\s*(?:is\b)?|(?:正确)?答案(?:是|为)?|选|ответ"
    r"|réponse|respuesta|antwort|choose|select|pick)\s*[:=]?\s*",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"{_LETTER}[.:,;!]?")
_WITH_TEXT = re.compile(
    r"(?:[\[(（]([A-Ja-j])[\])）][.:,]?|([A-J])(?:[.):：．、）]|,(?=\s)|\s+[-–—=](?=\s)|(?=\s+(?:because|since)\b))|([a-j])\))\s*(?=\S)(.*)",
    re.DOTALL,
)
_SEPARATOR = re.compile(r",\s?and\b|[,;/&+]|\band\b", re.IGNORECASE)
_TOGETHER = re.compile(r"[A-J](?:\s*[A-J]){1,9}\.?")
_OR = re.compile(r",?\s+or\s+", re.IGNORECASE)
_REASON = re.compile(r"(?:because|since|as|for|due to)\b", re.IGNORECASE)
_IN_SENTENCE = re.compile(
    r"\b(?i:option|choice|answer)\s+(?:is\s+)?[\[(]?([A-Ja-j])[\])]?(?=$|[.,;:!)]|\s+(?:is|because|since)\b)"
    r"|(?:\b(?:is|be|choose|pick|select|with|say)|\b[Ii]t['’]s)\s+(?:\*\*)?[\[(]?([B-HJ])[\])]?(?=$|[.,;:!)*]|\s+(?:because|since)\b)"
    r"|(?:\b(?:is|be|choose|pick|select|with|say)|\b[Ii]t['’]s)\s+(?:\*\*)?[\[(]?([AI])[\])]?(?=$|[.;:!)*])"
    r"|(?<![\w'’])([A-HJ])\s+(?:is|seems|must\s+be)\s+(?:the\s+)?(?:correct|right|best)\b"
    r"|\b(?i:therefore|thus|so|hence),?\s+([B-HJ])(?=$|[.,;:!)])"
    r"|[\[(]([A-J])[\])]|\*\*\(?([A-J])\)?[.:]?\*\*"
)
_DENIAL = re.compile(
    r"\b(?:not|no|never|neither|nor|none|except|unlike|unlikely|improbable|wrong|incorrect|false|cannot|rather than"
    r"|instead|eliminat\w+|doubt\w*|hardly|anything but|besides|opposite|avoid\w*|mistake\w*|misconception\w*|tempt\w+"
    r"|refus\w+|reject\w*|den(?:y|ies)|pretend\w*|traps?|distractors?|rul(?:e|ed|ing) out)\b|n['’]t\b",
    re.IGNORECASE,
)
_OPINION = re.compile(
    r"^(?:is|was|are|were|be|seems?|looks?|has|can|could|may|might|would|should|will|must)\b"
    r"|\b(?:sa(?:y|ys|id)|th(?:ink|inks|ought)|believe\w*|claim\w*|choos\w+|chose|chosen|pick\w*|students?|people|often)\b",
    re.IGNORECASE,
)
"""After a letter: what somebody holds of the option, not its text."""
_DOUBTED = re.compile(
    r"\b(?:doubt\w*|unlikely|improbable|tempt\w+|misconception\w*|mistake\w*|students?|people|pretend\w*|suppos\w+)\b"
    r"|\b(?:some|others|many|most|if|unless|whether|assum\w+|not|never|wrong|incorrect|was|were|might|could|claim\w*|says|said"
    r"|opposite)\b[^,;:]*$|n['’]t\b[^,;:]*$",
    re.IGNORECASE,
)
"""Before "the answer is": somebody else's answer, or none."""
_ANSWER_IS = re.compile(r"\banswer(?:\s+is\b|\s*[:=])", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n|(?<=[。！？；])")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_PLAIN_WORD = re.compile(
    r"answer|option|choice|letter|response|solution|statement|one|choose|select|pick|go|going|with|for|say|so|therefore|thus"
    r"|hence|then|correct|right|best|final|it|its|it's|that|that's|this|which|the|i|i'd|i'll|i'm|i've|my|me|we|we'd|our|think"
    r"|believe|would|will|must|has|to|be|is|am|sure|confident|certain|given|seems|means|gives|leaves|makes|conclude"
    r"|conclusion|in|of|course|overall|finally|clearly|definitely|certainly|obviously|and|let|let's|see|get|both|[a-j]"
)
"""Words that do nothing but choose."""
_ANY_LETTER = re.compile(r"(?<![\w'’-])(?:[B-HJ](?![\w'’-])|[AI](?=[.,;!)\]]|$))")


def letters_of(text: str) -> str:
    """The letters of a text that is nothing but letters of options, sorted; empty where it is more."""
    bare = _stripped(text)
    if match := _ALONE.fullmatch(bare):
        return match[1].upper()
    if _TOGETHER.fullmatch(bare):
        return _sorted(bare)
    return _listed(re.sub(r"^both\s", "", bare, flags=re.IGNORECASE), _SEPARATOR)


def _listed(text: str, separator: re.Pattern[str]) -> str:
    """The letters between separators, where there is nothing else."""
    if len(text) > LONGEST_LIST:
        return ""
    parts = [_ALONE.fullmatch(part.strip()) for part in separator.split(text)]
    letters = "".join(part[1].upper() for part in parts if part)
    return _sorted(letters) if len(parts) == len(letters) > 1 else ""


def chosen(answer: str, options: Mapping[str, str], several: bool) -> str:
    """The letters chosen, sorted. `several`: more than one is asked for. Raises Unclear."""
    text = unicodedata.normalize("NFKC", tagged(answer)).strip()
    if not text:
        raise Unclear(Outcome.UNPARSED, "no_answer")
    if any(_DOUBTED.search(lead) for lead in _leads(text)):
        raise Unclear(*IN_SENTENCE)
    values = list(dict.fromkeys(finals(text) or _lines(text)))
    if len(values) > MOST_ANSWERS:
        raise Unclear(*SEVERAL)
    readings: list[str] = []
    failures: list[Unclear] = []
    for value in values:
        try:
            readings.append(_read(value, options))
        except Unclear as error:
            failures.append(error)
    certain = [error for error in failures if error.reason != "no_choice"]
    if certain or not readings:
        raise (certain or failures)[0]
    letters = readings[0]
    if set(readings) != {letters} or (len(letters) > 1 and not several):
        raise Unclear(*SEVERAL)
    _check_after(text, values[-1], letters, options)
    if options and not set(letters) <= set(options):
        raise Unclear(Outcome.UNPARSED, "no_choice")
    return letters


def _leads(text: str) -> list[str]:
    """What stands before each "the answer is" in its sentence."""
    before = [text[max(0, match.start() - 200) : match.start()] for match in _ANSWER_IS.finditer(text)]
    return [_SENTENCE_END.split(lead)[-1] for lead in before[-MOST_ANSWERS:]]


def _lines(text: str) -> list[str]:
    """What may be the answer in a text that marks none: all of it, or the first and the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        return lines
    listed = [letter for letter, _ in option_lines(text)]
    if len(set(listed)) > 1:  # the options told over again: only a line that is none of them can choose
        last = [letter for letter, _ in option_lines(lines[-1])]
        if (last and listed.count(last[0]) < 2) or not (last or _choice_alone(lines[-1])):
            raise Unclear(*SEVERAL)
        return [lines[-1]]
    alone = [line for line in lines if _ALONE.fullmatch(_stripped(line))]
    first = [lines[0]] if _choice_alone(lines[0]) else []
    last = [lines[-1]] if not first or _choice_alone(lines[-1]) or _named(lines[-1]) else []
    return [*first, *alone, *last]


def _choice_alone(line: str) -> bool:
    bare = _stripped(line)
    return bool(_ALONE.fullmatch(bare) or _WITH_TEXT.fullmatch(bare))


def _read(value: str, options: Mapping[str, str]) -> str:
    """The letters that one final answer chooses. Raises Unclear."""
    bare = _stripped(value) if len(value) <= LONGEST_VALUE else ""
    if not bare:
        raise Unclear(Outcome.UNPARSED, "no_choice")
    said = letters_with(bare, options) or letters_with(value, options)
    letters = letters_of(bare)
    if letters:
        plain = bare.rstrip(".").isalpha()
        if said and said != letters and plain and bare == unwrapped(value).strip():
            raise Unclear(Outcome.UNDECIDED, "letter_or_text")
        return letters
    if len(said) > 1:
        raise Unclear(Outcome.UNDECIDED, "duplicate_options")
    if said:
        return said
    if _listed(bare, _OR):
        raise Unclear(*SEVERAL)
    if match := _WITH_TEXT.fullmatch(bare):
        return _with_text((match[1] or match[2] or match[3]).upper(), match[4], options)
    return _in_sentence(unwrapped(unicodedata.normalize("NFKC", value)), options)


def _with_text(letter: str, text: str, options: Mapping[str, str]) -> str:
    """A letter followed by more: its option's text, a reason, or something else."""
    others = _named(text) - {letter}
    if others and not _DENIAL.search(text):
        raise Unclear(*SEVERAL)
    if not options and _OPINION.search(text):
        raise Unclear(*IN_SENTENCE)
    if not options or _REASON.match(text):
        if _DENIAL.search(text) or others:
            raise Unclear(*(SEVERAL if others else (Outcome.UNDECIDED, "negation")))
        return letter
    said = letters_with(text, options) or letters_with(text.split("\n")[0], options)
    if letter in said:
        return letter
    if said:
        raise Unclear(Outcome.UNPARSED, "contradiction")
    raise Unclear(*(SEVERAL if others else (Outcome.UNDECIDED, "other_text")))


def _in_sentence(bare: str, options: Mapping[str, str]) -> str:
    """A sentence that names a letter where only a choice can stand."""
    letters = _named(bare)
    if options:
        letters &= set(options)
    if len(letters) > 1:
        raise Unclear(*SEVERAL)
    if letters and _DENIAL.search(bare):
        raise Unclear(Outcome.UNDECIDED, "negation")
    if letters:
        letter = letters.pop()
        if not _only_chooses(bare, options.get(letter, "")):
            raise Unclear(*IN_SENTENCE)
        mentioned = {name for name, text in options.items() if len(fold(text)) > 1 and holds(bare, text)}
        if mentioned - {letter}:
            raise Unclear(Outcome.UNDECIDED, "mentions_option")
        return letter
    if not options:
        raise Unclear(Outcome.UNDECIDED, "no_options")
    if any(len(fold(text)) > 1 and holds(bare, text) for text in options.values()):
        raise Unclear(Outcome.UNDECIDED, "mentions_option")
    raise Unclear(Outcome.UNPARSED, "no_choice")


def _only_chooses(text: str, own: str) -> bool:
    """Whether the last sentence that names a letter says no more than that, its option's text and a reason aside."""
    sentence = [part for part in _SENTENCE_END.split(text) if _named(part)][-1:]
    if not sentence or "?" in sentence[0] or "？" in sentence[0]:
        return False
    plain = re.split(r"\b(?:because|since)\b", fold(sentence[0]))[0]
    if len(fold(own)) > 1:
        plain = plain.replace(fold(own), " ")
    words = _WORD.findall(plain.replace("’", "'"))
    return all(_PLAIN_WORD.fullmatch(word) for word in words)


def _check_after(text: str, value: str, letters: str, options: Mapping[str, str]) -> None:
    """Raises Unclear where a second thought follows the answer: several answers if it names another, else undecided."""
    at = text.rfind(value)
    thought = SECOND_THOUGHT.search(text)
    if thought is None:
        return
    after = text[thought.start() :]
    named = _named(after) | set(_ANY_LETTER.findall(after))
    late = SECOND_THOUGHT.search(text, at + len(value)) if at >= 0 else thought
    rest = after if late is None else text[late.start() :]
    others = [
        name for name, said in options.items() if name not in letters and len(fold(said)) > 1 and holds(rest, said)
    ]
    if named - set(letters) or (late and others):
        raise Unclear(*SEVERAL)
    if late and set(letters) - _named(rest):
        raise Unclear(Outcome.UNDECIDED, "second_thought")


def _named(text: str) -> set[str]:
    """The letters that stand where only a choice can stand."""
    return {name.upper() for groups in _IN_SENTENCE.findall(text) for name in groups if name}


def _stripped(text: str) -> str:
    """Without wrappers and words that lead to a letter: "option", "the answer is"."""
    bare = unwrapped(unicodedata.normalize("NFKC", text))
    rest = unwrapped(_LED.sub("", bare.replace("**", ""), count=1).strip())
    return rest or bare


def _sorted(letters: str) -> str:
    return "".join(letter for letter in LETTERS if letter in letters)
