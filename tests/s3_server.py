"""An S3 server for tests, in a process of its own: moto's, one request at a time, with faults on demand.

One at a time, for moto looks and writes in two steps: of two conditional puts at once both could win. It checks no
signature, so that wrong credentials need a fault to show. `POST /_fault` with `{"method", "key", "does", "times"}` makes
the next `times` requests of that method whose path contains `key` fail: `lose` carries the request out and drops the
answer, `drop` drops the request, `yield` forgets its conditions, a number is a status that is answered in place of it.
`POST /_heal` ends that. `POST /_counts` tells the requests by method and the bytes `sent` since the last time. An
argument is the seconds that each request takes longer.
"""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

LATENCY_S = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
Start = Callable[..., Any]
DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Faulty:
    """The application with its faults."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._turn = threading.Lock()
        self._faults: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        request = Request(environ)
        body = request.get_data(cache=True)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("wsgi.input_terminated", None)
        time.sleep(LATENCY_S)
        with self._turn:
            if request.path == "/_fault":
                self._faults.append(json.loads(body))
                return Response("ok")(environ, start)
            if request.path == "/_heal":
                self._faults.clear()
                return Response("ok")(environ, start)
            if request.path == "/_counts":
                counts, self._counts = dict(self._counts), Counter()
                return Response(json.dumps(counts))(environ, start)
            self._counts[request.method] += 1
            does = self._fault(request)
            if isinstance(does, int):
                return Response(DENIED, status=does)(environ, start)
            if does == "yield":
                environ.pop("HTTP_IF_NONE_MATCH", None)
                environ.pop("HTTP_IF_MATCH", None)
            if does == "drop":
                return _hang_up(environ)
            answer = list(self._app(environ, start))
            self._counts["sent"] += sum(map(len, answer))
            return _hang_up(environ) if does == "lose" else answer

    def _fault(self, request: Request) -> str | int | None:
        for fault in self._faults:
            if fault["times"] and request.method == fault["method"] and fault["key"] in request.path:
                fault["times"] -= 1
                does: str | int = fault["does"]
                return does
        return None


def _hang_up(environ: dict[str, Any]) -> list[bytes]:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return []


class Quiet(WSGIRequestHandler):
    """Keeps connections open and says nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None: ...


def main() -> None:
    server = make_server("127.0.0.1", 0, Faulty(), threaded=True, request_handler=Quiet)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # it ends with its input


if __name__ == "__main__":
    main()
