"""What the benches for GPUs compute from what they measure, and that they end where there is no GPU."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import gpu_engine
import gpu_train
import pytest
from gpu.device import check_torch, peak_tflops
from gpu.shapes import SHAPES, TINY, Shape, config_of
from gpu.training import Case, Figures, Step, _figures

LLAMA = replace(SHAPES["llama-3.2-1b"], vocabulary=128_256)


@pytest.mark.parametrize(
    ("shape", "published"),
    [(SHAPES["smollm2-135m"], 134_515_008), (LLAMA, 1_235_814_400), (SHAPES["llama-3.2-1b"], None), (TINY, None)],
    ids=["smollm2-135m", "llama-3.2-1b", "llama-3.2-1b-small-vocabulary", "tiny"],
)
def test_parameters_are_those_of_the_model(shape: Shape, published: int | None) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config_of(shape))
    assert shape.body + shape.head == model.num_parameters()
    assert shape.head == model.get_output_embeddings().weight.numel()
    assert published in (None, shape.body + shape.head)


def test_a_token_costs_what_palm_says() -> None:
    shape = SHAPES["smollm2-135m"]
    assert shape.train_flops(1, 1, 2048) == 6 * 134_515_008 + 12 * 30 * 576 * 2048 == 1_231_763_328
    assert shape.train_flops(10, 0, 2048) == 10 * (1_231_763_328 - 6 * 49_152 * 576)


@pytest.mark.filterwarnings("ignore:TRL currently supports vLLM:UserWarning")
@pytest.mark.parametrize("shape", [*SHAPES.values(), LLAMA])
def test_trl_counts_the_same_but_for_the_norms(shape: Shape) -> None:
    from trl.trainer.utils import compute_flops_per_token

    ours, theirs = shape.train_flops(1, 1, 2048), compute_flops_per_token(config_of(shape), 2048)
    assert ours - theirs == 6 * shape.width * (2 * shape.layers + 1)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        (None, None),
    ],
)
def test_the_peak_is_that_of_the_whole_device(name: str | None, peak: float | None) -> None:
    assert peak_tflops(name) == peak


def test_figures_are_of_the_steps_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (2**30, 5 * 2**30))
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda: 3 * 2**30)
    shape = SHAPES["smollm2-135m"]
    done = [Step(100, 4000, 3000, 90, 1), Step(110, 8000, 6000, 94, 2), Step(120, 12_000, 9000, 98, 3)]
    case = Case("smollm2-135m", "grpo", shape, "grpo", warmup=1, steps=2)
    found = _figures(case, 8, 4, done)
    assert (found.step_s, found.tokens_per_s, found.trained_tokens_per_s, found.row_tokens) == (10, 400, 300, 500)
    assert found.generation_share == 0.4
    assert found.generated_tokens_per_s == 6000 / 8
    assert found.update_tokens_per_s == 8000 / (20 - 8 - 2)
    assert (found.peak_gib, found.device_gib) == (3, 4)
    flops = shape.train_flops(8000, 6000, 500)  # rows of 500 tokens; a third of it again to generate
    assert found.mfu == pytest.approx(4 / 3 * flops / 20 / 989e12)
    of_sft = _figures(replace(case, method="sft"), 8, 4, done)
    assert of_sft.mfu == pytest.approx(flops / 20 / 989e12)
    assert of_sft.generation_share is None


@pytest.mark.parametrize(("fits", "tried"), [(8, [8]), (2, [8, 4, 2]), (0, [8, 4, 2, 1])])
def test_fewer_rows_at_once_are_tried_where_memory_is_short(fits: int, tried: list[int]) -> None:
    import torch

    seen: list[int] = []

    def run(case: Case) -> Figures:
        seen.append(case.options.get("per_device", 8))
        if seen[-1] > fits:
            raise pickle.loads(pickle.dumps(torch.OutOfMemoryError("out of memory")))  # as it comes from a process
        return Figures(None, seen[-1], 9.0, 1.0, 1.0, 1.0, None, None, None)

    case = Case("m", "sft", TINY, "sft", {"batch": 64})
    with nullcontext() if fits else pytest.raises(torch.OutOfMemoryError):
        assert gpu_train.fitting(case, run).per_device == fits
    assert seen == tried


def test_a_case_and_its_figures_go_from_process_to_process() -> None:
    case = Case("m", "sft", TINY, "sft", {"batch": 64})
    assert gpu_train.apart(pickle.loads, pickle.dumps(case)) == case


@pytest.mark.parametrize("bench", [gpu_train, gpu_engine])
def test_without_a_gpu_nothing_is_measured(
    bench: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    monkeypatch.setattr(sys, "argv", ["bench"])
    bench.main()  # type: ignore[attr-defined]
    said, last = capsys.readouterr().out.splitlines()
    assert said.startswith("no GPU: nothing measured")
    assert json.loads(last) == {"gpu": None}


def test_torch_must_see_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"^NVIDIA H200 is here, but torch .* make setup ACCEL=gpu$"):
        check_torch("NVIDIA H200")


def test_of_several_gpus_the_first_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\n[ "$2" = 3 ] && echo "NVIDIA H200" || exit 6\n')
    smi.chmod(0o755)
    path = f"{tmp_path}:/bin:/usr/bin"
    asked = "from gpu.device import the_gpu; import os; print(the_gpu(), os.environ.get('CUDA_VISIBLE_DEVICES'))"
    bench = str(Path(gpu_train.__file__).parent)
    said = [
        subprocess.run(
            [sys.executable, "-c", asked],
            env={"PATH": path, "PYTHONPATH": bench, "CUDA_VISIBLE_DEVICES": visible},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for visible in ("3,5", "", "4")
    ]
    assert said == ["NVIDIA H200 3", "None", "None 4"]
