"""Processes of the sandbox: restarted when they die, gone when their parent is, however that ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from tracemill.core.errors import SetupError
from tracemill.verifiers.sandbox import Ending, Limits, Sandbox

PARENT = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored by what it runs in the background
from tracemill.verifiers.sandbox import Limits, Sandbox
sandbox = Sandbox(int(sys.argv[1]), zygotes=3, readable=["/nothing/" + sys.argv[2]])
def busy():
    sandbox.run("while True: pass", limits=Limits(cpu_s=300, wall_s=300))
for _ in range(2):
    threading.Thread(target=busy, daemon=True).start()
with sandbox.converse("import time; time.sleep(300)", Limits(wall_s=300)):
    print(" ".join(str(zygote.process.pid) for zygote in sandbox._zygotes), flush=True)
    threading.Event().wait()
"""


@pytest.fixture(params=[1, 2])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    made = Sandbox(request.param, zygotes=1)
    try:
        made.run("pass")
    except SetupError as error:
        pytest.skip(str(error))
    return made


def marked(mark: str) -> list[str]:
    """Processes with that word in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes() and f"({os.getpid()})" not in folder.name:
                found.append(folder.name)
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    ends = time.monotonic() + 30
    while marked(mark) and time.monotonic() < ends:
        time.sleep(0.05)
    return not marked(mark)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_parent_dies(sandbox: Sandbox, number: signal.Signals) -> None:
    sandbox.close()
    mark = uuid.uuid4().hex
    command = [sys.executable, "-c", PARENT, str(sandbox.tier), mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        zygotes = parent.stdout.readline().split()
        ends = time.monotonic() + 30
        while len(marked(mark)) < 6 and time.monotonic() < ends:
            time.sleep(0.05)
        assert len(marked(mark)) >= 6  # the parent, a zygote or two, their runs
        parent.send_signal(number)
        parent.wait(30)
    assert gone(mark)
    assert [path for zygote in zygotes for path in Path("/tmp").glob(f"tracemill-sandbox-{zygote}-*")] == []


def test_a_dead_zygote_is_replaced_and_its_run_repeated(sandbox: Sandbox) -> None:
    killer = threading.Timer(0.5, lambda: sandbox._zygotes[0].process.kill())
    killer.start()
    run = sandbox.run("import time; time.sleep(1.5); print('done')", limits=Limits(wall_s=20))
    killer.join()
    assert (run.ending, run.stdout) == (Ending.EXITED, b"done\n")
    sandbox.close()


def test_closing_ends_runs_and_a_later_run_starts_again(sandbox: Sandbox) -> None:
    threading.Timer(0.5, sandbox.close).start()
    with sandbox.converse("import time; time.sleep(100)", Limits(wall_s=100)) as talk:
        assert talk.run().ending in (Ending.EXITED, Ending.BROKEN)
    assert sandbox.run("print(1)").stdout == b"1\n"
    sandbox.close()


def test_a_forked_child_has_its_own_zygotes(sandbox: Sandbox) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if sandbox.run("print(2)").stdout == b"2\n" else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sandbox.run("print(1)").stdout == b"1\n"
    sandbox.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_runs_do_not_pile_up(sandbox: Sandbox) -> None:
    sandbox.run("pass")
    before = len(os.listdir("/proc/self/fd"))
    zygote = sandbox._zygotes[0].process.pid
    files = len(os.listdir(f"/proc/{zygote}/fd"))
    for _ in range(200):
        sandbox.run("import os; os.pipe(); open('x', 'w').write('y')")
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(os.listdir(f"/proc/{zygote}/fd")) == files
    assert sandbox._zygotes[0].process.pid == zygote
    sandbox.close()
