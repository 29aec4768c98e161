"""Anatomy of a chain of thought: how often it verifies, turns back, plans and works backward, and where its parts lie.

No filter: figures to compare traces by, kept in the table `anatomy`. The habits are those of arXiv 2503.01307, counted
by markers (`anatomy.markers`); markers of one kind within NEAR bytes are one instance. The parts are those of arXiv
2504.07128, by these definitions:

- problem definition: up to the first clause after the first sentence that begins work ("let me", "first", "if …");
- bloom: from there to the end of the sentence that first names an answer or concludes ("so the answer is", "thus");
- reconstruction cycles: after the bloom, each begins where thinking starts again ("wait", "alternatively", "let me
  double-check"), at least CYCLE bytes after the one before, and goes to the next;
- final decision: from the first conclusion after which thinking does not start again;
- rumination: clauses of LEAST bytes or more in cycles that stood word for word earlier in the chain, as a share of the
  cycles' bytes. The paper counts repeated runs of five words; over the chains below such shares of whole chains rank
  alike (Spearman .89), and this one takes a sixth of the time. A cycle of which half is such is a rumination.

Over the 627 chains of `traces/long_reasoning`, at p50, p90, p99 and most: verification 15, 56, 126, 316; backtracking
13, 80, 229, 256; subgoals 2, 14, 25, 40; backward chaining 0, 1, 13, 36; end of the definition 2, 7, 20, 86 % of the
chain; of the bloom 17, 63, 96, 100 % (10 have none); cycles 16, 72, 162, 235; ruminations 0, 5, 47, 71; rumination 10,
23, 39, 79 %; start of the final decision 96 % (77 have none: they end in doubt); reading ease 77, 91, 104, 112. Of
2,342 solutions of models that do not think (`labelled/math_l5_outputs`) not one in a hundred turns back. Beside 182
paragraphs labelled by hand (bench/anatomy.py), precision and recall are .89 and .79 of verification, .96 and .95 of
backtracking, .71 and .75 of subgoals, .83 and .91 of backward chaining. 27 MB/s a core.

What is implied without a marker ("25 is not 22", a list of steps) is missed; that is most of the missed verification.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import pairwise

from tracemill.core.anatomy import Anatomy, Habits
from tracemill.filters.anatomy import reading
from tracemill.filters.anatomy.markers import HABITS, KINDS
from tracemill.filters.anatomy.search import BITS, Folded, Hit, folded, hits

VERSION = "1"
"""Of the markers and definitions: figures of two versions are not compared."""
NEAR = 64
"""Bytes within which markers of a kind are one instance: "let me check if that works" is one verification."""
CYCLE = 200
"""Bytes of the shortest cycle: about 40 words."""
LEAST = 16
"""Bytes of the shortest clause that repeats another; shorter ones ("so the total is", "no") say nothing."""
FOREIGN = 1.3
"""Bytes a character from which a text is not in English, whatever English words are in it."""
OPENING = 4096
"""Bytes within which the problem is stated, if at all."""
_ANYWHERE = tuple(kind for kind in KINDS if kind != "work")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？\n]")
_FIRST_SENTENCE = 1000  # characters, at most


def anatomy(reasoning: str) -> Anatomy:
    """The figures of a chain in English, Chinese, German, French, Spanish, Russian or Japanese, or some of them.

    In other languages the markers find nothing.
    """
    text = folded(reasoning)
    marks = hits(text, _ANYWHERE)
    definition = _definition_end(reasoning, text, hits(text, ("work",), OPENING))
    bloom = _bloom_end(reasoning, text, marks, definition or 0)
    again = [at for at, kinds in marks if kinds & BITS["again"] and at >= (bloom or definition or 0)]
    cycles = _apart(again, CYCLE)
    last = again[-1] if again else bloom or 0
    final = _first(marks, BITS["answer"] | BITS["final"], last)
    ruminations, rumination = _rumination(text.data, cycles, len(text.data) if final is None else final)
    is_english = text.languages[0] == "en" and len(text.data) < FOREIGN * len(reasoning)
    return Anatomy(
        habits=Habits(*(len(_apart([at for at, kinds in marks if kinds & BITS[habit]], NEAR)) for habit in HABITS)),
        definition_end=None if definition is None else text.character(definition),
        bloom_end=None if bloom is None else text.character(bloom),
        cycles=len(cycles),
        ruminations=ruminations,
        rumination=rumination,
        final_start=None if final is None else text.character(final),
        words=reading.count_words(reasoning),
        paragraphs=reading.count_paragraphs(reasoning),
        flesch=reading.flesch(reasoning) if is_english else None,
    )


def _apart(places: list[int], least: int) -> list[int]:
    """The places that are so far from the last one kept."""
    kept: list[int] = []
    for place in places:
        if not kept or place - kept[-1] >= least:
            kept.append(place)
    return kept


def _first(marks: list[Hit], bits: int, start: int) -> int | None:
    return next((at for at, kinds in marks[bisect_left(marks, (start, 0)) :] if kinds & bits), None)


def _definition_end(reasoning: str, text: Folded, marks: list[Hit]) -> int | None:
    sentence = _SENTENCE_END.search(reasoning, 0, _FIRST_SENTENCE)
    return _first(marks, BITS["work"], text.place(sentence.end()) if sentence else 0)


def _bloom_end(reasoning: str, text: Folded, marks: list[Hit], start: int) -> int | None:
    named = _first(marks, BITS["answer"], start)
    if named is None:
        return None
    sentence = _SENTENCE_END.search(reasoning, text.character(named))
    return text.place(sentence.end() if sentence else len(reasoning))


def _rumination(data: bytes, cycles: list[int], end: int) -> tuple[int, float | None]:
    """How many cycles repeat what stood before, and the share of all cycles' text that does."""
    if not cycles:
        return 0, None
    seen = set(_long_clauses(data[: cycles[0]]))
    again = size = ruminations = 0
    for begin, after in pairwise([*cycles, end]):
        cycle = _long_clauses(data[begin:after])
        stood = sum(len(clause) for clause in cycle if clause in seen)
        seen.update(cycle)
        whole = sum(map(len, cycle))
        again, size = again + stood, size + whole
        ruminations += 2 * stood >= whole > 0
    return ruminations, again / size if size else 0.0


def _long_clauses(data: bytes) -> list[bytes]:
    return [clause for clause in data.split(b"\n") if len(clause) >= LEAST]
