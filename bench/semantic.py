"""Semantic duplicates and paraphrased benchmarks: what is found, what is merged wrongly, and speed against wordllama.

Traces: solutions reworded by hand (10) and by a thesaurus (the correct ones of labelled/math_l5_outputs, the chains of
traces/long_reasoning), each beside its original, as traces of one prompt; not to be merged are other ways to solve the
same (5) and the reworded ones with each number made another. Then the real ones as they are: of a problem's correct
solutions by 12 models, and a puzzle's 12 chains, how many are dropped (they are the same solution in other words, as
far as they were read). Prompts: 56 questions of GSM8K test and MATH-500 reworded, 20 retold, among 16,766 prompts of
both, each with its reference. Contamination: the same against the two benchmarks, and the 15,921 training problems of
GSM8K, MATH and MBPP against these and HumanEval; how many of the training problems are hit, none of which is known to
be a paraphrase.

Peer: wordllama's own `deduplicate` (the same model; whole texts, cosine alone, all pairs) on the same documents, all of
one prompt. Speeds are per second of processor time on one core, the best of the rounds in which both take turns.

Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labelled import DATA, need_data
from labelled import rows as data
from reworded import Thesaurus, rows

from tracemill.core.types import Item, Prompt, Sampling, Trace
from tracemill.filters.contamination.benchmarks import parts_of
from tracemill.filters.contamination.index import Index
from tracemill.filters.contamination.ngrams import words_of
from tracemill.filters.contamination.paraphrase import Paraphrases
from tracemill.filters.contamination.similar import Similar
from tracemill.filters.near_duplicates import NearDuplicates
from tracemill.filters.semantic_duplicates import SemanticDuplicates, semantic_duplicate_prompts

COSINE = 0.7
"""What the how-to recommends for contamination."""
MADE = datetime(2026, 1, 1, tzinfo=UTC)


def items(texts: Sequence[tuple[str, str]]) -> list[Item]:
    """Of (prompt, text); a trace's id is its number."""
    found = []
    for number, (name, text) in enumerate(texts):
        prompt = Prompt(name, name, "bench", "math", "", "bench")
        trace = Trace(str(number), name, "j", 0, "m", "native", text, "", (), Sampling(), 1, 1, "stop", MADE)
        found.append(Item(prompt, trace))
    return found


def found_of(pairs: Sequence[tuple[str, str]], sieve: SemanticDuplicates | NearDuplicates) -> float:
    """Share of the pairs of which the second is dropped for the first."""
    texts = [(str(number), text) for number, pair in enumerate(pairs) for text in pair]
    dropped = {int(drop.trace_id) for drop in sieve.sift(items(texts))}
    return sum(2 * number + 1 in dropped for number in range(len(pairs))) / len(pairs)


def renumbered(text: str) -> str:
    return re.sub(r"\d+", lambda match: str(int(match[0][:9]) + 7), text)


def solutions() -> dict[tuple[str, str], str]:
    """Correct ones by problem and model: those whose answer is the reference as it stands."""
    return {
        (row["prompt_id"], row["model"]): row["output"]
        for row in data("labelled/math_l5_outputs")
        if (row["answer"] or "").replace(" ", "") == row["gold"].replace(" ", "")
    }


def measure_traces(step: int) -> dict[str, float]:
    """Of traces; prints what the sieve finds, with near_duplicates beside it."""
    correct, thesaurus = solutions(), Thesaurus()
    known = {(row["prompt_id"], row["model"]): row["output"] for row in data("labelled/math_l5_outputs")}
    chains = [(row["prompt_id"], f"{row['reasoning']}\n{row['answer']}") for row in data("traces/long_reasoning")]
    by_hand = rows("solutions")
    pairs = {
        kind: [(known[row["prompt_id"], row["model"]], row["text"]) for row in by_hand if row["kind"] == kind]
        for kind in ("reworded", "other_way")
    }
    pairs["thesaurus, solutions"] = [(text, thesaurus.reworded(text)) for text in list(correct.values())[::step]]
    pairs["thesaurus, chains"] = [(text, thesaurus.reworded(text)) for _, text in chains[::step]]
    both = [*pairs["thesaurus, solutions"], *pairs["thesaurus, chains"]]
    pairs["renumbered"] = [(text, renumbered(text)) for text, _ in both if len(set(re.findall(r"\d+", text))) > 4]
    figures = {}
    for kind, some in pairs.items():
        figures[kind] = found_of(some, SemanticDuplicates())
        near = found_of(some, NearDuplicates(preset="aggressive", scope="prompt"))
        alone = found_of(some, SemanticDuplicates(numbers=0))
        shown = f"found {figures[kind]:.3f}   by the cosine alone {alone:.3f}   by near_duplicates {near:.3f}"
        print(f"{kind:<22}{len(some):>6,} pairs   {shown}")
    for name, texts in (("solutions", [(key[0], text) for key, text in correct.items()]), ("chains", chains)):
        drops = list(SemanticDuplicates().sift(items(texts)))
        figures[f"real {name}"] = len(drops) / len(texts)
        print(f"real {name:<17}{len(texts):>6,} texts   dropped {len(drops):,}")
    return figures


