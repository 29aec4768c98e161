"""What the code verifier says of real programs whose verdict is known, and how fast, against a plain subprocess.

Needs the real data (TRACEMILL_TEST_DATA). HumanEval's canonical solutions, each once more with an operator or constant
changed (or, where its tests see no such change, a call dropped) so that a plain run of its tests fails; MBPP's
reference solutions; 1,500 labelled MBPP programs of three models, where every verdict that differs from the label is
printed, and is explained here or not. The peer of the timing is the plain way of checking HumanEval: `python -I -c` on
program and tests, no walls, one after the other. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labelled import DATA, need_data

import tracemill
from tracemill.core.types import Outcome, Verdict

SECONDS = 3.0
"""Limit of a plain run, as in HumanEval's own harness."""
EXPLAINED = {
    "MBPP/56": "its `check(candidate)` hides the function under test, which is called check: nothing passes",
    "MBPP/349": "its `check(candidate)` hides the function under test, which is called check: nothing passes",
    "MBPP/18": "its tests call remove_dirty_chars, the question asks for str_to_list",
    "MBPP/30": "its tests call count_Substring_With_Equal_Ends, the question asks for check_Equality",
    "MBPP/70": "its tests call get_equal, the question asks for find_equal_tuple",
    "MBPP/338": "its tests call count_Substring_With_Equal_Ends, the question asks for check_Equality",
    "MBPP/364": "its tests call min_flip_to_make_string_alternate, the question asks for make_flip",
    "MBPP/501": "its tests call num_comm_div, the question asks for ngcd; one model happened to define both",
    "MBPP/367": "its tests need a class Node that neither they nor the question give: nothing passes",
    "MBPP/480": "the program breaks a tie by the order of a set of letters: right or wrong by the seed of the hashes",
}
"""Labelled programs that we judge otherwise: task → why."""
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def rows(folder: Path, name: str, step: int) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for number, line in enumerate(lines) if number % step == 0]


def judge(code: str, reference: str, question: str, **metadata: Any) -> Verdict:
    return tracemill.verify("code", f"```python\n{code}\n```", reference, question, metadata)


def humaneval(row: dict[str, Any], code: str) -> Verdict:
    return judge(code, row["test"], row["prompt"], entry_point=row["entry_point"])


def mbpp(row: dict[str, Any]) -> Verdict:
    solution = row["reference_solution"]  # given as such too: it says which helpers of the tests are the program's
    known = {"test_setup": row["test_setup"], "reference_solution": solution}
    return judge(solution, json.dumps(row["tests"]), row["problem"], **known)


def labelled(row: dict[str, Any]) -> Verdict:
    return judge(row["solution"], row["test"], row["prompt"], entry_point=row["entry_point"])


def plain_run(row: dict[str, Any], code: str) -> bool | None:
    """Whether program and tests end well in a process of their own; None where they do not end."""
    program = f"{row['prompt']}{code}\n{row['test']}\ncheck({row['entry_point']})\n"
    try:
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.returncode == 0


def mutants(row: dict[str, Any]) -> Iterator[str]:
    """The canonical solution as a whole program, with one operator or constant changed, in a seeded order."""
    tree = ast.parse(row["prompt"] + row["canonical_solution"])
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == row["entry_point"])
    places = [number for number, node in enumerate(ast.walk(function)) if _changed(node) is not None]
    random.Random(row["id"]).shuffle(places)
    nodes = list(ast.walk(function))
    places.sort(key=lambda place: isinstance(nodes[place], ast.Call))
    for place in places:
        other = copy.deepcopy(tree)
        function = next(n for n in other.body if isinstance(n, ast.FunctionDef) and n.name == row["entry_point"])
        node = list(ast.walk(function))[place]
        made = _changed(node)
        assert made is not None
        node.__class__ = made.__class__
        node.__dict__.update(made.__dict__)
        yield ast.unparse(ast.fix_missing_locations(other))


