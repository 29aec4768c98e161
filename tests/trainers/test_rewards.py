"""Rewards: what each component says, that what cannot be judged has none, and the forms that trainers call."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tracemill.core.errors import InputError
from tracemill.trainers.rewards import (
    R1,
    Reward,
    Rewards,
    Weights,
    compute_score,
    prompt_of,
    rl_row,
    trl_reward,
    verl_row,
)

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
    assert rewarded(text, Rewards()) == Reward(accuracy, form, None, None, None, accuracy + form)


def test_what_cannot_be_judged_has_no_reward_whatever_its_format() -> None:
    found = rewarded(RIGHT, Rewards(), reference="")
    assert (found.accuracy, found.format, found.total) == (None, 1, None)


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
    assert rewarded("13", Rewards(Weights(format=0))).format is None


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


def test_trl_calls_it_with_columns_and_gets_components_logged() -> None:
    logged: dict[str, float] = {}
    reward = trl_reward(Rewards(R1))
    found = reward(
        prompts=["", "", ""],
        completions=[RIGHT, [{"role": "assistant", "content": RIGHT.replace("13<", "12<")}], RIGHT],
        completion_ids=[[1], [1, 2], [1]],
        question=[ASKED] * 3,
        reference=["13", "13", ""],
        verifier=["math"] * 3,
        metadata=["{}"] * 3,
        trainer_state=None,
        log_metric=logged.__setitem__,
    )
    assert found == [3, 2, None]
    assert logged == {"rewards/accuracy": 0.5, "rewards/format": 1, "rewards/language": 1, "rewards/undecided": 1 / 3}


def test_verl_gets_a_score_with_its_components() -> None:
    row = verl_row(PROMPT, [{"role": "user", "content": ASKED}])
    given = (row["data_source"], RIGHT, row["reward_model"]["ground_truth"], row["extra_info"])
    assert compute_score(*given) == {"score": 2, "undecided": 0, "accuracy": 1, "format": 1}
    opened = verl_row(PROMPT, [], prefill="<think>")["extra_info"]
    assert compute_score("math", RIGHT.removeprefix("<think>"), "13", opened)["score"] == 2
    assert compute_score("math", RIGHT, "", row["extra_info"]) == {"score": 0, "undecided": 1, "format": 1}


def test_a_row_brings_what_its_verifier_needs() -> None:
    prompt = prompt_of("Which letter?", "B", "choice", json.dumps({"options": ["a", "b"], "é": 1}))
    row = rl_row(prompt, "Which letter?\n")
    columns = {name: [value] for name, value in row.items() if name != "prompt"}
    assert prompt_of(*(column[0] for column in columns.values())) == prompt
    reward = trl_reward(Rewards(thinking="native"))
    texts = ["<think>x</think>B", "<think>x</think>A"]
    assert [reward(completions=[text], completion_ids=[[1]], **columns) for text in texts] == [[2.0], [1.0]]


def test_bad_options_are_one_line() -> None:
    with pytest.raises(InputError, match=r"^rewards.length: needs max_tokens"):
        Rewards(Weights(length=1))
    with pytest.raises(InputError, match=r"^rewards.thinking: unknown think format 'r2'"):
        Rewards(thinking="r2")
    with pytest.raises(InputError, match="unknown verifier 'maths'"):
        Rewards().of([replace(PROMPT, verifier="maths")], [""], [0])
