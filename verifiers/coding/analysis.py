"""What a test set asks of the program: which names it uses, and which of them is the function under test.

Python's own parser reads text that others wrote, so this runs where it can be killed (`verifiers.worker`).
"""

from __future__ import annotations

import ast
import builtins
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

_ALIASES = {"np": "numpy", "numpy": "numpy", "pd": "pandas", "pandas": "pandas"}
"""Modules beyond the standard library that tests use without importing them."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Of asserts, or of a `check`."""

    entry: str
    """The function under test; "" where none is called."""
    names: tuple[str, ...]
    """What of the program they use: the entry, the owner, and what the reference solution defines."""
    strangers: tuple[str, ...]
    """What they use and neither they nor the reference solution define: never asked of the program, which would be
    given the expected value: `assert close(f(4), 2.0)`."""
    modules: tuple[tuple[str, str, str], ...]
    """What they use without importing it, as (name, module, attribute or ""): `math.isclose`, `np.allclose`."""


def analyse(
    prelude: str, setup: str, tests: tuple[str, ...], check: str, entry: str, owner: str, solution: str
) -> Analysis:
    """Read a test set. Raises SyntaxError where it is no Python, ValueError where it hides the program."""
    with warnings.catch_warnings(action="ignore"):
        prelude_tree, setup_tree, check_tree = ast.parse(prelude), ast.parse(setup), ast.parse(check)
        trees = [ast.parse(test) for test in tests]
    used = [setup_tree, *trees, check_tree]
    bound = set().union(*map(_bound, used))
    loaded = dict.fromkeys(name for tree in used for name in _loaded(tree))
    defined, imported = _of_solution(prelude, solution)
    modules = {
        name: (_ALIASES.get(name, name), "")
        for name in _attributed(used)
        if (name in sys.stdlib_module_names or name in _ALIASES) and name not in bound | defined | {entry}
    }
    modules |= {name: found for name, found in imported.items() if name in loaded and name not in bound | {entry}}
    if entry in _bound(check_tree):
        raise ValueError(f"the tests define {entry}, the function under test, themselves")
    entry = entry or _entry([*trees, check_tree, setup_tree], bound | _bound(prelude_tree) | set(modules))
    names = [name for name in loaded if name not in bound and name not in modules and not hasattr(builtins, name)]
    asked = [name for name in names if name in defined | {owner}]
    strangers = [name for name in names if name not in asked and name != entry]
    if len(strangers) == 1 and _ignores_candidate(check_tree):
        asked, strangers = [*asked, *strangers], []  # the tests name the function themselves: MBPP with a wrong entry
    return Analysis(
        entry,
        tuple(dict.fromkeys([*([entry] if entry else []), *asked])),
        tuple(strangers),
        tuple((name, *found) for name, found in modules.items()),
    )


def _ignores_candidate(tree: ast.Module) -> bool:
    """Whether `check` never looks at what it is given."""
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    return bool(checks) and all(
        len(node.args.args) == 1 and node.args.args[0].arg not in set(_loaded(ast.Module(node.body, [])))
        for node in checks
    )


def _of_solution(prelude: str, solution: str) -> tuple[set[str], dict[str, tuple[str, str]]]:
    """The names that the reference solution defines, and those that it imports from where all have it."""
    tree = ast.Module([], [])
    for text in (solution, f"{prelude.rstrip()}\n{solution}"):  # it may be the body of a function
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        break
    defined: set[str] = set()
    imported: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            imported |= {one.asname or one.name: (module, one.name) for one in node.names if _known(module)}
        elif isinstance(node, ast.Import):
            imported |= {
                one.asname or one.name.partition(".")[0]: (one.name if one.asname else one.name.partition(".")[0], "")
                for one in node.names
                if _known(one.name)
            }
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            defined |= _bound(node)
    imported.pop("*", None)
    return defined, {name: found for name, found in imported.items() if name not in defined}


def _known(module: str) -> bool:
    first = module.partition(".")[0]
    return first in sys.stdlib_module_names or first in _ALIASES.values()


def parses(text: str) -> None:
    """Raises SyntaxError where it is no Python."""
    with warnings.catch_warnings(action="ignore"):
        ast.parse(text)


def warm() -> None:
    """For the worker: nothing to load."""


def _bound(tree: ast.AST) -> set[str]:
    """Names that the code itself gives a meaning, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _loaded(tree: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def _attributed(trees: list[ast.Module]) -> dict[str, None]:
    """Names of which only attributes are used."""
    parts = [node for tree in trees for node in ast.walk(tree)]
    read = {
        id(node.value): node.value.id
        for node in parts
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    alone = {node.id for node in parts if isinstance(node, ast.Name) and id(node) not in read}
    return dict.fromkeys(name for name in read.values() if name not in alone)


def _entry(trees: list[ast.Module], known: set[str]) -> str:
    """The first function called that nothing else defines; a builtin's name only where there is no other."""
    calls = [
        node.func.id
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in known
    ]
    own = [name for name in calls if not hasattr(builtins, name)]
    return next(iter(own or calls), "")
