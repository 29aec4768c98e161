"""Instructions about words, letters, case, language and length. Each function makes the check of one instruction."""

from __future__ import annotations

import re
import unicodedata

from tracemill.verifiers.instructions.arguments import Arguments, Check, between

SURE = 0.8
"""Probability from which a language other than the one asked for is believed."""

_NO_SPACES = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD_PARTS = re.compile(rf"[{_NO_SPACES}]|[^\W{_NO_SPACES}]+")
_NO_END = re.compile(
    r"(?:(?:^|[\s(\"'“])(?:Mr|Mrs|Ms|Dr|Prof|Rev|Gen|Col|Capt|Lt|Sgt|e\.g|i\.e|vs|cf)|^[ \t]*(?:[*+-][ \t]+)?\d+)\.$"
)
_MAYBE_END = re.compile(
    r"(?:^|[\s(\"'“])(?:St|Sr|Jr|Hon|etc|al|approx|No|Nos|Vol|pp?|Fig|Inc|Ltd|Co|Corp|dept|est|a\.m|p\.m|P\.S|P\.P\.S|Ph\.D"
    r"|[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]|\d+)\.[\"'”’)\]]*$"
)
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]*_]*+(?=\s|$)|[。！？]++[」』”’）]*+")
_CAPITALS = re.compile(r"[^\W_]+(?:[-'’&.][^\W_]+)*")


def existence(arguments: Arguments) -> Check:
    arguments.only("keywords")
    keywords = arguments.texts("keywords")

    def check(response: str) -> bool | None:
        found = [_holds_at_least_one(keyword, response) for keyword in keywords]
        return False if False in found else None if None in found else True

    return check


def _holds_at_least_one(keyword: str, response: str) -> bool | None:
    return between(*occurrences(keyword, response), lambda count: count > 0)


def frequency(arguments: Arguments) -> Check:
    arguments.only("keyword", "frequency", "relation")
    keyword, limit = arguments.text("keyword"), arguments.whole("frequency")
    relation = arguments.relation("relation")
    return lambda response: between(*occurrences(keyword, response), lambda count: relation(count, limit))


def forbidden_words(arguments: Arguments) -> Check:
    """As words of their own: "rock" does not forbid "rocket"."""
    arguments.only("forbidden_words")
    words = arguments.texts("forbidden_words")
    return lambda response: not any(occurrences(word, response)[0] for word in words)


def occurrences(keyword: str, response: str) -> tuple[int, int]:
    """How often the keyword stands as words of its own, and how often within words too; case does not matter."""
    pattern = r"\s+".join(map(re.escape, _folded(keyword).split()))
    folded = _folded(response)
    before, after = (re.match(rf"[^\W{_NO_SPACES}]", edge) is not None for edge in (keyword[0], keyword[-1]))
    own = ("(?<!\\w)" if before else "") + pattern + ("(?!\\w)" if after else "")
    return len(re.findall(own, folded)), len(re.findall(pattern, folded))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("’", "'")


def letter_frequency(arguments: Arguments) -> Check:
    arguments.only("letter", "let_frequency", "let_relation")
    letter, limit = arguments.text("letter").casefold(), arguments.whole("let_frequency")
    relation = arguments.relation("let_relation")
    if len(letter) != 1:
        raise arguments.refuse("letter", "one character")
    return lambda response: relation(unicodedata.normalize("NFC", response).casefold().count(letter), limit)


def response_language(arguments: Arguments) -> Check:
    arguments.only("language")
    language = arguments.text("language").casefold().split("-")[0]
    if not re.fullmatch(r"[a-z]{2,3}", language):
        raise arguments.refuse("language", "an ISO 639-1 code")
    return lambda response: _is_in(response, language)


def _is_in(text: str, language: str) -> bool | None:
    from tracemill.core.languages import dominant

    found = dominant(text)
    if found is None:
        return None
    code, probability = found
    if code.split("-")[0] == language:
        return True
    return False if probability >= SURE else None


def english_capital(arguments: Arguments) -> Check:
    arguments.only()
    return lambda response: response.isupper() and _is_in(response.lower(), "en")


def english_lowercase(arguments: Arguments) -> Check:
    arguments.only()
    return lambda response: response.islower() and _is_in(response, "en")


def capital_word_frequency(arguments: Arguments) -> Check:
    """A hyphenated word counts once; whether I and A are words in capitals cannot be told."""
    arguments.only("capital_frequency", "capital_relation")
    limit, relation = arguments.whole("capital_frequency"), arguments.relation("capital_relation")

    def check(response: str) -> bool | None:
        capitals = [word for word in _CAPITALS.findall(response) if word.isupper()]
        certain = sum(sum(map(str.isalpha, word)) > 1 for word in capitals)
        return between(certain, len(capitals), lambda count: relation(count, limit))

    return check


def no_comma(arguments: Arguments) -> Check:
    arguments.only()
    return lambda response: not re.search("[,，、،]", response)


def number_words(arguments: Arguments) -> Check:
    arguments.only("num_words", "relation")
    limit, relation = arguments.whole("num_words"), arguments.relation("relation")
    return lambda response: between(*count_words(response), lambda count: relation(count, limit))


def count_words(text: str) -> tuple[int, int]:
    """Least and most words: "well-known" is one or two; a sign of Chinese, Japanese or Thai is a word at most."""
    spaced = sum(any(map(str.isalnum, token)) for token in text.split())
    return spaced, max(spaced, len(_WORD_PARTS.findall(text.replace("_", " "))))


def number_sentences(arguments: Arguments) -> Check:
    arguments.only("num_sentences", "relation")
    limit, relation = arguments.whole("num_sentences"), arguments.relation("relation")
    return lambda response: between(*count_sentences(response), lambda count: relation(count, limit))


def count_sentences(text: str) -> tuple[int, int]:
    """Least and most sentences: an abbreviation may end one, as may a heading and a line without a stop."""
    most = sum(_pieces(line, sure=False) for line in text.splitlines())
    least = _pieces(" ".join(text.split()), sure=True)
    return min(least, most), most


def _pieces(text: str, sure: bool) -> int:
    """Parts with a word in them, between the ends of sentences. `sure`: only ends that cannot be anything else."""
    count, start = 0, 0
    for match in _END.finditer(text):
        rest = text[match.end() : match.end() + 20].lstrip(" *_\"'“‘([")
        before = text[max(start, match.start() - 20) : min(match.end(), match.start() + 20)]
        unsure = rest[:1].islower() or "…" in match[0] or ".." in match[0] or _MAYBE_END.search(before)
        if rest and (_NO_END.search(before) or (sure and unsure)):
            continue
        count += bool(re.search(r"\w", text[start : match.end()]))
        start = match.end()
    return count + bool(re.search(r"\w", text[start:]))
