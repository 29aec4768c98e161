"""Models with random weights that toy recipes train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tracemill.core.errors import InputError
from tracemill.trainers.scratch import TAGS, Shape, make

SMALL = Shape(layers=1, width=16, heads=2, context=64)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("scratch") / "model"
    make(folder, SMALL)
    return AutoTokenizer.from_pretrained(folder)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_shape_and_seed_give_the_weights(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    count = make(tmp_path / "one", SMALL, seed=1)
    make(tmp_path / "again", SMALL, seed=1)
    make(tmp_path / "other", SMALL, seed=2)
    assert weights(tmp_path / "one") == weights(tmp_path / "again") != weights(tmp_path / "other")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert model.num_parameters() == count == 4_640
    assert model.config.max_position_embeddings == 64


@given(text=some.text(alphabet=Shape().letters), tag=some.sampled_from(TAGS))
def test_each_character_and_each_tag_is_a_token_that_decodes_to_itself(tokenizer: Any, text: str, tag: str) -> None:
    ids = tokenizer.encode(text)
    assert len(ids) == len(text) - sum(text.count(one) * (len(one) - 1) for one in TAGS)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.decode(tokenizer.encode(tag), skip_special_tokens=True) == tag
    assert len(tokenizer.encode(tag)) == 1


def test_what_it_does_not_know_is_one_token(tokenizer: Any) -> None:
    assert tokenizer.encode("é") == [tokenizer.unk_token_id]


def test_what_is_no_model_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"^folder: .* is not empty and no model; name a new folder$"):
        make(tmp_path, SMALL)


def test_what_is_no_llama_is_refused() -> None:
    with pytest.raises(InputError, match=r"^width: 20 is no multiple of 2 x heads \(4\)$"):
        Shape(width=20)
    with pytest.raises(InputError, match=r"^layers: must be at least 1, got 0$"):
        Shape(layers=0)
