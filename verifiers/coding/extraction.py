"""Finds the program in an answer, or says why there is none. Plain text work: nothing is parsed or run here.

A fence is a line that opens with three or more backticks or tildes, and perhaps a language; one that never closes runs
to the end. Of the blocks of the language (or, if there are none, those without language) it is

- the last that defines the function under test, if one does: examples of use that follow it do not count, and of
  several versions the last is the answer, as it is for the people who read it;
- else, for a whole program, the last that reads its input, or the last.

Earlier blocks of the language come before it where they define what it uses and lacks: a program told in steps.
<answer> tags and [PYTHON] tags are opened; `>>> ` prompts are taken off. Text without any fence counts as a whole if
it looks like code; whether it is, the language itself says when it runs.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 200_000
"""Longest program (characters) that is run."""
_FENCE = re.compile(r"^([ \t]{0,12}(?:>[ \t]?)?)(`{3,}+|~{3,}+)[ \t]*+([\w+#.-]*+)([^`\n]*+)$", re.MULTILINE)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_TAGS = (("[PYTHON]", "[/PYTHON]"), ("<code>", "</code>"))
_READS = re.compile(
    r"\binput\(|\bstdin\b|\bopen\(0|\bcin\b|\bscanf|\bgetline|readline|readFileSync|Scanner|BufferedReader"
)
_LOOKS_LIKE_CODE = re.compile(
    r"^(?:from [\w.]+ import |import [\w.]+|def \w+\s*\(|class \w+|@\w+|#include|using |package |fn |func |"
    r"(?:public |const |let |var |function )|\w+ = |print\(|for \w+|while |if |async def )",
    re.MULTILINE,
)
_DEFINED = re.compile(r"^(?:async +def|def|class)[ \t]+(\w+)", re.MULTILINE)
_IMPORT = re.compile(r"(?:import|from) ")
_FUTURE = re.compile(r"^from __future__ import [\w, ]+$", re.MULTILINE)
_NAMES = re.compile(r"\b[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Code:
    """A program as it stands in an answer; or None and why (`no_code`, `several_answers`, `too_long`)."""

    text: str | None
    reason: str = ""
    fenced: bool = True
    """False: nothing but its looks says that it is one."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one fence holds."""

    tag: str
    text: str


def extract_code(answer: str, tags: Sequence[str], entry: str = "") -> Code:
    """The program in a language that fences call by one of `tags`. `entry`: the function or class that it defines."""
    text = _inner(answer)
    if text is None:
        return Code(None, "several_answers")
    found = [block for block in blocks(text) if block.text.strip()]
    named = [block for block in found if block.tag in tags]
    chosen = named or [block for block in found if not block.tag]
    if not chosen:
        bare = not found and not _FENCE.search(text) and _LOOKS_LIKE_CODE.search(text)
        return _checked(Code(_without_prompts(text.strip("\r\n")), fenced=False)) if bare else Code(None, "no_code")
    texts = [_without_prompts(block.text) for block in chosen]
    if entry:
        wanted = [number for number, one in enumerate(texts) if _defines(one, entry)]
    else:
        wanted = [number for number, one in enumerate(texts) if _READS.search(one)]
    last = wanted[-1] if wanted else len(texts) - 1
    return _checked(Code(joined([*_needed(texts[:last], texts[last]), texts[last]])))


def joined(texts: Sequence[str]) -> str:
    """One program; what Python wants at its top goes there."""
    if len(texts) == 1 or not any(map(_FUTURE.search, texts)):
        return "\n".join(texts)
    top = [line for text in texts for line in _FUTURE.findall(text)]
    return "\n".join([*top, *(_FUTURE.sub("", text) for text in texts)])


def blocks(text: str) -> list[Block]:
    """The fenced blocks in their order, with the fence's own indentation taken off."""
    made: list[Block] = []
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            if "`" not in match[4]:
                opened = match
        elif match[2].startswith(opened[2]) and not match[3] and not match[4].strip():
            made.append(_block(opened, text[opened.end() + 1 : match.start()]))
            opened = None
        elif match[3] and opened[3] and match[2] == opened[2] and not match[4].strip():  # the first was never closed
            made.append(_block(opened, text[opened.end() + 1 : match.start()]))
            opened = match
    if opened is not None:
        made.append(_block(opened, text[opened.end() + 1 :]))
    return made


def _block(opened: re.Match[str], held: str) -> Block:
    quote = opened[1].strip()
    if quote:
        held = re.sub(r"^[ \t]{0,12}>[ \t]?", "", held, flags=re.MULTILINE)
    return Block(opened[3].lower(), textwrap.dedent(held) if opened[1] else held)


def _inner(answer: str) -> str | None:
    """What the answer's own tags hold; None where two of them differ."""
    held = [one for one in _ANSWER.findall(answer) if one.strip()]
    if len({" ".join(one.split()) for one in held}) > 1:
        return None
    text = held[-1] if held else answer
    for start, end in _TAGS:
        if start in text:
            return text[text.rfind(start) + len(start) :].partition(end)[0]
    return text


def _defines(text: str, entry: str) -> bool:
    name = re.escape(entry)
    defined = (
        rf"(?:(?:async +)?def|class|function)[ \t*]+{name}\b|(?:(?:const|let|var) +)?{name}[ \t]*(?::[^=\n]*)?=(?!=)"
    )
    return re.search(rf"^[ \t]*(?:{defined})", text, re.MULTILINE) is not None


def _needed(earlier: Sequence[str], last: str) -> list[str]:
    """The earlier blocks that define what the last one, or one of these, uses and lacks; and those of imports only.

    Not a draft of the last one, which defines the same names, and not an example, which defines none.
    """
    kept: list[str] = []
    own = set(_DEFINED.findall(last))
    wanted = set(_NAMES.findall(last)) - own
    for text in reversed(earlier):
        defined = set(_DEFINED.findall(text))
        lines = [line for line in text.splitlines() if line.strip()]
        if (defined & wanted and not defined & own) or all(_IMPORT.match(line) for line in lines):
            kept.insert(0, text)
            wanted |= set(_NAMES.findall(text))
            own |= defined
    return kept


def _without_prompts(text: str) -> str:
    """An interactive session as a program: what was typed, without what was printed."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith(">>>"):
        return text
    typed = [line for line in lines if line.startswith((">>>", "..."))]
    return "\n".join(line[4:] if line[3:4] == " " else line[3:] for line in typed) + "\n"


def _checked(code: Code) -> Code:
    assert code.text is not None
    if len(code.text) > LONGEST:
        return Code(None, "too_long")
    return code if code.text.strip() else Code(None, "no_code")
