"""Prompts from every source, and one clear line for every row that cannot be one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracemill.core.errors import InputError
from tracemill.core.types import Prompt
from tracemill.factory import sources
from tracemill.factory.sources import Columns

ROWS = [
    {"prompt": "What is 1 + 1?", "answer": "2", "level": 1},
    {"prompt": "Was ist 2 + 2?", "answer": 4, "level": 2},
]
PLAIN = Columns()


def check_rows(prompts: list[Prompt]) -> None:
    assert [(p.text, p.reference, p.verifier, p.metadata) for p in prompts] == [
        ("What is 1 + 1?", "2", "math", {"level": 1}),
        ("Was ist 2 + 2?", "4", "math", {"level": 2}),
    ]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_jsonl(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = "\n".join(json.dumps(row) for row in ROWS) + "\n\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    check_rows(list(sources.jsonl_prompts(path, PLAIN, "prompts[0]")))


def test_parquet(tmp_path: Path) -> None:
    rows = [{**row, "answer": str(row["answer"])} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    check_rows(list(sources.parquet_prompts(tmp_path / "rows.parquet", PLAIN, "prompts[0]")))


def test_datasets_folder_saved_to_disk_or_of_files(tmp_path: Path) -> None:
    rows = [{**row, "answer": str(row["answer"])} for row in ROWS]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    check_rows(list(sources.dataset_prompts(tmp_path / "saved", "train", PLAIN, "prompts[0]")))
    (tmp_path / "files").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "files" / "train.parquet")
    check_rows(list(sources.dataset_prompts(tmp_path / "files", "train", PLAIN, "prompts[0]")))
    with pytest.raises(InputError, match=r"prompts\[0\]\.split: .* has no split 'tset' \(known: train\)"):
        list(sources.dataset_prompts(tmp_path / "files", "tset", PLAIN, "prompts[0]"))


def test_the_same_question_has_the_same_id_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(ROWS[0]) + "\n" for _ in range(2)))
    first, second = sources.jsonl_prompts(path, PLAIN, "prompts[0]")
    assert first.id == second.id


def test_reasoning_gym_is_reproducible_and_keeps_the_entry_for_the_scorer() -> None:
    options = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    first = list(sources.reasoning_gym_prompts("chain_sum", 3, 7, options, "prompts[0]"))
    again = list(sources.reasoning_gym_prompts("chain_sum", 3, 7, options, "prompts[0]"))
    other = list(sources.reasoning_gym_prompts("chain_sum", 3, 8, options, "prompts[0]"))
    assert first == again != other
    assert all(p.verifier == "reasoning_gym" and p.metadata["entry"]["answer"] == p.reference for p in first)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", r"rows\.jsonl:2: not valid JSON: Expecting property name"),
        ("[1]", r"rows\.jsonl:2: a line must be a JSON object, this is list"),
        (
            '{"question": "?", "answer": "1"}',
            r"rows\.jsonl:2: this row lacks column 'prompt', rows before it have it; add it$",
        ),
        (
            '{"prompt": "?"}',
            r"this row lacks column 'answer', rows before it have it; add it \(null or \"\" where there is no gold",
        ),
        ('{"prompt": " ", "answer": "1"}', r"rows\.jsonl:2: column 'prompt' is empty"),
        ('{"prompt": "?", "answer": null}', r"rows\.jsonl:2: column 'answer' is empty"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    with pytest.raises(InputError, match=message):
        list(sources.jsonl_prompts(path, PLAIN, "prompts[0]"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"q": "?", "answer": 1}', r"no column 'prompt' \(the row has: q, answer\); set prompts\[0\]\.columns\.text$"),
        (
            '{"prompt": "?"}',
            r"no column 'answer' \(the row has: prompt\); set prompts\[0\]\.columns\.reference, to null where there are "
            r"no gold answers \(verify\.majority\)$",
        ),
    ],
)
def test_a_column_that_the_first_row_lacks_is_misnamed_or_there_is_none(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        list(sources.jsonl_prompts(path, PLAIN, "prompts[0]"))


def test_a_file_that_is_not_text_and_a_broken_gzip_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "é", "answer": "1"}\n'.encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.jsonl:1: not UTF-8 text"):
        list(sources.jsonl_prompts(tmp_path / "latin.jsonl", PLAIN, "prompts[0]"))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "?", "answer": "1"}\n')[:-6])
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz:\d: cannot be read"):
        list(sources.jsonl_prompts(tmp_path / "cut.jsonl.gz", PLAIN, "prompts[0]"))


def test_a_missing_file_an_unknown_task_and_bad_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prompts\[0\]\.path: no such file or folder: .*gone\.jsonl"):
        list(sources.jsonl_prompts(tmp_path / "gone.jsonl", PLAIN, "prompts[0]"))
    with pytest.raises(InputError, match=r"has no task 'chain_sun' \(did you mean 'chain_sum'\?\)"):
        list(sources.reasoning_gym_prompts("chain_sun", 1, 0, {}, "prompts[0]"))
    with pytest.raises(InputError, match=r"options: chain_sum refuses them: .*min_term.*known: .*min_terms"):
        list(sources.reasoning_gym_prompts("chain_sum", 1, 0, {"min_term": 2}, "prompts[0]"))
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(InputError, match=r"no\.parquet is not a Parquet file"):
        list(sources.parquet_prompts(tmp_path / "no.parquet", PLAIN, "prompts[0]"))
