"""Instructions about the form of a response: its parts, marks, beginning and end. Each function makes one check."""

from __future__ import annotations

import json
import re

from tracemill.verifiers.instructions.arguments import Arguments, Check, between

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
"""What `constrained_response` lets a response say."""

_DECORATION = r"[ \t#>*_]*"
_DIVIDER = re.compile(r"(?<!\S)\*\*\*(?!\S)")
_SIX = re.compile(r"(?<!\*)\*{6}(?!\*)")
_RULE = re.compile(r"[ \t]*(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,})$")
_BULLET = re.compile(r"([ \t]*)([*+-])[ \t]+\S")
_OTHER_BULLET = re.compile(r"[ \t]*(?:[•‣◦▪–—·][ \t]*\S|[*-](?![*\s-])\S(?!.*[*])|\d+[.)][ \t]+\S)")
_STARRED = re.compile(r"(?<![*\w\\])(\*{1,3})(?![\s*])([^*\n]*[^*\s\\])\1(?!\*)")
_UNDERLINED = re.compile(r"(?<!\w)(_{1,3})(?![\s_])([^_\n]*[^_\s])\1(?!\w)")
_ANY_STARRED = re.compile(r"\*[^\n*]+\*")
_PLACEHOLDER = re.compile(r"\[([^\[\]\n]+)\](\()?")
_NO_PLACEHOLDER = re.compile(r"\s*(?:\d+|[xX]?)\s*")
_TITLE = re.compile(r"<<([^<>\n]+)>>")
_OPENING_QUOTES, _CLOSING_QUOTES = '"“„', '"”“'


def number_paragraphs(arguments: Arguments) -> Check:
    """Separated by ***, which is no divider where it marks emphasis: ***very*** bold."""
    arguments.only("num_paragraphs")
    wanted = arguments.whole("num_paragraphs", least=1)

    def check(response: str) -> bool:
        parts = [part.strip() for part in _DIVIDER.split(response.strip())]
        filled = [part for part in parts if part]
        return len(filled) == wanted and all(parts[1:-1])

    return check


def nth_paragraph_first_word(arguments: Arguments) -> Check:
    """Separated by empty lines; marks around the first word and its case do not matter."""
    arguments.only("num_paragraphs", "nth_paragraph", "first_word")
    wanted, nth = arguments.whole("num_paragraphs", least=1), arguments.whole("nth_paragraph", least=1)
    first = _words(arguments.text("first_word"))
    if not first:
        raise arguments.refuse("first_word", "a word")
    if nth > wanted:
        raise arguments.refuse("nth_paragraph", f"at most num_paragraphs, {wanted}")

    def check(response: str) -> bool:
        paragraphs = [part.strip() for part in re.split(r"\n[ \t]*\n", response) if part.strip()]
        if len(paragraphs) != wanted:
            return False
        return _words(paragraphs[nth - 1])[: len(first)] == first

    return check


def _words(text: str) -> list[str]:
    """Words in lower case, without the marks around them."""
    found = (re.search(r"[^\W_](?:.*[^\W_])?", word) for word in text.casefold().split())
    return [word[0] for word in found if word]


def number_placeholders(arguments: Arguments) -> Check:
    """[name] is one; a link's text, [1] and [x] may be none."""
    arguments.only("num_placeholders")
    wanted = arguments.whole("num_placeholders")

    def check(response: str) -> bool | None:
        found = _PLACEHOLDER.findall(response)
        certain = [inner for inner, link in found if not link and not _NO_PLACEHOLDER.fullmatch(inner)]
        return between(len(certain), len(found), lambda count: count >= wanted)

    return check


def postscript(arguments: Arguments) -> Check:
    arguments.only("postscript_marker")
    marker = arguments.text("postscript_marker")
    letters = r"\.?\s?".join(map(re.escape, re.findall(r"[^\s.]", marker))) + r"\.?"
    pattern = letters if re.fullmatch(r"(?:P\.?\s?)+S\.?", marker, re.IGNORECASE) else re.escape(marker)
    own_line = re.compile(rf"^{_DECORATION}{pattern}(?=[\W_])[\W_]*\w", re.MULTILINE | re.IGNORECASE)
    anywhere = re.compile(rf"(?<![\w.]){pattern}(?=[\W_])[\W_]*\w", re.IGNORECASE)
    return lambda response: True if own_line.search(response) else None if anywhere.search(response) else False


def number_bullet_lists(arguments: Arguments) -> Check:
    """Lines that begin with *, - or + and a space; rules (***, ---) are none. Nested and other bullets may be meant."""
    arguments.only("num_bullets")
    wanted = arguments.whole("num_bullets")

    def check(response: str) -> bool | None:
        lines = [line for line in response.splitlines() if not _RULE.match(line)]
        bullets = [match for match in map(_BULLET.match, lines) if match]
        outer = min((len(match[1].expandtabs()) for match in bullets), default=0)
        counts = {len(bullets), sum(len(match[1].expandtabs()) == outer for match in bullets)}
        counts.add(len(bullets) + sum(bool(_OTHER_BULLET.match(line)) for line in lines))
        return None if len(counts) > 1 and wanted in counts else wanted in counts

    return check


