"""The words of the house as frozen types, and the one-method protocols that the other packages implement.

Holds no behaviour beyond construction: ids are made in `core.ids`, plugins are found in `core.plugins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

LabelSource = Literal["gold", "majority", "judge"]
"""What says that an answer is right: the prompt's reference, most samples of the prompt, or a model."""


class Outcome(StrEnum):
    """What a verifier says of a trace. UNDECIDED is never turned into right or wrong."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    """No answer was found in the trace (none, empty, or several that differ)."""
    UNDECIDED = "undecided"
    """It could not be judged: time limit, bad reference, broken tool."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question with what is needed to judge an answer to it."""

    id: str
    text: str
    domain: str
    verifier: str
    """Name of the verifier plugin that judges answers to this prompt."""
    reference: str
    """Gold answer as text; structured references (tests) are JSON text."""
    source: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON-serialisable extras of the source, for example the reasoning-gym task entry."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Decoding settings of one sample, in vLLM's and OpenAI's terms."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0 considers all tokens."""
    max_tokens: int = 1024
    """Limit on generated tokens."""
    seed: int | None = None
    """Set only where a recipe is `reproducible`; the engine samples unseeded otherwise."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn. `reasoning` goes to the chat template's own reasoning field, where it has one."""

    role: str
    content: str
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One sample asked of an engine."""

    id: str
    prompt: str | tuple[Message, ...]
    """Chat turns, or raw text for a base model."""
    sampling: Sampling
    prefill: str = ""
    """Text that opens the assistant's turn; not part of the completion."""
    stop: tuple[str, ...] = ()
    """Strings that end the generation; the one that did is kept at the end of the text."""
    json_schema: str | None = None
    """JSON Schema as text: the engine can write nothing else than JSON that it allows."""
    logprobs: bool = False
    """Ask for the log probability of each generated token."""
    prompt_id: str = ""
    """The prompt that it is a sample of; what replays recorded completions looks them up by it."""
    sample: int = 0
    """Number of the sample within its prompt, from 0."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine returned for one request."""

    request_id: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    """`stop` or `length`, as in the OpenAI API."""
    reasoning: str | None = None
    """Set where the engine itself split the reasoning off; `text` is then the answer alone."""
    logprobs: tuple[float, ...] | None = None
    """Natural log probability of each generated token, where the request asked for them."""
    interventions: tuple[str, ...] = ()
    """See `Trace.interventions`."""
    model: str | None = None
    """The model that wrote it, where the engine knows that better than the recipe (recorded completions)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A completion split into reasoning and answer. Nothing of the text is lost by the split."""

    id: str
    prompt_id: str
    job_id: str
    sample: int
    """Number of the sample within its prompt, from 0."""
    model: str
    thinking: str
    """Name of the think format that split the completion."""
    reasoning: str
    answer: str
    faults: tuple[str, ...]
    """What the split found wrong (`no_close_tag`, …); empty for a well-formed completion."""
    sampling: Sampling
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    created_at: datetime
    parent_id: str | None = None
    """The trace that this one was made from, for derived traces."""
    logprobs: tuple[float, ...] | None = None
    """Natural log probability of each generated token, where the recipe asks for them."""
    interventions: tuple[str, ...] = ()
    """What was done beyond plain sampling: `wait` (it went on after it would have ended its thinking), `closed` (its
    thinking was ended at the limit), `retry:2` (drawn by the second variant, after plain samples had failed)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verifier's judgement of one trace."""

    trace_id: str
    verifier: str
    version: str
    outcome: Outcome
    score: float | None
    """0 to 1; None when undecided."""
    reason: str
    """Short snake_case code: `equal`, `different`, `no_answer`, `time_limit`, …; then ': detail' where it helps."""
    extracted: str | None = None
    """The answer that was judged."""
    elapsed_ms: float = 0.0
    label_source: LabelSource = "gold"
    """Where what it was judged against came from."""
    label: str | None = None
    """What it was judged against, where that is not the prompt's own reference: a majority's answer."""


@dataclass(frozen=True, slots=True)
class Drop:
    """One filter's refusal of one trace."""

    trace_id: str
    filter: str
    version: str
    reason: str
    """Short snake_case code, counted in the funnel."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a model solves a prompt, by the verdicts of its samples."""

    correct: int
    decided: int
    """Samples that were judged right or wrong, malformed ones included; at least `correct`."""


@dataclass(frozen=True, slots=True)
class Item:
    """A trace with its prompt, as sieves see it."""

    prompt: Prompt
    trace: Trace
    rate: Rate | None = None
    """Of the trace's prompt and model; None where no verdicts are at hand."""


class Verifier(Protocol):
    """Judges one trace. Synchronous and pure; may raise: the boundary in `verifiers.judging` makes that UNDECIDED.

    One whose references are answers, so that samples can be compared with each other (`verify.majority`), says so:
    `reference_is_answer: ClassVar[bool] = True`. A schema, a pattern or a test is none.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def verify(self, prompt: Prompt, trace: Trace) -> Verdict: ...


@runtime_checkable
class Filter(Protocol):
    """Refuses single traces."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def check(self, trace: Trace, prompt: Prompt) -> Drop | None: ...


@runtime_checkable
class BatchFilter(Filter, Protocol):
    """A filter that is much quicker with many traces at once. Says of each what `check` says of it."""

    def check_all(self, items: Sequence[Item]) -> list[Drop | None]: ...


@runtime_checkable
class Sieve(Protocol):
    """Refuses traces by looking at the whole set, in one pass. Items come in a stable order; the first is kept."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def sift(self, items: Iterable[Item]) -> Iterable[Drop]: ...


class Engine(Protocol):
    """Turns one request into one completion. Raises EngineError when it cannot."""

    async def complete(self, request: Request) -> Completion: ...
