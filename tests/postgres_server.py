"""A real PostgreSQL server for the tests marked `postgres`, in a folder of its own, reached by its socket."""

from __future__ import annotations

import getpass
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _program(name: str) -> str:
    """Debian keeps the server's programs out of the path."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"no PostgreSQL server here ({name}): apt install postgresql")
    return found


@contextmanager
def postgres_server() -> Iterator[str]:
    """SQLAlchemy URL of a running server's first database, which is gone afterwards."""
    pytest.importorskip("psycopg", reason="no driver: pip install 'tracemill[postgres]'")
    initdb, server, ready = _program("initdb"), _program("postgres"), _program("pg_isready")
    folder = Path(tempfile.mkdtemp(prefix="tm-pg-"))  # sockets have short paths, and the server's user reads only /tmp
    user = "postgres" if getpass.getuser() == "root" else None  # which the server refuses to run as
    if user is not None:
        shutil.chown(folder, user)
    data, owner = folder / "data", ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    subprocess.run([initdb, "-D", data, *owner], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen([server, "-D", data, *options], user=user, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([ready, "-q", "-h", folder], check=False).returncode:
            assert running.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    finally:
        running.send_signal(signal.SIGINT)  # at once, whoever is connected
        running.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
