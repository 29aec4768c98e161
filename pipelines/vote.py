"""Which answer do most samples give? A vote over answers that a verifier compares, without taking its guesses.

A comparison says that two answers are the same, that they differ, or nothing. What it does not say counts against the
winner: answers that may be the same are added up as its rival. Two answers that differ and both equal a third give no
winner at all. The result depends on the answers and their votes only, not on the order of the samples.

Plurality over those who voted, as in self-consistency (arXiv 2203.11171, section 2), with a least number of votes.
Pure: knows nothing of prompts, traces or verifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Same = Callable[[str, str], bool | None]
"""Whether the first answer, taken as reference, accepts (True) or refuses (False) the second; None where undecided."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The winner, and how each answer stands to it."""

    winner: str
    votes: int
    """Votes for answers that are the same as the winner for certain."""
    same: Mapping[str, bool | None]
    """Of each answer, whether it is the winner's: True, False, or None where nobody can say."""


def count(votes: Mapping[str, int], same: Same, least: int) -> Ballot | None:
    """The winner of at least `least` votes and of more than any rival can have; None where there is none.

    Compares each pair of different answers in both directions: n (n - 1) calls of `same` for n answers.
    """
    answers = sorted(votes)
    known: dict[str, dict[str, bool | None]] = {one: {one: True} for one in answers}
    for at, one in enumerate(answers):
        for other in answers[:at]:
            known[one][other] = known[other][one] = _both_ways(one, other, same)
    if not answers:
        return None
    support = {one: sum(votes[other] for other in answers if known[one][other]) for one in answers}
    winner = min(answers, key=lambda one: (-support[one], -votes[one], len(one), one))
    own = _joined(winner, answers, lambda one, other: known[one][other] is True)
    if any(known[one][other] is False for one in own for other in own):
        return None
    rivals = [one for one in answers if one not in own]
    strongest = max((sum(map(votes.__getitem__, group)) for group in _groups(rivals, known)), default=0)
    if support[winner] < least or support[winner] <= strongest:
        return None
    return Ballot(winner, support[winner], known[winner])


def leaders(votes: Mapping[str, int], same: Same) -> tuple[str, ...]:
    """The winner's answer; where groups of equal answers tie for the most votes, one answer of each.

    Empty where there are no votes, or where it hangs on a comparison that nobody can make.
    """
    ballot = count(votes, same, 1)
    if ballot is not None:
        return (ballot.winner,)
    answers = sorted(votes)
    known: dict[str, dict[str, bool | None]] = {
        one: {other: one == other or _both_ways(one, other, same) for other in answers} for one in answers
    }
    if any(said is None for row in known.values() for said in row.values()):
        return ()
    groups = _groups(answers, known)
    if any(not known[one][other] for group in groups for one in group for other in group):
        return ()  # two answers that differ, and both equal a third
    sizes = [sum(map(votes.__getitem__, group)) for group in groups]
    most = [group for group, size in zip(groups, sizes, strict=True) if size == max(sizes)]
    return tuple(min(group, key=lambda one: (-votes[one], len(one), one)) for group in most)


def _both_ways(one: str, other: str, same: Same) -> bool | None:
    """Equality has no direction; a reference with a tolerance, or one that is a pattern, does."""
    ahead, back = same(one, other), same(other, one)
    return ahead if ahead is back else None


def _groups(answers: list[str], known: Mapping[str, Mapping[str, bool | None]]) -> list[set[str]]:
    """The answers in groups that may all be one answer."""
    left, groups = set(answers), []
    while left:
        group = _joined(min(left), answers, lambda one, other: known[one][other] is not False)
        groups.append(group)
        left -= group
    return groups


def _joined(start: str, answers: list[str], linked: Callable[[str, str], bool]) -> set[str]:
    """All answers that a chain of links joins to the first."""
    found, front = {start}, [start]
    while front:
        one = front.pop()
        fresh = [other for other in answers if other not in found and linked(one, other)]
        found.update(fresh)
        front += fresh
    return found
