"""What a model is trained on is what an engine would give it and what it is to write, for templates of every kind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tracemill.core.errors import InputError
from tracemill.core.markup import MARKUPS, Markup, split
from tracemill.core.types import Request, Sampling
from tracemill.factory.engines.rendering import encoded, rendered
from tracemill.factory.thinking import ThinkFormat
from tracemill.trainers.scratch import Shape, make
from tracemill.trainers.text import Text, written

CHATML = (  # Qwen3 and SmolLM2
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3 = CHATML.replace(  # puts an empty chain before an answer without one
    "\n{{ m.content }}", "\n{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
R1_DISTILL = (  # opens the reasoning itself, and strips that of earlier turns
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}"
    "<｜Assistant｜>{{ m.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>"
    "{% elif m.role == 'user' %}<｜User｜>{{ m.content }}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
ZEPHYR = (  # as TinyLlama-chat: the tokenizer puts a first token before raw text, and the template none
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
PHI3 = (  # without a prompt to go on from, it ends the text after the turn
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}<end>{% endif %}"
)
ENDS = {
    CHATML: "<|im_end|>", QWEN3: "<|im_end|>", LLAMA3: "<|eot_id|>", R1_DISTILL: "<｜end▁of▁sentence｜>", ZEPHYR: "</s>",
    PHI3: "<|end|>",
}  # fmt: skip
FIRST = {CHATML: "", QWEN3: "", LLAMA3: "<s>", R1_DISTILL: "<s>", ZEPHYR: "<s>", PHI3: ""}
IN_PROMPT = {LLAMA3, R1_DISTILL}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "model"
    letters = Shape().letters + "｜▁"
    make(folder, Shape(layers=1, width=16, heads=2, letters=letters))
    return folder


@pytest.fixture
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def with_template(tokenizer: Any, template: str) -> Any:
    """With an end of turn that is not the tokenizer's end, and a first token that it puts before raw text."""
    from tokenizers import processors

    first = FIRST[template]
    tokenizer.add_special_tokens({"additional_special_tokens": [ENDS[template]]})
    if first:
        tokenizer.add_special_tokens({"bos_token": first})
        processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, tokenizer.bos_token_id)]
        )
        tokenizer.backend_tokenizer.post_processor = processor
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("thinking", sorted(MARKUPS))
@pytest.mark.parametrize("template", ENDS)
def test_the_prompt_is_the_engines_and_the_completion_follows_it(tokenizer: Any, template: str, thinking: str) -> None:
    known = with_template(tokenizer, template)
    text = Text.fitted(known, thinking)
    form = ThinkFormat.named(thinking)
    request = Request("", form.render("2 + 2?"), Sampling(), prefill=form.prefill)
    shown = rendered(request, known)
    prompt, completion = text.ids("2 + 2?", "Two and two.", "\\boxed{4}")
    assert prompt == encoded(request, shown, known)
    end = "<end>" if thinking == "r1_zero" else ENDS[template]
    first = bool(FIRST[template]) if thinking == "r1_zero" else template in IN_PROMPT
    assert prompt.count(known.bos_token_id) == first
    assert known(text.prompt("2 + 2?"))["input_ids"] == prompt, "as TRL makes them"
    whole = known.decode(prompt + completion)
    written = known.decode(completion)
    assert completion[-1] == known.eos_token_id == known.convert_tokens_to_ids(end), "what engines and TRL stop at"
    assert written.count(end) == 1
    after = whole[whole.rindex("2 + 2?") :]
    assert (after.count("<think>"), after.count("</think>")) == (1, 1)
    assert written.startswith("Two and two." if text.prefill else "<think>\nTwo and two.")
    found = split(text.prefill + written.removesuffix(end), form.markup)
    assert (found.reasoning, found.answer, found.faults) == ("Two and two.", "\\boxed{4}", ())


PIECES = ["<think>", "</think>", "<answer>", "</answer>", " ", "a", "\\boxed{4}"]


