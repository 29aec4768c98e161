"""Two hundred answers made to hang, crash or blow up a grader: each gets a verdict, none of them right."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import Counter

import psutil
import pytest

import tracemill
from tracemill.core.types import Outcome


def towers() -> list[str]:
    shapes = (
        "9^{9^{9^9}}",
        "9^{9^{99}}",
        "2^{2^{2^{2^{2^2}}}}",
        "(10^9)!",
        "((9!)!)!",
        "\\binom{10^8}{5000000}",
        "10^{10^{10}}",
    )
    wraps = (
        "{}",
        "|{}|",
        "\\frac{{1}}{{{}}}",
        "\\sqrt{{|{}|}}",
        "{}-{}",
        "\\sin({})",
        "\\log({})",
        "x^{{{}}}",
        "({}, {})",
    )
    return [wrap.replace("{}", shape).replace("{{", "{").replace("}}", "}") for wrap in wraps for shape in shapes]


def sums() -> list[str]:
    return [
        "\\sum_{k=1}^{10^{9}} k^{k}", "\\prod_{k=1}^{10^7} k", "\\int_0^1 x^{x^{x}} dx", "\\lim_{x \\to 0} x^{x^x}",
        "\\sum_{n=1}^{\\infty} \\frac{1}{n^{n}}", "0.\\overline{" + "7" * 900 + "}", "1e999999999", "10^{-999999999}",
        "1/(10^{-400}-10^{-400})", "\\frac{1}{0}", "\\frac{0}{0}", "0^0", "\\log 0", "\\tan(\\pi/2)", "(-1)^{1/3}",
        "\\infty-\\infty", "NaN", "inf", "1" * 1999, "." * 1999, "1." * 900, "-" * 1999 + "1", "+-" * 900 + "1",
    ]  # fmt: skip


def nested() -> list[str]:
    pairs = (("(", ")"), ("{", "}"), ("[", "]"), ("\\frac{1}{", "}"), ("\\sqrt{", "}"), ("\\left(", "\\right)"), ("|", "|"),
             ("\\{", "\\}"), ("\\text{", "}"), ("-(", ")"), ("2^{", "}"), ("f(", ")"))  # fmt: skip
    return [left * depth + "1" + right * depth for left, right in pairs for depth in (30, 150, 5_000)]


def long() -> list[str]:
    parts = (
        "1 ",
        "9",
        "1+",
        "x",
        "(",
        "\\frac",
        "\\boxed{",
        "1,",
        "{",
        "}",
        "\\\\",
        "$",
        "&",
        "\\text{a} ",
        "=1",
        "1<",
        "!",
        "^",
        "_",
        "\\or ",
    )
    return [part * (2**20 // len(part)) for part in parts] + [part * 400 for part in parts]


def odd() -> list[str]:
    marks = (
        "\0",
        "\ud800",
        "\udfff",
        "\u202e",
        "\u200f",
        "\u2066",
        "\ufeff",
        "\x1b[2J",
        "\r",
        "\u0301" * 50,
        "\U0010ffff",
        "\\u0000",
    )
    return [text for mark in marks for text in (f"12{mark}", f"{mark}12", f"1{mark}2")]


def commands() -> list[str]:
    return [
        "__import__('os').abort()", "\\input{/etc/passwd}", "\\write18{id}", "\\def\\a{\\a\\a}\\a", "\\newcommand{\\x}{\\x}\\x",
        "%s%s%n", "{0.__class__}", "'; DROP TABLE traces; --", "<script>alert(1)</script>", "eval(1)", "lambda: 0",
    ]  # fmt: skip


WORKERS = 1 + 2 * max(2, (os.cpu_count() or 1) // 2)
"""Processes of one full pool: its zygote, and a keeper and a runner for each slot."""
BATCH = list(itertools.chain(towers(), sums(), nested(), long(), odd(), commands()))


def _workers() -> int:
    """How many processes this one has started that live; killed workers may go while they are counted."""
    living = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            living += child.status() != psutil.STATUS_ZOMBIE
    return living


def _memory() -> int:
    """Bytes that only this process and those that it started hold; forked ones share most of theirs."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().uss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


@pytest.mark.timeout(300)
def test_two_hundred_hostile_answers() -> None:
    assert len(BATCH) >= 200
    others = _workers()
    warm = [f"\\boxed{{{number}-\\log 1}}" for number in range(8)]
    tracemill.verify_many("math", warm, ["1"] * 8)
    memory = _memory()
    started = time.monotonic()
    verdicts = tracemill.verify_many("math", [f"\\boxed{{{text}}}" for text in BATCH], ["12"] * len(BATCH))
    seconds = time.monotonic() - started
    print(f"{len(BATCH)} hostile answers in {seconds:.1f} s: {Counter(v.outcome.value for v in verdicts)}")  # noqa: T201
    wrongly = [
        (text[:40], v)
        for text, v in zip(BATCH, verdicts, strict=True)
        if v.outcome is Outcome.CORRECT and "12" not in text.replace("\ufeff", "")  # which has no width
    ]
    assert wrongly == []
    assert [v.outcome.value for v in tracemill.verify_many("math", warm, ["1"] * 8)] == [
        "correct" if number == 1 else "wrong" for number in range(8)
    ]
    until = time.monotonic() + 30
    while _workers() > others + WORKERS and time.monotonic() < until:  # a killed worker is still being reaped
        time.sleep(0.1)
    assert _workers() <= others + WORKERS, "killed workers stayed"
    assert _memory() < memory + 200 * 2**20, "memory grew"


@pytest.mark.parametrize("name", ["exact", "numeric", "choice", "reasoning_gym", "format", "language"])
def test_other_verifiers_judge_the_same_batch(name: str) -> None:
    extra = {"task": "chain_sum", "choices": ["3", "4"]}
    references = {"choice": "A"}
    verdicts = tracemill.verify_many(
        name, BATCH, [references.get(name, "987")] * len(BATCH), metadata=[extra] * len(BATCH)
    )
    assert len(verdicts) == len(BATCH)
    assert os.getpid() == psutil.Process().pid
    if name not in ("format", "language"):
        assert [verdict for verdict in verdicts if verdict.outcome is Outcome.CORRECT] == []
