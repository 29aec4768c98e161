"""Budget forcing: how a request becomes several, and what is left of it when something does not fit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import EngineError, InputError, RefusedRequest, SetAside
from tracemill.core.markup import MARKUPS
from tracemill.core.settings import settings
from tracemill.core.types import Completion, Engine, Prompt, Request, Sampling, Trace
from tracemill.factory.engines.fake import FakeEngine
from tracemill.factory.forcing import BudgetForcing, ForcedEngine
from tracemill.factory.models import model_folder
from tracemill.factory.thinking import Example, ThinkFormat

PROMPT = Prompt("p", "What is 12 + 5 - 3?", "math", "math", "14", "test")


@dataclass
class Typist:
    """Writes what it is told, a word a token, and keeps the engine's contract on stops and limits."""

    turns: list[str]
    """What it would write in each call, if nothing stopped it; then nothing."""
    context: int = 10**9
    """Words of prefill and limit together that it takes."""
    asked: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> Completion:
        if len(request.prefill.split()) + request.sampling.max_tokens > self.context:
            raise RefusedRequest("too long")
        self.asked.append(request)
        text = self.turns.pop(0) if self.turns else ""
        ends = [text.index(stop) + len(stop) for stop in request.stop if stop in text]
        words = re.findall(r"\S+\s*|\s+", text[: min(ends, default=len(text))])
        kept = words[: request.sampling.max_tokens]
        reason = "length" if len(words) > len(kept) else "stop"
        logprobs = tuple(-float(len(self.asked)) for _ in kept) if request.logprobs else None
        return Completion(request.id, "".join(kept), 100 + len(self.asked), len(kept), reason, logprobs=logprobs)


def asked(name: str = "r1", seed: int | None = None) -> tuple[ThinkFormat, Request]:
    thinking = ThinkFormat.named(name)
    sampling = Sampling(max_tokens=5, seed=seed)
    rendered = thinking.render(PROMPT.text)
    return thinking, Request("r", rendered, sampling, thinking.prefill, thinking.stop, logprobs=True)


def forced(
    engine: Typist | FakeEngine, name: str = "r1", seed: int | None = None, **limits: Any
) -> tuple[Completion, Trace]:
    thinking, request = asked(name, seed)
    done = asyncio.run(ForcedEngine(engine, BudgetForcing(**{"max_tokens": 10, **limits})).complete(request))
    return done, thinking.trace(PROMPT, "job", 0, "fake", request, done)


def test_within_the_budget_nothing_is_inserted() -> None:
    engine = Typist(["12 and 5 is 17. </think>", "\n\n<answer>14</answer>"])
    done, trace = forced(engine)
    assert done.text == "12 and 5 is 17. </think>\n\n<answer>14</answer>"
    assert (done.prompt_tokens, done.completion_tokens, done.finish_reason) == (101, 8, "stop")
    assert done.logprobs == (-1.0,) * 6 + (-2.0,) * 2
    assert (done.interventions, trace.faults, trace.answer) == ((), (), "14")
    thinking, answering = engine.asked
    assert (thinking.stop, thinking.sampling.max_tokens) == (("</think>", "</answer>"), 10)
    assert (answering.stop, answering.sampling.max_tokens) == (("</answer>",), 512)
    assert answering.prefill == "<think>\n12 and 5 is 17. </think>"
    assert thinking.prompt == answering.prompt


def test_too_short_a_thought_goes_on_after_wait() -> None:
    engine = Typist(["14.</think>", ", once more.\n</think>", " No, 14.\n</think>", "\n\n<answer>14</answer>"])
    done, trace = forced(engine, min_tokens=9, waits=2)
    assert done.text == "14.\nWait, once more.\nWait No, 14.\n</think>\n\n<answer>14</answer>"
    assert done.interventions == trace.interventions == ("wait", "wait")
    assert (done.completion_tokens, len(done.logprobs or ())) == (11, 11)
    assert trace.faults == ()
    assert engine.asked[1].prefill == "<think>\n14.\nWait"
    assert [one.sampling.max_tokens for one in engine.asked] == [10, 9, 5, 512]
    again, _ = forced(Typist(["14.</think>", "\n</think>"]), min_tokens=9, waits=0)
    assert again.interventions == (), "no waits, no insertion"


