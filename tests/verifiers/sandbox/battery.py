"""Runs every program in attacks/ in the sandbox and looks at the machine: what was reached, changed, left behind.

Imported by the tests, and started by them as a process of another user: `battery.py TIER` prints the findings as JSON.
An attack prints ESCAPED where it got somewhere; its arguments are a folder with a secret, a process, a TCP port and an
abstract socket name, all outside. `# ends:` in its second line says how its run must end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tracemill.verifiers.sandbox import Ending, Limits, Run, Sandbox

ATTACKS = Path(__file__).parent / "attacks"
LIMITS = Limits(cpu_s=0.4, memory_mb=128, output_kb=64, file_mb=4, threads=16)
SHELL_LIMITS = Limits(cpu_s=0.4, memory_mb=128, output_kb=64, file_mb=4, threads=16, processes=16)
HASTY, PATIENT = 1.5, 60.0
"""Seconds by the clock."""
LEFT_FILE = "tracemill-attack-file"
PLANTED = (
    "/usr/bin/new", "/usr/lib/new", "/etc/ld.so.preload", f"{sys.base_prefix}/lib/new.py",
    *(f"{folder}/{LEFT_FILE}" for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock")),
)  # fmt: skip


@dataclass(slots=True)
class Outside:
    """What attacks aim at."""

    folder: Path
    victim: subprocess.Popen[bytes]
    servers: tuple[socket.socket, socket.socket]
    mark: str
    """In the command line of the sandbox's processes, or in the environment of those that they exec."""
    secret: str = field(default_factory=lambda: uuid.uuid4().hex)

    def canary(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        (folder / "secret").write_text(self.secret)
        return folder

    def arguments(self, name: str) -> list[str]:
        port = self.servers[0].getsockname()[1]
        abstract = self.servers[1].getsockname()[1:].decode()
        return [str(self.folder / name), str(self.victim.pid), str(port), abstract]


def attacks() -> list[str]:
    """Names of all files."""
    return sorted(path.name for path in ATTACKS.iterdir() if path.suffix in (".py", ".sh"))


@contextmanager
def outside() -> Iterator[Outside]:
    """A folder, a process and servers that no attack may reach."""
    mark = uuid.uuid4().hex
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stderr=subprocess.DEVNULL)
    with (
        tempfile.TemporaryDirectory(prefix="canaries-") as folder,
        socket.socket() as server,
        socket.socket(socket.AF_UNIX) as local,
    ):
        server.bind(("127.0.0.1", 0))
        local.bind(f"\0{mark}")
        for listener in (server, local):
            listener.listen()
            listener.setblocking(False)
        place = Outside(Path(folder), victim, (server, local), mark)
        os.environ["TRACEMILL_SECRET"] = place.secret
        try:
            yield place
        finally:
            del os.environ["TRACEMILL_SECRET"]
            victim.kill()
            victim.wait()


def findings(tier: int) -> dict[str, list[str]]:
    """What each attack achieved, by name; "machine" for what is left after all of them. Empty is what we want."""
    descriptors, mounts = len(os.listdir("/proc/self/fd")), Path("/proc/self/mountinfo").read_text()
    with outside() as place:
        sandbox = Sandbox(tier, readable=[f"/nothing/{place.mark}"])
        started = _state(place.victim.pid)
        sandbox.run("pass", stdin=b"another run's input")
        with ThreadPoolExecutor(4) as pool:
            names = attacks()
            found = dict(zip(names, pool.map(lambda name: attack(sandbox, place, name), names), strict=True))
        healthy = sandbox.run("print(6 * 7)")
        zygotes = [zygote.process.pid for zygote in sandbox._zygotes]
        sandbox.close()
        left = _machine(place, started, zygotes)
    if healthy.stdout != b"42\n":
        left.append(f"the sandbox does not work afterwards: {healthy}")
    if len(os.listdir("/proc/self/fd")) != descriptors:
        left.append(f"descriptors: {descriptors} before, {len(os.listdir('/proc/self/fd'))} after")
    if Path("/proc/self/mountinfo").read_text() != mounts:
        left.append("mounts differ")
    return {name: reasons for name, reasons in {**found, "machine": left}.items() if reasons}


