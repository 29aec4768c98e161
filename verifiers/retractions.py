"""Whether a text goes back on an answer in words: "The answer is Paris. Actually, London."

`extraction` sees numbers that contradict a marked answer; this is for answers in words and letters. It does not say
what the answer is now: where it finds something, nothing can be decided.
"""

from __future__ import annotations

import re

SECOND_THOUGHT = re.compile(
    r"\b(?:actually|wait|correction|sorry|mistake|hold on|scratch that|oops|second thought|let me re-?\w+"
    r"|no[,.](?=\s))",
    re.IGNORECASE,
)


_DENIAL = re.compile(r"\b(?:not|no longer|never|rather than|instead)\b|n['’]t\b", re.IGNORECASE)


def is_reconsidered(text: str, answer: str) -> bool:
    """Whether a second thought follows the answer, and does not end in the same answer again."""
    thoughts = list(SECOND_THOUGHT.finditer(text))
    if not thoughts or answer not in text[: thoughts[-1].start()]:
        return False
    after = text[thoughts[-1].end() :]
    return answer not in after or _DENIAL.search(after) is not None
