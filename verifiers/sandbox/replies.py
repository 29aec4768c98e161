"""What comes back from a run."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from tracemill.verifiers.sandbox import frames
from tracemill.verifiers.sandbox.types import Ending, Limits, Run

PATIENCE = 90.0
"""Seconds beyond the wall limit after which a run that gave no answer is given up."""


@dataclass(frozen=True, slots=True)
class Box:
    """A run, and the files it left that were asked for."""

    run: Run
    files: Mapping[str, bytes]


def broken(reason: str, tier: int) -> Run:
    """A run that the sandbox failed to make."""
    return Run(Ending.BROKEN, 0, b"", reason.encode(errors="replace"), 0.0, 0.0, 0.0, tier)


def send_box(caller: socket.socket, box: Box) -> None:
    """Raises OSError."""
    run = box.run
    header = {
        "ending": run.ending, "code": run.code, "cpu_s": run.cpu_s, "wall_s": run.wall_s, "memory_mb": run.memory_mb,
        "tier": run.tier, "names": list(box.files),
    }  # fmt: skip
    frames.send(caller, header, [run.stdout, run.stderr, *box.files.values()])


def read_box(caller: socket.socket, limits: Limits) -> Box:
    """The answer of a run. Raises EOFError, OSError, ValueError where there is none."""
    caller.settimeout(limits.wall_s + PATIENCE)
    most = int(limits.output_kb * 2048 + limits.file_mb * (1 << 20))
    header, (stdout, stderr, *kept) = frames.receive(caller, most + 4096)
    names = header.pop("names")
    run = Run(**{**header, "ending": Ending(header["ending"])}, stdout=stdout, stderr=stderr)
    return Box(run, dict(zip(names, kept, strict=True)))
