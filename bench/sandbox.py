"""Programs run a second in the sandbox (tier 1) against `bwrap --unshare-all python3 -I`, each printing 1.

On one core they take turns; then one core against two, in turns; then 10,000 runs in a row (500 with --quick) under
several callers, looking for what they leave: processes, descriptors, mounts, files, memory; then 64 callers at once.
Without bubblewrap the peer is `unshare -Urpfnm python3 -I`, and the output says so. Ends with one line of JSON:
speedup_vs_bwrap (median over the turns), runs_per_core (best turn: other work on the machine only takes away),
scaling_2core (best turns too), leaked (0 is none), callers_64 (wrong answers), peer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tracemill.verifiers.sandbox import Sandbox

PROGRAM = "print(1)"
PYTHON = [os.path.realpath(sys.executable), "-I", "-c", PROGRAM]
KB_GROWTH = 2048
"""Resident memory that a zygote or we may gain over a long series; more counts as one leak."""


def peer() -> tuple[str, list[str]]:
    """Its name and command."""
    if shutil.which("bwrap"):
        return "bwrap", ["bwrap", "--unshare-all", "--ro-bind", "/", "/", *PYTHON]
    return "unshare", ["unshare", "-Urpfnm", *PYTHON]


def rate(one_run: Callable[[], object], count: int, callers: int = 1) -> float:
    """Runs a second. The callers are new threads: they take this thread's cores."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        for result in [pool.submit(one_run) for _ in range(count)]:
            result.result()
    return count / (time.perf_counter() - begun)


def started(cores: Sequence[int]) -> Sandbox:
    """A sandbox whose processes stay on these cores."""
    os.sched_setaffinity(0, cores)
    sandbox = Sandbox(1, zygotes=len(cores))
    rate(lambda: sandbox.run(PROGRAM), 20, callers=2 * len(cores))
    return sandbox


def speed(rounds: int, core: int) -> tuple[float, float, str]:
    """Median ratio, best rate, the peer's name."""
    name, command = peer()
    sandbox, ours, ratios = started([core]), [], []
    for _ in range(rounds):
        ours.append(rate(lambda: sandbox.run(PROGRAM), 60, callers=2))
        theirs = rate(lambda: subprocess.run(command, check=True, stdout=subprocess.PIPE), 12)
        ratios.append(ours[-1] / theirs)
        print(f"one core: {ours[-1]:.0f} runs/s, {name} {theirs:.0f}, {ratios[-1]:.1f} times")
    sandbox.close()
    return statistics.median(ratios), max(ours), name


def scaling(rounds: int, cores: Sequence[int]) -> float:
    """Best turn of two cores over best turn of one."""
    one, two = started(cores[:1]), started(cores[:2])
    singles, doubles = list[float](), list[float]()
    for _ in range(rounds):
        os.sched_setaffinity(0, cores[:1])
        singles.append(rate(lambda: one.run(PROGRAM), 60, callers=2))
        os.sched_setaffinity(0, cores[:2])
        doubles.append(rate(lambda: two.run(PROGRAM), 120, callers=4))
        print(f"one core: {singles[-1]:.0f} runs/s, two: {doubles[-1]:.0f}")
    one.close()
    two.close()
    return max(doubles) / max(singles)


def leaks(count: int, cores: Sequence[int]) -> int:
    """How many things a long series of runs leaves."""
    before = traces()
    sandbox = started(cores)
    sizes = resident()
    begun = time.perf_counter()
    for done in range(0, count, 500):
        rate(lambda: sandbox.run(PROGRAM), min(500, count - done), callers=4)
    after = resident()
    print(f"{count:,} runs: {count / (time.perf_counter() - begun):.0f}/s; resident kB {sizes} -> {after}")
    grown = sum(later - earlier > KB_GROWTH for earlier, later in zip(sizes, after, strict=True))
    sandbox.close()
    left = [name for name, (was, now) in {key: (before[key], traces()[key]) for key in before}.items() if was != now]
    if grown or left:
        print(f"left: {left}, grown: {grown}")
    return grown + len(left)


def family() -> list[int]:
    """This process and its children, the zygotes."""
    task = Path(f"/proc/{os.getpid()}/task")
    children = {int(pid) for thread in task.iterdir() for pid in (thread / "children").read_text().split()}
    return [os.getpid(), *sorted(children)]


def resident() -> list[int]:
    """Memory in kB of each."""
    lines = [Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1] for pid in family()]
    return [int(line.split()[0]) for line in lines]


def traces() -> dict[str, object]:
    """What a run could leave behind."""
    return {
        "processes": family(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "files": sorted(path.name for path in Path(tempfile.gettempdir()).glob(f"tracemill-sandbox-{os.getpid()}-*")),
    }


def callers(number: int, cores: Sequence[int]) -> int:
    """Wrong answers when so many threads call at once."""
    sandbox = started(cores)
    with ThreadPoolExecutor(number) as pool:
        answers = list(pool.map(lambda n: sandbox.run(f"print({n} ** 2)").stdout, range(4 * number)))
    sandbox.close()
    return sum(answer != b"%d\n" % n**2 for n, answer in enumerate(answers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns, for CI")
    quick = parser.parse_args().quick
    cores = sorted(os.sched_getaffinity(0))
    speedup, best, name = speed(3 if quick else 12, cores[0])
    scaled = scaling(3 if quick else 12, cores) if len(cores) > 1 else float("nan")
    figures = {
        "speedup_vs_bwrap": round(speedup, 2),
        "runs_per_core": round(best),
        "scaling_2core": round(scaled, 2),
        "leaked": leaks(500 if quick else 10_000, cores),
        "callers_64": callers(64, cores),
        "peer": name,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
