"""The reference pages are what the code says, the README's commands exist, every shipped thing is documented."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_reference_pages_are_current() -> None:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    for name, text in build.pages().items():
        assert (ROOT / "docs" / "reference" / name).read_text() == text, f"{name} is stale: make docs"


def test_the_readme_names_only_targets_commands_and_files_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"`make ([a-z]+)", readme):
        assert target in targets, f"make {target}"
    commands = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for name in re.findall(r"\btracemill (run|sql|show|export|verify|plugins|doctor|serve|model [a-z]+)\b", readme):
        assert f"## tracemill {name}\n" in commands
    for link in re.findall(r"\]\(([^)#]+)\)", readme):
        assert "://" in link or (ROOT / link).exists(), link


def test_every_folder_of_the_house_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for link in sorted((ROOT / "src" / "tracemill").iterdir()):
        if link.is_symlink():
            assert re.search(rf"^{link.name}/ ", readme, re.MULTILINE), link.name
