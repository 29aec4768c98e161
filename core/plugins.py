"""Finds verifiers and filters: every module of the package with `plugin` and `EXAMPLES`, and installed entry points.

A plugin is one file: a frozen dataclass whose fields are its options, `plugin` (an instance with the defaults) and
`EXAMPLES`, which the contract test runs. An entry point of group `tracemill.verifiers` or `tracemill.filters` names
such a module.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Literal

from tracemill.core.errors import InputError, nearest
from tracemill.core.options import configured
from tracemill.core.types import Outcome

Kind = Literal["verifiers", "filters"]


@dataclass(frozen=True, slots=True)
class VerifierExample:
    """One row of a verifier's contract."""

    answer: str
    reference: str
    outcome: Outcome
    why: str
    """What the row shows; the test's name."""
    prompt: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reasoning: str = "Some reasoning."
    faults: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    """What the model of a verifier that asks one replies, in turn; CODE stands for the request's own code."""


@dataclass(frozen=True, slots=True)
class FilterExample:
    """One row of a filter's contract: a trace, and the reason of its drop (None where it passes)."""

    reasoning: str
    reason: str | None
    why: str
    answer: str = "42"
    prompt: str = "What is 6 times 7?"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SieveExample:
    """One row of a sieve's contract: (prompt, reasoning, answer) triples and the numbers of those dropped."""

    items: Sequence[tuple[str, str, str]]
    dropped: tuple[int, ...]
    why: str
    options: Mapping[str, Any] = field(default_factory=dict)


@cache
def load(kind: Kind) -> Mapping[str, ModuleType]:
    """All plugin modules of a kind by plugin name. Raises InputError when two claim one name."""
    package = importlib.import_module(f"tracemill.{kind}")
    modules = [
        importlib.import_module(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(package.__path__)
    ]
    modules += [point.load() for point in entry_points(group=f"tracemill.{kind}")]
    found: dict[str, ModuleType] = {}
    for module in modules:
        if not (hasattr(module, "plugin") and hasattr(module, "EXAMPLES")):
            continue
        name: str = module.plugin.name
        if name in found:
            raise InputError(f"{kind}: {module.__name__} and {found[name].__name__} both call themselves {name!r}")
        found[name] = module
    return dict(sorted(found.items()))


def get(kind: Kind, name: str, options: Mapping[str, Any] | None = None, where: str = "") -> Any:
    """The plugin of that name with its options set. `where` is the field that named it, for the error's line."""
    known = load(kind)
    label = where or kind.removesuffix("s")
    if name not in known:
        raise InputError(f"{label}: unknown {kind.removesuffix('s')} {name!r}{nearest(name, known)}")
    plugin = known[name].plugin
    if not options:
        return plugin
    defaults = {field.name: getattr(plugin, field.name) for field in dataclasses.fields(plugin) if field.init}
    return configured(type(plugin), options, label, name, defaults=defaults)
