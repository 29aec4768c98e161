"""What programs leave is removed whatever it is, and nothing beyond it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracemill.verifiers.sandbox import trees, zygote


def test_all_goes_and_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir(mode=0o755)
    (tmp_path / "outside" / "file").write_text("x")
    top = tmp_path / "top"
    (top / "a" / "b" / "c").mkdir(parents=True)
    (top / "a" / "link").symlink_to(tmp_path / "outside")
    (top / "0.moved").mkdir()
    (top / "a" / "b" / "file").write_text("y")
    for folder in (top / "a" / "b" / "c", top / "a" / "b", top / "a", top):
        folder.chmod(0)
    trees.remove(str(top))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside" / "file").read_text() == "x"
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o755


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "top").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="top"):
        trees.remove(str(tmp_path / "top"))
    assert (tmp_path / "outside").is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_is_not_cleared(tmp_path: Path) -> None:
    theirs, ours = (tmp_path / f"{zygote.PREFIX}1-{name}" for name in ("theirs", "ours"))
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "file").write_text("x")
    os.chown(theirs, 65534, 65534)
    before = os.getcwd()
    made = Path(zygote._shared_folder(str(tmp_path)))
    os.chdir(before)
    assert sorted(tmp_path.iterdir()) == sorted([theirs, made])
    assert (theirs / "file").read_text() == "x"
