"""`tracemill serve`: the REST service."""

from __future__ import annotations

import contextlib
import socket
from typing import Annotated

import typer

from tracemill.core.errors import SetupError
from tracemill.core.settings import settings


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on (TRACEMILL_HOST)")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one (TRACEMILL_PORT)")
    ] = None,
) -> None:
    """Serve the REST API; its documentation is at /docs. Jobs that were running when it last ended go on."""
    try:
        import uvicorn

        from tracemill.api.app import create_app
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: pip install 'tracemill[service]'") from error

    class Server(uvicorn.Server):
        """Prints its address once it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                typer.echo(f"tracemill on {_url(listening)} (documentation at /docs)")

    here = settings()
    with _bound(host or here.host, here.port if port is None else port) as listening:
        server = Server(uvicorn.Config(create_app(here), log_level="warning"))
        with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once it has ended in order
            server.run([listening])
    if not server.started:
        raise SetupError("the service did not start; the reason stands above")


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises SetupError where it cannot."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = str(error.strerror).partition(" (while ")[0]  # which only names the address again
        raise SetupError(f"cannot listen on {host}:{port}: {reason}; choose another --host or --port") from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
