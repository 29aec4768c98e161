"""The boundary: errors become UNDECIDED, raw model text becomes a trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

import tracemill
from tracemill.core.errors import InputError
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.judging import REASON_CHARS, judge
from tracemill.verifiers.verdicts import Undecidable

Case = Callable[..., tuple[Prompt, Trace]]


@dataclass(frozen=True, slots=True)
class Failing:
    error: BaseException
    name: str = "failing"
    version: str = "1"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        raise self.error


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
