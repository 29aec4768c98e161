"""Counts what became of every trace of a job, stage by stage; at each stage the numbers add up.

Reads only; the rules by which a trace falls stand in standing.sql.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracemill.corpus.selection import DatasetVersion, Selection
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STAGES = ("format", "verify", "filter", "select")


@dataclass(frozen=True, slots=True)
class Fallen:
    """Traces that fell at one stage for one reason."""

    stage: str
    reason: str
    """format: the first fault; verify: `verifier: outcome/code`; filter: `filter: code`; select: `pass_rate_low`,
    `pass_rate_high`, `beyond_per_prompt`, `not_in_version` (came after the version was cut)."""
    count: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """generated = well_formed + fallen(format), well_formed = correct + fallen(verify), and so on down to kept."""

    prompts: int
    """Prompts with at least one trace."""
    generated: int
    well_formed: int
    correct: int
    sifted: int
    """Correct, and not dropped under the policy."""
    kept: int | None
    """In the dataset version; None where none is given."""
    completion_tokens: int
    """Of all generated traces."""
    fallen: tuple[Fallen, ...]
    """By stage, the most frequent reason first."""

    def fell(self, stage: str) -> int:
        """How many fell at that stage."""
        return sum(fallen.count for fallen in self.fallen if fallen.stage == stage)


def stand(connection: DuckDBPyConnection, job_id: str, policy: str, selection: Selection) -> None:
    """Make the table `standing`: where each trace of the job stands under the policy and the selection."""
    values = {"job": job_id, "policy": policy, **selection.values()}
    connection.execute(f"CREATE TEMP TABLE standing AS {named_sql('standing')}", values)


def funnel(corpus: Corpus, job_id: str, policy: str, dataset: DatasetVersion | None = None) -> Funnel:
    """The funnel of a job under a filter policy, down to `dataset` where one is given."""
    selection = dataset.selection if dataset else Selection()
    with corpus.connect() as connection:
        stand(connection, job_id, policy, selection)
        of = {"name": dataset.name if dataset else None, "version": dataset.version if dataset else None}
        counts = connection.execute(named_sql("funnel"), of).fetchall()
        prompts = connection.execute("SELECT count(DISTINCT prompt_id) FROM standing").fetchall()[0][0]
    fallen = tuple(
        Fallen(stage, reason, count) for name in STAGES for stage, reason, count, _ in counts if stage == name
    )
    left = [sum(count for *_, count, _ in counts)]
    for name in STAGES:
        left.append(left[-1] - sum(part.count for part in fallen if part.stage == name))
    return Funnel(
        prompts=prompts,
        generated=left[0],
        well_formed=left[1],
        correct=left[2],
        sifted=left[3],
        kept=left[4] if dataset else None,
        completion_tokens=sum(tokens for *_, tokens in counts),
        fallen=fallen,
    )
