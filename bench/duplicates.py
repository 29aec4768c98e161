"""Near-duplicates among spliced real texts with planted copies: speed against four peers, recall, false merges, index.

Documents of 2.2 KB are spliced from sentences of `traces/long_reasoning`, `labelled/math_l5_outputs` and
`labelled/gsm8k_solutions`; 2 % each are copies with 1, 2 and 5 % of their words replaced, 3 % hard negatives: another
document with all its numbers changed. A copy counts as found where its drop names its original, a false merge is a drop
of anything else. Ours is the whole sieve, from items to drops, verified pairs and all. Speeds are documents per second
of processor time on one core, the best of the rounds in which all take turns; a peer that is slow gets fewer documents,
as is shown, and flags what it calls a copy without naming of what. Peers are looked for in this environment and in the
folder TRACEMILL_PEERS.

The index holds the documents and as many random keys as make a million texts (keys of unrelated texts are random); the
10,000 new ones, a tenth of them 2 % copies, are hashed, joined and verified.

Data: TRACEMILL_TEST_DATA, or ../shared/data beside the clone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dedup.material import RATES, SIZE, Material, Planted
from dedup.peers import PEERS
from labelled import need_data

from tracemill.core.types import Drop, Item, Prompt, Sampling, Trace
from tracemill.filters import band_index
from tracemill.filters.clusters import Sketches, Text
from tracemill.filters.minhash import PRESETS
from tracemill.filters.near_duplicates import NearDuplicates


def items(documents: Sequence[str]) -> list[Item]:
    """Each the only trace of its prompt."""
    made, found = datetime(2026, 1, 1, tzinfo=UTC), []
    for number, text in enumerate(documents):
        prompt = Prompt(f"p{number}", "", "bench", "math", "", "bench")
        trace = Trace(str(number), prompt.id, "j", 0, "m", "native", text, "", (), Sampling(), 1, 1, "stop", made)
        found.append(Item(prompt, trace))
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds of processor time, of all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure_recall(planted: Planted, preset: str) -> tuple[dict[float, float], int]:
    """By rate of edits, and the number of false merges; prints both."""
    drops: dict[int, Drop] = {}
    for drop in NearDuplicates(preset=preset).sift(items(planted.documents)):  # type: ignore[arg-type]
        drops[int(drop.trace_id)] = drop
    recall, right = {}, set()
    for rate in RATES:
        copies = planted.copies[rate]
        found = {n for n, original in copies.items() if n in drops and drops[n].detail.startswith(f"{original}:")}
        recall[rate] = len(found) / len(copies)
        right |= found
    false = len(drops.keys() - right)
    shown = "   ".join(f"{rate:.0%} {value:.4f}" for rate, value in recall.items())
    print(f"{preset:<18} recall {shown}   false merges {false} (hard negatives: {len(planted.hard_negatives):,})")
    return recall, false


def measure_speed(planted: Planted, rounds: int, peers: bool) -> dict[str, float]:
    """Documents a second; prints those of each, with what peers find and flag wrongly."""
    ours = items(planted.documents)
    tasks: dict[str, tuple[Callable[[], object], int]] = {
        "tracemill": (lambda: list(NearDuplicates().sift(ours)), len(ours)),
        "tracemill aggressive": (lambda: list(NearDuplicates(preset="aggressive").sift(ours)), len(ours)),
    }
    for name, (find, most) in PEERS.items() if peers else ():
        part = planted.part(most)
        try:
            measure_peer(name, find, part)
        except ImportError as error:
            print(f"{name:<22} cannot be had: {error}")
            continue
        tasks[name] = (lambda find=find, part=part: find(part.documents), len(part.documents))  # type: ignore[misc]
    best = dict.fromkeys(tasks, 0.0)
    for _ in range(rounds):
        for name, (work, count) in tasks.items():
            if count >= 50_000 or not best[name] or not peers:  # the slow ones get one turn
                best[name] = max(best[name], count / timed(work))
    for name, speed in best.items():
        print(f"{name:<22}{speed:>9,.0f} documents/s a core{speed * SIZE / 1e6:>8.1f} MB/s   of {tasks[name][1]:>7,}")
    return best


def measure_peer(name: str, find: Callable[[Sequence[str]], set[int]], planted: Planted) -> None:
    """Prints what it flags: a copy or its original, whichever it drops, is found."""
    flagged = find(planted.documents)
    recall = []
    for rate, copies in planted.copies.items():
        found = sum(one in flagged or original in flagged for one, original in copies.items())
        recall.append(f"{rate:.0%} {found / max(1, len(copies)):.3f}")
    false = sum(one in flagged or other in flagged for one, other in planted.hard_negatives.items())
    print(f"{name:<22} recall {'   '.join(recall)}   hard negatives flagged {false}")


def measure_index(planted: Planted, material: Material, total: int, new: int) -> float:
    """Seconds of wall time to find which of the new texts are copies of those indexed."""
    import numpy as np

    scheme, texts = PRESETS["default"], planted.documents
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = Sketches(scheme)
        known.add(Text(str(number), text) for number, text in enumerate(texts))
        band_index.write(folder, known)
        if total > len(texts):
            keys = np.random.default_rng(1).integers(0, 2**64, (total - len(texts), scheme.bands), dtype=np.uint64)
            started = time.perf_counter()
            band_index.write_keys(folder, scheme, [f"{number:032x}" for number in range(len(keys))], keys)
            size = sum(file.stat().st_size for file in folder.iterdir())
            seconds = time.perf_counter() - started
            print(f"index of {total:,}: {len(keys):,} texts written in {seconds:.1f} s, {size / 1e6:,.0f} MB")
        copied = new // 10
        probes = [material.edited(texts[number], 0.02) for number in range(copied)]
        probes += [material.document() for _ in range(new - copied)]
        started = time.perf_counter()
        fresh = Sketches(scheme)
        fresh.add(Text(f"new {number}", text) for number, text in enumerate(probes))
        hashed = time.perf_counter()
        found = band_index.copies_of_indexed(folder, fresh, lambda ids: [Text(one, texts[int(one)]) for one in ids])
        seconds = time.perf_counter() - started
    right = sum(copy.id.removeprefix("new ") == copy.keeper for copy in found)
    print(
        f"{new:,} new: {seconds:.2f} s, of it hashing {hashed - started:.2f}; {right} of {copied} copies found, "
        f"{len(found) - right} other"
    )
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 documents and no peers, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    sys.path.extend(filter(None, [os.environ.get("TRACEMILL_PEERS")]))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core for all
    material = Material(seed=3)
    planted = material.planted(2_000 if quick else 100_000)
    recall, false = measure_recall(planted, "default")
    aggressive, false_aggressive = measure_recall(planted, "aggressive")
    speed = measure_speed(planted, 1 if quick else 3, peers=not quick)
    incremental = measure_index(planted, material, 2_000 if quick else 1_000_000, 200 if quick else 10_000)
    peers = {name: value for name, value in speed.items() if not name.startswith("tracemill")}
    figures = {
        "docs_per_s": speed["tracemill"],
        "docs_per_s_aggressive": speed["tracemill aggressive"],
        **({"speedup_vs_best_peer": speed["tracemill"] / max(peers.values())} if peers else {}),
        **{f"speedup_vs_{name.split()[0]}": speed["tracemill"] / value for name, value in peers.items()},
        "recall_1": recall[0.01],
        "recall_2": recall[0.02],
        "recall_5": recall[0.05],
        "recall_5_aggressive": aggressive[0.05],
        "false_merges": false,
        "false_merges_aggressive": false_aggressive,
        "incremental_s": incremental,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
