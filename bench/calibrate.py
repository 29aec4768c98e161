"""How the figures that filters decide by are distributed over real chains, and what the defaults drop of them.

Prints the tables of docs/calibration.md, which `make docs` puts into docs/reference/filters.md. Chains
are `traces/long_reasoning`, of which the 621 of over 200 words are taken for shares; 58 of them come without an answer,
as they were cut off. Correct solutions are those of `labelled/math_l5_outputs` whose answer is the reference as it
stands; code is allowed in them. Filters that do nothing without files or words of the user's are left out.

Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from labelled import need_data, rows

from tracemill.core import plugins
from tracemill.core.languages import consistency
from tracemill.core.types import Prompt, Trace
from tracemill.filters.length import count_words
from tracemill.filters.repetition import repetition
from tracemill.verifiers.judging import unsampled_trace

OPTIONS: dict[str, dict[str, Any]] = {"readability": {"code": True}}
LEFT_OUT = ("contamination", "safety")
QUANTILES = (0.01, 0.5, 0.9, 0.99, 1.0)
ENOUGH = 200
"""Words from which a share says something."""

Example = tuple[Trace, Prompt]


def example(question: str, reference: str, reasoning: str, answer: str) -> Example:
    prompt = Prompt(question, question, "math", "math", reference, "bench")
    return unsampled_trace(prompt, answer, reasoning), prompt


def chains() -> list[Example]:
    return [example(row["prompt"], "", row["reasoning"], row["answer"] or "") for row in rows("traces/long_reasoning")]


def correct_solutions() -> list[Example]:
    return [
        example(row["problem"], row["gold"], row["output"], "")
        for row in rows("labelled/math_l5_outputs")
        if str(row["answer"]).strip() == str(row["gold"]).strip()
    ]


def longest_paragraph(text: str) -> int:
    return max(map(count_words, re.split(r"\n[ \t]*\n", text)))


FIGURES: dict[str, Callable[[str], float]] = {
    "length: words": count_words,
    "readability: words of the longest paragraph": longest_paragraph,
    "repetition: share in loops": lambda text: repetition(text).looped,
    "repetition: share in counting loops": lambda text: repetition(text).counted,
    "repetition: share of repeated runs": lambda text: repetition(text).repeated,
    "language: share of English": lambda text: consistency(text, "en").share,
}
DEFAULTS = ("5 to 32,000", "1,500", "0.05", "0.02", "0.65", "at least 0.9")


def figure_rows(texts: list[str]) -> Iterator[str]:
    long = [text for text in texts if count_words(text) > ENOUGH]
    for (name, figure), default in zip(FIGURES.items(), DEFAULTS, strict=True):
        values = np.array([figure(text) for text in (texts if "words" in name else long)])
        shown = " | ".join(
            f"{value:,.0f}" if "words" in name else f"{value:.3f}" for value in np.quantile(values, QUANTILES)
        )
        yield f"| {name} | {shown} | {default} |"


def drops(filters: dict[str, Any], examples: list[Example]) -> dict[str, Counter[str]]:
    """By filter, the reasons of what its defaults drop, each filter asked of all."""
    found: dict[str, Counter[str]] = {name: Counter() for name in filters}
    for trace, prompt in examples:
        for name, one in filters.items():
            if (drop := one.check(trace, prompt)) is not None:
                found[name][drop.reason] += 1
    return found


def main() -> None:
    need_data()
    long, correct = chains(), correct_solutions()
    print("| figure | p1 | p50 | p90 | p99 | most | default |\n|---|---|---|---|---|---|---|")
    print("\n".join(figure_rows([trace.reasoning for trace, _ in long])))
    kinds = {
        name: plugins.get("filters", name, OPTIONS.get(name))
        for name in plugins.load("filters")
        if name not in LEFT_OUT
    }
    filters = {name: one for name, one in kinds.items() if hasattr(one, "check")}
    print(f"\n| filter | of {len(long):,} chains | of {len(correct):,} correct solutions |\n|---|---|---|")
    of_long, of_correct = drops(filters, long), drops(filters, correct)
    for name in filters:
        told = (
            ", ".join(f"{count} {reason}" for reason, count in of[name].most_common()) for of in (of_long, of_correct)
        )
        print(f"| {name} | {' | '.join(one or '0' for one in told)} |")
    totals = {name: [of_long[name].total(), of_correct[name].total()] for name in filters}
    print(json.dumps({"chains": len(long), "correct_solutions": len(correct), "drops": totals}))


if __name__ == "__main__":
    main()
