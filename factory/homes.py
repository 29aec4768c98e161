"""Which replica has the prefix of a prompt in its cache: samples of one prompt stay together while loads are near."""

from __future__ import annotations

from tracemill.factory.replicas import Replica

HOMES = 4096
"""So many prompts are remembered."""


class Homes:
    """The homes of the latest prompts."""

    def __init__(self) -> None:
        self._homes: dict[str, Replica] = {}

    def of(self, prompt: str, least: Replica, among: list[Replica]) -> Replica:
        """Its home, unless that has clearly more to do than the least loaded, which then becomes its home."""
        home = self._homes.pop(prompt, least)
        load = len(home.aboard)
        if home not in among or load >= home.limit or load - len(least.aboard) > home.slack:
            home = least
        self._homes[prompt] = home
        if len(self._homes) > HOMES:
            del self._homes[next(iter(self._homes))]
        return home