@given(text=some.lists(some.sampled_from(PIECES)).map("".join), markup=some.sampled_from([*MARKUPS.values()]))
def test_text_that_broke_the_format_is_written_with_what_it_broke(markup: Markup, text: str) -> None:
    found = split(text, markup)
    assert split(written(found.reasoning, found.answer, found.faults, markup), markup) == found


@pytest.mark.parametrize(
    "text",
    [
        "no thought 4",
        "thought</think>4",
        "<think>thought",
        "<think>a</think>4 <answer>4</answer>",
        "a<answer>4</answer>",
    ],
)
def test_text_that_broke_the_format_is_written_as_it_was(text: str) -> None:
    found = split(text, MARKUPS["r1"])
    again = written(found.reasoning, found.answer, (*found.faults, "cut_off"), MARKUPS["r1"])
    assert "".join(again.split()) == "".join(text.split())


def test_a_template_that_opens_without_a_new_line_gets_it_in_the_completion(tokenizer: Any) -> None:
    known = with_template(tokenizer, R1_DISTILL)
    known.eos_token = ENDS[R1_DISTILL]
    known.chat_template = R1_DISTILL.replace("<think>\n{% endif %}", "<think>{% endif %}")
    text = Text.fitted(known, "native")
    shown = text.prompt("2 + 2?")
    assert (shown + text.completion(shown, "Two.", "4")).endswith("<think>\nTwo.\n</think>\n\n4<｜end▁of▁sentence｜>")


def test_raw_text_and_templates_that_end_no_turn_end_with_the_text(tokenizer: Any) -> None:
    assert Text.fitted(with_template(tokenizer, CHATML), "r1_zero").end == "<end>"
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    assert Text.fitted(tokenizer, "r1").end == tokenizer.eos_token
    tokenizer.chat_template = "{% for m in messages if m.role == 'user' %}{{ m.content }}\n{% endfor %}"
    assert Text.fitted(tokenizer, "native").end == tokenizer.eos_token


def test_a_trained_model_gets_its_own_tokenizer_with_the_end_that_it_learned(tokenizer: Any, tmp_path: Path) -> None:
    with_template(tokenizer, ZEPHYR).save_pretrained(tmp_path / "base")
    text = Text.of(str(tmp_path / "base"), "native")
    text.tokenizer_of(str(tmp_path / "base")).save_pretrained(tmp_path / "trained")
    text.tokenizer.save_pretrained(tmp_path / "reward")
    trained, reward = (Text.of(str(tmp_path / name), "r1_zero").tokenizer for name in ("trained", "reward"))
    assert trained.eos_token == reward.eos_token == "</s>"
    assert trained("a")["input_ids"] == [trained.bos_token_id, *reward("a")["input_ids"]]


def test_the_window_is_the_models(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig

    assert Text.of(str(folder), "native").window == 512
    config = AutoConfig.from_pretrained(folder)
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "rope_theta": 10000.0}
    config.rope_parameters = yarn
    shutil.copytree(folder, tmp_path / "long")
    config.save_pretrained(tmp_path / "long")
    assert Text.of(str(tmp_path / "long"), "native").window == 2048


def test_what_cannot_be_asked_is_refused(tokenizer: Any, folder: Path, tmp_path: Path) -> None:
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"^train.thinking: the model has no chat template; set thinking: r1_zero$"):
        Text.of(str(tmp_path), "r1")
    assert Text.of(str(tmp_path), "r1_zero").prefill == "<think>\n"
    assert Text.fitted(tokenizer, "r1_zero").hidden_tags == []
    tokenizer.add_special_tokens({"additional_special_tokens": ["</think>", "<think>"]})
    assert Text.fitted(tokenizer, "r1_zero").hidden_tags == ["</think>", "<think>"]
    (tmp_path / "empty").mkdir()
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n###\n{% endfor %}"
    with pytest.raises(
        InputError, match=r"^train.thinking: .* ends the assistant's turn with '###', which is no token"
    ):
        Text.fitted(tokenizer, "r1")
    with pytest.raises(InputError, match=r"^train.model: transformers finds no tokenizer in "):
        Text.of(str(tmp_path / "empty"), "r1")
