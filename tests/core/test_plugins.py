"""Finding plugins and setting their options."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.filters import length


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A filter that another distribution brings through an entry point."""
    module = ModuleType("brought_filter")
    module.plugin, module.EXAMPLES = length.plugin, ()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    point = EntryPoint("x", module.__name__, "tracemill.filters")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == point.group else [])
    plugins.load.cache_clear()
    yield module
    plugins.load.cache_clear()


def test_every_plugin_of_the_house_is_found() -> None:
    assert {"format", "math", "reasoning_gym"} <= set(plugins.load("verifiers"))
    assert {"exact_duplicates", "language", "length"} <= set(plugins.load("filters"))
    assert list(plugins.load("filters")) == sorted(plugins.load("filters"))


def test_an_entry_point_is_found(installed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(length.Length):
        name = "brought"

    installed.plugin = Other()  # type: ignore[attr-defined]
    assert plugins.load("filters")["brought"] is installed


def test_two_plugins_of_one_name_are_refused(installed: ModuleType) -> None:
    with pytest.raises(InputError, match="both call themselves 'length'"):
        plugins.load("filters")


def test_options_are_set_on_a_copy() -> None:
    plugin = plugins.get("filters", "length", {"min_words": 3})
    assert plugin == length.Length(min_words=3)
    assert plugins.get("filters", "length") == length.Length()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lenght", {}, r"filters\[0\]: unknown filter 'lenght' \(did you mean 'length'\?\)"),
        (
            "length",
            {"min_word": 1},
            r"filters\[0\]\.min_word: 'length' has no such option \(did you mean 'min_words'\?\)",
        ),
        ("length", {"name": "x"}, r"filters\[0\]\.name: 'length' has no such option"),
        ("language", {"target": "English"}, r"^filters\[0\]\.target: 'English' is no language code"),
    ],
)
def test_a_mistake_names_the_field(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plugins.get("filters", name, options, "filters[0]")
