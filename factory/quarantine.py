"""Requests under suspicion: each was running when a replica died, twice. One of them may kill any engine it meets.

They get a replica for themselves, in groups that shrink with each further death (256, 32, 4, 1), so that the innocent
ones are soon done. Only a request that kills twice while it is alone, on an engine that has just answered something
else, is the cause: a random kill that hits the same request four times in a row is far rarer than a bad request.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tracemill.factory.replicas import Flight, Replica

SUSPECT = 2
"""Deaths that make a request a suspect."""
ALONE = 2
"""Further deaths, alone, that prove it."""
TRIES = 3
"""A request that an engine fails at so often, and lives on, is set aside too."""
SHRINK = 8
"""By so much smaller is the company of a suspect after each death."""


def blame(flight: Flight, together: int, is_proven: bool, reason: str) -> None:
    """A replica died while it ran this request, `together` with itself so many."""
    flight.died += 1
    flight.died_alone += together == 1 and is_proven
    flight.company = max(1, together // SHRINK)
    flight.reason = reason


def is_suspect(flight: Flight) -> bool:
    return flight.died >= SUSPECT


def verdict(flight: Flight) -> str | None:
    """Why it is to be set aside: engines die of it, or fail at it again and again. None where it is not."""
    if flight.died >= SUSPECT + ALONE and flight.died_alone >= ALONE:
        return f"the engine died {flight.died} times while it ran this request: {flight.reason}"
    if flight.failed >= TRIES:
        return f"the engine failed {flight.failed} times at this request: {flight.reason}"
    return None


@dataclass(slots=True)
class Quarantine:
    """Who is under suspicion, and the replica that is theirs."""

    waiting: deque[Flight] = field(default_factory=deque)
    ward: Replica | None = None

    def add(self, flight: Flight) -> None:
        """One more. What has been tried here already is tried again first: one cause found clears all the others."""
        if flight.died > SUSPECT:
            self.waiting.appendleft(flight)
        else:
            self.waiting.append(flight)

    def group(self) -> list[Flight]:
        """The next to be run together; they wait no more."""
        found: list[Flight] = []
        most = self.waiting[0].company if self.waiting else 0
        while self.waiting and len(found) < min(most, self.waiting[0].company):
            found.append(self.waiting.popleft())
            most = min(most, found[-1].company)
        return found

    def of_prompt(self, prompt_id: str) -> list[Flight]:
        """Those that wait and are of this prompt; they wait no more."""
        found = [flight for flight in self.waiting if flight.request.prompt_id == prompt_id]
        for flight in found:
            self.waiting.remove(flight)
        return found
