"""Programs in the sandbox over REST, where the service was told to offer that."""

from __future__ import annotations

import threading
from functools import cache

from fastapi import APIRouter, HTTPException, Request

from tracemill.api.schemas import Problem, SandboxIn, SandboxOut
from tracemill.core.errors import NotFound
from tracemill.core.settings import Settings
from tracemill.verifiers.sandbox import Limits, Sandbox

router = APIRouter(
    tags=["sandbox"], responses={404: {"model": Problem}, 422: {"model": Problem}, 503: {"model": Problem}}
)

MOST_AT_A_TIME = 16
"""Runs and those that wait; each holds one of the service's 40 threads, and jobs and queries need the others."""
_places = threading.BoundedSemaphore(MOST_AT_A_TIME)


@cache
def shared() -> Sandbox:
    """One for all requests: as many runs at a time as cores, the others wait."""
    return Sandbox()


@router.post("/sandbox/run")
def run(body: SandboxIn, request: Request) -> SandboxOut:
    """Run a Python program; 404 unless TRACEMILL_SANDBOX_OVER_REST is true."""
    settings: Settings = request.app.state.settings
    if not settings.sandbox_over_rest:
        raise NotFound("this service does not offer the sandbox: start it with TRACEMILL_SANDBOX_OVER_REST=true")
    files = {name: text.encode("utf-8", "surrogatepass") for name, text in body.files.items()}
    limits = Limits(**body.limits.model_dump())
    if not _places.acquire(blocking=False):
        raise HTTPException(503, f"{MOST_AT_A_TIME} programs run or wait already; try again later")
    try:
        done = shared().run(body.source, body.stdin.encode("utf-8", "surrogatepass"), limits, body.argv, files)
    finally:
        _places.release()
    return SandboxOut(
        ending=done.ending,
        code=done.code,
        stdout=done.stdout.decode(errors="replace"),
        stderr=done.stderr.decode(errors="replace"),
        cpu_s=done.cpu_s,
        wall_s=done.wall_s,
        memory_mb=done.memory_mb,
        tier=done.tier,
    )
