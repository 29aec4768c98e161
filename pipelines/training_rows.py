"""The rows of a training, on disk in its work folder: made once, and counted with all that was left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

from tracemill.core.errors import InputError
from tracemill.core.types import Prompt
from tracemill.corpus.store import Corpus
from tracemill.pipelines import training_data
from tracemill.pipelines.training_data import Part, Questions
from tracemill.trainers.loop import Work
from tracemill.trainers.options import Training
from tracemill.trainers.rows import SCHEMAS, Row, Rows, save


@dataclass(frozen=True, slots=True)
class Counted:
    """The rows of a training."""

    made: int
    tokens: int
    """Of all rows that were made."""
    longest: int
    """Tokens of the longest, left out or not; of GRPO with room for its completion."""
    too_long: int = 0
    """Left out because they exceed `max_length` or the model's window."""
    cut_off: int = 0
    """Left out because the token limit ended the trace, or one of a pair."""
    unjudged: int = 0
    """Questions of GRPO that are left out because nothing can judge their answers."""
    unpaired: int = 0
    """Kept traces of DPO and reward models that no wrong one of their prompt was left for."""
    repeated: int = 0
    """Questions of GRPO that stand in an earlier data set too: they are asked once, and rewarded as that says."""
    odd: int = 0
    """Questions of GRPO that are over in each epoch, others each time: a step takes `batch / samples` of them."""

    def left_out(self) -> list[str]:
        """What is not trained on, in words."""
        told = {
            "longer than max_length or the model's window": self.too_long,
            "ended by the token limit": self.cut_off,
            "questions whose answers nothing can judge": self.unjudged,
            "without a wrong trace of their prompt to pair with": self.unpaired,
            "questions that an earlier data set has too, which rewards them": self.repeated,
            "questions over in each epoch, for batch / samples does not divide them": self.odd,
        }
        return [f"{count:,} {what}" for what, count in told.items() if count]


def read(training: Training, parts: Sequence[Part], prompts: Sequence[Prompt], corpus: Corpus, work: Work) -> Counted:
    """Make the rows, or count those that are made. Raises InputError where there are too few."""
    counted = work.folder / "rows.json"
    if not counted.is_file():
        try:
            found = _made(training, parts, prompts, corpus, work)
        except InputError:
            shutil.rmtree(work.folder)
            raise
        beside = counted.with_suffix(".new")
        beside.write_text(json.dumps(asdict(found)))
        beside.replace(counted)
    return Counted(**json.loads(counted.read_text()))


def _made(training: Training, parts: Sequence[Part], prompts: Sequence[Prompt], corpus: Corpus, work: Work) -> Counted:
    rows, questions = Rows.of(training), Questions()
    asked = chain(prompts, questions.of(corpus, parts))
    save(_rows(training, parts, asked, corpus, rows), SCHEMAS[training.method], work.data)
    found = Counted(
        rows.made, rows.tokens, rows.longest, rows.too_long, rows.cut_off, rows.unjudged,
        unpaired=sum(part.unpaired for part in parts), repeated=questions.repeated, odd=_odd(training, rows.made),
    )  # fmt: skip
    if not found.made and found.too_long:
        limit = "" if rows.max_length == training.options.max_length else ", the model's window"
        raise InputError(
            f"train.method.{training.method}.max_length: each of {found.too_long:,} rows is longer than "
            f"{rows.max_length:,} tokens{limit} (up to {found.longest:,})"
        )
    if not found.made:
        raise InputError(f"train.data: nothing is left to train on: {', '.join(found.left_out())}")
    return found


def _rows(
    training: Training, parts: Sequence[Part], asked: Iterator[Prompt], corpus: Corpus, rows: Rows
) -> Iterator[Row]:
    if training.method == "sft":
        return rows.sft(chain.from_iterable(training_data.items(corpus, part) for part in parts))
    if training.method == "grpo":
        return rows.grpo(asked)
    paired = chain.from_iterable(training_data.pairs(corpus, part) for part in parts)
    return rows.dpo(paired) if training.method == "dpo" else rows.reward(paired)


def _odd(training: Training, made: int) -> int:
    """How many questions an epoch leaves over: TRL takes whole batches only. Raises InputError where it has none."""
    if training.method != "grpo":
        return 0
    options = training.options
    wanted: int = options.batch // options.samples
    if 0 < made < wanted:
        raise InputError(
            f"train.method.grpo.batch: a step of {options.batch:,} completions, {options.samples:,} of each question, "
            f"takes {wanted:,} questions, and there are {made:,}; lower batch, or give it more questions"
        )
    return made % wanted
