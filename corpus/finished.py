"""Which samples of a job are durable: a bit each, so that a million of them take some megabytes."""

from __future__ import annotations


class Finished:
    """A set of (prompt id, sample number)."""

    def __init__(self) -> None:
        self._bits: dict[str, int] = {}
        self._count = 0

    def add(self, prompt_id: str, sample: int) -> bool:
        """Whether it is new."""
        bits, bit = self._bits.get(prompt_id, 0), 1 << sample
        if bits & bit:
            return False
        self._bits[prompt_id] = bits | bit
        self._count += 1
        return True

    def __contains__(self, key: tuple[str, int]) -> bool:
        prompt_id, sample = key
        return bool(self._bits.get(prompt_id, 0) >> sample & 1)

    def __len__(self) -> int:
        return self._count
