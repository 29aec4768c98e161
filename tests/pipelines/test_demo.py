"""The demo's recipe with the real model, killed in the middle and run again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import psutil
import pytest
import yaml

from tracemill.core.settings import settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes

SAMPLES = 2


@pytest.fixture
def demo(tmp_path: Path) -> str:
    recipe = yaml.safe_load((recipes.SHIPPED / "demo.yaml").read_text())
    recipe["generate"]["samples"] = SAMPLES
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(recipe))
    return str(tmp_path / "demo.yaml")


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "tracemill"), *arguments]


def durable() -> set[str]:
    """Ids of the samples on disk: in the write-ahead file, and in the table where a segment was committed already."""
    found: set[str] = set()
    for segment in Path(settings().corpus).glob("ledger/*/*.jsonl"):
        whole = segment.read_text(errors="replace").rpartition("\n")[0]
        found.update(re.findall(r'"id": ?"([0-9a-f]{32})"', whole))
    if (Path(settings().corpus) / "corpus.json").exists():
        found.update(row["id"] for row in Corpus.open(settings().corpus).rows("SELECT id FROM traces", {}))
    return found


@pytest.mark.vllm
@pytest.mark.timeout(900)  # about 90 s on two idle cores
def test_killed_in_the_middle_it_goes_on_where_it_was(demo: str, tmp_path: Path) -> None:
    process = subprocess.Popen(command("run", demo), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while len(durable()) < 10 and time.monotonic() < deadline:
        time.sleep(0.2)
    mine = psutil.Process(process.pid).children(recursive=True)
    engines = [one for one in mine if "VLLM" in one.name() or "raylet" in one.name()]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    killed_at = time.time()
    kept = durable()
    assert 10 <= len(kept) < 48 * SAMPLES
    assert len(engines) >= 2
    _, alive = psutil.wait_procs(engines, timeout=180)
    assert not alive, "the cluster and the engine end with the command"

    done = subprocess.run(command("run", demo), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{48 * SAMPLES}/{48 * SAMPLES} samples" in done.stdout
    rows = Corpus.open(settings().corpus).rows("SELECT id, epoch(created_at) AS made_at FROM traces", {})
    assert len(rows) == len({row["id"] for row in rows}) == 48 * SAMPLES, "none lost, none twice"
    before = {row["id"] for row in rows if row["made_at"] < killed_at}
    assert before == kept, "what was durable at the kill was not made again"

    made = subprocess.run(command("export", "demo", "--to", str(tmp_path / "out")), capture_output=True, check=True)
    assert b"load it with" in made.stdout
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert all(row["completion"][0]["content"].startswith("<think>\n") for row in loaded)
