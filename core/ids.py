"""Content ids: doing a thing again gives the same id, so storing it again is a no-op."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def content_id(*parts: str | int) -> str:
    """32 hex characters (128 bits, BLAKE2b) over the parts; lengths are hashed too, so ("ab", "c") ≠ ("a", "bc")."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def canonical_json(value: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces, for hashing and storing."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def prompt_id(text: str, verifier: str, reference: str) -> str:
    """The same question judged the same way is the same prompt, wherever it came from."""
    return content_id("prompt", text, verifier, reference)


def trace_id(job_id: str, prompt_id: str, sample: int) -> str:
    """Id of sample number `sample` of a prompt within a job, known before it is generated."""
    return content_id("trace", job_id, prompt_id, sample)


def sample_seed(seed: int, prompt_id: str, sample: int) -> int:
    """Seed (63 bits) of one sample: independent of batch, order and replica."""
    return int(content_id("seed", seed, prompt_id, sample)[:16], 16) >> 1
