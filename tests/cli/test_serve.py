"""`tracemill serve` as a process: it prints its address once it answers there, and never one that it does not have."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

COMMAND = (str(Path(sys.executable).parent / "tracemill"), "serve", "--port")


def test_the_address_is_printed_once_it_answers_and_a_taken_one_is_not() -> None:
    with subprocess.Popen([*COMMAND, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        line = first.stdout.readline()
        found = re.fullmatch(r"tracemill on (http://127\.0\.0\.1:(\d+)) \(documentation at /docs\)\n", line)
        assert found is not None, line
        with urllib.request.urlopen(f"{found[1]}/healthz") as answer:
            assert json.load(answer)["status"] == "ok"
        second = subprocess.run([*COMMAND, found[2]], capture_output=True, text=True, check=False)
        assert (second.returncode, second.stdout) == (3, "")
        assert second.stderr == (
            f"tracemill: cannot listen on 127.0.0.1:{found[2]}: Address already in use; choose another --host or --port\n"
        )
        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 0
        assert first.stderr is not None
        assert first.stderr.read() == ""
