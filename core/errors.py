"""Every error that tracemill raises on purpose.

TracemillError            one clear line for the user, no traceback; `exit_code` is what the command returns
├── InputError            what the user gave: a recipe, a file, a query, an option
│   ├── NotFound          a job, data set or version of that name does not exist
│   └── Conflict          an order that the job does not take in its state
├── SetupError            what this machine lacks; the message ends with the command that mends it
├── EngineError           a model engine failed or died
│   ├── EngineDied        its process ended, or hangs; what it was asked can be asked of another
│   └── RefusedRequest    the engine will not take this one request (too long, …); the others go on
│       └── SetAside      engines die of this request, or fail at it again and again
├── CorpusError           the corpus cannot be read or written (full disk, no permission, locked)
│   └── Locked            another process runs the same job
└── Stopped               the user asked to stop; what was durable is kept
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TracemillError(Exception):
    """Base of all errors that are shown to the user as one line."""

    exit_code = 1


class InputError(TracemillError):
    """A user's mistake; the message names the field and the remedy."""

    exit_code = 2


class NotFound(InputError):
    """A job, data set or version of that name does not exist."""


class Conflict(InputError):
    """An order that a job does not take in its state; the message names those that it takes."""


class SetupError(TracemillError):
    """Something is missing on this machine; the message ends with the command that mends it."""

    exit_code = 3


class EngineError(TracemillError):
    """An engine failed or died."""

    exit_code = 4


class EngineDied(EngineError):
    """The engine's process ended or hangs. What it was asked can be asked of another one."""

    def __init__(self, reason: str, with_node: bool = False) -> None:
        super().__init__(reason)
        self.with_node = with_node
        """Its whole node went, so nothing that it was asked can be the cause."""

    def __reduce__(self) -> tuple[type[EngineDied], tuple[str, bool]]:
        return type(self), (str(self), self.with_node)


class RefusedRequest(EngineError):
    """The engine will not take this one request; asking again gives the same answer."""


class SetAside(RefusedRequest):
    """Engines die of this request, or fail at it again and again: no more of them is risked."""


class CorpusError(TracemillError):
    """The corpus cannot be read or written."""

    exit_code = 5


class Locked(CorpusError):
    """Another process runs the same job; its state is its own."""


class Stopped(TracemillError):
    """The user asked to stop."""

    exit_code = 130


def nearest(word: str, known: Iterable[str]) -> str:
    """Ends an error message: " (did you mean 'x'?)" where a known name is near, else the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(names)})"
