"""Recordings as recipes name them: whether their prompts can be judged, and the recording that an engine replays."""

from __future__ import annotations

from collections.abc import Iterable

from tracemill.core.errors import InputError
from tracemill.core.types import Prompt, Verifier
from tracemill.factory.recording import Recording, Source, Survey
from tracemill.pipelines.references import needs_reference


class Judgeable:
    """Whether at least one prompt of a source can be judged: without a gold answer its traces stay undecided.

    That is what an import of a mixed set comes to, and it is counted; where none can be judged, it is a mistake.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._found = False
        self._known: dict[tuple[str, ...], bool] = {}
        self._lacking = ""

    def look(self, prompt: Prompt, verifier: Verifier) -> None:
        """Take a prompt of the source into account."""
        if self._found or prompt.reference.strip():
            self._found = True
            return
        # A verifier may read what it judges by from the metadata: the same columns are asked about once.
        key = (prompt.verifier, *sorted(name for name, value in prompt.metadata.items() if value is not None))
        if key not in self._known:
            self._known[key] = needs_reference(prompt, verifier)
        self._found = not self._known[key]
        self._lacking = prompt.verifier

    def check(self) -> None:
        """Raises InputError where every prompt that was looked at lacks what it would be judged by."""
        if self._lacking and not self._found:
            raise InputError(
                f"{self._where}: no row has a gold answer, and {self._lacking} needs one; name its column "
                "(columns.reference), let samples vote (verify.majority), or take a verifier that needs none (format)"
            )


def open_recording(sources: Iterable[Source], survey: Survey) -> Recording:
    """The recording of a plan's sources, for `with`; reads them through. Raises InputError where they have changed."""
    recording = Recording(sources)
    if recording.survey.digest != survey.digest:
        recording.close()
        raise InputError("prompts: the recorded files have changed since the job was planned; run it again")
    recording.survey = survey  # the same, and only once in memory
    return recording
