"""Started by tests: adds overlapping prompts, one call for each five, and prints how many were new."""

from __future__ import annotations

import sys

from tests.corpus.conftest import Build

from tracemill.corpus.store import Corpus


def main(root: str, first: str, last: str) -> None:
    corpus = Corpus.open(root)
    new = [
        corpus.add_prompts([Build.prompt(n) for n in range(start, start + 5)])
        for start in range(int(first), int(last), 5)
    ]
    sys.stdout.write(str(sum(new)))


if __name__ == "__main__":
    main(*sys.argv[1:])
