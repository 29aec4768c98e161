"""`tracemill sandbox run`: output, exit code and one line of use; mistakes named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tracemill.cli.sandbox import parse_limits
from tracemill.core.errors import InputError
from tracemill.verifiers.sandbox import Limits


def command(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from tracemill.cli.main import main; main()", "sandbox", "run", *arguments]
    return subprocess.run(line, input=given, capture_output=True, text=True, check=False)


def test_output_and_exit_code_are_passed_on(tmp_path: Path) -> None:
    program, given = tmp_path / "program.py", tmp_path / "input"
    program.write_text("import sys\nprint(sys.argv[1:], input())\nsys.exit(4)")
    given.write_text("line")
    done = command(str(program), "--stdin", str(given), "--limits", "cpu_s=2,memory_mb=64", "--", "a", "-b")
    assert (done.returncode, done.stdout) == (4, "['a', '-b'] line\n")
    assert done.stderr.startswith("exited 4: 0.0")
    done = command("-", "--limits", "cpu_s=0.2", given="while True: pass")
    assert (done.returncode, done.stderr[:4]) == (124, "cpu:")


def test_limits() -> None:
    assert parse_limits("cpu_s=0.5, files=9") == Limits(cpu_s=0.5, files=9)
    assert parse_limits("") == Limits()
    for text, message in (
        ("cpus=1", "unknown limit 'cpus' .did you mean 'cpu_s'"),
        ("files=x", "files must be a number .got 'x'"),
        ("files=0", "files must be above 0"),
    ):
        with pytest.raises(InputError, match=message):
            parse_limits(text)
