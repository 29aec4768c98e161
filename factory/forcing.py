"""Budget forcing (s1, arXiv 2501.19393): an engine that controls how long the model thinks.

Too short: the closing tag is taken off, "Wait" is put in its place, and the model goes on. Too long: the reasoning is
closed and the answer opened for it. One request becomes a few calls of the inner engine, each continuing what stands
there by `Request.prefill`. Prefix caching makes that cheap: the prompt and all that was written are in the engine's KV
cache already, so that a continuation computes its last, partly filled block and the inserted words (vLLM:
`enable_prefix_caching`, 16 or 32 tokens a block), as long as it comes to the same replica before it is evicted.

Works for every think format, for each marks reasoning by <think> and </think> (`core.markup`). Counts generated tokens
alone; knows no tokenizer. A turn that the model ended within its budget without closing its reasoning is not mended:
that fault is the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tracemill.core.errors import EngineError, InputError, RefusedRequest, SetAside
from tracemill.core.ids import content_id
from tracemill.core.types import Completion, Engine, Request

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class BudgetForcing:
    """How long it thinks. Raises InputError for limits that contradict each other."""

    max_tokens: int
    """Most generated tokens of reasoning, the closing tag included; then the reasoning is closed."""
    min_tokens: int = 0
    """Fewer generated tokens of reasoning than this are too few: it is made to go on."""
    answer_tokens: int = 512
    """Most generated tokens of the answer. Together with `max_tokens` it replaces `Sampling.max_tokens`."""
    waits: int = 2
    """How often it is made to go on at most; too often makes it loop (s1 levels off at about six)."""
    wait: str = "Wait"
    """What stands in place of the closing tag then."""
    final: str = "Final Answer:"
    """What opens the answer after a forced close; where the format has <answer> tags, it is <answer> instead."""

    def __post_init__(self) -> None:
        for name, least in (("max_tokens", 1), ("min_tokens", 0), ("answer_tokens", 1), ("waits", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name}: must be at least {least}, got {getattr(self, name)}")
        if self.min_tokens > self.max_tokens:
            raise InputError(f"min_tokens: {self.min_tokens} is more than max_tokens ({self.max_tokens})")
        if not self.wait.strip():
            raise InputError("wait: must be a word, for example Wait")


@dataclass(slots=True)
class _Draft:
    """What is written so far."""

    request: Request
    text: str
    """Continues the request's own prefill; inserted words included."""
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: list[float] | None = field(default_factory=list)
    interventions: list[str] = field(default_factory=list)
    model: str | None = None

    def next_request(self, stop: tuple[str, ...], max_tokens: int, json_schema: str | None = None) -> Request:
        """The call that goes on from here. Its id and seed depend on the request and the number of the call alone."""
        own, sampling = self.request, self.request.sampling
        seed = sampling.seed
        if self.calls and seed is not None:  # the same seed again would draw the same random numbers again
            seed = int(content_id("forcing", seed, self.calls)[:16], 16) >> 1
        return replace(
            own,
            id=f"{own.id}.{self.calls}" if self.calls else own.id,
            prefill=own.prefill + self.text,
            stop=stop,
            sampling=replace(sampling, max_tokens=max_tokens, seed=seed),
            json_schema=json_schema,
        )

    def add(self, done: Completion) -> None:
        """Append what a call wrote."""
        if done.reasoning is not None:
            raise EngineError(
                "budget forcing needs the text as it is written: start the server without its reasoning parser"
            )
        self.prompt_tokens = self.prompt_tokens if self.calls else done.prompt_tokens
        self.calls += 1
        self.text += done.text
        self.completion_tokens += done.completion_tokens
        self.model = done.model
        if self.logprobs is None or done.logprobs is None:
            self.logprobs = None
        else:
            self.logprobs += done.logprobs

    def completion(self, finish_reason: str) -> Completion:
        """All of it as one completion of the request."""
        return Completion(
            request_id=self.request.id,
            text=self.text,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            finish_reason=finish_reason,
            logprobs=None if self.logprobs is None else tuple(self.logprobs),
            interventions=tuple(self.interventions),
            model=self.model,
        )


