"""What the zygote knows and each run inherits, and what one run is asked to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tracemill.verifiers.sandbox.types import Limits


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """The same for all runs of a zygote."""

    tier: int
    proc: int
    """/proc of the machine, opened; closed before a program starts."""
    uid: int
    gid: int
    """Of the zygote, before the run's own user namespace."""
    folder: str
    """Tier 1: where a run mounts its file system. Else: the folder in which runs make theirs."""
    rules: tuple[tuple[int, int], ...]
    """Landlock's, for what all programs may read: opened places and rights."""
    as_nobody: bool
    """Python programs change to another user first (tiers 2 and 3 started by root, where it can read Python)."""
    can_switch: bool
    """Other programs do."""
    landlock: int
    filters: Mapping[tuple[bool, bool], bytes]
    """Seccomp filters by (may fork, may exec); in tier 2 with PID_MARK where the process's own id belongs."""
    interpreter_bytes: int
    """Address space of the zygote."""
    life: int
    """Pipe that hangs up when the zygote is gone."""
    kept: int
    """Its other end, which only the zygote keeps."""

    def becomes_nobody(self, order: Order) -> bool:
        """Whether the program changes to another user."""
        return self.as_nobody if order.is_python else self.can_switch


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """One run."""

    argv: tuple[str, ...]
    """Of a Python program: the arguments after its name."""
    stdin: bytes
    files: Mapping[str, bytes]
    limits: Limits
    keep: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_python: bool = True
    """Run files["main.py"] in the zygote's interpreter; else exec argv."""

    def header(self) -> dict[str, Any]:
        """For frames.send, with `blobs`."""
        return {
            "argv": self.argv,
            "names": list(self.files),
            "limits": dataclasses.asdict(self.limits),
            "keep": self.keep,
            "environment": dict(self.environment),
            "is_python": self.is_python,
        }

    def blobs(self) -> list[bytes]:
        return [self.stdin, *self.files.values()]

    @classmethod
    def read(cls, header: Mapping[str, Any], blobs: list[bytes]) -> Order:
        return cls(
            tuple(header["argv"]),
            blobs[0],
            dict(zip(header["names"], blobs[1:], strict=True)),
            Limits(**header["limits"]),
            tuple(header["keep"]),
            header["environment"],
            header["is_python"],
        )
