"""Jobs over REST: submit a recipe, list jobs, look at one with its funnel."""

from __future__ import annotations

import json
from typing import Any

import yaml
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from tracemill.api.schemas import RECIPE_EXAMPLE, FunnelOut, JobDetail, JobList, JobOut, Problem
from tracemill.core.errors import InputError
from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines import service
from tracemill.pipelines.jobs import JobStore
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
    """All jobs, newest first."""
    store: JobStore = request.app.state.store
    return JobList(jobs=[JobOut.model_validate(job) for job in store.list()])


@router.get("/jobs/{job_id}", responses={404: {"model": Problem}})
def get_job(job_id: str, request: Request) -> JobDetail:
    """One job with its recipe and its funnel so far."""
    settings: Settings = request.app.state.settings
    job = service.known_job(job_id, request.app.state.store)
    funnel = service.job_funnel(job, Corpus.open(settings.corpus))
    return JobDetail(job=JobOut.model_validate(job), recipe=dict(job.recipe), funnel=FunnelOut.model_validate(funnel))
