"""The contamination filter: its drops, its options, and the files that it reads."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracemill.core import plugins
from tracemill.core.errors import InputError, SetupError
from tracemill.core.types import Item
from tracemill.filters.contamination import Contamination
from tracemill.filters.contamination.benchmarks import Part, parts_of
from tracemill.filters.contamination.paraphrase import Paraphrases

MakeItem = Callable[..., Item]
BAKER = "A baker bakes 48 loaves a day, sells 31 of them, and gives half of the rest to 5 schools. How many are left?"


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet", "datasets"])
def test_a_benchmark_is_read_from_any_format(tmp_path: Path, suffix: str, make_item: MakeItem) -> None:
    rows: list[dict[str, Any]] = [{"task_id": "HE/0", "prompt": BAKER, "canonical_solution": "17 is odd"}]
    path = tmp_path / f"bakers.{suffix}"
    write(path, rows)
    item = make_item("A chain.", prompt=f"Please answer. {BAKER}")
    drop = Contamination(against=(str(path),)).check(item.trace, item.prompt)
    assert drop is not None
    name = "bakers.datasets" if suffix == "datasets" else "bakers"
    assert (drop.reason, drop.detail) == (
        "contaminated_prompt", f'{name}: HE/0 (prompt), 100.0% of its 13-grams: "{BAKER.rstrip("?")}"',
    )  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".datasets":
        import datasets

        datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)}).save_to_disk(str(path))
    else:
        path.write_text(lines)


def test_solutions_are_looked_for_and_short_answers_are_not(tmp_path: Path, make_item: MakeItem) -> None:
    solution = "First take the 31 sold loaves from the 48 and then give half of these away to schools"
    path = tmp_path / "bakers.jsonl"
    write(path, [{"question": BAKER, "answer": "8.5", "solution": solution}])
    told = Contamination(against=(str(path),))
    item = make_item(f"Hm. {solution}.")
    drop = told.check(item.trace, item.prompt)
    assert drop is not None
    assert (drop.reason, drop.detail) == (
        "contaminated_chain", f'bakers: row 1 (solution), 100.0% of its 13-grams: "{solution}"',
    )  # fmt: skip
    short = make_item("8.5", "8.5", "8.5")
    assert told.check(short.trace, short.prompt) is None
    in_answer = make_item("Hm.", f"{solution}.")
    assert told.check(in_answer.trace, in_answer.prompt) is not None


def test_the_widest_cover_is_named(make_item: MakeItem) -> None:
    small = BAKER.replace("How many are left?", "What is the price of a loaf if a school pays 3 for each one of these?")
    item = make_item(f"Hm. {BAKER}")
    drop = Contamination(items=(small, BAKER)).check(item.trace, item.prompt)
    assert drop is not None
    assert drop.detail.startswith("items: row 2 (items), 100.0% of its 13-grams")


def test_it_pickles_and_finds_the_same(make_item: MakeItem) -> None:
    told = Contamination(items=(BAKER,), n=8)
    again = pickle.loads(pickle.dumps(told))
    item = make_item(BAKER)
    assert again == told
    assert again.check(item.trace, item.prompt) == told.check(item.trace, item.prompt) is not None


@pytest.mark.parametrize(("asked", "options"), [
    (BAKER, {}),
    (BAKER.replace("48", "52").replace("31", "34").replace(" 5 ", " 6 "), {}),
    ("From 48 loaves baked in a day, a baker sells 31, and 5 schools get half of what is left. How many remain?",
     {"semantic": 0.7}),
], ids=["ngrams", "similar", "paraphrase"])  # fmt: skip
def test_a_benchmark_edited_between_two_makings_is_searched_as_it_is_now(
    tmp_path: Path, asked: str, options: dict[str, Any], make_item: MakeItem
) -> None:
    path, item = tmp_path / "bakers.jsonl", make_item("Hm.", prompt=asked)

    def told(question: str) -> Contamination:
        write(path, [{"question": question}])
        return Contamination(against=(str(path),), **options)

    before = told("How many sides has a polygon whose angles add up to 1,980 degrees, all of them measured inside?")
    assert before.check(item.trace, item.prompt) is None
    after = pickle.loads(pickle.dumps(told(BAKER)))
    assert after.check(item.trace, item.prompt) is not None
    assert before.check(item.trace, item.prompt) is None
    assert (before, hash(before), repr(before)) == (after, hash(after), repr(after)), "the same options"


def test_a_benchmark_edited_before_its_first_use_is_not_filed_under_what_it_held(
    tmp_path: Path, make_item: MakeItem
) -> None:
    path, item = tmp_path / "bakers.jsonl", make_item("Hm.")
    write(path, [{"question": BAKER}])
    told = Contamination(against=(str(path),))
    write(path, [{"question": "Another one."}])
    with pytest.raises(InputError, match=r"^against: .*bakers.jsonl changed during the run; run it again$"):
        told.check(item.trace, item.prompt)


@pytest.mark.timeout(60)
def test_hostile_text_does_not_raise(make_item: MakeItem) -> None:
    told = Contamination(items=(BAKER, "a b " * 40, "文" * 60, "\ud800", "", "e\u0301"))
    for text in ("", "\0", "\ud800 lone \udfff", "a b " * 30_000, "文" * 100_000, "x" * 100_000, "\U0001f600" * 1_000,
                 "e\u0301" * 10_000, "\u1100\u1161" * 5_000, "½" * 5_000):  # fmt: skip
        item = make_item(text, text, text)
        drop = told.check(item.trace, item.prompt)
        assert (drop is not None) == text.startswith(("a b", "文")), text[:20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": ["none.jsonl"]}, "filter.against: no such file or folder: none.jsonl"),
        ({"n": 9}, "filter.n"),
        ({"fuzzy": 50}, "filter.fuzzy: 50.0 is not between 80 and 100; null compares no further"),
        ({"semantic": 0.2}, "filter.semantic: 0.2 is not between 0.5 and 1; null looks for no paraphrases"),
        ({"min_coverage": 2}, "filter.min_coverage: 2.0 is not between 0 and 1"),
        ({"against": "a.jsonl"}, "filter.against: must be a list"),
    ],
)
def test_a_bad_option_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        plugins.get("filters", "contamination", options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.jsonl", '{"puzzle": "x"}\n', (), "a.jsonl:1: no column is known to hold a question (the row has: puzzle); name it: columns"),
        ("a.jsonl", '{"puzzle": "x"}\n', ("q",), "a.jsonl:1: no column 'q' (the row has: puzzle); set columns"),
        ("a.jsonl", "", (), "a.jsonl has no rows"),
        ("a.csv", "x", (), "a.csv is no .jsonl, .jsonl.gz, .parquet, nor a folder that `datasets` saved"),
        ("a.parquet", "x", (), "a.parquet is not a Parquet file"),
    ],
)  # fmt: skip
def test_a_benchmark_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: str, columns: tuple[str, ...], message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as error:
        list(parts_of(tmp_path / name, columns, "against", "columns"))
    assert message in str(error.value)


REWORDED = "From 48 loaves baked in a day, a baker sells 31, and 5 schools get half of what is left. How many remain?"


def test_a_question_in_other_words_is_found_if_asked(make_item: MakeItem) -> None:
    item = make_item("Hm.", prompt=REWORDED)
    assert Contamination(items=(BAKER,)).check(item.trace, item.prompt) is None
    told = Contamination(items=("What is 6 times 7?", BAKER), semantic=0.7)
    drop = told.check(item.trace, item.prompt)
    assert drop is not None
    assert drop.reason == "paraphrased_prompt"
    assert re.fullmatch(rf'items: row 2 \(items\), similarity 0\.\d\d: "{re.escape(REWORDED)}"', drop.detail)
    in_chain = make_item(REWORDED, prompt="Help me.")
    assert told.check(in_chain.trace, in_chain.prompt) is None


def test_what_is_found_otherwise_is_not_called_a_paraphrase(make_item: MakeItem) -> None:
    told = Contamination(items=(BAKER,), semantic=0.5)
    renumbered = BAKER.replace("48", "52").replace("31", "34").replace(" 5 ", " 6 ")
    reasons = [
        told.check(item.trace, item.prompt) for item in (make_item("Hm.", prompt=p) for p in (BAKER, renumbered))
    ]
    assert [drop and drop.reason for drop in reasons] == ["contaminated_prompt", "similar_prompt"]


def test_the_nearest_question_that_agrees_is_named(make_item: MakeItem) -> None:
    other = BAKER.replace("48", "50").replace("31", "13").replace(" 5 ", " 9 ")  # as near, with other numbers
    paraphrases = Paraphrases(
        [Part("b", str(n), "q", text, True) for n, text in enumerate((other, BAKER, "Why?"))], 0.7
    )
    hits = list(paraphrases.search(["Why?", REWORDED, REWORDED], {1}, 10))
    assert [(hit.text, hit.part.item, hit.kind, hit.span) for hit in hits] == [(12, "1", "paraphrase", REWORDED)]
    assert 0.7 <= hits[0].coverage <= 1
    assert list(Paraphrases([], 0.7).search([REWORDED], ())) == []
    assert list(paraphrases.search([], ())) == []


def test_paraphrases_without_the_extra_are_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(SetupError, match=r"semantic: .* run pip install 'tracemill\[semantic\]'"):
        Contamination(semantic=0.7)


@pytest.mark.parametrize("benchmark", ["gsm8k_test", "math500"])
def test_real_training_problems_are_hardly_ever_taken_for_paraphrases(real_data: Path, benchmark: str) -> None:
    parts = list(parts_of(real_data / "prompts" / f"{benchmark}.jsonl.gz", (), "", ""))
    with gzip.open(real_data / "prompts" / "gsm8k_train.jsonl.gz", "rt") as lines:
        problems = [json.loads(line)["problem"] for line in lines]
    assert sum(1 for _ in Paraphrases(parts, 0.7).search(problems, ())) <= 0.003 * len(problems)
