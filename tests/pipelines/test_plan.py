"""What a recipe comes to: prompts, plugins, and when two recipes are the same job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.recipe import Recipe


def rows(path: Path, *pairs: tuple[str, str]) -> dict[str, Any]:
    path.write_text("".join(json.dumps({"prompt": text, "answer": answer}) + "\n" for text, answer in pairs))
    return {"source": "jsonl", "path": str(path)}


def made(*prompts: dict[str, Any], **parts: Any) -> Recipe:
    return recipes.parse({"name": "test", "prompts": list(prompts), "generate": {"engine": "fake"}, **parts})


def job_id(recipe: Recipe) -> str:
    return make_plan(recipe).job_id


def test_repeated_prompts_are_merged_and_counted(tmp_path: Path) -> None:
    plan = make_plan(made(rows(tmp_path / "a.jsonl", ("1+1", "2"), ("1+1", "2"), ("2+2", "4"))))
    assert [task.prompt.text for task in plan.tasks] == ["1+1", "2+2"]
    assert (plan.merged, plan.samples) == (1, 16)


def test_questions_that_are_held_out_are_not_asked(tmp_path: Path) -> None:
    source = rows(tmp_path / "a.jsonl", ("What is 1+1?", "2"), ("what is\n1+1?", "2"), ("2+2", "4"))
    held = rows(tmp_path / "held.jsonl", ("What  is 1+1?", "another reference"))
    plan = make_plan(made(source, hold_out=[held]))
    assert [task.prompt.text for task in plan.tasks] == ["2+2"]
    assert (plan.held_out, plan.merged) == (2, 0)
    with pytest.raises(InputError, match=r"^hold_out: it holds out all 3 prompts of the recipe"):
        make_plan(made(source, hold_out=[source]))


def test_limit_takes_the_first_rows(tmp_path: Path) -> None:
    source = {**rows(tmp_path / "a.jsonl", ("1+1", "2"), ("2+2", "4")), "limit": 1}
    assert [task.prompt.text for task in make_plan(made(source)).tasks] == ["1+1"]


def test_no_prompt_an_unknown_verifier_and_an_unknown_filter_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prompts: the sources hold no prompt"):
        make_plan(made(rows(tmp_path / "empty.jsonl")))
    source = rows(tmp_path / "a.jsonl", ("1+1", "2"))
    with pytest.raises(InputError, match=r"prompts\[0\]\.verifier: unknown verifier 'maths' \(did you mean 'math'\?\)"):
        make_plan(made({**source, "verifier": "maths"}))
    with pytest.raises(InputError, match=r"verify\.also\[0\]: unknown verifier 'fromat' \(did you mean 'format'\?\)"):
        make_plan(made(source, verify={"also": ["fromat"]}))
    with pytest.raises(InputError, match=r"filters\[0\]: unknown filter 'lenght' \(did you mean 'length'\?\)"):
        make_plan(made(source, filters=["lenght"]))
    with pytest.raises(
        InputError, match=r"filters\[0\]\.min_wrods: 'length' has no such option \(did you mean 'min_words'\?\)"
    ):
        make_plan(made(source, filters=[{"length": {"min_wrods": 3}}]))


def test_of_prompts_that_nearly_repeat_each_other_the_first_is_asked(tmp_path: Path) -> None:
    asked = (
        "A farmer has 48 sheep and sells a quarter of them. Then he buys as many lambs as he sold. How many are left?"
    )
    texts = [asked, asked.replace("Then he", "After that he"), asked.replace("48", "64"), "What is 6 * 8?"]
    path = tmp_path / "farm.jsonl"
    path.write_text("".join(json.dumps({"prompt": text, "answer": "48"}) + "\n" for text in texts))
    source = {"source": "jsonl", "path": str(path)}
    every = make_plan(made(source))
    some = make_plan(made(source, dedup_prompts="near"))
    assert [task.prompt.text for task in some.tasks] == [texts[0], *texts[2:]]
    assert (len(every.tasks), every.merged, some.merged) == (4, 0, 1)
    assert some.job_id != every.job_id


def test_sifting_and_selection_can_change_within_a_job_but_generation_cannot(tmp_path: Path) -> None:
    source = rows(tmp_path / "a.jsonl", ("1+1", "2"))
    base = made(source)
    assert job_id(made(source, filters=[], select={"per_prompt": 1})) == job_id(base)
    assert job_id(made(source, generate={"engine": "fake", "concurrency": 7})) == job_id(base)
    assert job_id(made(source, generate={"engine": "fake", "temperature": 0.1})) != job_id(base)
    corrected = rows(tmp_path / "b.jsonl", ("1+1", "3"))
    assert job_id(made(corrected)) != job_id(base), "a trace judged against the old answer must not stay"
    moved = rows(tmp_path / "c.jsonl", ("1+1", "2"))
    assert job_id(made(moved)) == job_id(base)
    assert job_id(made(source, verify={"also": []})) != job_id(base), "stored traces are not judged again"
    assert make_plan(made(source, filters=[])).policy.id != make_plan(base).policy.id


def test_an_option_of_the_wrong_type_is_named_before_anything_is_generated(tmp_path: Path) -> None:
    source = rows(tmp_path / "a.jsonl", ("1+1", "2"))
    with pytest.raises(InputError, match=r"filters\[0\]\.min_words: Input should be a valid integer.*, got 'many'"):
        make_plan(made(source, filters=[{"length": {"min_words": "many"}}]))


def test_options_of_verifiers_hold_wherever_they_judge_and_make_another_job(tmp_path: Path) -> None:
    source = rows(tmp_path / "a.jsonl", ("1+1", "2"))
    base = made({**source, "verifier": "exact"}, verify={"also": ["format", "language"]})
    verify = {"also": ["format", "language"], "options": {"language": {"target": "en"}, "exact": {"case": True}}}
    plan = make_plan(made({**source, "verifier": "exact"}, verify=verify))
    assert repr(plan.judges["exact"][0]) == "Exact(case=True)"
    assert "target='en'" in repr(plan.judges["exact"][2])
    assert "target='prompt'" in repr(make_plan(base).judges["exact"][2]), "the defaults stay as they are"
    assert plan.job_id != job_id(base), "another option may call another trace correct"
    assert job_id(made(source, verify={"options": {}})) == job_id(made(source))
    verify["options"] = {"language": {"target": "klingon"}}
    with pytest.raises(InputError, match=r"^verify\.options\.language\.target: 'klingon' is no language code"):
        make_plan(made(source, verify=verify))


def test_a_job_without_options_of_verifiers_is_the_job_that_it_was_before_there_were_any(tmp_path: Path) -> None:
    assert job_id(made(rows(tmp_path / "a.jsonl", ("1+1", "2")))) == "06f732b02d14485d46b8a6b769869373"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"math": {"secs": 1}}, r"verify\.options\.math\.secs: 'math' has no such option \(did you mean 'seconds'\?\)"),
        ({"math": {"seconds": "long"}}, r"verify\.options\.math\.seconds: Input should be a valid number"),
        ({"maths": {}}, r"verify\.options: unknown verifier 'maths' \(did you mean 'math'\?\)"),
        (
            {"language": {"target": "en"}},
            r"verify\.options\.language: language judges no prompt; add it to verify\.also",
        ),
        ({"judge": {"model": "m"}}, r"verify\.options\.judge: the judge's options stand in judge"),
    ],
)
def test_options_that_are_wrong_or_do_nothing_are_named(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_plan(made(rows(tmp_path / "a.jsonl", ("1+1", "2")), verify={"options": options}))


def test_more_votes_than_samples_are_refused(tmp_path: Path) -> None:
    source = rows(tmp_path / "a.jsonl", ("1+1", "2"))
    generate = {"engine": "fake", "samples": 4}
    assert make_plan(made(source, generate=generate, verify={"majority": {"min_votes": 4}})).samples == 4
    with pytest.raises(InputError, match=r"verify\.majority\.min_votes: 5 votes can never come from 4 samples"):
        make_plan(made(source, generate=generate, verify={"majority": {"min_votes": 5}}))
