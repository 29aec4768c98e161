"""Speed and recall of the contamination filter: benchmarks against training prompts, chains and planted leaks.

Benchmarks: GSM8K test, MATH-500 and HumanEval, questions and solutions. Documents: the training problems of GSM8K and
MATH and those of MBPP, with 200 leaks among them; and the chains of `traces/long_reasoning`. Leaks are 200 questions of
the benchmarks, each as a prompt in four ways: verbatim; re-spaced (other white space, in capitals or not); renumbered
(another number for each; of those that have one); cut (its middle third left out); and verbatim between two training
solutions, as a chain quotes it. A leak counts as found where its own item is named. The documents for speed have a
quarter of the leaks of each way.

The hits are compared with a plain Python reference's (tuples of words in dictionaries) on a sample. The peer, in the
same run on the same documents, is open-r1's scripts/decontaminate.py (lower case, white space folded, n-grams as
strings, a set look-up each), given the same benchmarks and n; it says whether a document is hit, not by what. Speeds
are megabytes of UTF-8 a second of one core's time, the best of the rounds, in which all take turns.

Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from labelled import DATA, need_data, rows

from tracemill.core.types import Prompt, Sampling, Trace
from tracemill.filters.contamination import Contamination
from tracemill.filters.contamination.benchmarks import Part, parts_of
from tracemill.filters.contamination.folding import fold
from tracemill.filters.contamination.index import Hit, Index, batches
from tracemill.filters.contamination.ngrams import words_of
from tracemill.filters.contamination.similar import Similar

BENCHMARKS = ("gsm8k_test", "math500", "humaneval")
LEAKS = 200
WAYS = ("verbatim", "respaced", "renumbered", "cut", "in_chain")


@dataclass(frozen=True)
class Leak:
    """A text that holds a benchmark's item."""

    part: Part
    text: str


def leaks(parts: Sequence[Part], chains: Sequence[str], rng: random.Random) -> dict[str, list[Leak]]:
    """The planted leaks by way."""
    questions = rng.sample([part for part in parts if part.is_question], LEAKS)
    numbered = [part for part in questions if re.search(r"\d", part.text)]
    return {
        "verbatim": [Leak(part, part.text) for part in questions],
        "respaced": [Leak(part, respaced(part.text, rng)) for part in questions],
        "renumbered": [Leak(part, renumbered(part.text, rng)) for part in numbered],
        "cut": [Leak(part, cut(part.text)) for part in questions],
        "in_chain": [Leak(part, f"{rng.choice(chains)}\n{part.text}\n{rng.choice(chains)}") for part in questions],
    }


def respaced(text: str, rng: random.Random) -> str:
    spaced = "".join(rng.choice((" ", "\n", "\t", "  ", "\u00a0")) if char.isspace() else char for char in text)
    return rng.choice((str.upper, str.lower, str))(f"\n{spaced} ")


def renumbered(text: str, rng: random.Random) -> str:
    def other(found: re.Match[str]) -> str:
        digits = found[0]
        return str((int(digits) + rng.randint(1, 8)) % 10 ** len(digits)).zfill(len(digits))

    return re.sub(r"\d{1,9}", other, text)


def cut(text: str) -> str:
    words = text.split(" ")
    third = len(words) // 3
    return " ".join(words[:third] + words[2 * third :]) if third else text


def measure_recall(leaks: dict[str, list[Leak]], index: Index, similar: Similar | None) -> dict[str, float]:
    """By way, the share of leaks whose own item is named."""
    found = {}
    for way, planted in leaks.items():
        words = words_of([leak.text for leak in planted])
        hits = list(index.search_words(words))
        if similar is not None and way != "in_chain":
            hits += similar.search_words(words, {hit.text for hit in hits})
        if way == "in_chain":
            hits = [hit for hit in hits if hit.kind == "ngrams"]
        named = {(hit.text, hit.part.benchmark, hit.part.item) for hit in hits}
        right = sum((at, one.part.benchmark, one.part.item) in named for at, one in enumerate(planted))
        found[way] = right / len(planted)
    return found


def plain_hits(texts: Sequence[str], parts: Sequence[Part], n: int) -> set[tuple[int, Part]]:
    """(text, part) of all hits as plain Python finds them. The documents are in scripts with spaces."""
    own = [tuple(fold(part.text).split()) for part in parts]
    holders: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number, words in enumerate(own):
        for gram in grams(words, n):
            holders[gram].add(number)
    for gram in [g for g, found in holders.items() if len({(parts[p].benchmark, parts[p].item) for p in found}) > 20]:
        del holders[gram]
    indexed = {number for found in holders.values() for number in found}
    whole = {words: part for at, (words, part) in enumerate(zip(own, parts, strict=True))
             if words and at not in indexed and part.is_question}  # fmt: skip
    hits = set()
    for text, content in enumerate(texts):
        words = tuple(fold(content).split())
        hits |= {(text, parts[part]) for gram in grams(words, n) for part in holders.get(gram, ())}
        hits |= {(text, whole[words])} if words in whole else set()
    return hits


def grams(words: tuple[str, ...], n: int) -> list[tuple[str, ...]]:
    return [words[at : at + n] for at in range(len(words) - n + 1)]


