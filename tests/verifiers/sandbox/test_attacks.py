"""The battery of attacks: no escape, no effect outside, nothing left; as this user and as nobody, in tiers 1 and 2."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracemill.core.errors import SetupError
from tracemill.verifiers.sandbox import Sandbox

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("battery", HERE / "battery.py")
assert _spec is not None
assert _spec.loader is not None
battery = importlib.util.module_from_spec(_spec)
sys.modules["battery"] = battery
_spec.loader.exec_module(battery)


def test_there_are_many_and_each_says_what_it_tries() -> None:
    names = battery.attacks()
    assert len(names) >= 60
    assert [name for name in names if "Tries to " not in (HERE / "attacks" / name).read_text()[:200]] == []


@pytest.mark.parametrize("tier", [1, 2])
def test_nothing_is_reached_and_nothing_left(tier: int) -> None:
    probe = Sandbox(tier, zygotes=1)
    try:
        probe.run("pass")
    except SetupError as error:
        pytest.skip(str(error))
    finally:
        probe.close()
    assert battery.findings(tier) == {}


@pytest.mark.parametrize("tier", [1, 2])
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user; the test above ran without root")
def test_nothing_is_reached_by_an_unprivileged_user(tier: int) -> None:
    command = [sys.executable, str(HERE / "nobody.py"), str(HERE / "battery.py"), str(tier)]
    clean = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=clean, check=False)
    if "SetupError" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"uid": 65534, "attacks": len(battery.attacks()), "findings": {}}
