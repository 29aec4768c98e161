"""Precision and recall of the format verifier on real chains with one rule broken, against open-r1's regex.

Each of the 627 chains of `traces/long_reasoning` is written in each think format, well-formed and with every single
damage of `damages` (a tag missing, twice, mangled, in the wrong order; text outside; nothing inside; …). Counted are
well-formed completions that pass, damaged ones that do not, and damages that a reason names. The peer judges the
`r1` ones, with the line breaks that it insists on. Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone.
Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from labelled import DATA, need_data

from tracemill.core.markup import MARKUPS, Markup, split
from tracemill.core.types import Outcome, Prompt, Sampling, Trace, Verdict
from tracemill.verifiers.format import Format
from tracemill.verifiers.judging import judge

# huggingface/open-r1, src/open_r1/rewards.py: format_reward
OPEN_R1 = re.compile(r"^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$", re.DOTALL | re.MULTILINE)


def damages(markup: Markup, reasoning: str, answer: str) -> Iterator[tuple[str, str]]:
    """A well-formed completion with one rule broken: the fault that must be named, and the text."""
    good = markup.join(reasoning, answer)
    think = {"<think>": "no_open_tag", "</think>": "no_close_tag"}
    tags = {**think, **({"<answer>": "no_answer_open", "</answer>": "no_answer_close"} if markup.answer_tags else {})}
    for tag, fault in tags.items():
        yield fault, good.replace(tag, "")
        yield "repeated_tag", good.replace(tag, f"{tag} {tag}")
        yield "control_token", good.replace(tag, tag.replace(">", " >"))
        yield "control_token", good.replace(tag, tag.title())
    yield "no_think", good.replace("<think>", "").replace("</think>", "")
    yield "wrong_order", good.replace("<think>", "@").replace("</think>", "<think>").replace("@", "</think>")
    yield "text_outside", f"Sure!\n{good}"
    yield "empty_reasoning", markup.join(" ", answer)
    yield "empty_answer", markup.join(reasoning, " ")
    yield "control_token", f"{markup.join(reasoning + '<|im_end|>', answer)}"
    if markup.answer_tags:
        yield "wrong_order", good.replace("<answer>", "@").replace("</answer>", "<answer>").replace("@", "</answer>")
        head, _, tail = good.partition("</think>")
        yield "wrong_order", f"{tail}{head}</think>"
        yield "text_outside", good.replace("</think>", "</think>\nSo the answer is")
        yield "text_outside", f"{good}\nI hope this helps."
    if markup.boxed:
        yield "no_box", markup.join(reasoning, answer.replace("\\boxed", "\\text"))
        yield "no_box", markup.join(reasoning, answer + " \\boxed{}")
        yield "no_box", markup.join(reasoning, answer + " \\boxed{5")


def judged(text: str, markup: Markup) -> Verdict:
    parts, now = split(text, markup), datetime(2026, 1, 1, tzinfo=UTC)
    prompt = Prompt("p", "", "bench", "format", "", "bench")
    trace = Trace(
        "t", "p", "j", 0, "m", markup.name, parts.reasoning, parts.answer, parts.faults, Sampling(), 1, 1, "stop", now
    )
    return judge(prompt, trace, (Format(),))[0]


def as_open_r1_breaks_lines(text: str) -> str:
    """The text with each tag on a line of its own."""
    return re.sub(r"\s*(</?(?:think|answer)>)\s*", r"\n\1\n", text).strip().replace("\n\n", "\n")


def measure(rows: list[dict[str, str]]) -> dict[str, float]:
    """Counts over all rows and think formats."""
    counts, missed = Counter[str](), Counter[str]()
    started = time.perf_counter()
    for row in rows:
        for markup in MARKUPS.values():
            answer = (row["answer"].strip() or "So.") + (" \\boxed{5}" if markup.boxed else "")
            text = markup.join(row["reasoning"].strip(), answer)
            counts["good"] += 1
            verdict = judged(text, markup)
            counts["passed"] += verdict.outcome is Outcome.CORRECT
            if verdict.outcome is not Outcome.CORRECT:  # two answers of QwQ's really have a \boxed{ that never closes
                print(f"{row['id']} as {markup.name}: {verdict.reason}")
            if markup.answer_tags:
                counts["peer_good"] += 1
                counts["peer_passed"] += OPEN_R1.match(as_open_r1_breaks_lines(text)) is not None
            for fault, damaged in damages(markup, row["reasoning"].strip(), answer):
                verdict = judged(damaged, markup)
                counts["bad"] += 1
                counts["caught"] += verdict.outcome is Outcome.WRONG
                counts["named"] += fault in verdict.reason.split(", ")
                if markup.answer_tags:
                    passes = OPEN_R1.match(as_open_r1_breaks_lines(damaged)) is not None
                    counts["peer_bad"] += 1
                    counts["peer_caught"] += not passes
                    missed[fault] += passes
    judgements = counts["good"] + counts["bad"]
    print(f"{len(rows)} chains, {judgements:,} judgements in {time.perf_counter() - started:.0f} s: {dict(counts)}")
    print(f"passed by open-r1's regular expression, by the rule broken: {dict(missed.most_common())}")
    return {
        "passed": counts["passed"] / counts["good"],
        "precision": counts["caught"] / (counts["caught"] + counts["good"] - counts["passed"]),
        "recall": counts["caught"] / counts["bad"],
        "named": counts["named"] / counts["bad"],
        "peer_passed": counts["peer_passed"] / counts["peer_good"],
        "peer_recall": counts["peer_caught"] / counts["peer_bad"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each twentieth chain, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    with gzip.open(DATA / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for number, line in enumerate(lines) if not quick or number % 20 == 0]
    print(json.dumps({name: round(value, 4) for name, value in measure(rows).items()}))


if __name__ == "__main__":
    main()
