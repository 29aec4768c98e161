"""What a sandboxed process may use, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracemill.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run."""

    cpu_s: float = 5.0
    """CPU seconds of the program's process, threads together; each further process may use as much."""
    wall_s: float = 10.0
    """Seconds by the clock, from the program's start."""
    memory_mb: int = 512
    """Address space of a Python program beyond the bare interpreter's; writable memory of another program."""
    output_kb: int = 1024
    """Most of standard output, and most of standard error."""
    file_mb: int = 16
    """All that is written into the private folder."""
    files: int = 64
    """Open descriptors."""
    processes: int = 1
    """1 forbids starting others."""
    threads: int = 32
    """Threads beyond the first."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) <= 1 << 20:
                raise InputError(f"limits: {name} must be above 0 and at most {1 << 20} (got {getattr(self, name)})")


class Ending(StrEnum):
    """How a run ended."""

    EXITED = "exited"
    """By itself; `Run.code` is the exit status."""
    SIGNALLED = "signalled"
    """By a signal that was not ours, such as a crash; `Run.code` is its number."""
    CPU = "cpu"
    WALL = "wall"
    MEMORY = "memory"
    """An allocation failed and the program died of it, or the kernel's memory was out."""
    OUTPUT = "output"
    """It wrote more than the limit; what came up to it is kept."""
    BROKEN = "broken"
    """The sandbox failed: never the program's fault."""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a process."""

    ending: Ending
    code: int
    """Exit status, or signal number."""
    stdout: bytes
    stderr: bytes
    """Of a BROKEN run: what failed."""
    cpu_s: float
    wall_s: float
    memory_mb: float
    """Largest resident size, the interpreter's own included."""
    tier: int
