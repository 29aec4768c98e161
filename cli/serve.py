"""`tracemill serve`: the REST service."""

from __future__ import annotations

from typing import Annotated

import typer

from tracemill.core.errors import SetupError
from tracemill.core.settings import settings


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on (TRACEMILL_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on (TRACEMILL_PORT)")] = None,
) -> None:
    """Serve the REST API; its pages of documentation are at /docs."""
    try:
        import uvicorn

        from tracemill.api.app import create_app
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: pip install 'tracemill[service]'") from error
    here = settings()
    listen_host, listen_port = host or here.host, here.port if port is None else port
    typer.echo(f"tracemill on http://{listen_host}:{listen_port} (documentation at /docs)")
    uvicorn.run(create_app(here), host=listen_host, port=listen_port, log_level="warning")
