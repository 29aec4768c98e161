"""Answers judged a second against a plain loop of `math_verify.parse` and `verify`, on the same real answers.

Needs the labelled answers (TRACEMILL_TEST_DATA): twelve models on 721 problems of MATH level 5, and two models on
GSM8K. Three processes, pinned to cores, take turns on the same blocks of answers: the loop on one core, ours on one,
ours on two. Every verdict that differs is printed with its reason. Ends with one line of JSON: speedup_1core,
speedup_2core, p99_ratio (our 99th percentile latency over the loop's), differences.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import multiprocessing
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from labelled import DATA, need_data

BLOCK = 500
"""Answers a turn."""


@dataclass(frozen=True, slots=True)
class Row:
    """One real answer."""

    gold: str
    text: str
    question: str
    who: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What one process made of a block."""

    seconds: float
    latencies: list[float]
    labels: list[tuple[bool, str]]
    """Whether the answer counts as right, and why."""


def rows(folder: Path) -> Iterator[Row]:
    """The answers that the models' own marks point at, boxed; where there is no mark, their whole texts."""
    for row in read(folder / "labelled" / "math_l5_outputs.jsonl.gz"):
        text = f"\\boxed{{{row['answer']}}}" if row["answer"] else row["output"]
        yield Row(row["gold"], text, row["problem"], row["model"])
    for row in read(folder / "labelled" / "gsm8k_solutions.jsonl.gz"):
        text = re.sub(r"\nA: ?(?=[^\n]*$)", "\n#### ", row["solution"])
        yield Row(row["gold"], text, row["problem"], row["model"])


def read(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt") as lines:
        yield from map(json.loads, lines)


def loop(block: list[Row]) -> Turn:
    """The peer: math-verify as its README shows, one answer after the other."""
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)  # it logs each time limit
    latencies, labels = list[float](), list[tuple[bool, str]]()
    for row in block:
        started = time.perf_counter()
        try:
            right = bool(verify(parse(f"\\boxed{{{row.gold}}}"), parse(row.text)))
        except Exception as error:  # noqa: BLE001 - a plain loop would end here
            right = False
            print(f"the loop raised {error!r}")
        latencies.append(time.perf_counter() - started)
        labels.append((right, ""))
    return Turn(sum(latencies), latencies, labels)


def ours_in_turn(block: list[Row]) -> Turn:
    """`tracemill.verify`, one answer after the other."""
    import tracemill

    latencies, labels = list[float](), list[tuple[bool, str]]()
    for row in block:
        started = time.perf_counter()
        verdict = tracemill.verify("math", row.text, row.gold, row.question)
        latencies.append(time.perf_counter() - started)
        labels.append((verdict.outcome == "correct", f"{verdict.outcome}: {verdict.reason}"))
    return Turn(sum(latencies), latencies, labels)


def ours_at_once(block: list[Row]) -> Turn:
    """`tracemill.verify_many`."""
    import tracemill

    started = time.perf_counter()
    answers, references = [row.text for row in block], [row.gold for row in block]
    verdicts = tracemill.verify_many("math", answers, references, [row.question for row in block])
    seconds = time.perf_counter() - started
    labels = [(one.outcome == "correct", f"{one.outcome}: {one.reason}") for one in verdicts]
    return Turn(seconds, [one.elapsed_ms / 1000 for one in verdicts], labels)


def serve(pipe: Connection, judge: Callable[[list[Row]], Turn], cores: set[int]) -> None:
    """A pinned process that judges blocks until it is sent an empty one."""
    os.sched_setaffinity(0, cores)
    while block := pipe.recv():
        pipe.send(judge(block))


def start(judge: Callable[[list[Row]], Turn], cores: set[int]) -> Connection:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=serve, args=(there, judge, cores), daemon=False).start()
    here.send(
        [Row("\\log x", f"\\boxed{{\\log x+{zero}-{zero}}}", "", "") for zero in range(1, 33)]
    )  # starts its workers
    here.recv()
    return here


def measure(found: list[Row]) -> dict[str, float]:
    cores = sorted(os.sched_getaffinity(0))[:2]
    sides = {
        "math-verify, 1 core": start(loop, {cores[0]}),
        "ours, 1 core": start(ours_in_turn, {cores[0]}),
        "ours, 2 cores": start(ours_at_once, set(cores)),
    }
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for at in range(0, len(found), BLOCK):
        for name, pipe in sides.items():
            pipe.send(found[at : at + BLOCK])
            turns[name].append(pipe.recv())
    for pipe in sides.values():
        pipe.send([])
    seconds = {name: sum(turn.seconds for turn in turns[name]) for name in sides}
    p99 = {}
    print(f"{'':22}{'answers/s':>10}{'median ms':>11}{'p99 ms':>9}{'worst ms':>10}")
    for name in sides:
        latencies = sorted(1000 * one for turn in turns[name] for one in turn.latencies)
        p99[name] = statistics.quantiles(latencies, n=100)[98]
        middle = statistics.median(latencies)
        print(f"{name:22}{len(found) / seconds[name]:>10,.0f}{middle:>11.3f}{p99[name]:>9.2f}{latencies[-1]:>10.1f}")
    labels = [[label for turn in turns[name] for label in turn.labels] for name in sides]
    assert [right for right, _ in labels[1]] == [right for right, _ in labels[2]]
    peer, one, two = sides
    return {
        "speedup_1core": round(seconds[peer] / seconds[one], 2),
        "speedup_2core": round(seconds[peer] / seconds[two], 2),
        "p99_ratio": round(p99[one] / p99[peer], 4),
        "differences": differences(found, labels[0], labels[1]),
    }


def differences(found: list[Row], theirs: list[tuple[bool, str]], own: list[tuple[bool, str]]) -> int:
    """Prints every answer that the two label differently, grouped by what ours says of it."""
    groups: dict[str, list[Row]] = {}
    for row, (peer, _), (right, reason) in zip(found, theirs, own, strict=True):
        if peer != right:
            kind = reason.split(": ")
            groups.setdefault(f"math-verify {'right' if peer else 'wrong'}, ours {kind[0]}/{kind[1]}", []).append(row)
    for name, members in sorted(groups.items(), key=lambda item: -len(item[1])):
        print(f"{len(members):>5}  {name}")
        for row in members[:8]:
            print(f"         {row.gold!r} against {row.text[-70:]!r} ({row.who})")
    print(f"ours: {dict(Counter(reason.split(': ')[0] for _, reason in own).most_common())}")
    return sum(map(len, groups.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every eighth answer, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    found = list(rows(DATA))
    print(json.dumps(measure(found[::8] if quick else found)))


if __name__ == "__main__":
    main()
