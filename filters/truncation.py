"""Drops traces that were cut off, by the token limit or by whatever lost their end.

`token_limit` is what the engine said (`finish_reason` length). `cut_off` is read from the text, for recorded traces
that say `stop` or nothing: thinking that never ends, a code fence or a formula that is open at the end, a last word or
sign that must be followed by another ("the", "=", "("), and an end in mid-sentence in a text whose other lines and
sentences end with a stop. Many good chains end without one, in a formula, an item or a name; where the text has no
habit to break, nothing is said. Reasoning that was closed at a limit on purpose (`Trace.interventions`) is left alone.

Of the 627 traces in `traces/long_reasoning` 58 have no answer: of those, which were cut off for real, 53 are dropped
(the others end with a stop or a box), and 10 of the 569 with one, whose answer or reasoning stops short ("… is a
\\boxed{Knight} and \\boxed{"). Of the 2,708 correct solutions in `labelled/math_l5_outputs` none is, of all 8,652 there
337 are (241 within open code, most of them in a loop), of 25,457 completions in `labelled/reasoning_gym_completions`
that scored 1.0 five ("So,"). Cut at random places, 95 % of the long chains are found, 61 % of their answers and 91 % of
the solutions (tests/filters/test_truncation.py): an answer of one paragraph has no habit to break. 1,000 MB/s a core.
Does not see a cut that falls at the end of a sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace
from tracemill.filters.length import count_words

TAIL = 4000
"""Characters at the end of a text that its habits are read from."""
LINES = 4
"""Lines of prose that make a habit."""
HABIT = 0.9
"""Share of them that ends with a stop."""
PROSE = 8
"""Words of a line of prose."""
FRAGMENT = 4
"""Words of the beginning of a sentence."""
SHOWN = 60
"""Characters of the end that the detail shows."""
_ITEM = re.compile(r"^(?:[-*•#]|\d+[.)])|[=:→]")

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_DISPLAYS = (
    (re.compile(r"(?<!\\)\\\["), re.compile(r"\\\]")),
    (re.compile(r"(?<!\\)\\\("), re.compile(r"\\\)")),
    (re.compile(r"\\begin\{"), re.compile(r"\\end\{\w+\*?\}")),
)
_INLINE = re.compile(r"(?<![\\$])\$(?!\$)")
_BRACE = re.compile(r"(?<!\\)[{}]")
_COMMAND = re.compile(r"\\[A-Za-z]+\{")
_WHOLE = re.compile(r"(?:```|~~~|\"\s*\})$")
"""The end of code, and of JSON."""
_FULL_STOPS = frozenset(".!?。！？")
_SENTENCE_END = re.compile(r"[.!?][\"')*]*\s|[。！？]")
_DANGLING = re.compile(r"(?:[,(\[{=\\，（「『“]|\w[\^_]|\s[+\-*/<>×·÷&])$")
_LINKING = re.compile(
    r"(?<=\w) (?:the|an|of|and|or|but|if|because|with|from|its|their|than|which|when|where|while|would|could|should"
    r"|maybe|perhaps|der|die|das|und|oder|dass|weil|mit|les|des|du|et|ou|une|los|las|una|и|или|что|чтобы|если)$"
    r"|(?:[.,;!?]\s+|\n)(?:maybe|perhaps|therefore|thus|hence|so|then|but|and|however|if|because|since|let|wait)$",
    re.IGNORECASE,
)
"""Words that begin, or go on."""
_OPENED = re.compile(r"(?:^|[\s(])(?:[\"“](?=\w)[^\"”]*|\*\*(?=[^\s*])(?:(?!\*\*).)*)$")
"""A quotation, or bold text, without its end."""
_VALUE = re.compile(r"\d$|[-+*/^]\s*\w$")
"""A number, or a term of a formula: answers end so."""
_CLOSING = re.compile(r"\b(?:answer|antwort|réponse|respuesta|ответ)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Truncation:
    """What a trace may be."""

    token_limit: bool = False
    """Ended by the token limit."""
    cut_off: bool = False
    """Without its end, going by the text."""

    name: ClassVar[str] = "truncation"
    version: ClassVar[str] = "1"

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `token_limit` or `cut_off`; the detail says how the text ends."""
        if trace.finish_reason == "length" and not self.token_limit:
            return Drop(trace.id, self.name, self.version, "token_limit", f"after {trace.completion_tokens} tokens")
        if not self.cut_off and (how := _cut(trace)):
            return Drop(trace.id, self.name, self.version, "cut_off", how)
        return None


def _cut(trace: Trace) -> str | None:
    """How the trace was cut off."""
    answer, reasoning = trace.answer.rstrip(), trace.reasoning.rstrip()
    if answer:
        if how := broken_end(answer):
            return f"the answer {how}: {answer[-SHOWN:]!r}"
    elif "no_close_tag" in trace.faults:
        return "the thinking never ends"
    if not reasoning or "closed" in trace.interventions:
        return None
    how = broken_end(reasoning, followed=bool(answer))
    is_marked = "no_think" not in trace.faults  # else the text is chain and answer in one
    if is_marked and not answer and not how and reasoning[-1].isalnum():
        how = "ends without a stop, and no answer follows"
    return f"the reasoning {how}: {reasoning[-SHOWN:]!r}" if how else None


