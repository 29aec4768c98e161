"""What counts as a prompt that a model was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tracemill.core.errors import InputError, NotFound
from tracemill.core.types import Outcome, Prompt, Sampling, Trace, Verdict
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.selection import Selection, find, select
from tracemill.corpus.store import Corpus
from tracemill.factory.sources import reasoning_gym_prompts
from tracemill.pipelines.generate_section import GenerateSection
from tracemill.pipelines.trained_on import Trained, contaminated, data_of, overlaps
from tracemill.pipelines.training_data import identity

QUESTION = (
    "A baker bakes 48 loaves a day, sells 31 of them, and gives half of the rest to 5 schools. How many are left?"
)
GSM = Prompt("q", QUESTION, "math", "math", "8.5", "gsm8k.jsonl")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus.open(tmp_path / "corpus")


@pytest.fixture
def train(corpus: Corpus) -> Callable[..., None]:
    """Makes version 1 of the data set `data` of prompts with a right sample; of others the sample is wrong."""

    def make(right: list[Prompt], chain: str = "Let me think.", wrong: list[Prompt] | None = None) -> None:
        corpus.add_prompts([*right, *(wrong or [])])
        with Ledger.open(corpus, "job") as ledger:
            for prompts, outcome in ((right, Outcome.CORRECT), (wrong or [], Outcome.WRONG)):
                for prompt in prompts:
                    trace = Trace(
                        f"trace of {prompt.id}", prompt.id, "job", 0, "m", "r1", chain, "1", (), Sampling(), 1, 1, "stop",
                        datetime.now(UTC),
                    )  # fmt: skip
                    verdict = Verdict(trace.id, prompt.verifier, "1", outcome, 1.0, "equal")
                    ledger.record([(trace, (verdict,))])
        select(corpus, "job", "policy", "data", Selection())

    return make


def asked(text: str) -> Prompt:
    return Prompt(text, text, "math", "math", "1", "own.jsonl")


def seen(corpus: Corpus, *prompts: Prompt, take: str = "kept") -> frozenset[str]:
    return contaminated(overlaps(corpus, prompts, [Trained("data", 1, take)]))


@pytest.mark.parametrize(
    "text",
    [
        QUESTION,
        "\n".join(QUESTION.upper().split(" ")),
        f"Solve this. {QUESTION} Think step by step.",
        QUESTION.replace("bakes", "makes"),
    ],
)
def test_the_question_with_other_space_case_frame_or_word(
    corpus: Corpus, train: Callable[..., None], text: str
) -> None:
    train([asked(text)])
    assert seen(corpus, GSM) == {"q"}


@pytest.mark.parametrize(
    "text",
    [
        QUESTION.replace("48", "52").replace("31", "34"),
        "A farmer has 48 hens and 31 cows. Each of them gives 5 eggs. How many does he sell?",
    ],
)
def test_other_numbers_and_other_stories_are_other_questions(
    corpus: Corpus, train: Callable[..., None], text: str
) -> None:
    train([asked(text)])
    assert not seen(corpus, GSM)


def test_short_templates_that_differ_in_numbers_or_signs(corpus: Corpus, train: Callable[..., None]) -> None:
    text = "State the final answer to the following arithmetic problem: {} ="
    train([asked(text.format("4 - 3")), asked(text.format("4 + 30"))])
    same, other = asked(text.format("4  -  3")), asked(text.format("4 + 3"))
    assert seen(corpus, same, other) == {same.id}


def test_a_question_quoted_in_a_chain(corpus: Corpus, train: Callable[..., None]) -> None:
    train([asked("What is 1 + 1?")], chain=f"This reminds me of another one: {QUESTION} There it was 8.5.")
    assert seen(corpus, GSM) == {"q"}


@pytest.mark.parametrize("task", ["countdown", "knights_knaves", "chain_sum", "letter_counting"])
def test_generated_tasks_share_their_template_only(corpus: Corpus, train: Callable[..., None], task: str) -> None:
    train(list(reasoning_gym_prompts(task, 60, 1, {}, "prompts")))
    fresh = list(reasoning_gym_prompts(task, 10, 10_000, {}, "prompts"))
    assert not seen(corpus, *fresh)


def test_neighbouring_seeds_of_a_generator_give_the_same_questions(corpus: Corpus, train: Callable[..., None]) -> None:
    """reasoning-gym makes question i of seed s from s + i: seed 2 is seed 1 without its first question."""
    train(list(reasoning_gym_prompts("countdown", 20, 1, {}, "prompts")))
    assert len(seen(corpus, *reasoning_gym_prompts("countdown", 20, 2, {}, "prompts"))) == 19


def test_all_traces_of_the_job_count_where_these_were_taken(corpus: Corpus, train: Callable[..., None]) -> None:
    train([asked("What is 1 + 1?")], wrong=[asked("What is 2 + 2?")])
    prompt = asked("What is 2 + 2?")
    assert not seen(corpus, prompt)
    assert seen(corpus, prompt, take="all") == {prompt.id}


def model_with(folder: Path, told: object) -> Path:
    """A model folder with a card."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "tracemill.json").write_text(json.dumps(told))
    return folder


