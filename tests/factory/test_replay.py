"""The engine that gives recorded completions back, as an engine's own would come."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import RefusedRequest
from tracemill.core.ids import prompt_id
from tracemill.core.types import Completion, Prompt, Request, Sampling, Trace
from tracemill.factory.engines.replay import ReplayEngine, ReplayOptions
from tracemill.factory.layouts import ColumnLayout
from tracemill.factory.recording import Recording, Source, Survey
from tracemill.factory.thinking import ThinkFormat

PROMPT = Prompt(prompt_id("1 + 1?", "math", "2"), "1 + 1?", "math", "math", "2", "rows.jsonl")


def recorded(folder: Path, **row: Any) -> Recording:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "1 + 1?", "answer": "2", **row}) + "\n")
    named: dict[str, Any] = {name: name for name in row}
    return Recording([Source(path, replace(ColumnLayout(), **named))])


def request(thinking: ThinkFormat, sample: int = 0) -> Request:
    return Request(
        id=f"r{sample}",
        prompt=thinking.render(PROMPT.text),
        sampling=Sampling(),
        prefill=thinking.prefill,
        stop=thinking.stop,
        prompt_id=PROMPT.id,
        sample=sample,
    )


def ask(recording: Recording, thinking: str, sample: int = 0) -> tuple[Completion, Trace]:
    with recording:
        form = ThinkFormat.named(thinking)
        asked = request(form, sample)
        done = asyncio.run(ReplayEngine(recording).complete(asked))
        return done, form.trace(PROMPT, "job", sample, done.model or "?", asked, done)


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    row = {"completion": "2", "reasoning": "Easy.", "model": "m", "prompt_tokens": 7, "completion_tokens": 11, "finish_reason": "length"}  # fmt: skip
    done, trace = ask(recorded(tmp_path, **row), "native")
    assert done == Completion("r0", "2", 7, 11, "length", reasoning="Easy.", model="m")
    assert (trace.reasoning, trace.answer, trace.faults) == ("Easy.", "2", ("cut_off",))


def test_what_was_not_counted_is_estimated_and_an_unknown_model_named_so(tmp_path: Path) -> None:
    done, _ = ask(recorded(tmp_path, completion="x" * 41), "native")
    assert (done.prompt_tokens, done.completion_tokens, done.finish_reason, done.model) == (2, 11, "stop", "recorded")


@pytest.mark.parametrize("thinking", ["native", "boxed"])
@pytest.mark.parametrize(
    ("text", "reasoning", "answer", "faults"),
    [
        ("<think>\nEasy.\n</think>\n\\boxed{2}", "Easy.", "\\boxed{2}", ()),
        ("<think>Easy.</think>\\boxed{2}", "Easy.", "\\boxed{2}", ()),
        ("It is \\boxed{2}", "", "It is \\boxed{2}", ("no_think",)),
        ("<think>\nEasy, but", "Easy, but", "", ("no_close_tag", "empty_answer")),
        ("So.\n<think>\nEasy.\n</think>\n\\boxed{2}", "So.\n<think>\nEasy.", "\\boxed{2}", ("text_outside",)),
    ],
)
def test_a_whole_text_is_split_as_it_stands_whatever_a_request_opens(
    tmp_path: Path, thinking: str, text: str, reasoning: str, answer: str, faults: tuple[str, ...]
) -> None:
    _, trace = ask(recorded(tmp_path, completion=text), thinking)
    assert (trace.reasoning, trace.answer, trace.faults) == (reasoning, answer, faults)


def test_a_text_that_goes_on_after_an_opening_is_opened_by_the_formats_that_do(tmp_path: Path) -> None:
    text = "Easy.\n</think>\n\\boxed{2}"
    _, opened = ask(recorded(tmp_path, completion=text), "boxed")
    assert (opened.reasoning, opened.faults) == ("Easy.", ())
    _, plain = ask(recorded(tmp_path, completion=text), "native")
    assert plain.faults == ("no_open_tag",)


def test_a_sample_that_was_not_recorded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedRequest, match="only 1 completions were recorded"):
        ask(recorded(tmp_path, completion="2"), "native", sample=1)


def test_latency_is_that_of_the_request(tmp_path: Path) -> None:
    """Ten thousand seconds of engine time pass at once: only their order is looked at."""
    with recorded(tmp_path, completion=["a"] * 100) as recording:
        engine = ReplayEngine(recording, ReplayOptions(seconds=0.2))
        waits = [engine.latency(request(ThinkFormat.named("native"), sample)) for sample in range(100)]
        assert waits == [engine.latency(request(ThinkFormat.named("native"), sample)) for sample in range(100)]
        assert 0.1 <= min(waits) < 0.15
        assert 0.25 < max(waits) < 0.3


def test_real_completions_of_five_models(real_data: Path) -> None:
    """Every completion of the first 2,000 rows of reasoning-gym's own runs, three of a row, by prompt and number."""
    path = real_data / "labelled" / "reasoning_gym_completions.jsonl.gz"
    layout = ColumnLayout("question", "expected_answer", "completions.text", model="model", metadata=("task",))
    source = Source(path, layout, verifier="reasoning_gym", limit=2000)
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(next(lines)) for _ in range(2000)]
    expected: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        key = prompt_id(row["question"], "reasoning_gym", row["expected_answer"] or "")
        expected.setdefault(key, []).extend(
            (one["text"], row["model"]) for one in row["completions"] if one["text"] is not None
        )
    survey = Survey()
    prompts = {prompt.id: prompt for prompt in survey.prompts(source)}
    assert prompts.keys() == expected.keys()
    assert {prompt.metadata["task"] for prompt in prompts.values()} == {row["task"] for row in rows}
    with Recording([source]) as recording:
        for key, found in expected.items():
            assert survey.count(key) == len(found)
            back = [recording.completion(key, sample) for sample in range(len(found))]
            assert [(one.text, one.model) for one in back] == found
