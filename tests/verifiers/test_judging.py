"""The boundary: errors become UNDECIDED, raw model text becomes a trace."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import tracemill
from tracemill.core.errors import InputError
from tracemill.core.types import Item, Outcome, Prompt, Trace, Verdict
from tracemill.verifiers import judging
from tracemill.verifiers.judging import REASON_CHARS, judge, judge_many
from tracemill.verifiers.verdicts import Undecidable
from tracemill.verifiers.worker import Pool

Case = Callable[..., tuple[Prompt, Trace]]
MANY = [
    (f"\\boxed{{{answer}}}", reference)
    for reference in ("2\\sqrt{2}", "12", "(1,2)", "\\log x", "\\frac{1", "yes")
    for answer in (
        "\\sqrt{8}",
        "12.0",
        "\\{1,2\\}",
        "\\log x+0",
        "\\log((10^9)!)",
        "",
        "no",
        "1, 2",
        "3 \\text{ or } 4",
        "\\sqrt[3]{|y|}",
    )
]


FOREIGN = """
import dataclasses, os, sys, time
from tracemill.core.types import Outcome
from tracemill.verifiers.verdicts import verdict

@dataclasses.dataclass(frozen=True)
class Foreign:
    name = "foreign"
    version = "1"
    seconds: float = 0.5

    def verify(self, prompt, trace):
        if trace.answer == "hang":
            while True: pass
        if trace.answer == "crash":
            os.abort()
        if trace.answer == "eat":
            bytearray(8 << 30)
        if trace.answer == "exit":
            sys.exit(0)
        if trace.answer == "raise":
            raise KeyboardInterrupt
        return verdict(self, trace, Outcome.CORRECT, "fine")
"""


@dataclass(frozen=True, slots=True)
class Failing:
    error: BaseException
    name: str = "failing"
    version: str = "1"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        raise self.error


Failing.__module__ = "tracemill.verifiers.failing"  # judged in this process, as our own verifiers are


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Undecidable("time_limit"), "time_limit"),
        (ValueError("two\nlines"), "error: ValueError: two lines"),
        (RecursionError(), "error: RecursionError:"),
        (MemoryError(), "error: MemoryError:"),
    ],
)
def test_an_error_is_undecided_with_its_reason(error: Exception, reason: str, make_case: Case) -> None:
    (verdict,) = judge(*make_case("1", "1"), (Failing(error),))
    assert (verdict.outcome, verdict.score, verdict.reason) == (Outcome.UNDECIDED, None, reason)


def test_a_long_error_is_cut(make_case: Case) -> None:
    (verdict,) = judge(*make_case("1", "1"), (Failing(ValueError("x" * 10_000)),))
    assert len(verdict.reason) == REASON_CHARS


def test_an_installed_verifier_that_misbehaves_costs_one_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_case: Case
) -> None:
    (tmp_path / "foreign_verifier.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(judging, "_foreign", Pool(warm=os.getpid))
    foreign = importlib.import_module("foreign_verifier").Foreign()
    answers = ["1", "hang", "2", "crash", "3", "eat", "4", "exit", "5", "raise", "6"]
    items = [Item(*make_case(answer, "")) for answer in answers]
    reasons = [verdict.reason for (verdict,) in judge_many(items, (foreign,))]
    assert reasons[::2] == ["fine"] * 6
    assert reasons[1::2] == [
        "time_limit",
        "worker_died",
        "worker_died",
        "error: SystemExit: 0",
        "error: KeyboardInterrupt: ",
    ]


def test_many_are_judged_as_one_in_every_thread() -> None:
    """Also in threads of one's own and in other processes; in Ray actors in test_worker.py."""
    alone = [tracemill.verify("math", answer, reference) for answer, reference in MANY]
    answers, references = [answer for answer, _ in MANY], [reference for _, reference in MANY]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(tracemill.verify_many, "math", answers, references) for _ in range(4)]
        results = [tracemill.verify_many("math", answers, references), *(run.result() for run in runs)]
    code = (
        f"import tracemill; print([str(v.outcome) for v in tracemill.verify_many('math', {answers!r}, {references!r})])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str([str(verdict.outcome) for verdict in alone])
    for verdicts in results:
        assert [(one.outcome, one.reason, one.extracted) for one in verdicts] == [
            (one.outcome, one.reason, one.extracted) for one in alone
        ]


def test_lists_that_differ_in_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"differ in length \(1, 2\)"):
        tracemill.verify_many("math", ["1", "2"], ["1"])
    assert tracemill.verify_many("math", [], []) == []


def test_verdicts_on_different_answers_to_one_question_are_of_different_traces() -> None:
    verdicts = tracemill.verify_many("math", ["4", "5", "4"], ["4"] * 3, ["What is 2 + 2?"] * 3)
    first, other, again = (verdict.trace_id for verdict in verdicts)
    assert first == again != other, "the same answer judged again is the same thing"


def test_an_interrupt_is_not_swallowed(make_case: Case) -> None:
    with pytest.raises(KeyboardInterrupt):
        judge(*make_case("1", "1"), (Failing(KeyboardInterrupt()),))


def test_each_verifier_gives_one_verdict_in_order(make_case: Case) -> None:
    verifiers = (Failing(ValueError(), "a"), Failing(ValueError(), "b"))
    assert [verdict.verifier for verdict in judge(*make_case("1", "1"), verifiers)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("42", Outcome.CORRECT),
        ("<think>\n6 * 7 = 42\n</think>\n\nThe answer is 42.", Outcome.CORRECT),
        ("6 * 7</think><answer>42</answer>", Outcome.CORRECT),
        ("<think>\nThe answer is 42", Outcome.UNPARSED),
        ("<think>\nThe answer is 42\n</think>\n\n41", Outcome.WRONG),
    ],
)
def test_raw_model_text_is_split_first(text: str, outcome: Outcome) -> None:
    assert tracemill.verify("math", text, "42").outcome is outcome


def test_the_format_verifier_reads_r1_markup_unless_told_otherwise() -> None:
    well_formed = "<think>\na\n</think>\n\n<answer>\n42\n</answer>"
    assert tracemill.verify("format", well_formed, "").outcome is Outcome.CORRECT
    assert tracemill.verify("format", "<think>a</think>42", "").reason == "no_answer_open, no_answer_close"
    assert tracemill.verify("format", "<think>a", "").reason.startswith("no_close_tag")
    native = {"thinking": "native"}
    assert tracemill.verify("format", "<think>a</think>42", "", metadata=native).outcome is Outcome.CORRECT


def test_unknown_names_are_the_users_mistake() -> None:
    with pytest.raises(InputError, match="did you mean 'math'"):
        tracemill.verify("maths", "1", "1")
    with pytest.raises(InputError, match=r"metadata\.thinking: unknown think format"):
        tracemill.verify("math", "1", "1", metadata={"thinking": "r2"})
