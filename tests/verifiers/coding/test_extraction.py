"""The program in an answer: what docs/reference/code.md does not show row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.coding.extraction import LONGEST, blocks, extract_code
from tracemill.verifiers.coding.languages import LANGUAGES, PYTHON

LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=20).filter(
    lambda line: not line.lstrip(" \t>").startswith(("```", "~~~", ">>>")) and "<" not in line
)


@given(st.text(max_size=300), st.sampled_from(["", "f"]))
def test_any_text_gets_a_program_or_a_reason(text: str, entry: str) -> None:
    found = extract_code(text, PYTHON.tags, entry)
    assert (found.text is None) == (found.reason in ("no_code", "several_answers", "too_long"))


@given(st.lists(LINE, max_size=5), LINE, LINE)
def test_a_fenced_program_is_found_as_it_stands(lines: list[str], before: str, after: str) -> None:
    code = "\n".join(["def f():", *lines])
    found = extract_code(f"{before}\n\n```python\n{code}\n```\n{after}", PYTHON.tags, "f")
    assert found.text is not None
    assert found.text.rstrip("\n") == code.rstrip("\n")


def test_a_longer_fence_holds_shorter_ones() -> None:
    code = 'def f():\n    return """\n```\nnot the end\n```\n"""\n'
    found = extract_code(f"````python\n{code}````", PYTHON.tags, "f")
    assert found.text == code


def test_a_fence_in_a_list_or_a_quotation_loses_its_indentation() -> None:
    assert [block.text for block in blocks("1. So:\n\n   ```py\n   def f():\n       pass\n   ```\n")] == [
        "def f():\n    pass\n"
    ]
    assert [block.text for block in blocks("> ```py\n> def f():\n>     pass\n> ```\n")] == ["def f():\n    pass\n"]


def test_a_new_fence_ends_one_that_was_never_closed() -> None:
    found = extract_code("```python\ndef f(): return 1\n\nBetter:\n```python\ndef f(): return 2\n```", PYTHON.tags, "f")
    assert found.text is not None
    assert found.text.strip() == "def f(): return 2"


def test_a_draft_and_an_example_are_not_put_before_the_program() -> None:
    answer = "```python\nresult = f(3)\n```\n```python\ndef f(n): return g(n)\ndef g(n): return 0\n```\n```python\ndef f(n):\n    result = g(n)\n    return result\ndef g(n): return n\n```"
    found = extract_code(answer, PYTHON.tags, "f")
    assert found.text is not None
    assert found.text.startswith("def f(n):\n    result")


def test_a_whole_program_is_the_last_that_reads_its_input() -> None:
    answer = "```python\nn = int(input())\nprint(n)\n```\nRun it with:\n```python\nimport subprocess\n```"
    found = extract_code(answer, PYTHON.tags)
    assert found.text == "n = int(input())\nprint(n)\n"


@pytest.mark.parametrize(
    ("tag", "language"), [("c++", "cpp"), ("js", "javascript"), ("java", "java"), ("golang", "go"), ("rs", "rust")]
)
def test_blocks_of_another_language_are_passed_over(tag: str, language: str) -> None:
    answer = f"```python\nprint(1)\n```\n```{tag}\nx\n```\n```text\n1\n```"
    assert extract_code(answer, LANGUAGES[language].tags).text == "x\n"
    assert extract_code(answer, PYTHON.tags).text == "print(1)\n"


def test_what_is_too_long_is_not_run() -> None:
    assert extract_code("```\n" + "x" * (LONGEST + 1) + "\n```", PYTHON.tags).reason == "too_long"


def test_future_imports_of_a_later_block_go_first() -> None:
    answer = "```python\ndef g():\n    return 1\n```\n```python\nfrom __future__ import annotations\ndef f():\n    return g()\n```"
    code = extract_code(answer, ("python",), "f").text
    assert code is not None
    assert code.startswith("from __future__ import annotations\ndef g")
    compile(code, "joined", "exec")
