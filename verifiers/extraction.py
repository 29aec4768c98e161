"""Finds the final answer in the text after the reasoning, or says why there is none.

In this order: <answer>…</answer>; \\boxed{} or \\fbox{}; "#### x" (GSM8K); "the (final) answer is x", final first; the
whole text where it is one short line. An empty or unclosed box, or final answers that differ, give no answer: never an
earlier number. Text after a marked answer that gives another one (a retraction, "the answer is") is such a
difference. Does not judge whether what it finds is mathematics.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from tracemill.verifiers.normal_text import closing_brace

SHORT = 200
"""Longest line (characters) that counts as an answer by itself."""
MOST_PHRASES = 100
"""Times that a text may say "the answer is"; one that says it more often has not one answer."""

_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(.*)$", re.MULTILINE)
_PHRASE = re.compile(r"\b(?:final\s+)?answer(?:\s+is\s*:?|\s*[:=])(?:\*\*)?\s*(?=(.{0,3000}))", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.](?:\s|$)")
_RETRACTION = re.compile(
    r"\b(?:no|not|wrong|actually|wait|correction|sorry|instead|rather|mistake)\b|n't", re.IGNORECASE
)
_TAKEN_BACK = re.compile(
    r"^\W*(?:is|was) (?:wrong|incorrect|not)\b|\b(?:wait|hold on|scratch that|correction|my mistake|i was wrong)\b"
    r"|\bno[,.] |\bmade (?:a|an) (?:mistake|error)\b|\b(?:this|that) (?:is|was) (?:wrong|incorrect|not right)\b",
    re.IGNORECASE,
)
"""After an answer: whatever follows, it was not the last word."""
_SECOND_THOUGHT = re.compile(
    r"\b(?:actually|sorry|mistake|should be|instead|rather|correct(?:ed)? (?:answer|value)|re-?check|double-?check"
    r"|however)\b",
    re.IGNORECASE,
)
"""After an answer: another number then is another answer."""
_REMARK = re.compile(
    r"([^,]*+),\s+(?:as|of course|which|so|since|because|where|when|thus|hence|if|after|with|just|exactly)\b.*",
    re.DOTALL,
)
_ALTERNATIVES = re.compile(r"\bor\b")


@dataclass(frozen=True, slots=True)
class Found:
    """The final answer as it stands in the text; or None and the reason (`no_answer`, `empty_box`, …)."""

    text: str | None
    reason: str = ""
    marked: bool = False
    """It stood in tags, in a box or after ####, not in prose."""


def extract(answer: str) -> Found:
    """The final answer in a trace's answer text. Never raises."""
    inner = tagged(answer)
    if not inner.strip():
        return Found(None, "no_answer")
    if takes_back(answer):
        return Found(None, "several_answers")
    boxes = _boxes(inner)
    if isinstance(boxes, Found):
        return boxes
    if boxes:
        return _final(boxes, inner)
    marked = [(match[1], match.end()) for match in _HASHES.finditer(inner)]
    if marked:
        return _final(marked, inner)
    return _in_prose(inner, tagged=inner is not answer)


def finals(answer: str) -> list[str]:
    """Every text that the answer gives as final: in boxes, after ####, after "the answer is". Empty where none is."""
    inner = tagged(answer)
    boxes = _boxes(inner)
    held = [] if isinstance(boxes, Found) else [value for value, _ in boxes]
    hashed = [match[1] for match in _HASHES.finditer(inner)]
    return [*held, *hashed, *(_value(match[1]) for match in _phrases(inner))]


def tagged(text: str) -> str:
    """What the last <answer> holds, where the tags were left in the text; else the text."""
    start = text.rfind("<answer>")
    if start < 0:
        return text
    return text[start + len("<answer>") :].partition("</answer>")[0]


def _tags_differ(text: str) -> bool:
    """Whether <answer> tags that close hold different answers."""
    return len({re.sub(r"\s+", "", part.partition("</answer>")[0]) for part in text.split("<answer>")[1:]}) > 1


def takes_back(text: str) -> bool:
    """Whether answer tags differ, or the text after the last one gives another answer: <answer>5</answer>no, 6."""
    if _tags_differ(text):
        return True
    inner = tagged(text)
    _, closed, after = text[text.rfind("<answer>") :].partition("</answer>")
    if text.rfind("<answer>") < 0 or not closed or not after.strip():
        return False
    return bool(_numbers(after) - _numbers(inner) or _RETRACTION.search(after) or _contradicts(after, inner))


