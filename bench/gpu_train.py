"""Tokens/s and MFU of SFT and GRPO on one GPU, for models of SmolLM2-135M's and Llama-3.2-1B's shapes.

What trains is what `tracemill train` runs after it has read the corpus: rows of `trainers.rows`, options of
`trainers.presets`, `trainers.loop.train`, with the project's own defaults (batch 64, 8 rows at once; halved until they
fit). Weights are random and in 32 bits, matrices are multiplied in bfloat16. Each training has a process of its own;
its first steps, in which kernels are compiled, do not count; nor does anything after the last step.

SFT: rows of exactly 2,048 random tokens, of which the first 256 are the question. GRPO: 8 questions with 8 completions
of 512 tokens (random weights hardly ever end a text) rewarded by the verifier `math`; completions are made by the
trained model itself (transformers) or by vLLM on the same GPU (`vllm: colocate`).

MFU is what the model needs (`gpu.shapes.Shape.train_flops`; a completion's making a third of a training token) over
what the device can do in the same time (`gpu.device.PEAKS`). Ends with one line of JSON; {"gpu": null} where
nvidia-smi finds none. `--quick` does two steps of a tiny model on whatever is here, to see that they work; no figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu.device import check_torch, peak_tflops, the_gpu
from gpu.shapes import SHAPES, TINY, VOCABULARY, make
from gpu.training import Case, Figures, measured

from tracemill.core.settings import settings
from tracemill.factory.models import resolve
from tracemill.trainers.checks import check_installed


def fitting(case: Case, run: Callable[[Case], Figures]) -> Figures:
    """With as many rows at once as there is memory for: 8, 4, 2 or 1."""
    try:
        return run(case)
    except Exception as error:
        per_device = case.options.get("per_device", 8)
        if type(error).__name__ != "OutOfMemoryError" or per_device == 1:
            raise
    print(f"{case.model} {case.name}: no memory for {per_device} rows at once, now {per_device // 2}", flush=True)
    return fitting(replace(case, options={**case.options, "per_device": per_device // 2}), run)


def cases() -> list[Case]:
    """What is measured on a GPU."""
    grpo = {"max_tokens": 512}
    found = []
    for model, shape in SHAPES.items():
        found.append(Case(model, "sft", shape, "sft"))
        found.append(Case(model, "grpo", shape, "grpo", grpo, warmup=1, steps=3))
        if find_spec("vllm"):
            found.append(Case(model, "grpo_vllm", shape, "grpo", {**grpo, "vllm": "colocate"}, warmup=1, steps=3))
    if not find_spec("vllm"):
        print("vllm is not installed: no GRPO with vllm: colocate")
    return found


def quick_cases() -> list[Case]:
    """Of a model that a CPU trains in seconds."""
    small = {"batch": 2, "per_device": 1}
    return [
        Case("tiny", "sft", TINY, "sft", small, warmup=1, steps=1, length=32),
        Case("tiny", "grpo", TINY, "grpo", {**small, "samples": 2, "max_tokens": 4}, warmup=1, steps=1),
    ]


def show(case: Case, found: Figures) -> None:
    """One line."""
    print(f"{case.model:<14}{case.name:<10}{found.tokens_per_s:>10,.0f} tokens/s ", end="")
    print(f"({found.trained_tokens_per_s:,.0f} trained)  rows of {found.row_tokens:,.0f}", end="")
    print(f"  step {found.step_s:.2f} s", end="")
    if found.generation_share is not None:
        print(f", {found.generation_share:.0%} generation ({found.generated_tokens_per_s:,.0f} tokens/s)", end="")
        print(f", update {found.update_tokens_per_s:,.0f} tokens/s", end="")
    if found.peak_gib is not None:
        print(f"  peak {found.peak_gib:.1f} GiB, {found.per_device} rows at once", end="")
    print("" if found.mfu is None else f"  MFU {found.mfu:.1%}", flush=True)


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """In a process of its own, with which goes what it has taken of the GPU."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def here(function: Callable[..., Any], *arguments: object) -> Any:
    """In this process: torch and TRL are imported once."""
    return function(*arguments)


def measure(chosen: list[Case], run: Callable[..., Any]) -> dict[str, Figures | None]:
    """The figures of each, by model and name; None where it cannot run here. `run` is `apart` or `here`."""
    found: dict[str, Figures | None] = {}
    tokenizer = Path(resolve("smollm2-135m", settings().cache))
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        for case in chosen:
            if not (models / case.model).is_dir():
                run(make, case.shape, models / case.model, tokenizer)
            try:
                one = fitting(case, lambda tried: run(measured, tried, models / tried.model))
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are measured
                print(f"{case.model} {case.name} cannot run here: {type(error).__name__}: {error}", flush=True)
                found[f"{case.model}/{case.name}"] = None
            else:
                show(case, one)
                found[f"{case.model}/{case.name}"] = one
    return found


def rounded(found: Figures | None) -> dict[str, Any] | None:
    """Four digits are more than two runs agree in."""
    if found is None:
        return None
    return {name: float(f"{one:.4g}") if isinstance(one, float) else one for name, one in asdict(found).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two steps of a tiny model, as CI runs it: no figures")
    quick, gpu = parser.parse_args().quick, the_gpu()
    if gpu is None and not quick:
        print("no GPU: nothing measured")
        print(json.dumps({"gpu": None}))
        return
    check_installed()
    if quick:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # on a busy machine two wait for each other, 20 times as long
        print("two steps of a tiny model: these are no figures of anything")
        found = measure(quick_cases(), here)
        print(json.dumps({"gpu": gpu, "ran": [name for name, one in found.items() if one]}))
    else:
        assert gpu is not None
        check_torch(gpu)
        if peak_tflops(gpu) is None:
            print(f"{gpu}: its peak in bfloat16 is not in the table (bench/gpu/device.py), so there is no MFU")
        print(f"vocabulary: SmolLM2's {VOCABULARY:,} in both shapes; MFU: 6N + 12*layers*width*length FLOPs a token")
        found = measure(cases(), apart)
        print(json.dumps({"gpu": gpu, **{name: rounded(one) for name, one in found.items()}}))
    if None in found.values():
        sys.exit(1)


if __name__ == "__main__":
    main()
