"""How the rows of a trace set become a prompt and its completions: by a map of columns, or as OpenR1-Math has them.

A row holds one completion or a list of them. Nothing is judged here, and no text is changed: labels that a set carries
are left aside, for tracemill's verifiers make their own. Files are read in `factory.recording`; OpenThoughts' rows,
which are of several kinds, in `factory.openthoughts`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tracemill.core.ids import prompt_id
from tracemill.core.types import Prompt
from tracemill.factory.cells import Cells
from tracemill.factory.sources import cell_text

R1 = "deepseek-ai/DeepSeek-R1"
_FINISHED = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens"), "length"),
}
"""What engines and providers call the end of a completion; another one (`content_filter`, `abort`) left no sample."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One completion as it was recorded. None: the recording does not say."""

    text: str
    reasoning: str | None = None
    """Set where the recording keeps it apart; `text` is then the answer alone."""
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str = "stop"
    at: int = 0
    """Its place in the list of the row, from 0."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one row holds."""

    prompt: Prompt
    completions: tuple[Recorded, ...]
    passed_over: tuple[str, ...] = ()
    """For each completion of the row that is none, why."""


@dataclass(frozen=True, slots=True)
class Common:
    """What holds for all rows of a source, where the rows do not say it."""

    source: str
    """Name of the file or folder."""
    where: str
    """Field of the recipe, for messages."""
    verifier: str | None = None
    """None leaves it to the layout."""
    domain: str | None = None
    model: str | None = None


class Layout(Protocol):
    """Reads one kind of rows. Raises InputError naming the row's place for what cannot be read."""

    def row(self, row: Mapping[str, Any], place: str, common: Common) -> Row: ...


def prompt_of(
    text: str, reference: str, verifier: str, domain: str, metadata: Mapping[str, Any], common: Common
) -> Prompt:
    """The prompt that a row asks."""
    verifier, domain = common.verifier or verifier, common.domain or domain
    return Prompt(
        id=prompt_id(text, verifier, reference),
        text=text,
        domain=domain,
        verifier=verifier,
        reference=reference,
        source=common.source,
        metadata=json.loads(json.dumps(metadata, default=str)),
    )


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """Rows by the names of their columns. `a.b` is field b of the object in column a, or of each object of its list.

    Every column that is named must be in every row, for a name may be misspelt; its value may be null.
    """

    text: str = "prompt"
    reference: str | None = "answer"
    completion: str = "completion"
    reasoning: str | None = None
    model: str | None = None
    prompt_tokens: str | None = None
    completion_tokens: str | None = None
    finish_reason: str | None = None
    metadata: tuple[str, ...] = ()
    """Columns that are kept as the prompt's metadata, where verifiers look for more than the reference."""
    verifier: str = "math"
    domain: str = "math"
    written_by: str | None = None
    """The model that wrote all completions of the set, where the set is known for it."""
    no_answer: frozenset[str] = frozenset()
    """References that say that there is none."""
    aligned: tuple[str, ...] = ()
    """Columns beside these that hold one value for each completion of the row."""
    fixed: bool = False
    """The names are those of a known set: a recipe cannot set others."""

    def row(self, row: Mapping[str, Any], place: str, common: Common) -> Row:
        """See `Layout`."""
        cells = Cells(row, place, "" if self.fixed else common.where)
        text = cells.text(self.text)
        reference = "" if self.reference is None else cell_text(cells.get("reference", self.reference))
        if reference.strip() in self.no_answer:
            reference = ""
        named = (name for name in self.metadata if name in row or not self.fixed)  # subsets of known sets lack some
        metadata = {name: cells.get("metadata", name) for name in named}
        prompt = prompt_of(text, reference, self.verifier, self.domain, metadata, common)
        completions, passed_over = self._completions(cells, common.model or self.written_by)
        return Row(prompt, completions, passed_over)

    def _completions(self, cells: Cells, model: str | None) -> tuple[tuple[Recorded, ...], tuple[str, ...]]:
        value = cells.get("completion", self.completion)
        texts = value if isinstance(value, list) else [value]
        count = len(texts)
        reasonings = cells.aligned("reasoning", self.reasoning, count)
        models = cells.aligned("model", self.model, count)
        given = cells.aligned("prompt_tokens", self.prompt_tokens, count)
        made = cells.aligned("completion_tokens", self.completion_tokens, count)
        ends = cells.aligned("finish_reason", self.finish_reason, count)
        found, passed_over = [], [] if texts else ["an empty list of completions"]
        for at, (text, reasoning, end) in enumerate(zip(texts, reasonings, ends, strict=True)):
            finish_reason = _FINISHED.get(str(end).lower()) if end else "stop"
            if text is None and reasoning is None:
                passed_over.append("completion is null")
            elif finish_reason is None:
                passed_over.append(f"finish reason {end!r}")
            else:
                recorded = Recorded(
                    text=cells.as_text("completion", self.completion, text) or "",
                    reasoning=cells.as_text("reasoning", self.reasoning, reasoning),
                    model=cells.as_text("model", self.model, models[at]) or model,
                    prompt_tokens=cells.as_count("prompt_tokens", self.prompt_tokens, given[at]),
                    completion_tokens=cells.as_count("completion_tokens", self.completion_tokens, made[at]),
                    finish_reason=finish_reason,
                    at=at,
                )
                found.append(recorded)
        return tuple(found), tuple(passed_over)


# Columns as in the card of open-r1/OpenR1-Math-220k. Its questions are NuminaMath-1.5's, which says "proof" or
# "notfound" where there is no answer to compare with.
OPENR1_MATH = ColumnLayout(
    text="problem",
    reference="answer",
    completion="generations",
    finish_reason="finish_reasons",
    metadata=("uuid", "source", "problem_type", "question_type"),
    written_by=R1,
    aligned=("is_reasoning_complete", "correctness_math_verify", "correctness_llama"),
    no_answer=frozenset({"proof", "notfound"}),
    fixed=True,
)