def constrained_response(arguments: Arguments) -> Check:
    arguments.only()
    return lambda response: sum(option in response for option in OPTIONS) == 1


def number_highlighted_sections(arguments: Arguments) -> Check:
    """*…*, **…** or ***…*** around a text; _…_ and asterisks with spaces inside may be meant."""
    arguments.only("num_highlights")
    wanted = arguments.whole("num_highlights")

    def check(response: str) -> bool | None:
        text = "\n".join(re.sub(r"^\s*\*\s+", "", line) for line in response.splitlines())
        certain = len(_STARRED.findall(text))
        others = len(_UNDERLINED.findall(text))
        others += sum(bool(re.search(r"\w", found)) for found in _ANY_STARRED.findall(_STARRED.sub("", text)))
        return between(certain, certain + others, lambda count: count >= wanted)

    return check


def multiple_sections(arguments: Arguments) -> Check:
    """Headed by the mark and a number, each on a line of its own; more sections than asked for may be meant."""
    arguments.only("section_spliter", "num_sections")
    wanted, mark = arguments.whole("num_sections", least=1), re.escape(arguments.text("section_spliter"))
    heading = re.compile(rf"^{_DECORATION}{mark}[ \t]*(\d+|[IVX]+\b|[A-Z]\b)", re.MULTILINE)
    anywhere = re.compile(rf"{mark}\s?\d+", re.IGNORECASE)

    def check(response: str) -> bool | None:
        headings = heading.findall(response)
        if len(set(headings)) == len(headings) == wanted:
            return True
        return False if max(len(headings), len(anywhere.findall(response))) < wanted else None

    return check


def json_format(arguments: Arguments) -> Check:
    """All of it, a fence around it aside. A lone number or text is JSON, but nothing wrapped in JSON."""
    arguments.only()
    return _is_json


def _is_json(response: str) -> bool | None:
    bare = response.strip()
    if bare.startswith("```") and bare.endswith("```"):
        bare = bare[3:-3].partition("\n")[2] if re.match(r"```\w*[ \t]*\n", bare) else bare[3:-3]
    try:
        value = json.loads(bare, parse_int=str, parse_float=str, parse_constant=_refuse)
    except ValueError:
        return False
    except RecursionError:
        return None
    return True if isinstance(value, dict | list) else None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def title(arguments: Arguments) -> Check:
    arguments.only()
    return lambda response: any(inner.strip() for inner in _TITLE.findall(response))


def two_responses(arguments: Arguments) -> Check:
    """Two that differ, between them six asterisks."""
    arguments.only()

    def check(response: str) -> bool:
        parts = [" ".join(part.split()).casefold() for part in _SIX.split(response)]
        filled = [part for part in parts if part]
        return len(filled) == 2 and filled[0] != filled[1] and all(parts[1:-1])

    return check


def repeat_prompt(arguments: Arguments) -> Check:
    """The request first, word for word (case and white space aside), then an answer."""
    arguments.only("prompt_to_repeat")
    wanted = " ".join(arguments.text("prompt_to_repeat").split()).casefold()

    def check(response: str) -> bool:
        said = " ".join(response.split()).casefold()
        return said.startswith(wanted) and re.search(r"\w", said[len(wanted) :]) is not None

    return check


def end_checker(arguments: Arguments) -> Check:
    """The phrase last; quotation marks and emphasis after it, case and white space do not matter."""
    arguments.only("end_phrase")
    wanted = " ".join(arguments.text("end_phrase").split()).casefold().lstrip('"“” ').rstrip('"“”*_ ')
    if not wanted:
        raise arguments.refuse("end_phrase", "more than quotation marks and asterisks")

    def check(response: str) -> bool:
        said = " ".join(response.split()).casefold()
        return said.rstrip('"“”*_ ').endswith(wanted)

    return check


def quotation(arguments: Arguments) -> Check:
    """Double quotation marks at both ends, straight or curly; None where the first one seems to close earlier."""
    arguments.only()

    def check(response: str) -> bool | None:
        text = response.strip()
        if len(text) < 3 or text[0] not in _OPENING_QUOTES or text[-1] not in _CLOSING_QUOTES:
            return False
        inner = text[1:-1]
        early = re.search(r"[\"“”]", inner)
        if early and re.search(r"\S$", inner[: early.start()]) and re.match(r"[\s.,;:!?]|$", inner[early.end() :]):
            return None
        return bool(inner.strip())

    return check
