"""What of real chains is called hard to read, and which delimiter has no partner."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import InputError
from tracemill.core.types import Item
from tracemill.filters.readability import Readability, lonely_delimiter

MakeItem = Callable[..., Item]
PAIRS = [(r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), (r"\begin{align*}", r"\end{align*}"), ("", "")]
INSIDE = st.sampled_from(["x^2", r"\frac{1}{2}", r"a \\[2pt] b", r"\{1, 2\}", r"\left[0, 1\right)", "$5", r"\\(", "\n"])


def reason(item: Item, **options: object) -> str | None:
    drop = Readability(**options).check(item.trace, item.prompt)  # type: ignore[arg-type]
    return f"{drop.reason}: {drop.detail}" if drop else None


def test_of_real_chains_few_are_dropped(real_data: Path, make_item: MakeItem) -> None:
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        chains = [json.loads(line)["reasoning"] for line in lines]
    found = [one for chain in chains if (one := reason(make_item(chain)))]
    assert len(chains) == 627
    assert [one.partition(":")[0] for one in found] == ["long_paragraph"] * 6


def test_a_paragraph_is_measured_by_its_words(make_item: MakeItem) -> None:
    words = "word " * 30
    chain = f"{words}\n{words}\n \t\n{words}"
    assert reason(make_item(chain), max_paragraph=60) is None
    assert reason(make_item(chain), max_paragraph=59) == "long_paragraph: 60 words > 59"
    assert reason(make_item("数" * 120), max_paragraph=60) is None
    assert reason(make_item("数" * 121), max_paragraph=60) == "long_paragraph: 61 words > 60"


def test_the_detail_says_what_was_found(make_item: MakeItem) -> None:
    code = "```\n6 * 7\n```\nand\n  ~~~\n8\n~~~\n"
    assert reason(make_item(code)) == ("code_block: 2 fenced, and the prompt's domain is test (code: true allows it)")
    assert reason(make_item("```json\n{}\n```\n```python\nx\n```")).startswith("code_block: 1 fenced")  # type: ignore[union-attr]
    assert reason(make_item(code), code=True) is None
    assert reason(make_item(code + "```"), code=True) == "open_fence: 5 fences"
    assert reason(make_item(code + "```"), code=True, broken_latex=True) is None
    assert reason(make_item("say ``` in a line")) is None
    assert reason(make_item(r"\(x")) == r"broken_latex: \( has no partner"


@given(st.lists(st.tuples(st.sampled_from(PAIRS), INSIDE)), st.data())
def test_latex_that_closes_is_whole_and_one_delimiter_less_is_not(
    parts: list[tuple[tuple[str, str], str]], data: st.DataObject
) -> None:
    pieces = [piece for (opening, closing), inside in parts for piece in (opening, f" {inside} ", closing)]
    assert lonely_delimiter("".join(pieces)) is None
    delimiters = [at for at, piece in enumerate(pieces) if at % 3 != 1 and piece]
    if delimiters:
        left_out = data.draw(st.sampled_from(delimiters))
        broken = "".join(pieces[:left_out] + pieces[left_out + 1 :])
        partner = dict(PAIRS) | {closing: opening for opening, closing in PAIRS}
        assert lonely_delimiter(broken) == partner[pieces[left_out]]


def test_a_limit_is_positive() -> None:
    with pytest.raises(InputError, match=r"^max_paragraph: must be at least 1, got 0$"):
        Readability(max_paragraph=0)
