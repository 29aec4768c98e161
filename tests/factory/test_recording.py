"""A recording found again by prompt and number: from every kind of file, whatever the order of its rows, to the end."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import InputError, RefusedRequest
from tracemill.factory.layouts import ColumnLayout
from tracemill.factory.recording import Recording, Source, Survey

ROWS: list[dict[str, Any]] = [
    {"prompt": "1 + 1?", "answer": "2", "completion": "2"},
    {"prompt": "2 + 2?", "answer": "4", "completion": "4"},
    {"prompt": "1 + 1?", "answer": "2", "completion": "3"},
]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def zipped(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def folder(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.mkdir()
    parquet(path / "train-00001-of-00002.parquet", rows[2:])
    parquet(path / "train-00000-of-00002.parquet", rows[:2])
    parquet(path / "test-00000-of-00001.parquet", [{**rows[0], "completion": "of another split"}])
    return path


def saved(path: Path, rows: list[dict[str, Any]]) -> Path:
    datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(str(path))
    return path


def texts(recording: Recording) -> dict[str, list[str]]:
    return {
        key.hex(): [recording.completion(key.hex(), sample).text for sample in range(recording.survey.count(key.hex()))]
        for key in recording.survey.numbers
    }


@pytest.mark.parametrize(
    ("name", "write"),
    [("r.jsonl", jsonl), ("r.jsonl.gz", zipped), ("r.parquet", parquet), ("folder", folder), ("saved", saved)],
)
def test_sample_k_is_the_kth_completion_in_file_order(tmp_path: Path, name: str, write: Callable[..., Path]) -> None:
    source = Source(write(tmp_path / name, ROWS), ColumnLayout())
    survey = Survey()
    ids = [prompt.id for prompt in survey.prompts(source)]
    with Recording([source]) as recording:
        assert texts(recording) == {ids[0]: ["2", "3"], ids[1]: ["4"]}
        assert recording.survey.digest == survey.digest
        assert (survey.count(ids[0]), survey.count(ids[1]), survey.count("00"), survey.most) == (2, 1, 0, 2)
        with pytest.raises(RefusedRequest, match="only 2 completions were recorded"):
            recording.completion(ids[0], 2)
        with pytest.raises(RefusedRequest, match="only 0 completions were recorded"):
            recording.completion("00", 0)


def test_several_sources_are_one_recording_in_their_order(tmp_path: Path) -> None:
    first = Source(jsonl(tmp_path / "a.jsonl", ROWS[:2]), ColumnLayout(), model="a")
    second = Source(jsonl(tmp_path / "b.jsonl", ROWS[1:]), ColumnLayout(), model="b")
    with Recording([first, second]) as recording:
        assert list(texts(recording).values()) == [["2", "3"], ["4", "4"]]
        key = next(iter(recording.survey.numbers)).hex()
        assert [recording.completion(key, sample).model for sample in (0, 1)] == ["a", "b"]


def test_other_completions_of_the_same_prompts_are_another_recording(tmp_path: Path) -> None:
    digests = set()
    for number, completion in enumerate(("2", "3", "2")):
        path = jsonl(tmp_path / f"{number}.jsonl", [{**ROWS[0], "completion": completion}])
        survey = Survey()
        list(survey.prompts(Source(path, ColumnLayout())))
        digests.add(survey.digest)
    assert len(digests) == 2


def test_a_limit_counts_rows(tmp_path: Path) -> None:
    with Recording([Source(jsonl(tmp_path / "r.jsonl", ROWS), ColumnLayout(), limit=2)]) as recording:
        assert list(texts(recording).values()) == [["2"], ["4"]]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.lists(
                st.text(st.characters(exclude_categories=()), max_size=5).map(lambda text: text * 5000), max_size=3
            ),
        ),
        max_size=8,
    )
)
def test_every_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, list[str]]]
) -> None:
    """Lone surrogates too, and texts that need a second read."""
    path = tmp_path_factory.mktemp("any") / "r.jsonl"
    jsonl(path, [{"prompt": f"{number}?", "answer": "1", "completion": found} for number, found in rows])
    expected: dict[int, list[str]] = {}
    for number, found in rows:
        expected.setdefault(number, []).extend(found)
    with Recording([Source(path, ColumnLayout())]) as recording:
        assert list(texts(recording).values()) == list(expected.values())


def test_what_a_person_should_know(tmp_path: Path) -> None:
    rows = [*ROWS, {**ROWS[1], "completion": None}, {**ROWS[1], "completion": None}]
    survey = Survey()
    list(survey.prompts(Source(jsonl(tmp_path / "r.jsonl", rows), ColumnLayout())))
    assert list(survey.lines(samples=1)) == [
        "3 completions of 2 prompts are recorded",
        "1 of them are beyond the first 1 of their prompt and stay unused",
        "3 of them come without token count: estimated as characters / 4",
        f"2 passed over: completion is null (first: {tmp_path}/r.jsonl:4)",
    ]


def test_a_bad_row_is_named_and_leaves_nothing_open(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "r.jsonl", [ROWS[0], {"prompt": "?"}])
    with pytest.raises(InputError, match=r"r\.jsonl:2: no column 'answer'"):
        Recording([Source(path, ColumnLayout())])


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        Recording([Source(path, ColumnLayout(), "prompts[0]")])

    with pytest.raises(InputError, match=r"prompts\[0\]\.path: no such file or folder: .*gone\.jsonl"):
        read(tmp_path / "gone.jsonl")
    with pytest.raises(InputError, match=r"prompts\[0\]\.path: no such file or folder: .*gone$"):
        read(tmp_path / "gone")
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"rows\.csv must end in \.jsonl, \.jsonl\.gz, \.parquet"):
        read(tmp_path / "rows.csv")
    (tmp_path / "set" / "data").mkdir(parents=True)
    (tmp_path / "set" / "extended").mkdir()
    with pytest.raises(InputError, match=r"has no file that ends in .*; name one of its folders: data, extended"):
        read(tmp_path / "set")