def broken_end(text: str, followed: bool = False) -> str | None:
    """How the text breaks off; None where it may be whole. `followed`: by an answer, which a colon may announce."""
    tail = text[-TAIL:].rstrip()
    if not tail or _WHOLE.search(tail[-20:]):
        return None
    if not followed and ("```" in text or "~~~" in text) and len(_FENCE.findall(text)) % 2:
        return "ends in open code"
    if tail[-1] in _FULL_STOPS:
        return None
    if _has_open_formula(tail[tail.rfind("\n\n") + 1 :]):
        return "ends in an open formula"
    if _SENTENCE_END.search(tail) is None:  # no prose
        return None
    last = tail[tail.rfind("\n") + 1 :].lstrip()
    end = tail[-SHOWN:]
    if _DANGLING.search(end) or _LINKING.search(end) or _OPENED.search(last):
        return "ends where more must follow"
    is_title = last.startswith("#") and not last.startswith("#### ")  # which is how GSM8K gives an answer
    if not followed and (tail[-1] in ":：" or is_title):
        return "ends where more must follow"
    if tail[-1].isalnum() and _breaks_habit(tail, last, followed):
        return "ends in mid-sentence"
    return None


def _has_open_formula(paragraph: str) -> bool:
    """Whether a formula is open at the end of the paragraph. A dollar alone may be a price."""
    if "\\" not in paragraph and "$" not in paragraph:
        return False
    for opening, closing in _DISPLAYS:
        starts = [found.end() for found in opening.finditer(paragraph)]
        if starts and not closing.search(paragraph, starts[-1]):
            return True
    line = paragraph[paragraph.rfind("\n") + 1 :]
    if (command := _COMMAND.search(line)) and _has_open_brace(line[command.start() :]):
        return True
    dollars = list(_INLINE.finditer(line))
    return len(dollars) % 2 == 1 and re.search(r"[\\^_]", line[dollars[-1].end() :]) is not None


def _has_open_brace(formula: str) -> bool:
    depth = 0
    for brace in _BRACE.findall(formula):
        depth = depth + 1 if brace == "{" else max(0, depth - 1)
    return depth > 0


def _breaks_habit(tail: str, last: str, followed: bool) -> bool:
    """Whether the last line is a sentence begun, in a text whose lines of prose end with a stop."""
    begun = _SENTENCE_END.split(last)
    if _VALUE.search(last) or "=" in begun[-1] or _CLOSING.search(begun[-1]) or (followed and _ITEM.search(last)):
        return False
    prose = [line.rstrip() for line in tail.split("\n")[1:-1] if count_words(line) >= PROSE]
    has_habit = len(prose) >= LINES
    if has_habit and sum(not line[-1].isalnum() for line in prose) < HABIT * len(prose):
        return False
    if len(begun) == 1:
        return has_habit and count_words(last) >= FRAGMENT
    return count_words(begun[-1]) >= (1 if has_habit else FRAGMENT)


plugin = Truncation()

_PROSE = "First I add the eggs of the first day to those of the second, and then take away the eaten ones. "
_LINES = f"{_PROSE}\n" * 6
EXAMPLES = (
    FilterExample(_LINES, None, "right: ends with a stop", answer="There are 13 eggs."),
    FilterExample(_LINES, None, "right: an answer without one", answer="13 eggs"),
    FilterExample(_LINES, None, "right: ends in a formula", answer=r"It is $$\frac{26}{2} = \boxed{13}$$"),
    FilterExample(f"{_LINES}So there are\n\\[ 16 - 3 = 13 \\]", None, "right: a displayed formula"),
    FilterExample(_LINES, None, "right: code", answer="Here:\n```python\nprint(13)\n```"),
    FilterExample(f"{_LINES}And so the ducks lay sixteen", "cut_off", "wrong: in mid-sentence", answer=""),
    FilterExample(f"{_LINES}And so the ducks lay sixt", "cut_off", "wrong: in mid-word"),
    FilterExample(_LINES, "cut_off", "wrong: the answer", answer=f"{_LINES}Then I count what the"),
    FilterExample(_LINES, "cut_off", "wrong: open code", answer="Here it is.\n```python\nprint(13)"),
    FilterExample(_LINES, "cut_off", "wrong: an open box", answer=r"So the answer is \boxed{\text{13 eggs"),
    FilterExample(_LINES, "cut_off", "wrong: an open display", answer="So we have\n\\[\n\\frac{26}{2} = 13 \\times"),
    FilterExample(_LINES, "cut_off", "wrong: an open dollar", answer=r"So we have $\frac{26}{2} = 1"),
    FilterExample(_LINES, "cut_off", "wrong: after a comma", answer="I add. There are sixteen eggs,"),
    FilterExample(_LINES, "cut_off", "wrong: an announced list", answer="I add. The eggs of each day are these:"),
    FilterExample("首先我们计算鸭子每天下的蛋。" * 6 + "所以剩下的鸡蛋", "cut_off", "wrong: Chinese", answer=""),
    FilterExample(f"{_LINES}The answer is:", None, "adversarial: a colon before the answer", answer="13"),
    FilterExample(_LINES, None, "adversarial: prices", answer="I add. One costs $5 and two are $10"),
    FilterExample(_LINES, None, "adversarial: a power", answer="I integrate. It is 3*x**2 + 2*x + C"),
    FilterExample(_LINES, None, "adversarial: sorted words", answer="and, but, if, or, the"),
    FilterExample(_LINES, None, "adversarial: a board", answer="_ _ Q _\nQ _ _ _\n_ _ _ Q\n_ Q _ _"),
    FilterExample("I add a and b\nthen I add c to what I have so far\n" * 9, None, "adversarial: no stops as a habit"),
    FilterExample(_LINES, None, "adversarial: allowed", answer="So, the",
                  options={"cut_off": True}),
)  # fmt: skip
