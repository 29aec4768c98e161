"""Whether the markers of `filters.behaviours` find the four habits where a reader finds them, and how fast.

labelled/anatomy.jsonl says of 182 paragraphs of `traces/long_reasoning` (number of the row, number of the paragraph
between empty lines) which habits they show: V verification, B backtracking, S subgoal setting, C backward chaining.
All are from odd rows; the markers were made from the even ones. `random`: 60 of 150 to 700 characters, drawn at random;
`sought`: 62 that hold a word such as "backwards", "need to", "first", since the rarer habits are in few paragraphs;
`fresh`: 60 at random that nobody had seen until the markers were finished: the figures to quote for the commoner two.
One reader labelled them, before asking the markers: the language model that wrote them. So this says whether the
markers do what was meant, not whether people would mean the same. Data: TRACEMILL_TEST_DATA, or ../shared/data beside
the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from labelled import need_data
from labelled import rows as real_rows

from tracemill.core.anatomy import Habits
from tracemill.filters.anatomy.markers import HABITS
from tracemill.filters.behaviours import anatomy
from tracemill.pipelines.agreement import Agreement, agreement

LETTERS = dict(zip(HABITS, "VBSC", strict=True))
ROUNDS = 3


@dataclass(frozen=True)
class Labelled:
    """A paragraph with the habits that the reader saw in it, and what the markers count."""

    part: str
    letters: str
    found: Habits


def labelled(chains: list[str]) -> list[Labelled]:
    lines = (Path(__file__).parent / "labelled" / "anatomy.jsonl").read_text().splitlines()
    rows = map(json.loads, lines)
    return [
        Labelled(row["set"], row["habits"], anatomy(chains[row["row"]].split("\n\n")[row["paragraph"]]).habits)
        for row in rows
    ]


def agreed(rows: list[Labelled], habit: str) -> Agreement:
    """Of the markers with the reader, who says only whether a habit is there."""
    return agreement((min(getattr(row.found, habit), 1), int(LETTERS[habit] in row.letters)) for row in rows)


def speed(chains: list[str]) -> float:
    """MB/s of CPU time, the best of some rounds: other work on the machine slows them."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for chain in chains:
            anatomy(chain)
        seconds.append(time.process_time() - started)
    return sum(len(chain.encode()) for chain in chains) / min(seconds) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="time each twentieth chain, as CI runs it")
    step = 20 if parser.parse_args().quick else 4
    need_data()
    chains = [row["reasoning"] for row in real_rows("traces/long_reasoning")]
    rows = labelled(chains)
    for part in ("fresh", "random", "sought"):
        print(f"{part}: {sum(row.part == part for row in rows)} paragraphs")
        for habit in HABITS:
            one = agreed([row for row in rows if row.part == part], habit)
            shares = ", ".join(
                f"{name} {'-' if value is None else f'{value:.2f}'}"
                for name, value in (("precision", one.precision), ("recall", one.recall), ("kappa", one.kappa))
            )
            print(f"  {habit:<18} {shares} ({one.both} both, {one.only_first} markers, {one.only_second} reader)")
    figures: dict[str, float | None] = {}
    for habit in HABITS:
        one = agreed(rows, habit)
        figures |= {f"{habit}_precision": one.precision, f"{habit}_recall": one.recall, f"{habit}_kappa": one.kappa}
    figures["mb_per_s"] = speed(chains[::step])
    print(json.dumps({name: None if value is None else round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