def test_too_long_a_thought_is_closed_and_the_answer_opened() -> None:
    done, trace = forced(Typist(["one two three four five", "14</answer>"]), max_tokens=3)
    assert done.text == "one two three \n</think>\n\n<answer>14</answer>".replace(" \n", " ")
    assert (done.interventions, done.finish_reason, trace.faults) == (("closed",), "stop", ())
    assert (trace.reasoning, trace.answer) == ("one two three", "14")


@pytest.mark.parametrize(("name", "answer"), [("boxed", " \\boxed{14}"), ("native", " 14")])
def test_formats_without_answer_tags_are_asked_in_the_words_of_s1(name: str, answer: str) -> None:
    engine = Typist(["one two three four\nfive", answer])
    done, trace = forced(engine, name, max_tokens=4)
    opening = "" if name == "boxed" else "<think>\n"
    assert done.text == f"{opening}one two three four\n</think>\n\nFinal Answer:{answer}"
    assert (trace.faults, trace.reasoning) == ((), "one two three four")
    assert engine.asked[0].prefill == "<think>\n", "for native too: what is continued must be one text"


@pytest.mark.parametrize("half", ["</", "</thi", "</think"])
def test_a_limit_inside_the_closing_tag_leaves_no_half_tag(half: str) -> None:
    replies = [f"one{half}", "14</answer>"]

    async def reply(request: Request) -> Completion:
        return Completion(request.id, replies.pop(0), 9, 1, "length" if replies else "stop")

    thinking, request = asked()
    done = asyncio.run(ForcedEngine(Calls(reply), BudgetForcing(1)).complete(request))
    assert done.text == "one\n</think>\n\n<answer>14</answer>"
    assert thinking.trace(PROMPT, "job", 0, "m", request, done).faults == ()
    assert done.logprobs is None, "the engine gave none"


@dataclass
class Calls:
    """An engine that is a function."""

    function: Callable[[Request], Awaitable[Completion]]

    async def complete(self, request: Request) -> Completion:
        return await self.function(request)


def test_an_end_of_turn_inside_the_thinking_is_the_models_own_unless_we_took_the_tag() -> None:
    own, trace = forced(Typist(["It is 14."]))
    assert (own.text, own.finish_reason, own.interventions) == ("It is 14.", "stop", ())
    assert "no_close_tag" in trace.faults
    ours, trace = forced(Typist(["14.</think>", ", yes.", "14</answer>"]), min_tokens=2, waits=1)
    assert ours.text == "14.\nWait, yes.\n</think>\n\n<answer>14</answer>"
    assert (ours.interventions, trace.faults) == (("wait", "closed"), ())


def test_an_answer_begun_inside_the_thinking_is_left_as_it_is() -> None:
    whole, trace = forced(Typist(["So <answer>14</answer>"]), min_tokens=9)
    assert (whole.text, whole.interventions) == ("So <answer>14</answer>", ())
    assert trace.faults == ("no_close_tag",)
    cut, trace = forced(Typist(["So <answer>14 and more"]), max_tokens=2)
    assert (cut.text, cut.finish_reason) == ("So <answer>14 ", "length")
    assert trace.faults[-1] == "cut_off"


@pytest.mark.parametrize("written", ["14.</think>", "one two three four"])
def test_a_later_call_that_the_engine_dies_of_is_no_full_context(written: str) -> None:
    """Too short a thought that is to go on, and an answer that is to be opened."""

    class Fragile(Typist):
        async def complete(self, request: Request) -> Completion:
            if self.asked:
                raise SetAside("the engine died 4 times while it ran this request: segmentation fault")
            return await super().complete(request)

    with pytest.raises(SetAside, match="segmentation fault"):
        forced(Fragile([written]), min_tokens=3, max_tokens=3)


