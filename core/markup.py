"""How a chain of thought is marked in text: splitting a completion into reasoning and answer, and joining it again.

Knows tags only; prompts and templates are rendered in `factory.thinking`. A split loses no text: what does not follow
the format stays verbatim in `reasoning` or `answer`, and each broken rule is a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracemill.core.errors import InputError, nearest

FAULTS = {
    "no_think": "neither <think> nor </think>",
    "no_open_tag": "</think> without <think>",
    "no_close_tag": "<think> without </think>",
    "repeated_tag": "a tag stands more than once",
    "wrong_order": "tags in the wrong order",
    "text_outside": "text outside the tags",
    "empty_reasoning": "nothing between <think> and </think>",
    "no_answer_open": "no <answer>",
    "no_answer_close": "no </answer>",
    "empty_answer": "nothing where the answer belongs",
    "no_box": "no \\boxed{} in the answer, or one that is empty or not closed",
    "control_token": "a chat template's control token, or a mangled tag, in the text",
    "cut_off": "the token limit ended the generation",
}
"""Every fault with its meaning, as it stands in `Trace.faults`."""
_CONTROL = re.compile(  # with one "<" before all: a pattern that begins with a letter is 50 times as fast
    r"<(?:\|(?:[a-z]+(?:_[a-z0-9]+)+|endoftext|eom|end|pad|system|user|assistant)\|>|｜[^｜<>]{1,40}｜>"
    r"|(?!(?-i:/?(?:think|answer)>))\s*/?\s*(?:think|answer)\s*/?\s*>)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Markup:
    """The marks of one think format."""

    name: str
    answer_tags: bool = False
    """The answer stands in <answer> tags, as in DeepSeek-R1-Zero's template."""
    boxed: bool = False
    """The answer holds a \\boxed{}."""

    def join(self, reasoning: str, answer: str) -> str:
        """The text that a model trained on this format should write; `split` gives the same parts back."""
        tail = f"<answer>{answer}</answer>" if self.answer_tags else answer
        return f"<think>\n{reasoning}\n</think>\n\n{tail}"


MARKUPS = {
    markup.name: markup
    for markup in (
        Markup("r1", answer_tags=True),
        Markup("r1_zero", answer_tags=True),
        Markup("boxed", boxed=True),
        Markup("native"),
    )
}


def markup_named(name: str, where: str = "thinking") -> Markup:
    """The markup of that name. Raises InputError naming the field."""
    if name not in MARKUPS:
        raise InputError(f"{where}: unknown think format {name!r}{nearest(name, MARKUPS)}")
    return MARKUPS[name]


@dataclass(frozen=True, slots=True)
class Split:
    """A completion in its parts, with the rules that it broke in the order in which they were found."""

    reasoning: str
    answer: str
    faults: tuple[str, ...]


def split(text: str, markup: Markup) -> Split:
    """Split a completion, prefill included. Tags count once, in order, with nothing outside (R1's format reward).

    Outside is what stands before <think> and, with answer tags, between </think> and <answer> and after </answer>.
    Without answer tags (`boxed`, `native`) all that follows </think> is the answer, prose around the box included.
    """
    tags = ["<think>", "</think>"] + (["<answer>", "</answer>"] if markup.answer_tags else [])
    places = [text.find(tag) for tag in tags if tag in text]
    broken = {"repeated_tag": any(text.count(tag) > 1 for tag in tags), "wrong_order": places != sorted(places)}
    faults = [fault for fault, is_so in broken.items() if is_so]
    head, tail = _cut(text, markup, faults)
    before, opened, reasoning = head.partition("<think>")
    if not opened:
        reasoning = head
    elif before.strip():
        faults.append("text_outside")
        reasoning = head
    if markup.answer_tags:
        missing = {"no_answer_open": "<answer>" not in text, "no_answer_close": "</answer>" not in text}
        faults += [fault for fault, is_so in missing.items() if is_so]
    answer = _answer(tail, markup, faults)
    if _is_blank(reasoning) and "no_think" not in faults:
        faults.append("empty_reasoning")
    if _CONTROL.search(reasoning) or _CONTROL.search(answer):
        faults.append("control_token")
    return Split(reasoning.strip(), answer, tuple(dict.fromkeys(faults)))


def _cut(text: str, markup: Markup, faults: list[str]) -> tuple[str, str]:
    """The text before and after the end of the reasoning."""
    has_open = "<think>" in text
    if "</think>" in text:
        head, _, tail = text.partition("</think>")
        if not has_open:
            faults.append("no_open_tag")
        return head, tail
    faults.append("no_close_tag" if has_open else "no_think")
    if markup.answer_tags and "<answer>" in text:
        at = text.index("<answer>")
        return text[:at], text[at:]
    return (text, "") if has_open else ("", text)


def _answer(tail: str, markup: Markup, faults: list[str]) -> str:
    """The answer in the text after the reasoning; verbatim, tags included, where the format is broken."""
    answer = tail.strip()
    if markup.answer_tags:
        start, end = tail.find("<answer>"), tail.find("</answer>")
        if 0 <= start < end:
            if tail[:start].strip() or tail[end + len("</answer>") :].strip():
                faults.append("text_outside")
            else:
                answer = tail[start + len("<answer>") : end].strip()
    if _is_blank(answer):
        faults.append("empty_answer")
    elif markup.boxed and not _has_box(answer):
        faults.append("no_box")
    return answer


def _is_blank(text: str) -> bool:
    """Nothing to be seen: white space, zero-width and control characters."""
    return not any(letter.isprintable() and not letter.isspace() for letter in text)


def _has_box(answer: str) -> bool:
    """At least one \\boxed{}, each of them closed and not empty. One pass, however many there are."""
    opened: list[int | None] = []  # where the content of each open box begins; None for a brace that is no box's
    found = False
    for match in re.finditer(r"\\boxed\{|\\(?!\\?boxed\{).|[{}]", answer, re.DOTALL):
        if match[0].endswith("}") and match[0] != "\\}":
            if (start := opened.pop() if opened else None) is None:
                continue
            if _is_blank(answer[start : match.start()]):
                return False
            found = True
        elif match[0] == "{":
            opened.append(None)
        elif match[0] == "\\boxed{":
            opened.append(match.end())
    return found and not any(opened)
