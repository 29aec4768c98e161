"""Drops chains that are hard to read: walls of text, code in a chain that is not about code, LaTeX that does not close.

R1's authors dropped "long paragraphs and code blocks" and give no numbers (arXiv 2501.12948). A paragraph ends at an
empty line, and its words are counted as by the filter `length`. Code counts where it is fenced (``` or ~~~, but not as
JSON, text, Markdown or LaTeX), in chains to prompts of another domain than `code`. LaTeX is broken where a delimiter
has no partner: \\( \\), \\[ \\], $$ $$, \\begin{x} \\end{x}; and a fence that is not closed makes the rest of a chain
code. Single dollars and braces are not counted: prices and sets have them too.

Of the 627 chains in `traces/long_reasoning` one in a hundred has a paragraph of over 1,430 words; the defaults drop
six, all for that. Of the 8,652 solutions in `labelled/math_l5_outputs`, code allowed, 277 leave a fence open, 71 break
their LaTeX and 78 have a longer paragraph: most of the twelve that were read were cut off in a loop. 220 MB/s a core.
Does not ask whether the text is well written, nor whether LaTeX compiles.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace
from tracemill.filters.length import count_words

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*([\w+#-]*)", re.MULTILINE)
_NO_CODE = frozenset(("json", "text", "txt", "plain", "plaintext", "markdown", "md", "latex", "tex", "math", "output"))
"""What a fence may say that it holds, and be no code: some models wrap their whole answer in one."""
_EMPTY_LINE = re.compile(r"\n[ \t]*\n")
_DELIMITER = re.compile(r"\\(?:[()\[\]]|(?:begin|end)\{[^{}\n]{1,40}\}|.)|\$\$", re.DOTALL)
"""Any command is matched, so that the second backslash of `\\\\[2pt]`, a line break, begins none."""
_PARTNERS = {r"\)": r"\(", r"\]": r"\["}


@dataclass(frozen=True, slots=True)
class Readability:
    """What a chain may have."""

    max_paragraph: int | None = 1500
    """Words of its longest paragraph; None is no limit."""
    code: bool = False
    """Fenced code, where the prompt's domain is not `code`."""
    broken_latex: bool = False
    """A delimiter or a fence without its partner."""

    name: ClassVar[str] = "readability"
    version: ClassVar[str] = "2"

    def __post_init__(self) -> None:
        if self.max_paragraph is not None and self.max_paragraph < 1:
            raise InputError(f"max_paragraph: must be at least 1, got {self.max_paragraph}")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `code_block`, `open_fence`, `broken_latex` or `long_paragraph`."""
        found = self._code(trace.reasoning, prompt.domain) or self._latex(trace.reasoning)
        if found := found or self._paragraph(trace.reasoning):
            return Drop(trace.id, self.name, self.version, *found)
        return None

    def _code(self, text: str, domain: str) -> tuple[str, str] | None:
        fences = _FENCE.findall(text) if "```" in text or "~~~" in text else []
        opened = [name.lower() for name in fences[::2]]
        if not self.code and domain != "code" and (code := [name for name in opened if name not in _NO_CODE]):
            return "code_block", f"{len(code)} fenced, and the prompt's domain is {domain} (code: true allows it)"
        if len(fences) % 2 and not self.broken_latex:
            return "open_fence", f"{len(fences)} fences"
        return None

    def _latex(self, text: str) -> tuple[str, str] | None:
        if not self.broken_latex and (lonely := lonely_delimiter(text)):
            return "broken_latex", f"{lonely} has no partner"
        return None

    def _paragraph(self, text: str) -> tuple[str, str] | None:
        limit = self.max_paragraph
        if limit is None or len(text) <= limit:  # a word is a character at least
            return None
        long = [part for part in text.split("\n\n") if len(part) > limit]  # the regex alone takes ten times as long
        parts = [one for part in long for one in _EMPTY_LINE.split(part) if len(one) > limit]
        words = max(map(count_words, parts), default=0)
        return ("long_paragraph", f"{words} words > {limit}") if words > limit else None


def lonely_delimiter(text: str) -> str | None:
    """A LaTeX delimiter that stands more often than its partner; None where each has one."""
    if "\\" not in text and "$$" not in text:
        return None
    counts = Counter[str](_DELIMITER.findall(text))
    for name, count in counts.items():
        partner = _PARTNERS.get(name) or name.replace(r"\end{", r"\begin{")
        if partner != name and counts[partner] < count:
            return name
        if name.startswith(r"\begin{") and counts[name.replace(r"\begin{", r"\end{")] < count:
            return name
    if counts["$$"] % 2:
        return "$$"
    return next((one for other, one in _PARTNERS.items() if counts[other] < counts[one]), None)


plugin = Readability()

_PARAGRAPH = "First I add the eggs of the first day to those of the second, and then I take away what was eaten. "
_LATEX = (
    r"So \(x^2 = 4\) and \[x = \pm 2,\] that is $$x \in \{-2, 2\}.$$ \begin{align} x &= 2 \\[2pt] x &= -2 \end{align}"
)
_CODE = "Let me count:\n```python\nprint(6 * 7)\n```\nIt prints 42."
EXAMPLES = (
    FilterExample(_PARAGRAPH * 10, None, "right: a paragraph"),
    FilterExample(f"{_PARAGRAPH * 50}\n\n" * 5, None, "right: long, in paragraphs"),
    FilterExample(_LATEX, None, "right: LaTeX, with a line break and its space"),
    FilterExample(_CODE, None, "right: code, where it is allowed", options={"code": True}),
    FilterExample('```json\n{"answer": 42}\n```', None, "right: an answer in a wrapper, which is no code"),
    FilterExample(_PARAGRAPH * 100, "long_paragraph", "wrong: a wall of text"),
    FilterExample(_CODE, "code_block", "wrong: code in a chain about numbers"),
    FilterExample(
        _CODE.removesuffix("```\nIt prints 42."), "open_fence", "wrong: a fence that stays open", options={"code": True}
    ),
    FilterExample(r"So \(x = 2 and then \(y = 3\).", "broken_latex", "wrong: one more opened than closed"),
    FilterExample(r"\begin{align} x = 2 \end{aligned}", "broken_latex", "wrong: closed by another name"),
    FilterExample("So $$x = 2 and that is it.", "broken_latex", "wrong: never closed"),
    FilterExample("It costs $5 and not $6, or {5, 6}}.", None, "adversarial: prices and braces"),
    FilterExample(r"In C:\(new) folder: C:\[old]", "broken_latex", "adversarial: a path looks like LaTeX"),
    FilterExample(_PARAGRAPH * 100, None, "adversarial: no limit", options={"max_paragraph": None}),
)  # fmt: skip
