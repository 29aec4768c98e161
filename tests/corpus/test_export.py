from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tracemill.core.errors import CorpusError, InputError
from tracemill.core.markup import MARKUPS
from tracemill.core.types import Prompt, Trace
from tracemill.corpus import export as exporting
from tracemill.corpus.export import export
from tracemill.corpus.selection import Selection, select
from tracemill.corpus.store import Corpus


def render(trace: Trace) -> str:
    return MARKUPS[trace.thinking].join(trace.reasoning, trace.answer)


def unmasked(trace: Trace, prompt: Prompt, kinds: Collection[str]) -> Trace:
    raise AssertionError(f"{kinds} are not asked for")


@pytest.fixture
def chosen(corpus: Corpus, build: Any) -> Corpus:
    prompts = [build.prompt(n) for n in range(5)]
    corpus.add_prompts(prompts)
    traces = [build.trace(prompt, sample) for prompt in prompts for sample in range(2)]
    build.store(corpus, [(trace, [build.verdict(trace)]) for trace in traces])
    select(corpus, "job", "strict", "sums", Selection())
    return corpus


@pytest.mark.parametrize("layout", ["parquet", "arrow"])
def test_the_line_that_is_given_loads_the_set(
    chosen: Corpus, build: Any, layout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SHARD_ROWS", 4)
    done = export(chosen, "sums", None, tmp_path / "out", render, unmasked, layout)
    assert (done.path, done.rows) == (tmp_path / "out", 10)
    rows = load(done.load, tmp_path)
    assert len(rows) == 10
    items = {item.trace.id: item for item in chosen.accepted("job")}
    for row in rows:
        item = items.pop(row["trace_id"])
        assert row["prompt"] == [{"role": "user", "content": item.prompt.text}]
        assert row["completion"] == [{"role": "assistant", "content": render(item.trace)}]
        assert (row["domain"], row["model"], row["verifier"], row["label_source"]) == ("math", "small", "math", "gold")
        assert (row["reference"], row["completion_tokens"]) == (item.prompt.reference, item.trace.completion_tokens)
    if layout == "parquet":
        shards = sorted(path.name for path in (done.path / "data").iterdir())
        assert shards == [f"train-0000{n}-of-00003.parquet" for n in range(3)]
    assert done.path.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def load(line: str, tmp_path: Path) -> Any:
    import datasets
    import datasets.config

    os.environ["HF_HUB_OFFLINE"] = "1"
    datasets.config.HF_DATASETS_CACHE = tmp_path / "cache"
    return eval(line, {"datasets": datasets})  # noqa: S307


def test_the_card_says_what_is_in_it(chosen: Corpus, tmp_path: Path) -> None:
    done = export(chosen, "sums", 1, tmp_path / "out", render, unmasked)
    card = (done.path / "README.md").read_text()
    for line in ("# sums, version 1", "| rows | 10 |", "| prompts | 5 |", "| models | small (10) |", "| kept | 10 |",
                 "| label sources | gold (10) |", "job `job`, filter policy `strict`", done.load):  # fmt: skip
        assert line in card


def test_an_earlier_export_is_replaced_and_nothing_else(chosen: Corpus, tmp_path: Path) -> None:
    export(chosen, "sums", None, tmp_path / "out", render, unmasked)
    (tmp_path / "out" / "old").touch()
    export(chosen, "sums", None, tmp_path / "out", render, unmasked)
    assert not (tmp_path / "out" / "old").exists()
    (tmp_path / "mine").mkdir()
    export(chosen, "sums", None, tmp_path / "mine", render, unmasked)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(InputError, match="not empty and not an export"):
        export(chosen, "sums", None, tmp_path / "full", render, unmasked)
    with pytest.raises(InputError, match="is a file"):
        export(chosen, "sums", None, tmp_path / "full" / "thesis.txt", render, unmasked)
    with pytest.raises(CorpusError, match="cannot be written"):
        export(chosen, "sums", None, tmp_path / "full" / "thesis.txt" / "below", render, unmasked)


def test_mistakes_are_named(chosen: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'sums'"):
        export(chosen, "sum", None, tmp_path / "out", render, unmasked)
    with pytest.raises(InputError, match="no version 2"):
        export(chosen, "sums", 2, tmp_path / "out", render, unmasked)
    with pytest.raises(InputError, match="lacks its reasoning"):
        export(chosen, "sums", None, tmp_path / "out", lambda trace: trace.answer, unmasked)
    with pytest.raises(InputError, match="layout"):
        export(chosen, "sums", None, tmp_path / "out", render, unmasked, "parket")  # type: ignore[arg-type]
    assert [path for path in tmp_path.iterdir() if path.name != "corpus"] == []


def test_what_a_version_masks_is_masked_in_its_export(local: Corpus, build: Any, tmp_path: Path) -> None:
    prompt = build.prompt()
    local.add_prompts([prompt])
    trace = build.trace(prompt, reasoning="Ask ann.")
    build.store(local, [(trace, [build.verdict(trace)])])

    def mask(trace: Trace, prompt: Prompt, kinds: Collection[str]) -> Trace:
        return replace(trace, reasoning=trace.reasoning.replace("ann", f"[{', '.join(kinds)}]"))

    plain = select(local, "job", "policy", "set", Selection())
    masked = select(local, "job", "policy", "set", Selection(masks=("email", "phone")))
    assert (masked.version, masked.is_new) == (plain.version + 1, True)
    for version, said in ((1, "Ask ann."), (2, "Ask [email, phone].")):
        export(local, "set", version, tmp_path / "out", render, mask)
        (row,) = pq.read_table(tmp_path / "out" / "data").to_pylist()
        assert said in row["completion"][0]["content"]
        assert ("Masked in the chains: email, phone." in (tmp_path / "out" / "README.md").read_text()) == (version == 2)