def test_what_the_folder_of_a_model_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [{"dataset": "a", "version": 2, "id": "1f", "rows": 3}, {"dataset": "b", "version": 1, "take": "all"}]
    folder = model_with(tmp_path / "model", {"trained_on": told})
    section = GenerateSection(engine="vllm", model=str(folder))
    assert data_of(section) == (Trained("a", 2, identity="1f"), Trained("b", 1, "all"))
    assert data_of(section.model_copy(update={"engine": "fake"})) == ()
    monkeypatch.chdir(tmp_path.parent)
    assert data_of(section.model_copy(update={"model": f"{tmp_path.name}/model"})) == data_of(section)
    (folder / "tracemill.json").unlink()
    assert data_of(section) == ()


@pytest.mark.parametrize("told", [{}, [], {"trained_on": [{"dataset": "a"}]}, {"trained_on": [1]}])
def test_a_broken_card_is_named(tmp_path: Path, told: object) -> None:
    section = GenerateSection(engine="vllm", model=str(model_with(tmp_path / "model", told)))
    with pytest.raises(InputError, match=r"tracemill\.json: does not say"):
        data_of(section)


def test_a_data_set_of_that_name_in_another_corpus_is_not_looked_at(corpus: Corpus, train: Callable[..., None]) -> None:
    train([asked("What is 1 + 1?")])
    version = find(corpus, "data")
    for take in ("kept", "all"):
        own = identity(corpus, version, take)
        assert overlaps(corpus, [GSM], [Trained("data", 1, take, own)]) == ()
        with pytest.raises(NotFound, match=r"^dataset: data@1 of .* has other traces than the one that the model was"):
            overlaps(corpus, [GSM], [Trained("data", 1, take, "another")])


def test_questions_that_were_only_asked_count_too(tmp_path: Path, corpus: Corpus) -> None:
    lines = [json.dumps({"id": "1", "text": text}) for text in ("What is 1 + 1?", QUESTION.upper())]
    folder = model_with(tmp_path / "model", {"trained_on": [{"questions": "questions-1.jsonl", "rows": 2}]})
    (folder / "questions-1.jsonl").write_text("\n".join(lines))
    data = data_of(GenerateSection(engine="transformers", model=str(folder)))
    (found,) = overlaps(corpus, [GSM, asked("What is 1 + 2?")], data)
    assert (found.data, set(found.prompts)) == ("questions-1.jsonl", {"q"})


def test_names_of_data_sets() -> None:
    assert Trained.named("a") == Trained("a")
    assert Trained.named("a@3") == Trained("a", 3)
    for name in ("@3", "a@", "a@x"):
        with pytest.raises(InputError, match="--trained-on"):
            Trained.named(name)
