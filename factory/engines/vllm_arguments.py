"""Checks the engine arguments of a recipe against those that the installed vLLM knows, without importing it.

Importing vLLM takes about 10 s and 1 GB; its source tells names and plain types in 0.1 s. What is no plain type
(`kv_cache_dtype`, `compilation_config`, …) is checked by vLLM itself when the engine starts.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tracemill.core.errors import InputError, nearest

_PLAIN: Mapping[str, type] = {"int": int, "float": float, "bool": bool, "str": str, "None": type(None)}


def check_arguments(options: Mapping[str, Any], where: str) -> None:
    """Raises InputError for a name that vLLM does not know, or a value of the wrong type.

    `where` is the recipe's field that holds them. Says nothing where vLLM is not installed: it may be on
    the cluster's other nodes.
    """
    known = known_arguments()
    for name, value in options.items():
        if not known:
            return
        if name not in known:
            raise InputError(f"{where}.{name}: vLLM has no such argument{nearest(name, known)}")
        annotation = known[name]
        kinds = [_PLAIN.get(part.strip()) for part in annotation.split("|")]
        if None not in kinds and not any(_is(value, kind) for kind in kinds if kind is not None):
            raise InputError(f"{where}.{name}: vLLM takes {annotation}, got {value!r}")


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


@cache
def known_arguments() -> Mapping[str, str]:
    """Names of vLLM's engine arguments with their annotations as text; empty where vLLM is not installed."""
    found = find_spec("vllm")
    if found is None or not found.submodule_search_locations:
        return {}
    source = Path(found.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    if not source.is_file():
        return {}
    classes = [one for one in ast.parse(source.read_text()).body if isinstance(one, ast.ClassDef)]
    return {
        field.target.id: ast.unparse(field.annotation)
        for one in classes
        if one.name in ("EngineArgs", "AsyncEngineArgs")
        for field in one.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
