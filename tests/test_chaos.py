"""A few kills of each kind, with a seed; `make chaos` does a hundred."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_different_whatever_is_killed(tmp_path: Path) -> None:
    script, out = Path(__file__).parent / "chaos.py", tmp_path / "out.txt"
    command = [sys.executable, str(script), "--kills", "8", "--seed", "5", "--prompts", "200"]
    with out.open("w") as file:  # not a pipe, which what outlives the script would hold open
        done = subprocess.run(command, stdout=file, stderr=file)
    lines = out.read_text().splitlines()
    assert done.returncode == 0, lines[-30:]
    figures = next(json.loads(line) for line in reversed(lines) if line.startswith('{"kills"'))
    assert sum(figures["kills"].values()) == 8
    assert (figures["lost"], figures["duplicated"], figures["different"]) == (0, 0, 0)
