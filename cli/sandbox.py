"""`tracemill sandbox`: runs one untrusted Python program."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from tracemill.core.errors import InputError, nearest
from tracemill.verifiers.sandbox import Ending, Limits, Run, Sandbox

app = typer.Typer(help="Untrusted programs behind walls.", no_args_is_help=True)
KINDS = {field.name: float if field.type == "float" else int for field in dataclasses.fields(Limits)}
STATUS = {Ending.CPU: 124, Ending.WALL: 124, Ending.MEMORY: 137, Ending.OUTPUT: 153, Ending.BROKEN: 3}
"""Exit codes of runs that a limit ended, as timeout(1) and shells have them; BROKEN as SetupError."""


@app.callback()
def group() -> None:
    """Untrusted programs behind walls."""


@app.command("run")
def run(
    program: Annotated[Path, typer.Argument(help="Python file, or - for standard input")],
    arguments: Annotated[list[str] | None, typer.Argument(help="the program's own, after --")] = None,
    limits: Annotated[str, typer.Option("--limits", help="such as cpu_s=2,memory_mb=256")] = "",
    stdin: Annotated[Path | None, typer.Option("--stdin", help="file that the program reads; none if unset")] = None,
    tier: Annotated[int | None, typer.Option("--tier", help="1, 2 or 3 (hardly any walls); the best if unset")] = None,
) -> None:
    """Run a Python program in the sandbox and pass on its output and exit code; standard error says what it used."""
    source = sys.stdin.read() if str(program) == "-" else _read(program).decode("utf-8", "surrogateescape")
    given = _read(stdin) if stdin else b""
    done = Sandbox(tier, zygotes=1).run(source, given, parse_limits(limits), arguments or ())
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    typer.echo(f"{summary(done)}", err=True)
    sys.exit(STATUS.get(done.ending, 128 + done.code if done.ending is Ending.SIGNALLED else done.code))


def summary(done: Run) -> str:
    """One line."""
    how = f" {done.code}" if done.ending in (Ending.EXITED, Ending.SIGNALLED) else ""
    return f"{done.ending}{how}: {done.cpu_s:.3f} s CPU, {done.wall_s:.3f} s, {done.memory_mb:.0f} MB, tier {done.tier}"


def parse_limits(text: str) -> Limits:
    """Raises InputError naming the limit that is wrong."""
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name.strip() not in KINDS:
            raise InputError(f"--limits: unknown limit {name.strip()!r}{nearest(name.strip(), KINDS)}")
        try:
            values[name.strip()] = KINDS[name.strip()](value)
        except ValueError as error:
            raise InputError(f"--limits: {name.strip()} must be a number (got {value!r})") from error
    return Limits(**values)  # type: ignore[arg-type]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
