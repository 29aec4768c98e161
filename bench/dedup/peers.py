"""Peers over the same documents, each on one core: what it calls a copy of an earlier document.

Word 5-grams, 14 bands x 8 rows, estimated Jaccard >= .6, where the library lets one choose; rensa as its README shows
(words, not shingles). A peer that is not installed raises ImportError; TRACEMILL_PEERS may name a folder that has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BANDS, ROWS, WORDS, THRESHOLD = 14, 8, 5, 0.6


def with_rensa(documents: Sequence[str]) -> set[int]:
    from rensa import RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True)
    kept = deduplicator.add_pairs((str(number), text.split()) for number, text in enumerate(documents))
    return {number for number, keep in enumerate(kept) if not keep}


def with_gaoya(documents: Sequence[str]) -> set[int]:
    from gaoya.minhash import MinHashStringIndex  # type: ignore[import-not-found]

    index = MinHashStringIndex(32, THRESHOLD, BANDS, ROWS, None, "word", True, (WORDS, WORDS))
    found = set()
    for number, text in enumerate(documents):
        if index.query(text):
            found.add(number)
        index.insert_document(number, text)
    return found


def with_datasketch(documents: Sequence[str]) -> set[int]:
    import xxhash
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found]

    index = MinHashLSH(params=(BANDS, ROWS), num_perm=BANDS * ROWS)
    signatures: dict[int, Any] = {}
    found = set()
    for number, text in enumerate(documents):
        words = text.lower().split()
        shingles = {" ".join(words[at : at + WORDS]).encode() for at in range(len(words) - WORDS + 1)}
        signature = MinHash(num_perm=BANDS * ROWS, hashfunc=xxhash.xxh32_intdigest)
        signature.update_batch(shingles)
        if any(signature.jaccard(signatures[other]) >= THRESHOLD for other in index.query(signature)):
            found.add(number)
        index.insert(number, signature)
        signatures[number] = signature
    return found


def with_datatrove(documents: Sequence[str]) -> set[int]:
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup import (  # type: ignore[import-not-found]
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.utils.hashing import HashConfig  # type: ignore[import-not-found]
    from loguru import logger

    logger.disable("datatrove")
    config = MinhashConfig(
        n_grams=WORDS, num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(hash_fc="sha1")
    )  # its xxhash is < 4
    data = [Document(text=text, id=str(number)) for number, text in enumerate(documents)]
    with tempfile.TemporaryDirectory() as folder:
        signatures, buckets, removed = (str(Path(folder) / name) for name in ("signatures", "buckets", "removed"))
        MinhashDedupSignature(signatures, config).run(iter(data))
        step = MinhashDedupBuckets(signatures, buckets, config=config)
        for rank in range(BANDS):
            step.run(rank=rank, world_size=BANDS)
        MinhashDedupCluster(buckets, removed, config=config).run()
        kept = {int(document.id) for document in MinhashDedupFilter(removed).run(iter(data))}
    return set(range(len(documents))) - kept


PEERS: dict[str, tuple[Callable[[Sequence[str]], set[int]], int]] = {
    "rensa (README)": (with_rensa, 100_000),
    "gaoya": (with_gaoya, 100_000),
    "datasketch": (with_datasketch, 20_000),
    "datatrove": (with_datatrove, 1_000),
}
"""Each with the most documents that it gets: the slow ones would take from half a minute to a quarter of an hour."""
