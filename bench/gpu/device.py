"""The GPU that is measured, and what it can do at most."""

from __future__ import annotations

import os
import re
import subprocess
import sys

PEAKS = {
    r"H100 80GB HBM3|H200": 989.0,
    r"A100-(SXM4|PCIE)-\d+GB|A100 80GB PCIe": 312.0,
    r"L40S": 362.0,
    r"(GeForce )?RTX 4090": 165.0,
}
"""TFLOP/s of dense matrices in bfloat16, by the name of the device (NVIDIA's data sheets; half of what they give "with
sparsity"). Whole names: H100 PCIe and NVL, H200 NVL and slices of a GPU (MIG) are slower."""


def the_gpu() -> str | None:
    """The name of the first GPU of this machine, which is from then on the only one; None where there is none.

    With several, transformers' trainer would split each batch among them, and the factory start an engine on each.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    if not chosen:
        return None
    command = ["nvidia-smi", "-i", chosen, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    os.environ |= {"CUDA_VISIBLE_DEVICES": chosen, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # nvidia-smi's own order
    return done.stdout.strip() or None


def check_torch(gpu: str) -> None:
    """Ends the program where torch would leave the GPU alone."""
    import torch

    if not torch.cuda.is_available():
        sys.exit(f"{gpu} is here, but torch {torch.__version__} does not see it: make setup ACCEL=gpu")


def peak_tflops(name: str | None) -> float | None:
    """None for a device that the table does not have."""
    bare = (name or "").removeprefix("NVIDIA ")
    return next((peak for pattern, peak in PEAKS.items() if re.fullmatch(pattern, bare)), None)