@dataclass(frozen=True, slots=True)
class ForcedEngine:
    """An engine whose completions think within a budget."""

    engine: Engine
    forcing: BudgetForcing

    async def complete(self, request: Request) -> Completion:
        """One sample, its text with everything that was inserted, as in s1.

        `prompt_tokens` are those of the first call. `completion_tokens` and `logprobs` are those of all generated
        tokens, the closing tags that were taken off among them; inserted words have none. `finish_reason` is that of
        the answer; `length` too where the context was full before there was one, with the text up to there. Raises what
        the inner engine raises, RefusedRequest only where the first call is refused or a later one is set aside.
        """
        # `native` leaves the opening to the chat template; here it is written, so that all of the text is one text.
        draft = _Draft(request, "" if OPEN in request.prefill else f"{OPEN}\n")
        reason = await self._think(draft)
        if draft.text.endswith(CLOSE):
            return await self._answer(draft, closed=False)
        # After a wait an end of turn is an end of thinking too, as in s1: it was we who took the closing tag off.
        # An answer that was begun inside the reasoning cannot be made well-formed by a tag behind it.
        is_forced = reason == "length" or bool(draft.interventions)
        if is_forced and not (_has_answer_tags(request) and "<answer>" in draft.text):
            return await self._answer(draft, closed=True)
        return draft.completion(reason)

    async def _think(self, draft: _Draft) -> str:
        """Reason until it is enough; returns why the last call ended."""
        forcing, stop = self.forcing, (CLOSE, *draft.request.stop)
        done = await self.engine.complete(draft.next_request(stop, forcing.max_tokens))
        draft.add(done)
        while done.finish_reason != "length" and self._is_too_short(draft):
            before = draft.text
            thought = before.removesuffix(CLOSE)
            draft.text = thought + _line_break(draft.request.prefill + thought) + forcing.wait
            try:
                done = await self.engine.complete(
                    draft.next_request(stop, forcing.max_tokens - draft.completion_tokens)
                )
            except SetAside:  # nothing of what the engine dies of is a sample
                raise
            except RefusedRequest:  # the context is full: what it thought stands, and is answered if that still fits
                draft.text = before
                break
            draft.interventions.append("wait")
            draft.add(done)
        return done.finish_reason

    def _is_too_short(self, draft: _Draft) -> bool:
        if draft.text.endswith(draft.request.stop):
            return False  # it has answered without closing its reasoning: nothing to go on with
        waits = len(draft.interventions)
        return draft.completion_tokens < self.forcing.min_tokens and waits < self.forcing.waits

    async def _answer(self, draft: _Draft, closed: bool) -> Completion:
        """Let it answer; `closed` by us, after the limit."""
        request, before = draft.request, draft.text
        if closed:
            thought = _without_partial_tag(before)
            opening = "<answer>" if _has_answer_tags(request) else self.forcing.final
            draft.text = f"{thought}{_line_break(thought)}{CLOSE}\n\n{opening}"
        asked = draft.next_request(request.stop, self.forcing.answer_tokens, request.json_schema)
        try:
            done = await self.engine.complete(asked)
        except SetAside:
            raise
        except RefusedRequest:  # the context is full: cut off, as it would have been without a budget
            draft.text = before
            return draft.completion("length")
        if closed:
            draft.interventions.append("closed")
        draft.add(done)
        return draft.completion(done.finish_reason)


def _has_answer_tags(request: Request) -> bool:
    return "</answer>" in request.stop


def _line_break(text: str) -> str:
    """What puts the next word on a line of its own, or after the space that is there."""
    return "" if text[-1:].isspace() else "\n"


def _without_partial_tag(text: str) -> str:
    """The limit may fall inside the closing tag."""
    cuts = (CLOSE[:length] for length in range(len(CLOSE) - 1, 1, -1))
    return next((text.removesuffix(cut) for cut in cuts if text.endswith(cut)), text)
