"""A few kills of each kind, with a seed; `make chaos` does a hundred."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_different_whatever_is_killed() -> None:
    script = Path(__file__).parent / "chaos.py"
    command = [sys.executable, str(script), "--kills", "8", "--seed", "5", "--prompts", "200"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:])
    figures = json.loads(done.stdout.splitlines()[-1])
    assert sum(figures["kills"].values()) == 8
    assert (figures["lost"], figures["duplicated"], figures["different"]) == (0, 0, 0)
