"""The command as a user runs it: in this process where that is enough, as a process where signals matter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from tracemill.cli.main import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def tracemill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command with these arguments."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tracemill", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., str]:
    """A recipe file of sums for the fake engine."""

    def write(prompts: int = 20, samples: int = 4, extra: str = "") -> str:
        path = tmp_path / "sums.yaml"
        path.write_text(
            dedent(f"""\
            name: sums
            prompts:
              - source: reasoning_gym
                task: chain_sum
                count: {prompts}
                seed: 1
                options: {{min_terms: 2, max_terms: 2}}
            generate: {{engine: fake, samples: {samples}}}
            """)
            + extra
        )
        return str(path)

    return write
