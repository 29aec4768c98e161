"""Tokens/s of the whole factory on one GPU, against those of `vllm.LLM.generate` alone on the same requests.

bench/engine_overhead.py on models of SmolLM2-135M's and Llama-3.2-1B's shapes with random weights (`gpu.shapes`), which
hardly ever end a text: each sample has the 128 tokens of the demo's limit, so all sides make as many. Both engines lie
on the GPU at once, each with 0.4 of its memory and 256 sequences, and take turns. What a GPU shows and two CPU cores do
not: whether Ray's actor, splitting and verdicts keep up with an engine that is a hundred times as fast.

Ends with one line of JSON; {"gpu": null} where nvidia-smi finds none: engine_overhead.py measures CPUs. `--quick` does
one small round of the smaller model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from engine_overhead import Size, measure, ratio, tokens_per_cpu_s, tokens_per_s
from gpu.device import check_torch, the_gpu
from gpu.shapes import SHAPES, Shape, make

from tracemill.core.settings import settings
from tracemill.factory.models import resolve

CHANGED = {"concurrency": 256, "engine_options": {"gpu_memory_utilization": 0.4}}
"""Of the demo's `generate` section."""


def compared(shape: Shape, rounds: int, samples: int, folder: Path) -> dict[str, float | None]:
    """The factory's tokens/s over vLLM's, and both; `samples` of each of the demo's 48 prompts in a round."""
    here = settings().model_copy(update={"corpus": folder / "corpus", "ray_address": None})
    model = folder / "model"
    make(shape, model, Path(resolve("smollm2-135m", here.cache)))
    size = Size(rounds, samples, False, {**CHANGED, "model": str(model)})
    turns = asyncio.run(measure(size, here, reproducible=False))
    speeds = {name: tokens_per_s(made) for name, made in turns.items()}
    return {
        "ratio": ratio(speeds, "vllm"),
        "cpu_ratio": ratio({name: tokens_per_cpu_s(made) for name, made in turns.items()}, "vllm"),
        **{f"{name}_tokens_per_s": round(speed, 1) for name, speed in speeds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small round; without a GPU nothing, as CI runs it")
    quick, gpu = parser.parse_args().quick, the_gpu()
    found: dict[str, Any] = {"gpu": gpu}
    if gpu is None:
        print("no GPU: nothing measured (bench/engine_overhead.py measures on CPUs)")
    else:
        check_torch(gpu)
        for name, shape in [*SHAPES.items()][: 1 if quick else None]:
            print(name)
            with tempfile.TemporaryDirectory() as folder:
                found[name] = compared(shape, 1 if quick else 2, 4 if quick else 64, Path(folder))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
