"""What goes over the wire, with examples; the recipe itself is `pipelines.recipe.Recipe`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracemill.pipelines.jobs import JobState, Order
from tracemill.verifiers.sandbox import Ending

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
    requested: Order | None = Field(description="an order that was given and is not carried out yet")
    harvested: bool = Field(description="finished before all its samples were made, because it was asked to")
    progress: dict[str, Any] = Field(
        description="durable samples; of this run the new ones, how many of them are correct, tokens/s, replicas, ETA; "
        "`totals` of all runs; what the check of references found"
    )
    error: str | None
    created_at: datetime
    updated_at: datetime


class JobDetail(BaseModel):
    """A job with its recipe and its funnel."""

    job: JobOut
    recipe: dict[str, Any]
    funnel: FunnelOut


class JobList(BaseModel):
    """Jobs, the last submitted first."""

    jobs: list[JobOut]


class SqlIn(BaseModel):
    """One SELECT over prompts, traces, verdicts, drops, datasets, audits, anatomy and metrics."""

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


class LimitsIn(BaseModel):
    """What the program may use; what is unset has the sandbox's default."""

    model_config = ConfigDict(extra="forbid")
    cpu_s: float = Field(5.0, gt=0, le=600)
    wall_s: float = Field(10.0, gt=0, le=600)
    memory_mb: int = Field(512, ge=16, le=8192, description="beyond the interpreter's own")
    output_kb: int = Field(1024, ge=1, le=16_384, description="of standard output, and of standard error")
    file_mb: int = Field(16, ge=1, le=1024)
    files: int = Field(64, ge=8, le=1024)
    processes: int = Field(1, ge=1, le=64, description="1 forbids starting others")
    threads: int = Field(32, ge=1, le=256)


class SandboxIn(BaseModel):
    """A Python program and what it is given."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"source": "print(int(input()) + 1)", "stdin": "41"}}
    )
    source: str
    stdin: str = ""
    argv: list[str] = Field(default_factory=list)
    files: dict[str, str] = Field(default_factory=dict, description="text files of its folder, by plain name")
    limits: LimitsIn = Field(default_factory=LimitsIn)


class SandboxOut(BaseModel):
    """What became of it. Bytes that are no UTF-8 come as U+FFFD."""

    ending: Ending = Field(description="exited, signalled, cpu, wall, memory, output; broken: the sandbox failed")
    code: int = Field(description="exit status, or number of the signal")
    stdout: str
    stderr: str
    cpu_s: float
    wall_s: float
    memory_mb: float
    tier: int = Field(description="1: namespaces, Landlock, seccomp; 2: without namespaces")


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"]
    version: str
