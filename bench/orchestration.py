"""How many samples a second pass through everything but a model: draw, ask, split, judge, write, commit to tables.

The engine replays recorded completions of about 1,000 characters, each after 0.25 to 0.75 s, so that up to 2,000 are
under way at once; every sample is judged by `math` and `format`. All of it is written; nothing is switched off. The
memory of each process is looked at once a second. Figures: samples_per_s; rss_ratio, the largest over the smallest
memory of a process while samples are made, after a tenth of them, of the process where it is worst; time_ratio, seconds
a sample in the last tenth over those in the second tenth; and after_mb, the most that sifting, selecting and counting
take afterwards (DuckDB, up to its limit). Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from tracemill.core.settings import settings
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.progress import Progress
from tracemill.pipelines.runner import Watch, run_job

CONCURRENT = 2000
CHARACTERS = 1000


def write_recording(path: Path, samples: int, each: int) -> None:
    """Questions with `each` completions, of which two in three are right."""
    chain = "I add the numbers one digit at a time and look at the carry. "
    with path.open("w") as file:
        for number in range(samples // each):
            question = {"question": f"What is {number} + {number + 1}?", "reference": str(2 * number + 1)}
            for sample in range(each):
                body = chain * ((CHARACTERS + 37 * sample) // len(chain))
                answer = 2 * number + 1 + (sample % 3 == 0)
                text = f"<think>\nSample {sample}. {body}\n</think>\nThe answer is \\boxed{{{answer}}}"
                file.write(json.dumps({**question, "completion": text, "completion_tokens": len(text) // 4}) + "\n")


@dataclass
class Memory:
    """Looks at the memory of this process and of all that it started, once a second."""

    seen: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(1.0):
            for process in (me, *me.children(recursive=True)):
                try:
                    name = "main" if process.pid == os.getpid() else f"{process.name()} {process.pid}"
                    self.seen[name].append((time.monotonic(), process.memory_info().rss))
                except psutil.NoSuchProcess:
                    continue

    def end(self) -> None:
        self._ended.set()

    def between(self, since: float, until: float) -> dict[str, list[int]]:
        """What was seen of each process that was there for most of that time."""
        found = {name: [rss for at, rss in seen if since <= at <= until] for name, seen in self.seen.items()}
        longest = max(map(len, found.values()), default=0)
        return {name: rss for name, rss in found.items() if rss and 2 * len(rss) > longest}


async def measure(samples: int, each: int, folder: Path) -> dict[str, float]:
    write_recording(folder / "recorded.jsonl", samples, each)
    columns = {"text": "question", "reference": "reference", "completion": "completion"}
    source = {"source": "recording", "path": str(folder / "recorded.jsonl"), "columns": columns}
    generate = {
        "engine": "replay", "thinking": "native", "samples": each, "concurrency": CONCURRENT,
        "engine_options": {"seconds": 0.5},
    }  # fmt: skip
    recipe = {"name": "orchestration", "prompts": [source], "generate": generate, "filters": []}
    plan = make_plan(recipes.parse(recipe))
    here = settings().model_copy(update={"corpus": folder / "corpus"})
    points, stages = [(0.0, 0)], {}

    def on_progress(progress: Progress) -> None:
        points.append((progress.seconds, progress.durable))

    def on_stage(stage: str) -> None:
        stages[stage] = time.monotonic()

    gc.collect()
    memory = Memory()
    watching = threading.Thread(target=memory.watch)
    watching.start()
    result = await run_job(plan, here, Watch(on_progress=on_progress, on_stage=on_stage))
    memory.end()
    watching.join()
    progress = result.progress
    assert progress is not None
    assert progress.durable == progress.new == samples == result.funnel.generated
    tenth = [next(at for at, done in points if done >= samples * k // 10) for k in range(11)]
    making = memory.between(stages["generating"] + tenth[1], stages["generating"] + tenth[10])
    after = memory.between(stages["sifting"], time.monotonic())
    print(f"{samples:,} samples in {progress.seconds:,.1f} s; correct {result.funnel.correct:,}; seconds a tenth:")
    print("  " + " ".join(f"{late - early:.1f}" for early, late in pairwise(tenth)))
    for name, sizes in making.items():
        print(f"  {name:<28} {min(sizes) / 2**20:8.0f} to {max(sizes) / 2**20:8.0f} MB")
    return {
        "samples": samples,
        "samples_per_s": round(samples / progress.seconds),
        "rss_ratio": round(max(max(sizes) / min(sizes) for sizes in making.values()), 3),
        "time_ratio": round((tenth[10] - tenth[9]) / (tenth[2] - tenth[1]), 3),
        "after_mb": round(max((max(sizes) for sizes in after.values()), default=0) / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="30,000 samples, as CI runs it")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--each", type=int, default=8, help="samples a prompt")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = 30_000 if given.quick else given.samples
        figures = asyncio.run(measure(samples - samples % given.each, given.each, Path(folder)))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
