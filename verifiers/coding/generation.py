"""Makes tests from programs, as for DeepSeek-R1's code data: inputs on which right programs agree and wrong ones fail.

A generator proposes inputs; each right program is run on each; an input stays only if all of them answer, and alike. Of
these the ones are kept on which wrong programs fail, those first that tell apart programs which no kept one does yet.
Everything runs in the sandbox. Whether the right programs are right nobody can tell here: give two that were written
apart, where there are two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tracemill.core.errors import InputError
from tracemill.verifiers.coding.answers import Opened, opened
from tracemill.verifiers.coding.boxed import program
from tracemill.verifiers.coding.reference import TestSet
from tracemill.verifiers.coding.values import Tree, encode
from tracemill.verifiers.sandbox import Closed, Ending, Limits, Sandbox

LIMITS = Limits(cpu_s=10, wall_s=60, memory_mb=1024, output_kb=16 * 1024)
"""Of one program: on one text, or on all calls."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A test set and how it came about."""

    reference: str
    """For `Prompt.reference`."""
    tried: int
    """Distinct inputs that the generator proposed."""
    agreed: int
    """Of these, on which all right programs gave the same answer."""
    kept: int
    survivors: tuple[int, ...]
    """Numbers of the wrong programs that pass every test that was kept."""


def generate_tests(
    sandbox: Sandbox,
    kind: Literal["calls", "stdio"],
    generator: str,
    right: Sequence[str],
    wrong: Sequence[str] = (),
    entry: str = "",
    tries: int = 200,
    keep: int = 20,
    seed: int = 0,
) -> Generated:
    """Up to `keep` tests. `generator`: a Python program that prints an input a line as JSON, a list of arguments or a
    text for standard input; its arguments are the seed and how many. `entry`: the function of `calls`.

    Raises InputError where the generator or the right programs do not give what they should.
    """
    if not right:
        raise InputError("generate_tests: at least one right program is needed")
    inputs = _inputs(sandbox, generator, kind, tries, seed)
    answers = [_answers(sandbox, kind, entry, code, inputs) for code in right]
    agreed = [at for at, one in enumerate(answers[0]) if one is not None and all(other[at] == one for other in answers)]
    if not agreed:
        raise InputError(f"generate_tests: the right programs agree on none of {len(inputs)} inputs")
    failures = [
        {at for at in agreed if given[at] != answers[0][at]}
        for given in (_answers(sandbox, kind, entry, code, inputs) for code in wrong)
    ]
    chosen = _chosen(agreed, failures, keep)
    survivors = tuple(number for number, failed in enumerate(failures) if not failed & set(chosen))
    pairs = [(inputs[at], json.loads(answers[0][at] or "")) for at in chosen]
    return Generated(_reference(kind, entry, pairs), len(inputs), len(agreed), len(chosen), survivors)


def _inputs(sandbox: Sandbox, generator: str, kind: str, tries: int, seed: int) -> list[Any]:
    run = sandbox.run(generator, limits=LIMITS, argv=(str(seed), str(tries)))
    if run.ending is not Ending.EXITED or run.code:
        said = run.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise InputError(f"generate_tests: the generator {run.ending} ({said or run.code})")
    wanted = list if kind == "calls" else str
    lines = dict.fromkeys(line for line in run.stdout.decode(errors="replace").splitlines()[:tries] if line.strip())
    try:
        found = [json.loads(line) for line in lines]
    except (ValueError, RecursionError) as error:
        raise InputError(f"generate_tests: the generator printed a line that is no JSON: {error}") from error
    if not all(isinstance(one, wanted) for one in found):
        raise InputError(
            f"generate_tests: an input of {kind} must be a {'list of arguments' if wanted is list else 'text'}"
        )
    return found


def _answers(sandbox: Sandbox, kind: str, entry: str, code: str, inputs: Sequence[Any]) -> list[str | None]:
    """What the program gives for each input, as JSON; None where it gives nothing that a test could expect."""
    if kind == "stdio":
        runs = [sandbox.run(code, one.encode(errors="surrogatepass"), LIMITS) for one in inputs]
        is_right = [run.ending is Ending.EXITED and not run.code for run in runs]
        texts = [_text(run.stdout) for run in runs]
        return [text if ended else None for text, ended in zip(texts, is_right, strict=True)]
    found: list[str | None] = []
    with sandbox.converse(program("program_side"), LIMITS) as talk:
        asked = opened(talk, TestSet("calls", entry=entry), code, LIMITS)
        if not isinstance(asked, Opened):
            return [None] * len(inputs)
        try:
            for one in inputs:
                target = asked.target
                if asked.owner:
                    target = asked.answers.ask("method", asked.owner, entry).rest[0]
                reply = asked.answers.ask("call", target, encode(one), encode({}))
                found.append(_plain(reply.rest[0]) if reply.kind == "ok" else None)
        except (Closed, LookupError):
            pass
    return found + [None] * (len(inputs) - len(found))


def _text(output: bytes) -> str | None:
    try:
        return json.dumps(output.decode().rstrip())
    except UnicodeDecodeError:
        return None


def _plain(tree: Tree) -> str | None:
    """The value as JSON that a test can expect, tuples as lists; None for what JSON does not have."""
    try:
        return json.dumps(_json(tree), allow_nan=False)
    except (ValueError, RecursionError):
        return None


def _json(tree: Tree) -> Any:
    if isinstance(tree, list):
        return [_json(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    ((name, held),) = tree.items()
    if name == "tuple":
        return [_json(one) for one in held]
    if name == "dict" and all(isinstance(key, str) for key, _ in held):
        return {key: _json(one) for key, one in held}
    raise ValueError(name)


def _chosen(agreed: Sequence[int], failures: Sequence[set[int]], keep: int) -> list[int]:
    """Greedy cover: each time the input on which most of the programs fail that nothing chosen catches yet."""
    left = list(agreed)
    chosen: list[int] = []
    uncaught = [failed for failed in failures if failed]
    while left and len(chosen) < keep:
        best = max(left, key=lambda at: (sum(at in failed for failed in uncaught), -at))
        chosen.append(best)
        left.remove(best)
        uncaught = [failed for failed in uncaught if best not in failed] or [failed for failed in failures if failed]
    return sorted(chosen)


def _reference(kind: str, entry: str, pairs: Sequence[tuple[Any, Any]]) -> str:
    if kind == "stdio":
        return json.dumps({"kind": kind, "cases": [{"input": given, "output": output} for given, output in pairs]})
    cases = [{"args": given, "expected": value} for given, value in pairs]
    return json.dumps({"kind": kind, "entry_point": entry, "cases": cases})
