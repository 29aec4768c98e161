"""One training on one GPU, measured: what `tracemill train` runs after it has read the corpus, on made-up rows."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from gpu.device import peak_tflops
from gpu.shapes import VOCABULARY, Shape
from tracemill.trainers.loop import Work, train
from tracemill.trainers.options import Method, Training
from tracemill.trainers.presets import options_of
from tracemill.trainers.rewards import prompt_of
from tracemill.trainers.rows import SCHEMAS, Row, Rows, save
from tracemill.trainers.text import Text

GENERATION, REWARDS = "_generate_single_turn", "_calculate_rewards"
"""Methods of TRL's GRPOTrainer (1.16); the first has the copying of weights to vLLM in it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One training that is measured."""

    model: str
    name: str
    shape: Shape
    method: Method
    options: Mapping[str, Any] = field(default_factory=dict)
    """What is not the default, beside `steps`."""
    warmup: int = 2
    steps: int = 8
    """That count; `warmup` come before."""
    length: int = 2048
    """Of a row of SFT, in tokens."""


@dataclass(frozen=True, slots=True)
class Step:
    """What had been done at the end of a step, since the first began."""

    at: float
    tokens: float
    """Of rows, prompts with completions."""
    scored: float
    """Of completions alone."""
    generation_s: float
    rewards_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A case as measured; times are of one step."""

    device: str | None
    per_device: int
    row_tokens: float
    """Mean length of a row, prompt and completion."""
    step_s: float
    tokens_per_s: float
    """Of whole rows. GRPO: each has been generated or read, and trained on."""
    trained_tokens_per_s: float
    """Of what the loss is on."""
    peak_gib: float | None
    """Most that torch had allocated, a colocated vLLM's included as far as it runs in this process."""
    device_gib: float | None
    """Taken from the device at the end, by whatever."""
    mfu: float | None
    generation_share: float | None = None
    generated_tokens_per_s: float | None = None
    """While generating."""
    update_tokens_per_s: float | None = None
    """Of whole rows, in what is left of a step without generation and rewards."""


class Enough(Exception):
    """Ends a training before it writes gigabytes that nobody reads."""


def measured(case: Case, folder: Path) -> Figures:
    """Train. `folder` has the model."""
    import torch

    warnings.filterwarnings(
        "ignore", message="TRL currently supports vLLM"
    )  # as `train` does, but TRL is needed before

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    parameters = case.shape.body + case.shape.head
    given = {**case.options, "steps": case.warmup + case.steps, "log_every": 1, "save_every": 10**6}
    options = options_of(case.method, given, parameters, case.name)
    training = Training("bench", case.method, str(folder), "r1", options, seed=0)
    done: list[Step] = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside, _timed(GENERATION, REWARDS) as spent:
        work = Work(Path(aside))
        save(_rows(case, training), SCHEMAS[case.method], work.data)

        def ended(step: int, last: int, logged: dict[str, float]) -> None:
            _wait()
            tokens = logged["num_tokens"]
            share = 1 - _prompt(case.length) / case.length
            length = logged.get("completions/mean_length")  # GRPO's
            scored = tokens * share if length is None else length * options.batch + (done[-1].scored if done else 0)
            done.append(Step(time.perf_counter(), tokens, scored, spent[GENERATION], spent[REWARDS]))
            if step == last:
                raise Enough

        try:
            train(training, work, ended)
        except Enough:
            return _figures(case, options.batch, options.per_device, done)
    raise AssertionError("the last step was not reported")


def _prompt(length: int) -> int:
    """Tokens of a row of SFT that are the question."""
    return length // 8


def _rows(case: Case, training: Training) -> Iterator[Row]:
    """As many as there are in all steps."""
    options, random = training.options, Random(training.seed)
    if case.method == "sft":
        for _ in range(options.batch * options.steps):
            ids = random.choices(range(100, VOCABULARY), k=case.length)
            start = _prompt(case.length)
            yield {"input_ids": ids, "labels": [-100] * start + ids[start:]}
        return
    sums = (" + ".join(str(random.randint(10, 99)) for _ in range(8)) for _ in range(options.batch * options.steps))
    asked = (prompt_of(f"What is {one}?", "13", "math") for one in sums)
    yield from Rows(Text.of(training.model, training.thinking), options.max_length).grpo(asked)


@contextmanager
def _timed(*names: str) -> Iterator[dict[str, float]]:
    """Seconds that methods of TRL's GRPOTrainer take, summed up while the block lasts."""
    from trl import GRPOTrainer

    spent, kept = dict.fromkeys(names, 0.0), {name: getattr(GRPOTrainer, name) for name in names}

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            _wait()
            started = time.perf_counter()
            found = method(*arguments, **named)
            _wait()
            spent[name] += time.perf_counter() - started
            return found

        return call

    for name, method in kept.items():
        setattr(GRPOTrainer, name, timed(name, method))
    try:
        yield spent
    finally:
        for name, method in kept.items():
            setattr(GRPOTrainer, name, method)


def _wait() -> None:
    """Until the GPU has done what it was told."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _figures(case: Case, batch: int, per_device: int, done: list[Step]) -> Figures:
    import torch

    first, last = done[case.warmup - 1], done[-1]
    seconds, tokens, scored = last.at - first.at, last.tokens - first.tokens, last.scored - first.scored
    length = tokens / (case.steps * batch)
    flops = case.shape.train_flops(tokens, scored, length)
    of_grpo: dict[str, float] = {}
    if case.method == "grpo":
        flops *= 4 / 3  # forward once more, to generate
        generation_s, rewards_s = last.generation_s - first.generation_s, last.rewards_s - first.rewards_s
        of_grpo = {
            "generation_share": generation_s / seconds,
            "generated_tokens_per_s": scored / generation_s,
            "update_tokens_per_s": tokens / (seconds - generation_s - rewards_s),
        }
    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else None
    peak = peak_tflops(device)
    free, whole = torch.cuda.mem_get_info() if on_gpu else (0, 0)
    return Figures(
        device=device,
        per_device=per_device,
        row_tokens=length,
        step_s=seconds / case.steps,
        tokens_per_s=tokens / seconds,
        trained_tokens_per_s=scored / seconds,
        peak_gib=torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
        device_gib=(whole - free) / 2**30 if on_gpu else None,
        mfu=flops / seconds / (peak * 1e12) if peak else None,
        **of_grpo,
    )
