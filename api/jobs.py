"""Jobs over REST: submit a recipe, list jobs, look at one with its funnel, give it an order."""

from __future__ import annotations

import json
from typing import Any

import yaml
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from tracemill.api.schemas import RECIPE_EXAMPLE, FunnelOut, JobDetail, JobList, JobOut, Problem
from tracemill.core.errors import InputError
from tracemill.core.settings import Settings, location
from tracemill.corpus.store import Corpus
from tracemill.pipelines import orders, service
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import JobStore, Order
from tracemill.pipelines.recipe import Recipe

router = APIRouter(tags=["jobs"], responses={422: {"model": Problem}, 503: {"model": Problem}})

_RECIPE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Recipe.model_json_schema(), "example": RECIPE_EXAMPLE},
            "application/yaml": {"schema": {"type": "string"}, "example": yaml.safe_dump(RECIPE_EXAMPLE)},
        },
    }
}


@router.post("/jobs", status_code=202, openapi_extra=_RECIPE_BODY)
async def submit(request: Request) -> JobOut:
    """Start a job from a recipe in JSON or YAML. The same recipe is the same job: submitted again, it goes on."""
    recipe = recipes.parse(_parsed(await request.body()))
    store: JobStore = request.app.state.store
    job = await run_in_threadpool(service.submit, recipe, request.app.state.settings, store)
    return JobOut.model_validate(job)


def _parsed(body: bytes) -> Any:
    """JSON is YAML too, but its own parser says better what is wrong."""
    try:
        text = body.decode("utf-8")
        return json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"body: neither JSON nor YAML: {str(error).splitlines()[0]}") from error


@router.get("/jobs")
def list_jobs(request: Request) -> JobList:
    """All jobs, the last submitted first."""
    store: JobStore = request.app.state.store
    settings: Settings = request.app.state.settings
    return JobList(jobs=[JobOut.model_validate(orders.seen(job, settings)) for job in store.list()])


@router.get("/jobs/{job_id}", responses={404: {"model": Problem}})
def get_job(job_id: str, request: Request) -> JobDetail:
    """One job with its recipe and its funnel so far."""
    settings: Settings = request.app.state.settings
    job = orders.seen(service.known_job(job_id, request.app.state.store), settings)
    there = settings.corpus if job.corpus is None else location(job.corpus)
    funnel = service.job_funnel(job, Corpus.open(there))
    return JobDetail(job=JobOut.model_validate(job), recipe=dict(job.recipe), funnel=FunnelOut.model_validate(funnel))


_ORDERED: dict[int | str, dict[str, Any]] = {404: {"model": Problem}, 409: {"model": Problem}}


def _order(order: Order, job_id: str, request: Request) -> JobOut:
    job = service.order(order, job_id, request.app.state.settings, request.app.state.store)
    return JobOut.model_validate(job)


@router.post("/jobs/{job_id}/pause", status_code=202, responses=_ORDERED)
def pause(job_id: str, request: Request) -> JobOut:
    """Stop a job within seconds; what its engines have finished is made durable, and a resume goes on."""
    return _order(Order.PAUSE, job_id, request)


@router.post("/jobs/{job_id}/resume", status_code=202, responses=_ORDERED)
def resume(job_id: str, request: Request) -> JobOut:
    """Go on with a paused, stopped, failed or harvested job; or take back a pause that was not carried out yet."""
    return _order(Order.RESUME, job_id, request)


@router.post("/jobs/{job_id}/cancel", status_code=202, responses=_ORDERED)
def cancel(job_id: str, request: Request) -> JobOut:
    """Stop a job for good. Its samples stay in the corpus; submitted again, it goes on with what is missing."""
    return _order(Order.CANCEL, job_id, request)


@router.post("/jobs/{job_id}/harvest", status_code=202, responses=_ORDERED)
def harvest(job_id: str, request: Request) -> JobOut:
    """Stop generating now, keep what is there, and select the data set from it: `finished`, with `harvested` true."""
    return _order(Order.HARVEST, job_id, request)
