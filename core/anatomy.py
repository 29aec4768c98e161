"""The figures of a chain of thought: which habits it shows, and where its parts begin and end.

Only the types: `filters.behaviours` measures them, a model may count the habits (`pipelines.labeller`), the corpus
keeps them in its table `anatomy`.
"""

from __future__ import annotations

from dataclasses import dataclass

MARKERS = "markers"
"""The labeller that is no model."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How often a chain shows each of the four habits of arXiv 2503.01307."""

    verification: int
    """A result or an idea is checked, or found to be right or wrong."""
    backtracking: int
    """A path is given up or doubted, and another one taken."""
    subgoals: int
    """The problem is divided into steps, cases or intermediate goals."""
    backward_chaining: int
    """From what is wanted to what it needs."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The figures of one chain. Positions are in characters from its start; None where there is no such place."""

    habits: Habits
    definition_end: int | None
    """Where the problem has been stated and work begins."""
    bloom_end: int | None
    """End of the sentence that names the first interim answer."""
    cycles: int
    """Times that thinking starts again between bloom and final decision."""
    ruminations: int
    """Cycles of which at least half stood in the chain before."""
    rumination: float | None
    """Share, 0 to 1, of the text of all cycles that stood in the chain before; None without cycles."""
    final_start: int | None
    """Where the last decision begins, after which thinking does not start again."""
    words: int
    paragraphs: int
    flesch: float | None
    """Flesch's reading ease (about 0, hard, to 100, easy); None for a chain that is not in English."""
