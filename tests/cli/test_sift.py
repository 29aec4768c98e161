"""`tracemill sift`: what it writes, prints and refuses."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracemill.core.errors import InputError
from tracemill.pipelines.policy import policy_of
from tracemill.pipelines.recipe import sections_of
from tracemill.pipelines.sift_files import fates, sift_files
from tracemill.pipelines.traces_of_files import Files

Command = Callable[..., Any]
GOOD = "First we add the eggs of both days, then we take away what was eaten, and that leaves forty-two."
NEAR = GOOD.replace("First we", "Now we")
ROWS: list[dict[str, Any]] = [
    {"prompt": "6 * 7?", "answer": "42", "completion": f"<think>{GOOD}</think>42", "note": 1},
    {"prompt": "6 * 7?", "answer": "42", "completion": "<think>Short.</think>42", "note": 2},
    {"prompt": "6 * 7?", "answer": "42", "completion": f"<think>{GOOD}</think>42", "note": None},
    {"prompt": "6 * 7?", "answer": "42", "completion": None, "note": 4},
    {"prompt": "6 * 8?", "answer": "48", "completion": GOOD, "note": 5},
]
REASONS = [("2", "length", "too_short"), ("3", "exact_duplicates", "duplicate"), ("4", "reading", "no_trace")]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


def written(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".jsonl.gz"])
def test_every_row_is_in_one_of_the_two_files(tracemill: Command, tmp_path: Path, rows: Path, suffix: str) -> None:
    kept, dropped = tmp_path / f"kept{suffix}", tmp_path / f"dropped{suffix}"
    done = tracemill(
        "sift", str(rows), "--filters", "length,exact_duplicates", "--kept", str(kept), "--dropped", str(dropped)
    )
    assert (done.code, done.err) == (0, "")
    assert written(kept) == [{**ROWS[0], "sift_row": "1"}, {**ROWS[4], "sift_row": "5"}]
    fell = written(dropped)
    assert [(row["sift_row"], row["drop_filter"], row["drop_reason"]) for row in fell] == REASONS
    assert [row["note"] for row in fell] == [2, None, 4]
    assert [row["drop_detail"] for row in fell] == ["1 words < 5", "1", "completion is null"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kept.name, dropped.name, "rows.parquet"])
    assert " 2   40.0%" in done.out


def test_files_are_counted_through_and_sifted_together(tracemill: Command, tmp_path: Path, rows: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({**ROWS[0], "note": "text"}) + "\n")
    out = tmp_path / "out"
    out.mkdir()
    done = tracemill(
        "sift", str(rows), str(more), "--filters", "exact_duplicates",
        "--kept", str(out / "kept.jsonl"), "--dropped", str(out / "dropped.jsonl"),
    )  # fmt: skip
    assert done.code == 0
    assert [(row["sift_row"], row["drop_detail"]) for row in written(out / "dropped.jsonl")] == [
        ("3", "1"), ("4", "completion is null"), ("6", "1"),
    ]  # fmt: skip
    again = tracemill("sift", str(out / "kept.jsonl"), "--filters", "exact_duplicates", "--dry-run", "--json")
    assert json.loads(again.out)["dropped"] == {}


def test_a_row_of_several_completions_is_taken_apart(tracemill: Command, tmp_path: Path) -> None:
    path = tmp_path / "openr1.parquet"
    row = {
        "uuid": "a", "source": "olympiads", "problem_type": "Algebra", "question_type": "math-word-problem",
        "problem": "6 * 7?", "answer": "42", "generations": [f"<think>{GOOD}</think>42", "<think>No.</think>42", None],
        "finish_reasons": ["stop", "length", "stop"], "messages": [{"role": "user", "content": "6 * 7?"}],
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), path)
    kept, dropped = tmp_path / "kept.parquet", tmp_path / "dropped.parquet"
    done = tracemill("sift", str(path), "--filters", "length", "--kept", str(kept), "--dropped", str(dropped))
    assert done.code == 0, done.err
    (good,) = written(kept)
    assert good == {**row, "generations": row["generations"][:1], "finish_reasons": ["stop"], "sift_row": "1"}
    short, null = written(dropped)
    assert (short["sift_row"], short["generations"], short["finish_reasons"]) == (
        "1.2", ["<think>No.</think>42"], ["length"],
    )  # fmt: skip
    assert (null["sift_row"], null["generations"], null["drop_filter"]) == ("1.3", [None], "reading")


def test_a_dry_run_shows_both_sides_of_the_line(tracemill: Command, tmp_path: Path, rows: Path) -> None:
    done = tracemill(
        "sift", str(rows), "--filters", "[length: {min_words: 1}]", "--before", "[length: {min_words: 30}]", "--dry-run"
    )
    assert done.code == 0, done.err
    assert "now kept, was length: too_short: 4 traces" in done.out
    assert "1 words < 30\n    Short." in done.out
    assert GOOD in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
    plain = json.loads(tracemill("sift", str(rows), "--filters", "length", "--dry-run", "--json").out)
    assert (plain["traces"], plain["kept"]) == (5, 3)
    assert plain["dropped"] == {"length: too_short": 1, "reading: no_trace": 1}


def test_difficulty_is_read_from_a_column(tracemill: Command, tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    labels: dict[str, list[bool | None]] = {"easy": [True, True], "good": [True, False], "hard": [False, None]}
    lines = [
        {"prompt": prompt, "answer": "42", "completion": f"{GOOD} {number}", "right": label}
        for prompt, found in labels.items()
        for number, label in enumerate(found)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ("--filters", "[difficulty: {min_rate: 0.1, max_rate: 0.9}]", "--dry-run", "--json")
    done = tracemill("sift", str(path), *options, "--column", "correct=right")
    assert json.loads(done.out)["dropped"] == {"difficulty: too_easy": 2, "difficulty: too_hard": 2}
    assert tracemill("sift", str(path), *options).err.startswith("tracemill: difficulty: nothing says which traces")
    path.write_text(path.read_text().replace("null", '"maybe"'))
    assert (
        "column 'right' must be true, false or null, this is 'maybe'"
        in tracemill("sift", str(path), *options, "--column", "correct=right").err
    )


def test_what_export_writes_can_be_sifted(tracemill: Command, recipe: Callable[..., str], tmp_path: Path) -> None:
    assert tracemill("run", recipe()).code == 0
    assert tracemill("export", "sums", "--to", str(tmp_path / "set")).code == 0
    done = tracemill("sift", str(tmp_path / "set" / "data"), "--filters", "length", "--dry-run", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["traces"] == len(pq.read_table(tmp_path / "set" / "data"))
    assert found["traces"] == found["kept"] + sum(found["dropped"].values())


def test_thresholds_are_tried_on_a_jobs_traces(tracemill: Command, recipe: Callable[..., str]) -> None:
    assert tracemill("run", recipe()).code == 0
    done = tracemill("sift", "--job", "sums", "--filters", "[length: {min_words: 500}]", "--dry-run")
    assert done.code == 0, done.err
    assert "now dropped, length: too_short" in done.out
    nothing = json.loads(tracemill("sift", "--job", "sums", "--dry-run", "--json").out)
    assert nothing["changes"] == []
    assert nothing["traces"] > 0
    assert "change them there and run it again" in tracemill("sift", "--job", "sums").err


def test_what_a_filter_quotes_is_masked_too(tracemill: Command, tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out"
    out.mkdir()
    loop = "Wait, I ask ann.lee@gmail.com now. " * 20
    turns = [{"role": "user", "content": "6 * 7?"}, {"role": "assistant", "reasoning_content": loop, "content": "42"}]
    path.write_text(json.dumps({"messages": turns, "text": loop}))
    options = ("sift", str(path), "--filters", "[privacy: {action: mask}, repetition]")
    assert tracemill(*options, "--kept", str(out / "k.jsonl"), "--dropped", str(out / "d.jsonl")).code == 0
    (row,) = written(out / "d.jsonl")
    assert row["drop_reason"] == "loop"
    assert "ann.lee" not in json.dumps(row)
    assert "ann.lee" not in tracemill("sift", str(path), "--filters", "repetition", "--dry-run").out


def test_columns_that_come_late_and_odd_texts_are_kept(tracemill: Command, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows: list[dict[str, Any]] = [{"prompt": "6 * 7?", "answer": "42", "completion": GOOD, "late": None}] * 600
    rows += [{**rows[0], "late": 1.5, "extra": ["x"], "completion": f"{GOOD} \ud83d"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for suffix, odd in ((".parquet", "\ufffd"), (".jsonl", "\ud83d")):
        kept, dropped = tmp_path / f"kept{suffix}", tmp_path / f"dropped{suffix}"
        done = tracemill("sift", str(path), "--filters", "length", "--kept", str(kept), "--dropped", str(dropped))
        assert done.code == 0, done.err
        last = written(kept)[-1]
        assert (last["late"], last["extra"], last["completion"]) == (1.5, ["x"], f"{GOOD} {odd}")
        assert len(written(kept)) == 601
    assert pq.read_schema(tmp_path / "dropped.parquet").names[-4:] == [
        "sift_row", "drop_filter", "drop_reason", "drop_detail",
    ]  # fmt: skip


def test_outputs_do_not_go_where_inputs_are(tracemill: Command, tmp_path: Path, rows: Path) -> None:
    fold = tmp_path / "fold"
    fold.mkdir()
    rows.rename(fold / "rows.parquet")
    before = (fold / "rows.parquet").read_bytes()
    for kept in (fold / "rows.parquet", fold / "new.parquet", fold / ".." / "fold" / "a.jsonl"):
        done = tracemill("sift", str(fold), "--kept", str(kept), "--dropped", str(tmp_path / "d.jsonl"))
        assert done.code > 0
        assert "is what is read" in done.err
    assert [path.name for path in fold.iterdir()] == ["rows.parquet"]
    assert (fold / "rows.parquet").read_bytes() == before
    done = tracemill("sift", str(fold), "--kept", str(tmp_path / "k.parquet"), "--dropped", str(tmp_path / "d.parquet"))
    assert done.code == 0, done.err
    assert pq.read_schema(tmp_path / "d.parquet").names[:4] == list(ROWS[0])


def test_labels_are_cut_with_the_completion_that_they_are_of(tracemill: Command, tmp_path: Path) -> None:
    path, kept = tmp_path / "openr1.jsonl", tmp_path / "kept.jsonl"
    row = {
        "uuid": "a", "source": "olympiads", "problem_type": "Algebra", "question_type": "math-word-problem",
        "problem": "6 * 7?", "answer": "42", "generations": [f"<think>{GOOD}</think>42", f"<think>{NEAR}</think>41"],
        "finish_reasons": ["stop", "stop"], "correctness_math_verify": [True, False],
    }  # fmt: skip
    empty = {**row, "generations": [], "finish_reasons": [], "correctness_math_verify": []}
    path.write_text(json.dumps(row) + "\n" + json.dumps(empty) + "\n")
    options = ("--filters", "difficulty", "--column", "correct=correctness_math_verify")
    done = tracemill("sift", str(path), *options, "--kept", str(kept), "--dropped", str(tmp_path / "d.jsonl"))
    assert done.code == 0, done.err
    assert [one["correctness_math_verify"] for one in written(kept)] == [[True], [False]]
    again = tracemill("sift", str(kept), *options, "--dry-run", "--json")
    assert json.loads(again.out)["kept"] == 2, again.err
    wrong = tracemill("sift", str(path), "--filters", "difficulty", "--column", "correct=corect", "--dry-run")
    assert "no column 'corect'" in wrong.err


def test_a_row_that_cannot_be_read_is_told_and_the_answer_is_no_reference(tracemill: Command, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = {"prompt": "6 * 7?", "reasoning": GOOD, "answer": " ".join(f"word{number}" for number in range(40))}
    rows = [{**good, "reasoning": f"{GOOD} {good['answer']}"}, {**good, "prompt": ""}, {**good, "answer": 5}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = ("--column", "reasoning=reasoning", "--column", "completion=answer")
    done = tracemill(
        "sift", str(path), *columns, "--filters", "answer_leak",
        "--kept", str(tmp_path / "k.jsonl"), "--dropped", str(tmp_path / "d.jsonl"),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert len(written(tmp_path / "k.jsonl")) == 1
    assert [(row["drop_filter"], row["drop_detail"].partition(": ")[2]) for row in written(tmp_path / "d.jsonl")] == [
        ("reading", "column 'prompt' is empty"), ("reading", "completion 'answer' must be text, this is int"),
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_ends_it_and_its_processes_and_leaves_no_file(tmp_path: Path, number: int, code: int) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for row in range(20_000):
            file.write(json.dumps({**ROWS[0], "completion": f"{GOOD} {row} " * 60}) + "\n")
    command = [
        str(Path(sys.executable).with_name("tracemill")), "sift", str(path), "--workers", "2",
        "--kept", str(tmp_path / "k.parquet"), "--dropped", str(tmp_path / "d.parquet"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        whole = psutil.Process(process.pid)
        workers: list[psutil.Process] = []
        while len(workers) < 3:  # two, and the tracker of their resources
            workers = whole.children(recursive=True)
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) == code
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    if number != signal.SIGKILL:
        assert [one.name for one in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_file_that_changes_meanwhile_is_refused(rows: Path) -> None:
    files = Files((rows,))
    drops = sift_files(files, policy_of(sections_of(["length"], "filters")), workers=1)
    pq.write_table(pa.Table.from_pylist(ROWS[1:]), rows)
    with pytest.raises(InputError, match=r"rows\.parquet: changed while it was sifted; run again"):
        list(fates(files, drops))


def test_a_solution_without_marks_is_not_taken_for_a_chain_without_answer(tracemill: Command, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ["There are six sevens.\nSo it is 42.\n#### 42", f"<think>{GOOD} And then we"]
    rows = [{"prompt": "6 * 7?", "answer": "42", "completion": text} for text in texts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = json.loads(tracemill("sift", str(path), "--filters", "truncation", "--dry-run", "--json").out)
    assert found["dropped"] == {"truncation: cut_off": 1}
    assert found["kept"] == 1


def test_personal_data_are_masked_in_what_is_written_and_never_shown(tracemill: Command, tmp_path: Path) -> None:
    mail = "ann.lee@gmail.com"
    path, kept, dropped = (tmp_path / f"{name}.jsonl" for name in ("rows", "kept", "dropped"))
    rows = [
        {"prompt": "6 * 7?", "answer": "42", "completion": f"<think>{GOOD} I ask {mail}.</think>42", "note": mail},
        {"prompt": "6 * 7?", "answer": "42", "completion": f"<think>{GOOD}</think>{mail}", "note": ""},
        {"prompt": f"Who is {mail}?", "answer": "42", "completion": f"<think>{GOOD} {mail}</think>42", "note": ""},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    masks = ("sift", str(path), "--filters", "[privacy: {action: mask}]")
    assert tracemill(*masks, "--kept", str(kept), "--dropped", str(dropped)).code == 0
    first, quoting = written(kept)
    assert first["completion"] == rows[0]["completion"].replace(mail, "[EMAIL]")
    assert first["note"] == "[EMAIL]", "a chain may stand in any column"
    assert quoting["completion"] == rows[2]["completion"], "the prompt has it"
    (fell,) = written(dropped)
    assert fell["drop_reason"] == "email", "a masked answer is another answer"
    assert mail not in json.dumps(fell)
    shown = tracemill("sift", str(path), "--filters", "privacy", "--dry-run").out
    assert "[EMAIL]" in shown
    assert shown.count(mail) == 1, "that of the prompt"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "files: name files to sift, or a job (--job NAME)"),
        (("{rows}", "--job", "x"), "files: name files to sift, or a job (--job NAME), not both"),
        (("{rows}",), "--kept and --dropped: name both files, or --dry-run"),
        (("{rows}", "--dry-run", "--filters", "lenght"), "--filters[0]: unknown filter 'lenght' (did you mean"),
        (("{rows}", "--dry-run", "--filters", "no.yaml"), "--filters: cannot read no.yaml: No such file"),
        (("{rows}", "--dry-run", "--filters", "[length: {min_words: x}]"), "--filters[0].min_words: "),
        (("{rows}", "--kept", "{rows}", "--dropped", "d.jsonl"), "--kept: "),
        (
            ("{rows}", "--kept", "k.jsonl", "--dropped", "k.jsonl"),
            "--dropped: k.jsonl is what is read, or is written already",
        ),
        (("{rows}", "--kept", "k.csv", "--dropped", "d.jsonl"), "--kept: k.csv must end in .parquet, .jsonl or"),
        (("{rows}", "--kept", "no/k.jsonl", "--dropped", "d.jsonl"), "--kept: cannot write no/k.jsonl: No such file"),
        (("{rows}", "--dry-run", "--column", "completion=text"), "no column 'text' (there are: prompt, answer, "),
        (("{rows}", "--dry-run", "--column", "text=text", "--layout", "chat"), "--column: columns go with layout"),
        (
            ("nowhere.parquet", "--kept", "k.parquet", "--dropped", "d.parquet"),
            "no such file or folder: nowhere.parquet",
        ),
        (("{rows}", "--dry-run", "--kept", "k.jsonl"), "--kept: does nothing with --dry-run; leave it out"),
        (("--job", "x", "--dry-run", "--limit", "3"), "--limit: does nothing with --job; leave it out"),
        (("nowhere.jsonl", "--dry-run"), "no such file or folder: nowhere.jsonl"),
    ],
)
def test_bad_input_is_one_line(
    tracemill: Command, rows: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], line: str
) -> None:
    monkeypatch.chdir(rows.parent)
    done = tracemill("sift", *(one.replace("{rows}", str(rows)) for one in arguments))
    assert done.code > 0
    assert line in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in rows.parent.iterdir()] == [rows.name], "nothing is left behind"
