"""What a model is trained on is what an engine would give it and what it is to write, for templates of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.core.markup import MARKUPS, split
from tracemill.core.types import Request, Sampling
from tracemill.factory.engines.rendering import encoded, rendered
from tracemill.factory.thinking import ThinkFormat
from tracemill.trainers.scratch import Shape, make
from tracemill.trainers.text import Text

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
ENDS = {CHATML: "<|im_end|>", QWEN3: "<|im_end|>", LLAMA3: "<|eot_id|>", R1_DISTILL: "<｜end▁of▁sentence｜>"}
FIRST = {CHATML: "", QWEN3: "", LLAMA3: "<s>", R1_DISTILL: "<s>"}


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
    """With special tokens of its own, and a first token that the tokenizer puts before raw text."""
    from tokenizers import processors

    first = FIRST[template]
    tokenizer.add_special_tokens({"additional_special_tokens": [ENDS[template]], "eos_token": ENDS[template]})
    if first:
        tokenizer.add_special_tokens({"bos_token": first})
        processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, tokenizer.bos_token_id)]
        )
        tokenizer.backend_tokenizer.post_processor = processor
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("thinking", sorted(MARKUPS))
@pytest.mark.parametrize("template", [CHATML, QWEN3, LLAMA3, R1_DISTILL])
def test_the_prompt_is_the_engines_and_the_completion_follows_it(tokenizer: Any, template: str, thinking: str) -> None:
    known = with_template(tokenizer, template)
    text = Text(known, ThinkFormat.named(thinking))
    form = ThinkFormat.named(thinking)
    request = Request("", form.render("2 + 2?"), Sampling(), prefill=form.prefill)
    shown = rendered(request, known)
    prompt, completion = text.ids("2 + 2?", "Two and two.", "\\boxed{4}")
    assert prompt == encoded(request, shown, known)
    assert prompt.count(known.bos_token_id) == (1 if FIRST[template] else 0)
    whole = known.decode(prompt + completion)
    written = known.decode(completion)
    assert completion[-1] == known.convert_tokens_to_ids(ENDS[template])
    assert written.count(ENDS[template]) == 1
    after = whole[whole.rindex("2 + 2?") :]
    assert (after.count("<think>"), after.count("</think>")) == (1, 1)
    assert written.startswith("Two and two." if text.prefill else "<think>\nTwo and two.")
    found = split(text.prefill + written.removesuffix(ENDS[template]), form.markup)
    assert (found.reasoning, found.answer, found.faults) == ("Two and two.", "\\boxed{4}", ())


@pytest.mark.parametrize("template", [LLAMA3, CHATML])
@pytest.mark.parametrize("thinking", ["r1", "r1_zero"])
def test_trl_makes_the_same_tokens_of_the_bare_prompt(tokenizer: Any, template: str, thinking: str) -> None:
    text = Text(with_template(tokenizer, template), ThinkFormat.named(thinking))
    shown = text.prompt("2 + 2?")
    assert text.tokenizer(text.bare(shown))["input_ids"] == text.ids("2 + 2?", "r", "a")[0]


def test_a_template_that_opens_without_a_new_line_gets_it_in_the_completion(tokenizer: Any) -> None:
    known = with_template(tokenizer, R1_DISTILL)
    known.chat_template = R1_DISTILL.replace("<think>\n{% endif %}", "<think>{% endif %}")
    text = Text(known, ThinkFormat.named("native"))
    shown = text.prompt("2 + 2?")
    assert (shown + text.completion(shown, "Two.", "4")).endswith("<think>\nTwo.\n</think>\n\n4<｜end▁of▁sentence｜>")


def test_raw_text_and_templates_that_end_no_turn_end_with_the_text(tokenizer: Any) -> None:
    assert Text(with_template(tokenizer, CHATML), ThinkFormat.named("r1_zero")).end == "<|im_end|>"
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    assert Text(tokenizer, ThinkFormat.named("r1")).end == tokenizer.eos_token
    tokenizer.chat_template = "{% for m in messages if m.role == 'user' %}{{ m.content }}\n{% endfor %}"
    assert Text(tokenizer, ThinkFormat.named("r1")).end == tokenizer.eos_token


def test_what_cannot_be_asked_is_refused(tokenizer: Any, folder: Path, tmp_path: Path) -> None:
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"^train.thinking: the model has no chat template; set thinking: r1_zero$"):
        Text.of(str(tmp_path), "r1")
    assert Text.of(str(tmp_path), "r1_zero").prefill == "<think>\n"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^train.model: transformers finds no tokenizer in "):
        Text.of(str(tmp_path / "empty"), "r1")
