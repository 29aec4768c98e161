"""What a program wrote is counted wherever it put it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracemill.verifiers.sandbox import Ending, Limits, Sandbox, census


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_all_folders_count_and_links_do_not(home: Path) -> None:
    (home / "work" / "a" / "b").mkdir(parents=True)
    (home / "work" / "a" / "b" / "file").write_bytes(b"x" * 300_000)
    (home / "tmp" / "file").write_bytes(b"x" * 300_000)
    (home / "tmp" / "link").symlink_to("/")
    before = len(os.listdir("/proc/self/fd"))
    assert not census._is_full(str(home), 700_000)
    assert census._is_full(str(home), 500_000)
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_files_are_too_many(home: Path) -> None:
    for number in range(census.MOST_FILES + 1):
        (home / "work" / str(number)).symlink_to("x")
    assert census._is_full(str(home), 1 << 30)


def test_names_longer_than_a_path_hide_nothing(home: Path) -> None:
    place = os.open(home / "work", os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=place)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    with open(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=place), "wb") as file:
        file.write(b"x" * 500_000)
    os.close(place)
    assert census._is_full(str(home), 400_000)
    assert not census._is_full(str(home), 1 << 30)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read every folder, and so counts it")
def test_a_folder_that_cannot_be_read_is_too_much() -> None:
    sandbox = Sandbox(2, zygotes=1)
    run = sandbox.run("import os, time\nos.mkdir('a', 0o300)\ntime.sleep(5)", limits=Limits(wall_s=5))
    sandbox.close()
    assert run.ending is Ending.OUTPUT
