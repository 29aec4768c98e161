"""A teacher of addition that forgets the carry: what it wrote down, and questions that are held out."""

from __future__ import annotations

import json
import random
from pathlib import Path

HELD_OUT = 500
TRACES = 9_000
FORGETS = 0.6
"""How often it forgets the carry, where there is one."""


def chain(a: int, b: int, forgets: bool) -> str:
    """Units, then tens with the carry, if it is not forgotten; then the answer."""
    units = a % 10 + b % 10
    carry = int(units > 9 and not forgets)
    tens = a // 10 + b // 10 + carry
    return (
        f"<think>\n{a % 10}+{b % 10}={units}\n{a // 10}+{b // 10}+{carry}={tens}\n</think>\n\n{tens * 10 + units % 10}"
    )


def write(folder: Path, seed: int) -> None:
    """`teacher.jsonl`: prompt, answer (the right one), completion (a chain digit by digit, and the teacher's answer).
    `held_out.jsonl`: prompt and answer of other sums."""
    dice = random.Random(seed)
    sums = [(a, b) for a in range(100) for b in range(100)]
    dice.shuffle(sums)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "held_out.jsonl").open("w") as file:
        for a, b in sums[:HELD_OUT]:
            file.write(json.dumps({"prompt": f"{a}+{b}=", "answer": str(a + b)}) + "\n")
    with (folder / "teacher.jsonl").open("w") as file:
        for a, b in sums[HELD_OUT : HELD_OUT + TRACES]:
            row = {"prompt": f"{a}+{b}=", "answer": str(a + b)}
            file.write(json.dumps(row | {"completion": chain(a, b, dice.random() < FORGETS)}) + "\n")
