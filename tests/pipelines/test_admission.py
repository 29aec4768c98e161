"""A recipe from outside asks only servers that this machine lists, with the keys that go with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.core.settings import settings
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.admission import admitted
from tracemill.pipelines.recipe import JudgeSection, Recipe

HERE = "https://models.example/v1"


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEMILL_SERVERS", f'{{"{HERE}": "EXAMPLE_KEY", "http://10.0.0.9:8000/v1": ""}}')


def recipe_of(**generate: Any) -> Recipe:
    prompts = [{"source": "reasoning_gym", "task": "gcd", "count": 1}]
    return recipes.parse({"name": "x", "prompts": prompts, "generate": generate})


def server(base_url: str, **options: Any) -> dict[str, Any]:
    return {"engine": "openai", "model": "m", "engine_options": {"base_url": base_url, **options}}


def test_a_listed_server_gets_its_own_key() -> None:
    found = admitted(recipe_of(**server(HERE, dialect="vllm"), mix=[server("http://10.0.0.9:8000/v1")]), settings())
    assert found.generate.engine_options == {"base_url": HERE, "dialect": "vllm", "api_key_env": "EXAMPLE_KEY"}
    assert found.generate.mix[0].engine_options["api_key_env"] is None


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        (server("http://169.254.169.254/v1"), r"generate\.engine_options\.base_url: 'http://169.*' is not listed"),
        (server(HERE, api_key_env="AWS_SECRET_ACCESS_KEY"), r"generate\.engine_options\.api_key_env: leave it out"),
        ({"engine": "fake", "engine_options": {"poison": "a"}}, r"generate\.engine_options\.poison: not over REST"),
        ({"engine": "fake", "mix": [server("http://localhost/v1")]}, r"generate\.mix\[0\]\.engine_options\.base_url"),
        (
            {"engine": "fake", "mix": [{"engine_options": {"trust_remote_code": True}}]},
            r"generate\.mix\[0\]\.engine_options\.trust_remote_code: not over REST",
        ),
    ],
)
def test_anything_else_is_refused(generate: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        admitted(recipe_of(**generate), settings())


@pytest.mark.parametrize(
    ("field", "engine"), [("generate", "vllm"), ("generate", "transformers"), ("mix", "vllm"), ("judge", "vllm")]
)
@pytest.mark.parametrize("name", ["{}", "~nobody-of-that-name/x"])
def test_a_folder_that_is_no_model_is_refused_before_it_is_read(
    field: str, engine: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "passwords.txt").write_text("secret")
    section = {"engine": engine, "model": name.format(tmp_path)}
    recipe = recipe_of(engine="fake", mix=[section]) if field == "mix" else recipe_of(**section)
    if field == "judge":
        recipe = recipe_of(engine="fake").model_copy(update={"judge": JudgeSection.model_validate(section)})
    with pytest.raises(InputError, match=rf"^.*{field}.*\.model: .* is not a model folder"):
        admitted(recipe, settings())


def sifted_by(name: str, **options: Any) -> Recipe:
    prompts = [{"source": "reasoning_gym", "task": "gcd", "count": 1}]
    return recipes.parse(
        {"name": "x", "prompts": prompts, "generate": {"engine": "fake"}, "filters": [{name: options}]}
    )


@pytest.mark.parametrize("field", ["prompts", "hold_out"])
def test_questions_are_read_from_one_folder(field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEMILL_PROMPTS", str(tmp_path))
    made = {"name": "x", "prompts": [{"source": "reasoning_gym", "task": "gcd", "count": 1}]}
    inside = recipes.parse(made | {field: [{"source": "jsonl", "path": "a.jsonl"}]})
    assert getattr(admitted(inside, settings()), field)[0].path == tmp_path.resolve() / "a.jsonl"
    outside = recipes.parse(made | {field: [{"source": "jsonl", "path": "/etc/passwd"}]})
    with pytest.raises(InputError, match=rf"^{field}\[0\]\.path: /etc/passwd is not in .* \(TRACEMILL_PROMPTS\)"):
        admitted(outside, settings())


@pytest.mark.parametrize(("name", "option"), [("contamination", "against"), ("safety", "word_lists")])
def test_filters_read_files_of_one_folder(
    name: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEMILL_PROMPTS", str(tmp_path))
    found = admitted(sifted_by(name, **{option: ["some.txt"]}), settings())
    assert found.filters[0].options == {option: [str(tmp_path.resolve() / "some.txt")]}
    for path in ("/etc/passwd", "../keys.txt", "a/../../keys.txt"):
        with pytest.raises(InputError, match=rf"filters\[0\]\.{option}: {path} is not in .* \(TRACEMILL_PROMPTS\)"):
            admitted(sifted_by(name, **{option: [path]}), settings())
    for value in ("some.txt", [["some.txt"]], {"a": "some.txt"}):
        with pytest.raises(InputError, match=rf"filters\[0\]\.{option}: a list of files is wanted"):
            admitted(sifted_by(name, **{option: value}), settings())
