"""What goes over the wire, with examples; the recipe itself is `pipelines.recipe.Recipe`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracemill.pipelines.jobs import JobState

RECIPE_EXAMPLE = {
    "name": "sums",
    "prompts": [
        {
            "source": "reasoning_gym",
            "task": "chain_sum",
            "count": 12,
            "seed": 1,
            "options": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2},
        }
    ],
    "generate": {"engine": "fake", "samples": 4, "max_tokens": 128},
    "select": {"per_prompt": 2, "order": "shortest"},
}


class Problem(BaseModel):
    """An error in one line."""

    model_config = ConfigDict(json_schema_extra={"example": {"error": "recipe: prompts[0]: unknown key 'tsk' …"}})
    error: str


class Fallen(BaseModel):
    """How many traces fell at a stage, and why."""

    model_config = ConfigDict(from_attributes=True)
    stage: str
    reason: str
    count: int


class FunnelOut(BaseModel):
    """From generated to kept; at every stage the numbers add up."""

    model_config = ConfigDict(from_attributes=True)
    prompts: int
    generated: int
    well_formed: int
    correct: int
    sifted: int = Field(description="correct and passed by every filter")
    kept: int | None = Field(description="null until the job has selected")
    completion_tokens: int
    fallen: list[Fallen]


class JobOut(BaseModel):
    """A job as the list shows it."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    name: str
    state: JobState
    progress: dict[str, Any] = Field(description="durable samples, tokens/s, ETA; what the check of references found")
    error: str | None
    created_at: datetime
    updated_at: datetime


class JobDetail(BaseModel):
    """A job with its recipe and its funnel."""

    job: JobOut
    recipe: dict[str, Any]
    funnel: FunnelOut


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobOut]


class SqlIn(BaseModel):
    """One SELECT over prompts, traces, verdicts, drops, datasets, audits and metrics."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"query": "SELECT domain, count(*) AS traces, avg(correct::int) FROM metrics GROUP BY domain"}
        },
    )
    query: str = Field(min_length=1)


class SqlOut(BaseModel):
    """The result, row by row."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool = Field(description="true where the row or size limit cut the result")
    elapsed_ms: float


class ExportIn(BaseModel):
    """Which version of a data set to export, and how."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"version": 1, "layout": "parquet"}})
    version: int | None = Field(None, ge=1, description="the latest where unset")
    layout: Literal["parquet", "arrow"] = Field(
        "parquet", description="parquet for datasets.load_dataset, arrow for datasets.load_from_disk"
    )


class ExportOut(BaseModel):
    """Where the export lies, on the machine of the service."""

    path: str
    rows: int
    load: str = Field(description="the line of Python that loads it")


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"]
    version: str