def measure_prompts() -> dict[str, float]:
    """Of prompts: recall by kind, and how many of the real ones are merged."""
    real = {name: asked(name) for name in ("gsm8k_train", "gsm8k_test", "math_train", "math500")}
    planted, originals = [], {}
    for number, row in enumerate(rows("questions")):
        original = real[row["benchmark"]][row["row"] - 1]
        planted.append(Prompt(f"planted {number}", row["text"], "m", "math", original.reference, "b"))
        originals[f"planted {number}"] = (original.id, _kind(row))
    all_real = [prompt for some in real.values() for prompt in some]
    started = time.process_time()
    found = semantic_duplicate_prompts([*all_real, *planted])
    speed = len(all_real) / (time.process_time() - started)
    hits = [originals[one.id][1] for one in found if one.id in originals and one.keeper == originals[one.id][0]]
    kinds = [kind for _, kind in originals.values()]
    figures = {f"prompts, {kind}": hits.count(kind) / kinds.count(kind) for kind in dict.fromkeys(kinds)}
    merged = sum(one.id not in originals for one in found)
    figures |= {"prompts, real merged": merged, "prompts/s": speed}
    print("   ".join(f"{name} {value:,.2f}" for name, value in figures.items()), f"of {len(all_real):,}")
    return figures


def asked(name: str) -> list[Prompt]:
    """The prompts of a file."""
    return [
        Prompt(f"{name} {number}", row["problem"], "math", "math", row["answer"], "bench")
        for number, row in enumerate(data(f"prompts/{name}"), 1)
    ]


def _kind(row: dict[str, Any]) -> str:
    return f"{row['kind']} {row['benchmark']}{' held out' if row.get('held_out') else ''}"


def measure_contamination() -> dict[str, float]:
    """Recall of reworded questions by kind, and what is hit of training problems; prints both by cosine."""
    names = ("gsm8k_test", "math500", "humaneval")
    parts = [part for name in names for part in parts_of(DATA / f"prompts/{name}.jsonl.gz", (), "", "")]
    texts = [row["problem"] for name in ("gsm8k_train", "math_train", "mbpp") for row in data(f"prompts/{name}")]
    index = Index(parts, 13)
    words = words_of(texts)
    before = {hit.text for hit in index.search_words(words)}
    before |= {hit.text for hit in Similar(index, 95).search_words(words, before)}
    questions = rows("questions")
    ids = {name: [row["id"] for row in data(f"prompts/{name}")] for name in names[:2]}
    kinds = list(map(_kind, questions))
    figures: dict[str, float] = {}
    for cosine in (0.6, 0.65, 0.7, 0.75, 0.8):
        paraphrases = Paraphrases(parts, cosine)
        right = []
        for hit in paraphrases.search([row["text"] for row in questions], ()):
            row = questions[hit.text]
            if hit.part.item == ids[row["benchmark"]][row["row"] - 1]:
                right.append(_kind(row))
        recall = {kind: right.count(kind) / kinds.count(kind) for kind in dict.fromkeys(kinds)}
        started = time.process_time()
        false = sum(1 for _ in paraphrases.search(texts, before))
        speed = sum(map(len, texts)) / 1e6 / (time.process_time() - started)
        shown = "   ".join(f"{kind} {value:.2f}" for kind, value in recall.items())
        print(f"cosine {cosine:.2f}   {shown}   training problems hit {false} of {len(texts):,}   {speed:.1f} MB/s")
        if cosine == COSINE:
            figures = {f"benchmark, {kind}": value for kind, value in recall.items()}
            figures |= {"benchmark, hits": false, "benchmark, mb_per_s": speed}
    return figures


def measure_speed(rounds: int, most: int) -> dict[str, float]:
    """Documents a second, of ours and of the peer, and of ours by prompt."""
    documents = [(row["prompt_id"], row["output"]) for row in data("labelled/math_l5_outputs")][:most]
    one, own = items([("p", text) for _, text in documents]), items(documents)
    tasks: dict[str, Callable[[], object]] = {
        "one prompt": lambda: list(SemanticDuplicates().sift(one)),
        "by prompt": lambda: list(SemanticDuplicates().sift(own)),
    }
    peer = wordllama()
    tasks["wordllama"] = lambda: peer.deduplicate([text for _, text in documents], threshold=0.95)
    best = dict.fromkeys(tasks, 0.0)
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            best[name] = max(best[name], len(documents) / (time.process_time() - started))
    size = sum(len(text) for _, text in documents) / len(documents)
    for name, speed in best.items():
        print(f"{name:<12}{speed:>9,.0f} documents/s a core{speed * size / 1e6:>7.1f} MB/s   of {len(documents):,}")
    return best


def wordllama() -> Any:
    """The peer. Its `load` looks for the tokenizer where the wheel does not have it, so it gets a folder that does."""
    import importlib.util

    from wordllama import WordLlama

    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(Path(spec.origin).parent / "tokenizers", Path(folder) / "tokenizers")
        return WordLlama.load(cache_dir=Path(folder), disable_download=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the traces and documents, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core for all
    traces = measure_traces(10 if quick else 1)
    prompts = measure_prompts()
    benchmark = measure_contamination()
    speed = measure_speed(1 if quick else 3, 800 if quick else 10_000)
    figures = {
        "docs_per_s": speed["by prompt"],
        "docs_per_s_one_prompt": speed["one prompt"],
        "speedup_vs_wordllama": speed["one prompt"] / speed["wordllama"],
        **traces,
        **prompts,
        **benchmark,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    named = {re.sub(r"\W+", "_", name): round(value, 4) for name, value in figures.items()}
    print(json.dumps(named))


if __name__ == "__main__":
    main()