def _changed(node: ast.AST) -> ast.AST | None:
    if type(node) in OPERATORS:
        return OPERATORS[type(node)]()
    if isinstance(node, ast.Call) and len(node.args) <= 2 and not node.keywords:  # a call dropped: x.lower() → x
        inner = node.func.value if isinstance(node.func, ast.Attribute) else None
        return copy.deepcopy(node.args[0] if node.args and inner is None else inner)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return ast.Constant(not node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return ast.Constant(node.value + 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 20:
        return ast.Constant(node.value + "x")
    return None


def broken(row: dict[str, Any]) -> str | None:
    """The first variant that the tests see; None where they see none."""
    return next((code for code in mutants(row) if plain_run({**row, "prompt": ""}, code) is False), None)


def measure(folder: Path, step: int) -> dict[str, float]:
    problems = rows(folder, "prompts/humaneval", step)
    found: dict[str, float] = {"humaneval": len(problems)}
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        solved = list(pool.map(lambda row: humaneval(row, row["canonical_solution"]), problems))
        found["humaneval_correct"] = _count("HumanEval, canonical", [row["id"] for row in problems], solved)
        pairs = [(row, code) for row, code in zip(problems, pool.map(broken, problems), strict=True) if code]
        missed = {row["id"] for row in problems} - {row["id"] for row, _ in pairs}
        print(f"no variant that the tests see: {sorted(missed) or 'none'}")
        verdicts = list(pool.map(lambda pair: humaneval(*pair), pairs))
        names = [row["id"] for row, _ in pairs]
        found["variants"] = len(pairs)
        found["variants_wrong"] = _count("HumanEval, broken", names, verdicts, Outcome.WRONG)
        tasks = rows(folder, "prompts/mbpp", step)
        given = pool.map(mbpp, tasks)
        found["mbpp"] = len(tasks)
        found["mbpp_correct"] = _count("MBPP, reference", [row["id"] for row in tasks], list(given))
        found |= _labelled(rows(folder, "labelled/mbpp_solutions", step), pool)
    return found | _speed(problems)


def _count(title: str, names: list[str], verdicts: list[Verdict], wanted: Outcome = Outcome.CORRECT) -> int:
    good = sum(one.outcome is wanted for one in verdicts)
    print(f"{title}: {good} of {len(verdicts)} {wanted.value}")
    for name, one in zip(names, verdicts, strict=True):
        if one.outcome is not wanted:
            print(f"    {name}: {one.outcome.value}: {one.reason}")
    return good


def _labelled(programs: list[dict[str, Any]], pool: ThreadPoolExecutor) -> dict[str, float]:
    started = time.perf_counter()
    verdicts = list(pool.map(labelled, programs))
    seconds = time.perf_counter() - started
    table = Counter((row["is_solved"], one.outcome.value) for row, one in zip(programs, verdicts, strict=True))
    print(f"labelled programs (solved, verdict): {dict(table)}")
    counts: Counter[str] = Counter()
    for row, one in zip(programs, verdicts, strict=True):
        if one.outcome is (Outcome.CORRECT if row["is_solved"] else Outcome.WRONG):
            counts["agree"] += 1
            continue
        why = EXPLAINED.get(row["task_id"])
        counts["explained" if why else "unexplained"] += 1
        label = f"{row['task_id']} {row['model']}, solved: {row['is_solved']}"
        print(f"    {label}; {one.outcome.value}: {one.reason}\n        {why}")
    kinds = {f"labelled_{name}": counts[name] for name in ("agree", "explained", "unexplained")}
    return {"labelled": len(programs), **kinds, "labelled_per_s": round(len(programs) / seconds, 1)}


def _speed(problems: list[dict[str, Any]]) -> dict[str, float]:
    """Both ways in turn, one program at a time; ours starts two boxes for each."""
    ours = theirs = 0.0
    for row in problems[::2]:
        started = time.perf_counter()
        humaneval(row, row["canonical_solution"])
        between = time.perf_counter()
        plain_run(row, row["canonical_solution"])
        ours, theirs = ours + between - started, theirs + time.perf_counter() - between
    return {"speedup_vs_subprocess": round(theirs / ours, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every eighth program, as CI runs it")
    quick = parser.parse_args().quick
    need_data()
    print(json.dumps(measure(DATA, 8 if quick else 1)))


if __name__ == "__main__":
    main()