def attack(sandbox: Sandbox, place: Outside, name: str) -> list[str]:
    """What one attack achieved."""
    canary = place.canary(name)
    before = _look(canary)
    source, arguments = (ATTACKS / name).read_text(), place.arguments(name)
    wanted = re.search(r"^# ends: (\w+)$", source, re.MULTILINE)
    # A loaded machine must not end an attack by the clock that is to end by something else.
    wall = PATIENT if wanted and wanted[1] != "wall" else HASTY
    if name.endswith(".sh"):
        mark = {"TRACEMILL_MARK": place.mark}
        files = {name: source.encode()}
        run, _ = sandbox.execute(
            ["/bin/sh", name, *arguments], files, limits=replace(SHELL_LIMITS, wall_s=wall), environment=mark
        )
    else:
        run = sandbox.run(source, limits=replace(LIMITS, wall_s=wall), argv=arguments)
    return [
        *_escapes(run, place),
        *_wrong_ending(run, wanted and wanted[1]),
        *(["the folder changed"] * (_look(canary) != before)),
    ]


def _escapes(run: Run, place: Outside) -> Iterator[str]:
    text = (run.stdout + run.stderr).decode(errors="replace")
    if "ESCAPED" in run.stdout.decode(errors="replace") or place.secret in text:
        yield text[-2000:]


def _wrong_ending(run: Run, wanted: str | None) -> Iterator[str]:
    if run.ending is Ending.BROKEN or (wanted and run.ending != wanted):
        yield f"ended {run.ending}: {run.stderr.decode(errors='replace')[-500:]}"


def _look(folder: Path) -> Mapping[str, tuple[object, ...]]:
    seen: dict[str, tuple[object, ...]] = {}
    for path in (folder, *folder.rglob("*")):
        state = path.lstat()
        text = path.read_text() if path.is_file() else ""
        seen[str(path)] = (state.st_mode, state.st_uid, state.st_mtime_ns, state.st_nlink, text, os.listxattr(path))
    return seen


def _state(pid: int) -> tuple[object, ...]:
    limits = [resource.prlimit(pid, number) for number in range(16)]
    return os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid), os.sched_getscheduler(pid), limits


def _machine(place: Outside, started: tuple[object, ...], zygotes: Sequence[int]) -> list[str]:
    """What is different on the machine."""
    left = [f"there is a {path}" for path in PLANTED if os.path.lexists(path)]
    if place.victim.poll() is not None:
        left.append(f"the process outside died: {place.victim.returncode}")
    elif _state(place.victim.pid) != started:
        left.append("the process outside has other limits")
    for server in place.servers:
        with contextlib.suppress(BlockingIOError):
            server.accept()
            left.append("somebody connected")
    if any(int(line.split()[0]) == 0x7ACE for line in _lines("/proc/sysvipc/shm")):
        left.append("shared memory")
    left += [f"a process: {text}" for text in _processes(place.mark)]
    left += [
        f"a folder: {path}"
        for path in Path(tempfile.gettempdir()).glob("tracemill-sandbox-*")
        if _is_ours(path, zygotes)
    ]
    return left


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()[1:]
    except OSError:
        return []


def _processes(mark: str) -> list[str]:
    """Command lines of those that the sandbox started and that still run; they get a second to be gone."""
    for _ in range(20):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command, state = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
                environment = b""
                with contextlib.suppress(PermissionError):
                    environment = (folder / "environ").read_bytes()
                if mark.encode() in command + environment:
                    found.append(f"{state[:80]} {command.decode(errors='replace')[-200:]}")
        if not found:
            break
        time.sleep(0.05)
    return found


def _is_ours(folder: Path, zygotes: Sequence[int]) -> bool:
    """Other sandboxes may be at work on this machine; the folders' names have their zygotes' process ids."""
    return int(folder.name.split("-")[2]) in zygotes


if __name__ == "__main__":
    answer = {"uid": os.getuid(), "attacks": len(attacks()), "findings": findings(int(sys.argv[1]))}
    sys.stdout.write(json.dumps(answer))
