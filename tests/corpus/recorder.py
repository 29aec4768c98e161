"""Started by tests: records samples of a job for ever and prints each id once it is durable."""

from __future__ import annotations

import random
import sys

from tests.corpus.conftest import Build

from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(root: str, job_id: str, seed: str, most: str) -> None:
    corpus = Corpus.open(root)
    chance = random.Random(int(seed))
    with Ledger.open(corpus, job_id, batch=7) as ledger:
        say("open")
        number = 0
        while number < int(most):
            traces = [Build.trace(Build.prompt(n), job_id=job_id) for n in range(number, number + chance.randint(1, 4))]
            number += len(traces)
            fresh = [trace for trace in traces if (trace.prompt_id, trace.sample) not in ledger.finished]
            ledger.record(
                [(trace, [Build.verdict(trace), Build.verdict(trace, verifier="format")]) for trace in traces]
            )
            for trace in fresh:
                say(trace.id)


if __name__ == "__main__":
    main(*sys.argv[1:])
