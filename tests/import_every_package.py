"""Run by CI with the built wheel: every module of the installed package imports, and its data files are there."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib.resources import files

import tracemill

if __name__ == "__main__":
    assert "/site-packages/" in (tracemill.__file__ or ""), tracemill.__file__
    names = [
        info.name
        for info in pkgutil.walk_packages(tracemill.__path__, "tracemill.")
        if not info.name.endswith("_child") and not info.name.endswith("worker_process")
    ]
    for name in names:
        importlib.import_module(name)
    assert files("tracemill.pipelines").joinpath("recipes", "demo.yaml").is_file()
    assert any(file.name.endswith(".sql") for file in files("tracemill.corpus").iterdir())
    assert files("tracemill").joinpath("py.typed").is_file()
    sys.stdout.write(f"{len(names)} modules import from the wheel\n")