class OpenR1:
    """scripts/decontaminate.py of huggingface/open-r1."""

    def __init__(self, parts: Sequence[Part], n: int) -> None:
        self.n = n
        self.lookup: dict[str, set[int]] = defaultdict(set)
        for number, part in enumerate(parts):
            for gram in self.grams(part.text):
                self.lookup[gram].add(number)

    def grams(self, text: str) -> list[str]:
        words = " ".join(text.lower().strip().split()).split()
        return [" ".join(words[at : at + self.n]) for at in range(len(words) - self.n + 1)]

    def search(self, texts: Sequence[str]) -> list[bool]:
        return [any(gram in self.lookup for gram in set(self.grams(text))) for text in texts]


def measure_speed(tasks: dict[str, tuple[Callable[[], object], Sequence[str]]], rounds: int) -> dict[str, float]:
    """MB a second of processor time."""
    best = dict.fromkeys(tasks, 0.0)
    for _ in range(rounds):
        for name, (task, texts) in tasks.items():
            started = time.process_time()
            task()
            taken = time.process_time() - started
            best[name] = max(best[name], sum(len(text.encode()) for text in texts) / 1e6 / taken)
    return best


def both(texts: Sequence[str], index: Index, similar: Similar) -> list[Hit]:
    """As the command looks: n-grams, then the fuzzy ratio where these find nothing."""
    hits: list[Hit] = []
    start = 0
    for batch in batches(texts):
        words = words_of(batch)
        found = list(index.search_words(words, start))
        hits += [*found, *similar.search_words(words, {hit.text - start for hit in found}, start)]
        start += len(batch)
    return hits


def checked(chains: Sequence[str], told: Contamination) -> list[object]:
    """As a job looks: one trace at a time."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    prompt = Prompt("p", "What is 6 times 7?", "bench", "math", "42", "bench")
    return [
        told.check(Trace("t", "p", "j", 0, "m", "native", text, "", (), Sampling(), 1, 1, "stop", now), prompt)
        for text in chains
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer documents and rounds, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    rng = random.Random(6)
    paths = [DATA / "prompts" / f"{name}.jsonl.gz" for name in BENCHMARKS]
    parts = [part for path in paths for part in parts_of(path, (), "against", "columns")]
    train = [row["problem"] for name in ("gsm8k_train", "math_train", "mbpp") for row in rows(f"prompts/{name}")]
    planted = leaks(parts, [row["solution"] for row in rows("prompts/gsm8k_train")], rng)
    ways = [planted[way][at :: len(WAYS) - 1] for at, way in enumerate(WAYS[:-1])]  # 200 leaks in all
    prompts = list(train)
    for leak in (leak for way in ways for leak in way):
        prompts.insert(rng.randrange(len(prompts)), leak.text)
    chains = [row["reasoning"] for row in rows("traces/long_reasoning")][:: 10 if quick else 1]

    print(f"{'recall':<22}" + "".join(f"{way:>12}" for way in WAYS) + "   training prompts hit")
    recall: dict[str, dict[str, float]] = {}
    indexes = {n: Index(parts, n) for n in (8, 10, 13)}
    similar = Similar(indexes[13], 95)
    for n, index in indexes.items():
        hit = len({found.text for found in index.search(train)})
        for name, second in ((f"n={n}", None), (f"n={n}, fuzzy 95", Similar(index, 95))):
            recall[name] = measure_recall(planted, index, second)
            more = f" + {len({h.text for h in both(train, index, second)}) - hit} similar" if second else ""
            print(f"{name:<22}" + "".join(f"{recall[name][way]:>12.3f}" for way in WAYS) + f"   {hit:,}{more}")

    sample = [*prompts[:: 8 if quick else 2], *chains[:: 1 if quick else 4]]
    is_same = {
        n: {(hit.text, hit.part) for hit in index.search(sample)} == plain_hits(sample, parts, n)
        for n, index in indexes.items()
    }
    print(f"\nhits in {len(sample):,} documents as the plain reference finds them: {is_same}")

    index, peer = indexes[13], OpenR1(parts, 13)
    told = Contamination(against=tuple(map(str, paths)))
    checked(chains[:1], told)
    speed = measure_speed(
        {
            "prompts": (lambda: list(index.search(prompts)), prompts),
            "prompts, fuzzy too": (lambda: both(prompts, index, similar), prompts),
            "chains": (lambda: list(index.search(chains)), chains),
            "chains, one at a time": (lambda: checked(chains, told), chains),
            "open-r1, prompts": (lambda: peer.search(prompts), prompts),
            "open-r1, chains": (lambda: peer.search(chains), chains),
        },
        2 if quick else 5,
    )
    print("\nMB/s a core, n=13")
    for name, figure in speed.items():
        print(f"{name:<22}{figure:>8.1f}")
    best = recall["n=13, fuzzy 95"]
    figures = {
        "mb_per_s": speed["prompts"],
        "mb_per_s_chains": speed["chains"],
        "mb_per_s_filter": speed["chains, one at a time"],
        "mb_per_s_fuzzy": speed["prompts, fuzzy too"],
        "speedup_vs_open_r1": speed["prompts"] / speed["open-r1, prompts"],
        "speedup_vs_open_r1_chains": speed["chains"] / speed["open-r1, chains"],
        "recall": min(best["verbatim"], best["respaced"]),
        **{f"recall_{way}": best[way] for way in WAYS},
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()} | {"identical": all(is_same.values())}))


if __name__ == "__main__":
    main()
