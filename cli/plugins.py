"""`tracemill plugins`: the verifiers and filters that recipes can name, with their options."""

from __future__ import annotations

import dataclasses

import typer

from tracemill.core import plugins as loader


def plugins() -> None:
    """List verifiers and filters with their options and defaults."""
    kinds: tuple[loader.Kind, ...] = ("verifiers", "filters")
    for kind in kinds:
        typer.echo(f"{kind}:")
        for name, module in loader.load(kind).items():
            summary = (module.__doc__ or "").strip().splitlines()[0]
            typer.echo(f"  {name:<18} {summary}")
            for option in dataclasses.fields(module.plugin):
                if option.init:
                    typer.echo(f"  {'':<18}   {option.name} = {getattr(module.plugin, option.name)!r}")
