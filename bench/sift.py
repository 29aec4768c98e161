"""Speed of all per-trace filters together, and memory and time of `tracemill sift` with every filter and sieve.

Traces of 4.5 kB are spliced from the paragraphs of `traces/long_reasoning` (each keeps its chain's order), eight to a
prompt of GSM8K train; one in fifty is a copy of an earlier one with a word changed, one in fifty ends in a loop.

- mb_per_s: megabytes of reasoning a second of one core's time, every per-trace filter with its defaults, one after the
  other as in a job, contamination against GSM8K test, MATH-500 and HumanEval; beside it each filter alone.
- peak_gb, linearity: the command over a Parquet file of so many traces and of a tenth as many, all filters and sieves
  that the base installation has, on all cores. Peak is the largest sum of the resident memory of its processes, pages
  of files that they share counted once each; linearity is the ratio of the two times, by the clock.

Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from labelled import DATA, need_data, rows

from tracemill.core import plugins
from tracemill.core.types import Filter, Item, Prompt, Sampling, Trace
from tracemill.pipelines.sifting import PART, Check

SIZE = 4_500
SAMPLES = 8
EVERY = 50
BENCHMARKS = tuple(str(DATA / "prompts" / f"{name}.jsonl.gz") for name in ("gsm8k_test", "math500", "humaneval"))
SIEVES = ("exact_duplicates", "near_duplicates", "duplicate_prompts", "difficulty", "diverse")
NOT_HERE = {"semantic_duplicates"}
"""Needs an extra."""
OPTIONS: dict[str, dict[str, Any]] = {
    "contamination": {"against": list(BENCHMARKS)},
    "difficulty": {"min_rate": 0.1, "max_rate": 0.9},
}
LOOP = "Wait, let me check that again. "


class Material:
    """Paragraphs of real chains, and real questions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.chains = [
            [one for one in row["reasoning"].split("\n\n") if one.strip()] for row in rows("traces/long_reasoning")
        ]
        self.questions = [(row["problem"], row["answer"]) for row in rows("prompts/gsm8k_train")]

    def chain(self) -> str:
        """A few paragraphs in a row from here and there, SIZE characters on average."""
        parts: list[str] = []
        size = 0
        while size < SIZE - 200:
            chain = self.random.choice(self.chains)
            at = self.random.randrange(len(chain))
            for one in chain[at : at + self.random.randint(1, 4)]:
                if size < SIZE - 200 and len(one) < SIZE // 2:
                    parts.append(one)
                    size += len(one) + 2
        return "\n\n".join(parts)

    def traces(self, count: int) -> Iterator[dict[str, Any]]:
        """Rows of prompt, answer, completion and label."""
        earlier = ""
        for number in range(count):
            question, answer = self.questions[number // SAMPLES % len(self.questions)]
            question = f"{question} ({number // SAMPLES // len(self.questions)})"
            text = earlier if number % EVERY == 1 else self.chain()
            if number % EVERY == 1:
                text = text.replace("the", "that", 1)
            elif number % EVERY == 2:
                text += "\n\n" + LOOP * 40
            earlier = text
            completion = f"<think>\n{text}\n</think>\n\n{answer}"
            yield {"prompt": question, "answer": answer, "completion": completion, "right": self.random.random() < 0.5}


def write(path: Path, count: int, seed: int) -> None:
    material = Material(seed)
    traces = material.traces(count)
    schema = pa.schema([(name, pa.string()) for name in ("prompt", "answer", "completion")] + [("right", pa.bool_())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := [row for row, _ in zip(traces, range(2_000), strict=False)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def of_kind(wanted: str) -> dict[str, Any]:
    """The plugins that look at one trace (`check`) or at all (`sift`), with the options of this bench."""
    found = {name: module.plugin for name, module in plugins.load("filters").items() if name not in NOT_HERE}
    return {
        name: plugins.get("filters", name, OPTIONS.get(name)) for name, one in found.items() if hasattr(one, wanted)
    }


def items(count: int, seed: int) -> list[Item]:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    for number, row in enumerate(Material(seed).traces(count)):
        prompt = Prompt(str(number // SAMPLES), row["prompt"], "math", "math", row["answer"], "bench")
        text = row["completion"].removeprefix("<think>\n").partition("\n</think>")[0]
        trace = Trace(
            str(number), prompt.id, "j", number, "m", "native", text, row["answer"], (), Sampling(), 1, 1, "stop", made
        )
        found.append(Item(prompt, trace))
    return found


def one_item(item: Item) -> tuple[Item]:
    return (item,)


def mb_per_s(filters: Sequence[Filter], traces: Sequence[Item], rounds: int) -> float:
    """Of one core's time, the best round: the work of one process, as in a job, without the reading of rows."""
    size = sum(len(item.trace.reasoning.encode()) for item in traces)
    best = float("inf")
    check = Check(one_item, tuple(filters))
    for _ in range(rounds):
        begin = time.process_time()
        for start in range(0, len(traces), PART):
            check(traces[start : start + PART])
        best = min(best, time.process_time() - begin)
    return size / best / 1e6


def sifted(path: Path, folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of the command over the file, and how many it kept."""
    chosen = [{name: OPTIONS[name]} if name in OPTIONS else name for name in [*of_kind("check"), *SIEVES]]
    assert set(SIEVES) == of_kind("sift").keys()
    chosen_file, kept, dropped = folder / "filters.yaml", folder / "kept.parquet", folder / "dropped.parquet"
    chosen_file.write_text(json.dumps(chosen))
    command = [
        str(Path(sys.executable).with_name("tracemill")), "sift", str(path), "--filters", str(chosen_file),
        "--column", "correct=right", "--kept", str(kept), "--dropped", str(dropped), "--json",
    ]  # fmt: skip
    begin, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        whole = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, resident(whole))
            time.sleep(0.5)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    found = json.loads(said)
    return {
        "seconds": time.perf_counter() - begin,
        "gb": peak / 1e9,
        "kept": found["kept"],
        "dropped": found["dropped"],
    }


def resident(process: psutil.Process) -> int:
    """Bytes of the process and its children; what several of them map is shared out among them."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20,000 traces in place of 1,000,000")
    parser.add_argument("--traces", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    need_data()
    count = 20_000 if asked.quick else asked.traces
    some = items(400 if asked.quick else 2_000, asked.seed)
    alone = {name: mb_per_s([one], some, 3) for name, one in of_kind("check").items()}
    for name, speed in sorted(alone.items(), key=lambda pair: pair[1]):
        print(f"{name:>24} {speed:8.1f} MB/s")
    together = mb_per_s(list(of_kind("check").values()), some, 3)
    print(f"{'all together':>24} {together:8.1f} MB/s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = {}
        for size in (count // 10, count):
            path = folder / "traces.parquet"
            write(path, size, asked.seed)
            runs[size] = sifted(path, folder)
            print(f"{size:,} traces: {runs[size]}")
    small, large = runs[count // 10], runs[count]
    figures = {
        "mb_per_s": round(together, 1),
        "alone_mb_per_s": {name: round(speed, 1) for name, speed in alone.items()},
        "traces": count,
        "seconds": round(large["seconds"], 1),
        "peak_gb": round(large["gb"], 2),
        "linearity": round(large["seconds"] / small["seconds"], 2),
        "kept": large["kept"],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
