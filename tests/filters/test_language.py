"""The language filter on real sentences and real chains. It must never need the network."""

from __future__ import annotations

import gzip
import json
import random
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracemill.core import languages
from tracemill.core.errors import InputError
from tracemill.core.types import Item
from tracemill.filters.language import Language

MakeItem = Callable[..., Item]


def test_each_language_is_known_from_all_others(sentences: dict[str, list[str]], make_item: MakeItem) -> None:
    rng = random.Random(0)
    wrongly_dropped = wrongly_passed = mixing_passed = 0
    for language, own in sentences.items():
        plugin = Language(target=language)
        for _ in range(20):
            other = sentences[rng.choice([code for code in sentences if code != language])]
            pure = make_item(" ".join(rng.sample(own, 8)))
            wrong = make_item(" ".join(rng.sample(other, 8)))
            mixed = make_item(" ".join(rng.sample(own, 24) + rng.sample(other, 8)))
            wrongly_dropped += plugin.check(pure.trace, pure.prompt) is not None
            wrongly_passed += plugin.check(wrong.trace, wrong.prompt) is None
            mixing_passed += plugin.check(mixed.trace, mixed.prompt) is None
    assert wrongly_dropped <= 1  # of 360; Thai sentences with an English company's name in full
    assert wrongly_passed == 0
    assert mixing_passed == 0


def test_real_english_chains_full_of_mathematics_pass(real_data: Path, make_item: MakeItem) -> None:
    dropped = []
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        for row in [json.loads(line) for number, line in enumerate(lines) if number % 10 == 0]:
            item = make_item(row["reasoning"], prompt=row["prompt"])
            if drop := Language().check(item.trace, item.prompt):
                dropped.append((row["id"], drop))
    assert dropped == []


def test_the_model_comes_with_the_package(monkeypatch: pytest.MonkeyPatch, make_item: MakeItem) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("the language filter opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    languages._detector.cache_clear()
    item = make_item("Wir zählen zuerst alle Eier, die heute gelegt wurden, und verkaufen dann den Rest davon. " * 3)
    drop = Language(target="en").check(item.trace, item.prompt)
    assert drop is not None
    assert (drop.reason, drop.detail) == ("wrong_language", "0.0% en, 100.0% de")


def test_the_detail_names_the_shares(make_item: MakeItem) -> None:
    item = make_item(
        "We count the eggs and sell the rest of them. " * 8 + "首先我们计算鸭子每天下的蛋,然后都卖掉。" * 4
    )
    drop = Language(target="en").check(item.trace, item.prompt)
    assert drop is not None
    assert drop.reason == "mixed_language"
    assert drop.detail == "65.4% en, 34.6% zh"


def test_the_metadata_names_the_target_before_the_prompt(make_item: MakeItem) -> None:
    german = "Wir zählen zuerst alle Eier, die heute gelegt wurden, und verkaufen dann den Rest davon. " * 3
    item = make_item(german, prompt="How many eggs are left when the ducks have laid sixteen of them?")
    assert Language().check(item.trace, item.prompt) is not None
    assert Language().check(item.trace, replace(item.prompt, metadata={"language": "de"})) is None
    assert Language(target="en").check(item.trace, replace(item.prompt, metadata={"language": "de"})) is not None
    assert Language().check(item.trace, replace(item.prompt, metadata={"language": "python"})) is not None


@pytest.mark.parametrize("options", [{"target": "English"}, {"target": ""}, {"min_share": 0.0}, {"min_share": 1.5}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Language(**options)
