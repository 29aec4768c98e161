"""The live line: what it counts, what it costs, and what the replicas do."""

from __future__ import annotations

import io
import math
import sys

import pytest

from tracemill.cli import progress as display
from tracemill.cli.progress import duration, figures, interval, progress_display, replica_line
from tracemill.factory.figures import PoolFigures, ReplicaFigures, ReplicaState
from tracemill.pipelines.pace import Eta
from tracemill.pipelines.progress import Progress, Queues


def replica(state: ReplicaState = ReplicaState.READY, reason: str = "", restarts: int = 0) -> ReplicaFigures:
    return ReplicaFigures(
        "replica-0", "node-a", state, 60, 4, 9000, 3000, 900.4, 300.0, 0.97, 0.5, 9.7, 10.0, restarts, 1.0, reason
    )


def progress(**more: object) -> Progress:
    plain = {"total": 100, "durable": 40, "new": 40, "correct": 10, "refused": {}, "prompt_tokens": 0}
    return Progress(**(plain | {"completion_tokens": 800, "seconds": 8.0} | more))  # type: ignore[arg-type]


def test_figures_say_what_they_count() -> None:
    assert figures(progress()) == "100 tokens/s  10 correct (25.0%)  80 tokens a correct one"
    resumed = progress(durable=90, eta=Eta(1.0, 2.0, 4.0))
    assert figures(resumed) == "100 tokens/s  10 correct of 40 new (25.0%)  80 tokens a correct one  ETA 2s (1s to 4s)"
    pool = PoolFigures((replica(), replica(ReplicaState.RESTARTING)), 0, 0, 0)
    loaded = figures(progress(engines=(pool,), queues=Queues(64, 3, 1), eta=Eta(60.0, 90.0, math.inf)))
    assert loaded == (
        "100 tokens/s  10 correct (25.0%)  80 tokens, 2 GPU-s a correct one  engines 97% busy  "
        "waiting: 64 engine, 3 verdict, 1 disk  ETA 1m30s (1m00s to ?)"
    )
    assert figures(progress(new=0, correct=0)) == "100 tokens/s  0 correct of 0 new (0.0%)"


def test_a_replica_has_a_line() -> None:
    assert replica_line(replica()) == "replica-0 (node-a)  900 + 300 tokens/s  97% busy  60 running, 4 waiting"
    died = replica(ReplicaState.RESTARTING, "its process died", 2)
    assert replica_line(died) == "replica-0 (node-a)  restarting: its process died  2 restarts"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.6, "1m00s"), (200, "3m20s"), (3599.7, "1h00m"), (7500, "2h05m"), (273_600, "3d4h")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_interval_that_is_none_is_not_shown() -> None:
    assert interval(5.0, 5.0, 5.0) == interval(5.0, None, None) == "5s"


def test_on_a_terminal_there_is_a_bar_with_a_line_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    with progress_display(100) as watch:
        watch.on_stage("generating")
        watch.on_progress(progress(engines=(PoolFigures((replica(),), 0, 0, 0),)))
    shown = out.getvalue()
    assert "40/100" in shown
    assert "replica-0 (node-a)  900 + 300 tokens/s" in shown
    assert display.STAGES["generating"] in shown


def test_elsewhere_there_is_a_line_now_and_then_and_the_last_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_display(100) as watch:
        watch.on_stage("generating")
        for durable in range(90, 130):  # retries come on top: each is the last so far
            watch.on_progress(progress(total=max(100, durable), durable=durable))
        watch.on_stage("selecting")
    lines = [line.split("  ")[1] if line.startswith("  ") else line for line in capsys.readouterr().out.splitlines()]
    assert lines == ["generating …", "90/100 samples", "129/129 samples", "selecting …"]


def test_what_was_not_said_when_it_ends_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        with progress_display(100) as watch:
            watch.on_progress(progress(durable=10))
            watch.on_progress(progress(durable=11))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    said = [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["10/100 samples", "11/100 samples"]