def test_a_full_context_loses_nothing_that_was_written() -> None:
    with pytest.raises(RefusedRequest):
        forced(Typist(["never asked"], context=5))
    closed, trace = forced(Typist(["14. </think>"], context=20), answer_tokens=100)
    assert (closed.text, closed.finish_reason, closed.completion_tokens) == ("14. </think>", "length", 2)
    assert trace.faults == ("no_answer_open", "no_answer_close", "empty_answer", "cut_off")
    limit, _ = forced(Typist(["one two three four"], context=20), max_tokens=3, answer_tokens=100)
    assert (limit.text, limit.finish_reason, limit.interventions) == ("one two three ", "length", ())
    engine = Typist(["a b c d e f g </think>", "\n<answer>14</answer>"], context=11)
    answered, trace = forced(engine, min_tokens=10, answer_tokens=2, wait="Wait a while")
    assert answered.text == "a b c d e f g </think>\n<answer>14</answer>", "it could not go on, and its tag is put back"
    assert (answered.interventions, trace.faults) == ((), ())


def test_an_engine_that_dies_is_no_completion() -> None:
    with pytest.raises(EngineError, match="died after 1"):
        forced(FakeEngine(dies_after=1))


async def test_an_engine_that_splits_the_reasoning_off_is_named() -> None:
    async def split(request: Request) -> Completion:
        return Completion(request.id, "14", 1, 1, "stop", reasoning="Two.")

    with pytest.raises(EngineError, match="start the server without its reasoning parser"):
        await ForcedEngine(Calls(split), BudgetForcing(5)).complete(asked()[1])


def test_calls_have_ids_and_seeds_of_their_own_and_the_same_ones_again() -> None:
    engines = [Typist(["14.</think>", " on</think>", "\n<answer>14</answer>"]) for _ in range(2)]
    for engine in engines:
        forced(engine, seed=7, min_tokens=3)
    assert engines[0].asked == engines[1].asked
    assert [one.id for one in engines[0].asked] == ["r", "r.1", "r.2"]
    seeds = [one.sampling.seed for one in engines[0].asked]
    assert seeds[0] == 7
    assert len(set(seeds)) == len(seeds)
    assert all(seed is not None and 0 <= seed < 2**63 for seed in seeds)


def test_a_json_schema_binds_the_answer_alone() -> None:
    engine = Typist(["14.</think>", "{}"])
    asyncio.run(ForcedEngine(engine, BudgetForcing(9)).complete(replace(asked()[1], json_schema="{}")))
    assert [one.json_schema for one in engine.asked] == [None, "{}"]


words = st.sampled_from(["so", "14", "and", "</think>", "<answer>14</answer>", "x</think>y", "</th", "Wait", "\n"])
turns = st.lists(st.lists(words, max_size=12).map(" ".join), max_size=8)


@given(
    turns, st.integers(1, 12), st.integers(0, 12), st.integers(1, 6), st.integers(0, 4), st.integers(14, 60),
    st.sampled_from(sorted(MARKUPS)),
)  # fmt: skip
def test_whatever_is_written(
    written: list[str], most: int, least: int, answer: int, waits: int, context: int, name: str
) -> None:
    engine = Typist(list(written), context)
    limits = {"max_tokens": most, "min_tokens": min(least, most), "answer_tokens": answer, "waits": waits}
    done, trace = forced(engine, name, **limits)
    thinking = [one for one in engine.asked if "</think>" in one.stop]
    assert done.completion_tokens <= most + answer
    assert done.interventions.count("wait") == len(thinking) - 1 <= waits
    assert done.interventions.count("closed") <= 1
    assert len({one.id for one in engine.asked}) == len(engine.asked)
    assert len(done.logprobs or ()) == done.completion_tokens
    for before, after in pairwise(engine.asked):  # each call continues the one before
        kept = before.prefill.removesuffix("Wait").removesuffix("<answer>").removesuffix("Final Answer:")
        assert after.prefill.startswith(kept.rstrip().removesuffix("</think>").rstrip())
    whole = ThinkFormat.named(name).prefill + done.text
    assert whole.startswith(engine.asked[-1].prefill), "the text is what stood there and what the last call added"
    if "closed" in done.interventions and done.finish_reason == "stop" and done.text.count("</think>") == 1:
        assert "no_close_tag" not in trace.faults


