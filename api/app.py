"""The application: routes put together, errors as one line of JSON, unfinished jobs started again with the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import tracemill
from tracemill.api import corpus, jobs, sandbox
from tracemill.api.schemas import Health
from tracemill.core.errors import Conflict, CorpusError, EngineError, InputError, NotFound, SetupError, TracemillError
from tracemill.core.settings import Settings
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.service import resume_unfinished

STATUS = {NotFound: 404, Conflict: 409, InputError: 422, SetupError: 503, EngineError: 503, CorpusError: 507}
"""HTTP status of each error that a request can end in."""


def create_app(settings: Settings) -> FastAPI:
    """The service over one corpus and one jobs store."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(resume_unfinished, settings, app.state.store)
        yield

    app = FastAPI(
        title="tracemill",
        version=tracemill.__version__,
        summary="Generation jobs, SQL over the corpus, exports for trainers.",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.store = JobStore(settings.jobs_url)
    app.include_router(jobs.router, prefix="/v1")
    app.include_router(corpus.router, prefix="/v1")
    app.include_router(sandbox.router, prefix="/v1")
    app.add_exception_handler(TracemillError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unknown)

    @app.get("/healthz", tags=["service"])
    def healthz() -> Health:
        """Whether the service answers."""
        return Health(status="ok", version=tracemill.__version__)

    return app


async def _problem(request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": str(error)}, status_code=status)


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    """A URL or a method that the service does not have, in the same form as all errors."""
    assert isinstance(error, HTTPException)
    line = f"{request.method} {request.url.path}: {error.detail}; /docs lists what there is"
    return JSONResponse({"error": line}, status_code=error.status_code, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """One line in place of FastAPI's list."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return JSONResponse({"error": f"{place or 'body'}: {first['msg']}"}, status_code=422)
