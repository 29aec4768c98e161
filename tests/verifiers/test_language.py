"""The language verifier on real chains and sentences. It must never need the network."""

from __future__ import annotations

import gzip
import json
import random
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tracemill.core import languages
from tracemill.core.errors import InputError
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.judging import judge
from tracemill.verifiers.language import Language

Case = Callable[..., tuple[Prompt, Trace]]
ENGLISH = "First we count the eggs that the ducks lay each day, then we take away those that were eaten at breakfast. "
GERMAN = "Zuerst zählen wir die Eier, die jeden Tag gelegt werden, und ziehen dann die gegessenen wieder davon ab. "
QUESTION = "How many eggs are left when the ducks have laid sixteen of them and three were eaten?"
CODE = "\n```python\ntotal = sum(egg.count for egg in eggs)\n```\n"
LATEX = " \\(\\frac{a}{b} = \\sum_{i=1}^{n} x_i\\) "


@pytest.fixture(scope="module")
def chains(real_data: Path) -> list[dict[str, str]]:
    """Every tenth real chain."""
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        return [json.loads(line) for number, line in enumerate(lines) if number % 10 == 0]


@pytest.fixture(scope="session")
def judged(make_case: Case) -> Callable[..., Verdict]:
    def verdict(reasoning: str, prompt: str = QUESTION, plugin: Language | None = None, **case: Any) -> Verdict:
        answer = case.pop("answer", "13")
        return judge(*make_case(answer, "", prompt, reasoning=reasoning, **case), (plugin or Language(),))[0]

    return verdict


def test_the_score_is_the_share_of_words_and_the_reason_names_the_rest(judged: Callable[..., Verdict]) -> None:
    verdict = judged(ENGLISH * 6 + GERMAN)
    assert verdict.outcome is Outcome.WRONG
    assert verdict.score == pytest.approx(126 / 144)
    assert verdict.reason == "mixed_language: 87.5% en, 12.5% de"
    verdict = judged(GERMAN * 5)
    assert (verdict.outcome, verdict.score, verdict.reason) == (
        Outcome.WRONG,
        0.0,
        "wrong_language: 0.0% en, 100.0% de",
    )
    verdict = judged(ENGLISH * 5)
    assert (verdict.outcome, verdict.score, verdict.reason) == (Outcome.CORRECT, 1.0, "consistent: 100.0% en")


def test_the_answer_is_judged_where_the_option_says_so(judged: Callable[..., Verdict]) -> None:
    assert judged(ENGLISH * 3, answer=GERMAN).outcome is Outcome.CORRECT
    assert judged(ENGLISH * 3, answer=GERMAN, plugin=Language(answer=True)).outcome is Outcome.WRONG


def test_the_target_is_the_option_then_the_metadata_then_the_prompt(judged: Callable[..., Verdict]) -> None:
    german = {"language": "de"}
    assert judged(GERMAN * 3).outcome is Outcome.WRONG
    assert judged(GERMAN * 3, metadata=german).outcome is Outcome.CORRECT
    assert judged(GERMAN * 3, metadata=german, plugin=Language(target="en")).outcome is Outcome.WRONG
    assert judged(GERMAN * 3, prompt=GERMAN).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("reasoning", "case", "reason"),
    [
        (ENGLISH * 3, {"prompt": "Evaluate $x^2$."}, "no_target"),
        (ENGLISH * 3, {"metadata": {"language": "python"}}, "bad_target: metadata.language is no language code"),
        ("", {"metadata": {"language": 3}}, "bad_target: metadata.language is no language code"),
        ("So it is 13.", {}, "too_short"),
        ("", {}, "too_short"),
        (CODE * 9 + LATEX * 9, {}, "too_short"),
        ("Lorem ipsum dolor sit amet consectetur adipiscing elit " * 3, {"metadata": {"language": "de"}}, None),
        ("qwx zzrt plk mnv brr tkk wpq zxc vbb nnm lkj hgf " * 3, {"metadata": {"language": "fi"}}, "unclear"),
    ],
)
def test_what_cannot_be_told_is_undecided(
    reasoning: str, case: dict[str, Any], reason: str | None, judged: Callable[..., Verdict]
) -> None:
    verdict = judged(reasoning, **case)
    assert verdict.outcome is not Outcome.CORRECT
    if reason:
        assert (verdict.outcome, verdict.score, verdict.reason) == (Outcome.UNDECIDED, None, reason)


def test_real_english_chains_with_code_and_latex_pass(
    chains: list[dict[str, str]], judged: Callable[..., Verdict]
) -> None:
    wrong = []
    for row in chains:
        verdict = judged(CODE.join(row["reasoning"].split("\n\n", 3)).replace(". ", f".{LATEX}", 5), row["prompt"])
        if verdict.outcome is not Outcome.CORRECT:
            wrong.append((row["id"], verdict.reason))
    assert wrong == []


def test_a_real_chain_with_a_twentieth_of_foreign_words_is_found(
    chains: list[dict[str, str]], sentences: dict[str, list[str]], judged: Callable[..., Verdict]
) -> None:
    """Two sentences in 2 KB; at most one chain in fifty is missed, in any of the 17 languages."""
    rng = random.Random(0)
    missed = []
    for language in sentences.keys() - {"en"}:
        for row in rng.sample([row for row in chains if len(row["reasoning"]) > 2_000], 6):
            parts = row["reasoning"][:2_000].split(". ")
            for sentence in rng.sample([s for s in sentences[language] if len(s) > 40], 2):
                parts.insert(rng.randrange(len(parts)), f"{LATEX}. {sentence} {CODE}")
            if judged(". ".join(parts), row["prompt"]).outcome is not Outcome.WRONG:
                missed.append((language, row["id"]))
    assert len(missed) <= 2, missed


def test_chains_in_every_language_are_consistent_and_mixed_with_english_are_not(
    sentences: dict[str, list[str]], judged: Callable[..., Verdict]
) -> None:
    rng = random.Random(0)
    failed, undetected = [], []
    for language, own in sentences.items():
        plugin = Language(target=language, min_share=0.9)
        pure, other = " ".join(rng.sample(own, 40)), " ".join(rng.sample(sentences["en"], 10))
        if (verdict := judged(pure, plugin=plugin)).outcome is not Outcome.CORRECT:
            failed.append((language, verdict.reason))
        if language != "en" and (verdict := judged(pure + " " + other, plugin=plugin)).outcome is not Outcome.WRONG:
            undetected.append((language, verdict.reason))
    assert failed == []
    assert undetected == []


def test_verdicts_are_the_same_in_threads(chains: list[dict[str, str]], judged: Callable[..., Verdict]) -> None:
    texts = [row["reasoning"][:3_000] + GERMAN * (number % 2) for number, row in enumerate(chains)]
    with ThreadPoolExecutor(4) as pool:
        threaded = [(verdict.outcome, verdict.score, verdict.reason) for verdict in pool.map(judged, texts)]
    assert threaded == [(v.outcome, v.score, v.reason) for v in map(judged, texts)]
    assert {outcome for outcome, _, _ in threaded} == {Outcome.CORRECT, Outcome.WRONG}


def test_the_models_come_with_the_packages(monkeypatch: pytest.MonkeyPatch, judged: Callable[..., Verdict]) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("the language verifier opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    languages._detector.cache_clear()
    assert judged(GERMAN * 3).reason == "wrong_language: 0.0% en, 100.0% de"


@pytest.mark.parametrize("options", [{"target": "English"}, {"target": "xx"}, {"min_share": 0.0}, {"min_share": 1.5}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Language(**options)
