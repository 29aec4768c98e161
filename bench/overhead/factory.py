"""The whole factory: Ray actor, splitting, verdicts, ledger, tables."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from overhead.peers import Round
from tracemill.core.settings import Settings
from tracemill.core.types import Completion, Engine, Request
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.factory.strategies.strategy import Draw
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import open_makers
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.requests import request_of


def plan_of(number: int, samples: int, **generate: Any) -> Plan:
    """The demo's prompts and settings as a job of its own."""
    demo = recipes.load("demo")
    section = demo.generate.model_copy(update={"samples": samples, **generate})
    return make_plan(demo.model_copy(update={"name": f"overhead-{number}", "generate": section}))


@dataclass
class Listener:
    """Keeps the text of all that an engine returns."""

    engine: Engine
    texts: dict[str, str] = field(default_factory=dict)

    async def complete(self, request: Request) -> Completion:
        done = await self.engine.complete(request)
        self.texts[request.id] = done.text
        return done


def requests_of(plan: Plan) -> list[Request]:
    """What the factory asks for, in its order: the samples of one prompt together."""
    return [
        request_of(plan, Draw(place, sample), task.prompt, task.thinking)
        for place, task in enumerate(plan.tasks)
        for sample in range(plan.recipe.generate.samples)
    ]


class Factory:
    """Runs one plan a round, in their order; the first also says which engine is opened."""

    def __init__(self, here: Settings, sections: Sequence[dict[str, Any]]) -> None:
        """`sections` are what the plans of the rounds change of the demo's (`plan_of`), which cannot be pickled."""
        self._plans = iter([plan_of(number, **section) for number, section in enumerate(sections)])
        self._corpus = Corpus.open(here.corpus)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._stack = AsyncExitStack()
        opening = self._stack.enter_async_context(open_makers(plan_of(0, **sections[0]), here))
        (self._maker,) = asyncio.run_coroutine_threadsafe(opening, self._loop).result()

    def run(self, requests: Sequence[Request]) -> Round:
        """A job from the opening of its ledger until all is in the tables."""
        plan = next(self._plans)
        assert [one.id for one in requests] == [one.id for one in requests_of(plan)]
        return asyncio.run_coroutine_threadsafe(self._run(plan), self._loop).result()

    async def _run(self, plan: Plan) -> Round:
        listener = Listener(self._maker.engine)
        started = time.perf_counter()
        with Ledger.open(self._corpus, plan.job_id) as ledger:
            progress = await Generation(plan, ledger).run([replace(self._maker, engine=listener)])
        seconds = time.perf_counter() - started
        assert progress.new == plan.samples, progress
        return Round(progress.completion_tokens, seconds, listener.texts)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result()
