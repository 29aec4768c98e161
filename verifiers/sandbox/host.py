"""One zygote as its parent sees it: started, asked for runs, ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tracemill.core.errors import SetupError

START_SECONDS = 120.0
"""0.1 s are usual; a cold disk and a large preload may take long."""
BOOT = """
import json, sys, types
options = json.loads(sys.argv[1])
for name, folder in options.pop("packages").items():  # without their __init__, which import what forks need not carry
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from tracemill.verifiers.sandbox.zygote import main
main(options)
"""
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # a program answers the same in each zygote
    "PYTHONCOERCECLOCALE": "0",
    "MALLOC_ARENA_MAX": "1",  # else each thread reserves 64 MB of the address space that limits count
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""All that a zygote starts with, and it clears that."""
HERE = Path(__file__).parent


class Zygote:
    """A running one. Raises SetupError where it does not start, with the machine's reason."""

    def __init__(self, tier: int, preload: Sequence[str], readable: Sequence[str]) -> None:
        foreign = any(name.partition(".")[0] not in sys.stdlib_module_names for name in preload)
        site = list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))) if foreign else []
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.pidfd_open(os.getpid())
        options = {
            "packages": {
                "tracemill": str(HERE.parent.parent),
                "tracemill.core": str(HERE.parent.parent / "core"),
                "tracemill.verifiers": str(HERE.parent),
                "tracemill.verifiers.sandbox": str(HERE),
            },
            "control": theirs.fileno(),
            "parent": parent,
            "tier": tier,
            "temporary": tempfile.gettempdir(),
            "paths": site,
            "preload": list(preload),
            "readable": [sys.base_prefix, *site, *readable],
        }
        # Programs take over the zygote's stream objects: they must be over a file and pipes from the start.
        stdin, (nobody_reads, output) = os.memfd_create("stdin"), os.pipe()
        with theirs:
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-S", "-s", "-P", "-B", "-X", "utf8", "-c", BOOT, json.dumps(options)],
                    pass_fds=[theirs.fileno(), parent],
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,
                )
            finally:
                for file in (parent, stdin, nobody_reads, output):
                    os.close(file)
        self.busy = 0
        self._await_start(tier)

    def _await_start(self, tier: int) -> None:
        self.control.settimeout(START_SECONDS)
        try:
            answer = self.control.recv(4096)
        except OSError as error:
            answer = str(error).encode()
        self.control.settimeout(None)
        if answer != b"ready":
            self.end()
            reason = " ".join(answer.decode(errors="replace").split()) or "its process died"
            raise SetupError(f"the sandbox does not start in tier {tier}: {reason}; see docs/reference/sandbox.md")

    def open(self, conversing: bool) -> tuple[socket.socket, socket.socket | None]:
        """Fork a run; its socket, and the one to talk with its program. Raises OSError if the zygote is gone."""
        ours, theirs = socket.socketpair()
        channels = socket.socketpair() if conversing else None
        with theirs:
            try:
                files = [theirs.fileno(), *([channels[1].fileno()] if channels else [])]
                socket.send_fds(self.control, [b"r"], files)
            except OSError:
                ours.close()
                if channels:
                    channels[0].close()
                raise
            finally:
                if channels:
                    channels[1].close()
        return ours, channels[0] if channels else None

    def end(self) -> None:
        """End it and its runs, and wait until it is gone."""
        self.control.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def forget(self) -> None:
        """In a forked child: it is the parent's."""
        self.control.close()
        self.process.returncode = 0  # keeps Popen from waiting for another process's child