def _contradicts(after: str, marked: str) -> bool:
    """Whether the text after a marked answer holds another: "the answer is", a box, a retraction with a number."""
    said = [_value(match[1]) for match in _phrases(after)] + [match[1] for match in _HASHES.finditer(after)]
    boxes = _boxes(after)
    said += [] if isinstance(boxes, Found) else [held for held, _ in boxes]
    if any(value and not _says(value, marked) for value in said):
        return True
    if _TAKEN_BACK.search(after):
        return True
    return bool(_SECOND_THOUGHT.search(after) and _numbers(after) - _numbers(marked))


def _says(value: str, marked: str) -> bool:
    """Whether a value in prose gives the marked answer, perhaps with its unit: 1152 cups for 1,152."""
    if _RETRACTION.search(value) or _ALTERNATIVES.search(value) or _numbers(value) != _numbers(marked):
        return False
    here, there = (re.sub(r"[\s$,.*]|\\[()]|\\[a-z]*box(?:ed)?", "", text) for text in (value, marked))
    return here in there or there in here


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", text)))


def _boxes(text: str) -> list[tuple[str, int]] | Found:
    """What the boxes hold, outermost boxes only, each with the index after it; or why they cannot be read."""
    found: list[tuple[str, int]] = []
    end = 0
    for match in _BOX.finditer(text):
        if match.start() < end:
            continue
        at = match.end()
        if at >= len(text):
            return Found(None, "unclosed_box")
        if text[at] != "{":  # TeX takes one token: \boxed 7
            end = at + 1
        else:
            end = closing_brace(text, at)
            if end < 0:
                return Found(None, "unclosed_box")
        held = text[at:end].removeprefix("{").removesuffix("}") if text[at] == "{" else text[at]
        found.append((held, end))
    return found


def _final(marks: list[tuple[str, int]], text: str) -> Found:
    """The one value that all final answers give, if the text after the last does not give another."""
    values = [value for value, _ in marks]
    if not all(value.strip(" \t\r\n$~") for value in values):
        return Found(None, "empty_box")
    if len({re.sub(r"\s+", "", value).rstrip(".") for value in values}) > 1:
        return Found(None, "several_answers")
    if _contradicts(text[marks[-1][1] :], values[-1]):
        return Found(None, "several_answers")
    return Found(values[-1].strip(), marked=True)


def _in_prose(text: str, tagged: bool) -> Found:
    phrases = _phrases(text)
    if len(phrases) > MOST_PHRASES:
        return Found(None, "several_answers")
    final = [match for match in phrases if match[0].lower().startswith("final")]
    values = [_value(match[1]) for match in final or phrases]
    if values:
        if not all(values):
            return Found(None, "no_answer")
        if len({re.sub(r"\s+", "", value) for value in values}) > 1:
            return Found(None, "several_answers")
        last = (final or phrases)[-1]
        if _contradicts(text[last.end() + _end_of_value(last[1]) :], values[-1]):
            return Found(None, "several_answers")
        return _single(values[-1])
    line = text.strip()
    if "\n" in line or len(line) > SHORT:
        return Found(None, "no_answer")
    return Found(line, marked=True) if tagged else _single(line)


def _phrases(text: str) -> list[re.Match[str]]:
    """Each "the answer is" with up to 3,000 characters after it; the last ones, where there are very many."""
    return list(deque(_PHRASE.finditer(text), maxlen=MOST_PHRASES + 1))


def _single(value: str) -> Found:
    return Found(None, "several_answers") if _ALTERNATIVES.search(value) else Found(value)


def _value(text: str) -> str:
    """The rest of a sentence that began with "the answer is", without markdown, its full stop, and a remark."""
    value = text[: _end_of_value(text)]
    remark = _REMARK.fullmatch(value)
    if remark and re.search(r"\d", remark[1]):
        value = remark[1]
    return value.strip().strip("*_` ").strip()


def _end_of_value(text: str) -> int:
    stop = _SENTENCE_END.search(text)
    return stop.start() if stop else len(text)
