"""A spool gives back what was written, from anywhere in it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core import spool as spools
from tracemill.core.errors import SetupError
from tracemill.core.spool import Spool


@given(st.lists(st.binary(max_size=3000), max_size=40))
def test_all_parts_come_back(parts: list[bytes]) -> None:
    spool, places = Spool(), []
    for part in parts:
        places.append((spool.size, spool.size + len(part)))
        spool.write(part)
    spool.seal()
    for _ in range(30):  # past the point where pages are let go
        for part, (start, end) in zip(parts, places, strict=True):
            assert not part or spool.read(start, end) == part
    spool.close()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    script = "from tracemill.core.spool import Spool; s = Spool(); s.write(b'x' * 2**21); s.seal(); s.read(0, 9)"
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "BUFFER", 10)
    spool, soft = Spool(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, soft[1]))
    try:
        with pytest.raises(SetupError, match=r"no room in .*: File too large; export TMPDIR"):
            spool.write(b"x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
        spool.close()