@pytest.mark.parametrize("name", sorted(MARKUPS))
def test_the_fake_engine_can_be_forced(name: str) -> None:
    thinking = ThinkFormat.named(name)
    traces = []
    for number in range(50):
        request = Request(str(number), thinking.render(PROMPT.text), Sampling(), thinking.prefill, thinking.stop)
        done = asyncio.run(ForcedEngine(FakeEngine(), BudgetForcing(12, 0, 64)).complete(request))
        traces.append(thinking.trace(PROMPT, "job", 0, "fake", request, done))
    whole = [trace for trace in traces if not trace.faults]
    assert len(whole) >= 35
    assert all(trace.interventions == ("closed",) for trace in whole)
    answered = sum(bool(re.search(r"\b1[45]\b", trace.answer)) for trace in whole)
    assert answered >= 35, "8 in 10, as without a budget"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_tokens": 0}, "max_tokens: must be at least 1, got 0"),
        ({"max_tokens": 5, "min_tokens": 6}, r"min_tokens: 6 is more than max_tokens \(5\)"),
        ({"max_tokens": 5, "answer_tokens": 0}, "answer_tokens: must be at least 1"),
        ({"max_tokens": 5, "waits": -1}, "waits: must be at least 0"),
        ({"max_tokens": 5, "wait": " "}, "wait: must be a word"),
    ],
)
def test_limits_that_cannot_be(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BudgetForcing(**limits)


@pytest.fixture
def vllm() -> Iterator[Engine]:
    """The real model in a Ray actor."""
    import ray

    from tracemill.factory.cluster import connect
    from tracemill.factory.engines.vllm import VllmEngine, VllmOptions

    connect(None)
    folder = model_folder("smollm2-135m", settings().cache)
    options = VllmOptions(str(folder), max_num_seqs=16, extra={"max_model_len": 1024})
    actor = ray.remote(num_cpus=1, max_concurrency=32)(VllmEngine).remote(options)

    async def ask(request: Request) -> Completion:
        done: Completion = await actor.complete.remote(request)
        return done

    ray.get(actor.start.remote())
    yield Calls(ask)
    ray.kill(actor)


@pytest.mark.vllm
async def test_the_real_model_thinks_within_its_budget(vllm: Engine) -> None:
    shown = (Example("What is 4 + 3?", "I add 3 to 4. 4 + 3 = 7.", "7"), Example("What is 9 - 1?", "9 - 1 = 8.", "8"))
    for name in ("r1", "r1_zero", "boxed", "native"):
        thinking = ThinkFormat.named(name, () if name == "native" else shown)
        requests = [
            Request(f"{name}-{k}", thinking.render("What is 5 + 2?"), Sampling(0.7), thinking.prefill, thinking.stop)
            for k in range(12)
        ]
        forcing = ForcedEngine(vllm, BudgetForcing(max_tokens=40, min_tokens=24, answer_tokens=24))
        done = await asyncio.gather(*(forcing.complete(one) for one in requests))
        assert [one.request_id for one in done] == [one.id for one in requests]
        assert all(one.completion_tokens <= 40 + 24 for one in done)
        assert all(one.interventions.count("wait") <= min(2, one.text.count("Wait")) for one in done)
        forced_ones = [one for one in done if one.interventions]
        assert len(forced_ones) >= 8, "it thinks for a dozen tokens by itself, or without end"
        traces = [thinking.trace(PROMPT, "j", 0, "m", one, found) for one, found in zip(requests, done, strict=True)]
        closed = [trace for trace in traces if "closed" in trace.interventions and trace.finish_reason == "stop"]
        assert all(trace.reasoning for trace in closed)
        assert all("no_close_tag" not in trace.faults for trace in closed)
