"""Rewards: what each component says, and that what cannot be judged has none."""

from __future__ import annotations

import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json
from tracemill.core.markup import MARKUPS
from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome
from tracemill.trainers.rewards import COMPONENTS, R1, Reward, Rewards, Weights, prompt_of

ASKED = "How many eggs are left when the ducks have laid sixteen of them and three were eaten by the farmer?"
CHAIN = "The ducks have laid sixteen eggs, and three of these were eaten, so that thirteen of them are left over."
GERMAN = "Die Enten haben sechzehn Eier gelegt, und drei davon wurden gegessen, also bleiben dreizehn Eier davon übrig."
RIGHT = f"<think>{CHAIN}</think><answer>13</answer>"
PROMPT = prompt_of(ASKED, "13", "math")


def rewarded(text: str, rewards: Rewards, tokens: int = 10, reference: str = "13") -> Reward:
    (found,) = rewards.of([prompt_of(ASKED, reference, "math")], [text], [tokens])
    return found


@pytest.mark.parametrize(
    ("text", "accuracy", "form"),
    [
        (RIGHT, 1, 1),
        (f"<think>{CHAIN}</think><answer>12</answer>", 0, 1),
        (f"<think>{CHAIN}</think>13", 1, 0),
        ("13", 1, 0),
        (f"<think>{CHAIN} and on and on", 0, 0),
        ("", 0, 0),
    ],
)
def test_accuracy_and_format_are_added_with_equal_weight(text: str, accuracy: int, form: int) -> None:
    assert rewarded(text, Rewards()) == Reward(accuracy, form, None, None, None, None, accuracy + form)


def test_what_cannot_be_judged_has_no_reward_whatever_its_format() -> None:
    found = rewarded(RIGHT, Rewards(), reference="")
    assert (found.accuracy, found.format, found.total) == (None, 1, None)


def test_what_the_token_limit_ended_does_not_keep_the_format() -> None:
    text = f"<think>{CHAIN}</think>The answer is 13"
    (cut, whole) = Rewards(thinking="native").of([PROMPT] * 2, [text] * 2, [9, 8], cut_off=[True, False])
    assert (cut.accuracy, cut.format, whole.accuracy, whole.format) == (1, 0, 1, 1)


def test_language_repetition_and_length_count_where_they_are_asked() -> None:
    english = rewarded(RIGHT, Rewards(R1))
    assert (english.language, english.total) == (1, 3)
    german = rewarded(RIGHT.replace(CHAIN, GERMAN), Rewards(R1))
    assert german.language is not None
    assert german.language < 0.1
    assert german.total == 2 + german.language
    looped = rewarded(
        RIGHT.replace(CHAIN, CHAIN + " Wait, let me check that again." * 30), Rewards(Weights(repetition=0.5))
    )
    assert looped.repetition is not None
    assert -1 <= looped.repetition < -0.8
    assert looped.total == 2 + 0.5 * looped.repetition
    limited = Rewards(Weights(length=1), max_tokens=100, margin=20)
    assert [rewarded(RIGHT, limited, tokens).length for tokens in (10, 80, 90, 100, 200)] == [0, 0, -0.5, -1, -1]


def test_a_component_of_weight_0_is_not_looked_at() -> None:
    found = rewarded("13", Rewards(Weights(format=0)))
    assert found.format is None
    assert found.parts(Weights(format=0)) == {"accuracy": 1}


def test_the_components_are_what_has_a_weight() -> None:
    assert tuple(field.name for field in dataclasses.fields(Weights)) == COMPONENTS


def test_an_opened_turn_is_part_of_the_format() -> None:
    assert rewarded(RIGHT.removeprefix("<think>"), Rewards(prefill="<think>")).total == 2


def test_many_are_judged_in_their_order_in_any_thread() -> None:
    numbers = range(40)
    prompts = [prompt_of(ASKED, str(number), "math" if number % 2 else "exact") for number in numbers]
    texts = [RIGHT.replace("13<", f"{number + (number % 3 == 0)}<") for number in numbers]
    rewards = pickle.loads(pickle.dumps(Rewards()))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: rewards.of(prompts, texts, [1] * 40), range(2)))
    assert found[0] == found[1]
    assert [one.accuracy for one in found[0]] == [float(number % 3 != 0) for number in numbers]


SOLVED = {Outcome.CORRECT: 1.0, Outcome.WRONG: 0.0, Outcome.UNPARSED: 0.0, Outcome.UNDECIDED: None}
EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{example.why}")
    for name, module in plugins.load("verifiers").items()
    for example in module.EXAMPLES
    if not example.faults  # those say how a text was split, and not the text
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_verifier_rewards_its_examples_as_it_judges_them(name: str, example: VerifierExample) -> None:
    prompt = prompt_of(example.prompt, example.reference, name, canonical_json(example.metadata))
    text = MARKUPS["native"].join(example.reasoning, example.answer)
    (found,) = Rewards(thinking="native").of([prompt], [text], [1])
    expected = None if example.replies else SOLVED[example.outcome]  # who asks a model has none here
    assert found.accuracy == expected
    assert (found.total is None) == (expected is None)


def test_bad_options_are_one_line() -> None:
    with pytest.raises(InputError, match=r"^rewards.length: needs max_tokens"):
        Rewards(Weights(length=1))
    with pytest.raises(InputError, match=r"^rewards.thinking: unknown think format 'r2'"):
        Rewards(thinking="r2")
    with pytest.raises(InputError, match="unknown verifier 'maths'"):
        Rewards().of([replace(PROMPT, verifier="maths")], [""], [0])
