"""Sifting on one process, on many and on Ray: the same drops; a job's drops follow its traces."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from tests.corpus.conftest import Build

from tracemill.core.errors import InputError
from tracemill.core.settings import Settings
from tracemill.core.types import Item, Outcome, Prompt, Trace
from tracemill.corpus.selection import Selection, select
from tracemill.corpus.store import Corpus
from tracemill.factory.cluster import connect
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.job_sifting import job_drops, sift
from tracemill.pipelines.policy import Policy, policy_of
from tracemill.pipelines.sifting import PART, Traces, drops_of
from tracemill.pipelines.spread import spread

TEXTS = ["A chain of more than five words in all.", "Too short.", "A chain of more than five words in all!"]
FARM = (
    "Let me think about this step by step. The farmer sells a quarter of his forty-eight sheep at the market, which is "
    "twelve of them, and so he has thirty-six left over. After that he buys as many lambs as he had sold before."
)


def policy(*filters: Any) -> Policy:
    return policy_of(recipes.sections_of(list(filters), "filters"))


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(corpus=tmp_path / "corpus", cache=tmp_path / "cache")


def square(number: int) -> int:
    if number < 0:
        raise InputError(f"number: {number} is negative")
    return number * number


def die(number: int) -> int:
    if number == 5:
        os._exit(1)
    return number


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_parts(workers: int) -> None:
    assert list(spread(square, range(50), workers)) == [number * number for number in range(50)]
    assert list(spread(square, [], workers)) == []
    assert list(spread(square, [7], workers)) == [49]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_is_raised_as_it_is(workers: int) -> None:
    with pytest.raises(InputError, match=r"^number: -3 is negative$"):
        list(spread(square, [1, 2, -3, 4], workers))


def test_a_worker_that_is_killed_is_one_line() -> None:
    with pytest.raises(Exception, match="a worker process ended"):
        list(spread(die, range(20), 2))


def test_only_a_few_parts_are_read_ahead() -> None:
    read: list[int] = []

    def parts() -> Any:
        for number in range(1000):
            read.append(number)
            yield number

    results = spread(square, parts(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(read) < 20
    results.close()  # type: ignore[attr-defined]


@pytest.mark.ray
def test_the_same_on_ray(own_cluster: None) -> None:
    connect(None)
    address = ray.get_runtime_context().gcs_address
    assert list(spread(square, range(20), address=address)) == [number * number for number in range(20)]
    with pytest.raises(InputError, match=r"^number: -3 is negative$"):
        list(spread(square, [1, 2, -3, 4], address=address))


def one(item: Item) -> tuple[Item]:
    return (item,)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_that_refuses_a_trace_counts(make_items: Callable[..., list[Item]], workers: int) -> None:
    items = make_items(TEXTS * PART)
    chosen = policy("exact_duplicates", {"length": {"max_words": 7}}, "length")
    drops = drops_of(Traces(lambda: items, one), chosen.filters, chosen.sieves, workers=workers)
    assert {drop.reason for drop in drops.values()} == {"too_long", "too_short"}
    assert len(drops) == len(items), "nothing is left for the sieve"
    kinds = policy("exact_duplicates", "length")
    drops = drops_of(Traces(lambda: items, one), kinds.filters, kinds.sieves, workers=workers)
    assert sorted({item.trace.id for item in items} - drops.keys()) == ["t0", "t2"]


@pytest.fixture
def make_items() -> Callable[[list[str]], list[Item]]:
    def make(texts: list[str]) -> list[Item]:
        prompt = Build.prompt(1)
        return [
            Item(prompt, Build.trace(prompt, number, id=f"t{number}", reasoning=text))
            for number, text in enumerate(texts)
        ]

    return make


def job(corpus: Corpus, name: str, texts: dict[int, list[str]]) -> list[Trace]:
    """A job of correct traces: by the number of the prompt what its samples say."""
    made = []
    for number, chains in texts.items():
        prompt = Build.prompt(number)
        corpus.add_prompts([prompt])
        traces = [Build.trace(prompt, k, job_id=name, reasoning=text, answer="2") for k, text in enumerate(chains)]
        Build.store(corpus, [(trace, [Build.verdict(trace)]) for trace in traces], name)
        made += traces
    return made


def test_more_samples_bring_back_what_a_sieve_dropped(here: Settings) -> None:
    corpus = Corpus.open(here.corpus)
    chosen = policy({"difficulty": {"max_rate": 0.8}})
    first = job(corpus, "job", {1: ["one"]})
    sift("job", chosen, corpus, here)
    assert select(corpus, "job", chosen.id, "set", Selection()).rows == 0, "1 of 1 is correct: too easy"
    prompt: Prompt = Build.prompt(1)
    wrong = Build.trace(prompt, 1, job_id="job", reasoning="two", answer="3")
    Build.store(corpus, [(wrong, [Build.verdict(wrong, Outcome.WRONG)])], "job")
    sift("job", chosen, corpus, here)
    found = select(corpus, "job", chosen.id, "set", Selection())
    assert found.rows == 1
    assert [row["trace_id"] for row in corpus.rows("SELECT trace_id FROM datasets", {})] == [first[0].id]


def test_only_copies_of_what_an_earlier_job_has_kept_fall(here: Settings) -> None:
    corpus = Corpus.open(here.corpus)
    chosen = policy({"near_duplicates": {"scope": "corpus"}})
    other = FARM.replace("sheep", "cows").replace("lambs", "calves").replace("market", "fair")
    (kept,) = job(corpus, "early", {1: [FARM]})
    copy, new, again = job(corpus, "late", {1: [FARM + " So.", other, other + " So."]})

    def late() -> dict[str, str]:
        return {drop.trace_id: drop.detail.split(":")[0] for drop in job_drops("late", chosen, corpus, here).values()}

    def cut(name: str, rules: Policy) -> None:
        sift(name, rules, corpus, here)
        select(corpus, name, rules.id, name, Selection())

    assert late() == {again.id: new.id}, "the earlier job has selected nothing yet, and may keep nothing"
    cut("early", policy({"length": {"min_words": 500}}))
    assert late() == {again.id: new.id}, "it kept nothing"
    cut("early", policy({"length": {"min_words": 10}}))
    both = {copy.id: kept.id, again.id: new.id}
    assert late() == both, "whatever an earlier policy of it had dropped"
    cut("late", chosen)
    assert job_drops("early", chosen, corpus, here) == {}, "the older job's traces stay"
    assert late() == both, "with the index that is there"
    assert {drop.trace_id for drop in job_drops("late", policy("near_duplicates"), corpus, here).values()} == {again.id}
