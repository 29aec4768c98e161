"""The engine in this process, on small Llamas with random weights: what they write is noise, and the same noise again."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest
from tracemill.core.types import Completion, Message, Request, Sampling
from tracemill.factory.engines.transformers import TransformersEngine, TransformersOptions
from tracemill.factory.local import local_pool
from tracemill.trainers.scratch import Shape, make

torch = pytest.importorskip("torch")
GREEDY = Sampling(temperature=0.0, max_tokens=24)
PROMPTS = [f"{'12345'[: k % 6]}+{k}=" for k in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With weights so large that what comes next depends on all that came before."""
    from transformers import LlamaForCausalLM

    path = tmp_path_factory.mktemp("model")
    make(path, Shape(layers=2, width=32, heads=2, context=64))
    config = LlamaForCausalLM.from_pretrained(path).config
    config.update({"tie_word_embeddings": False, "initializer_range": 0.3})
    with torch.random.fork_rng():
        torch.manual_seed(3)
        LlamaForCausalLM(config).save_pretrained(path)
    return path


@pytest.fixture
def with_template(folder: Path, tmp_path: Path) -> Any:
    """The same model with another chat template, or none."""
    from transformers import AutoTokenizer

    def change(template: str | None, **special: Any) -> Path:
        copy = tmp_path / "other"
        copy.mkdir()
        for file in folder.iterdir():
            if file.name != "chat_template.jinja":
                (copy / file.name).symlink_to(file)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = template
        tokenizer.add_special_tokens(special)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (copy / name).unlink()
        tokenizer.save_pretrained(copy)
        return copy

    return change


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(TransformersOptions(str(folder), **options))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def asked(prompt: str, sampling: Sampling = GREEDY, **more: Any) -> Request:
    return Request(f"{prompt} {sampling}", prompt, sampling, **more)


async def answers(engine: TransformersEngine, requests: list[Request]) -> list[Completion]:
    return list(await asyncio.gather(*map(engine.complete, requests)))


async def test_a_batch_of_prompts_of_all_lengths_gives_what_each_gives_alone(folder: Path) -> None:
    requests = [asked("x" + prompt, logprobs=True) for prompt in PROMPTS]
    async with opened(folder) as engine:
        together = await answers(engine, requests)
        alone = [await engine.complete(one) for one in requests]
    assert [one.text for one in together] == [one.text for one in alone]
    assert len({one.text for one in together}) > 1
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert len(one.logprobs or ()) == one.completion_tokens
        assert all(value < 0 for value in one.logprobs or ())


async def test_what_is_written_is_what_the_model_finds_most_probable(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode("7+5=")
    with torch.inference_mode():
        for _ in range(10):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    async with opened(folder) as engine:
        done = await engine.complete(asked("7+5=", replace(GREEDY, max_tokens=10)))
    assert done.text == tokenizer.decode(ids[4:], skip_special_tokens=True)
    assert (done.prompt_tokens, done.completion_tokens, done.finish_reason) == (4, 10, "length")


async def test_samples_follow_the_distribution(folder: Path) -> None:
    """The frequencies of one token in 3000 draws, beside its probability; top_k and top_p leave nothing else."""
    hot = Sampling(temperature=1.0, max_tokens=1)
    async with opened(folder, concurrency=1000) as engine:
        drawn = await answers(engine, [asked("7+5=", hot, logprobs=True) for _ in range(3000)])
        best = (await engine.complete(asked("7+5=", replace(GREEDY, max_tokens=1), logprobs=True))).text
        narrow = await answers(engine, [asked("7+5=", replace(hot, top_k=1)) for _ in range(50)])
        nucleus = await answers(engine, [asked("7+5=", replace(hot, top_p=1e-6)) for _ in range(50)])
    probability = {one.text: 2.718281828 ** (one.logprobs or (0.0,))[0] for one in drawn}
    for text, share in sorted(probability.items(), key=lambda pair: -pair[1])[:3]:
        if text:
            found = sum(one.text == text for one in drawn) / len(drawn)
            assert abs(found - share) < 5 * (share * (1 - share) / len(drawn)) ** 0.5, "five standard errors"
    assert {one.text for one in (*narrow, *nucleus)} == {best}


async def test_generation_ends_at_a_stop_string_which_is_kept(folder: Path) -> None:
    async with opened(folder) as engine:
        free = await engine.complete(asked("7+5="))
        stops = [free.text[3:5], free.text[6:9]]
        with_stop = asked("7+5=", stop=(stops[0],))
        first, second, other = await answers(
            engine, [with_stop, asked("7+5=", stop=(stops[1], stops[0])), asked("1+1=", stop=("never written",))]
        )
    end = free.text.index(stops[0]) + 2
    assert first.text == free.text[:end]
    assert (first.finish_reason, first.completion_tokens) == ("stop", end), "a character is a token"
    assert second.text == free.text[: min(end, free.text.index(stops[1]) + 3)], "whichever comes first"
    assert (other.finish_reason, other.completion_tokens) == ("length", 24), "others of the batch go on"


async def test_the_token_that_ends_a_turn_is_counted_and_not_written(folder: Path, tmp_path: Path) -> None:
    """The second token that the model writes is called its end of turn, in generation_config.json."""
    from transformers import AutoTokenizer, GenerationConfig

    async with opened(folder) as engine:
        free = await engine.complete(asked("7+5="))
    copy = tmp_path / "ends"
    copy.mkdir()
    for file in folder.iterdir():
        if file.name != "generation_config.json":
            (copy / file.name).symlink_to(file)
    second = next(letter for letter in free.text if letter != free.text[0])
    end = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(second)
    GenerationConfig(eos_token_id=[1, end], repetition_penalty=9.0).save_pretrained(copy)
    async with opened(copy) as engine:
        done, longer = await answers(engine, [asked("7+5="), asked("1")])
    length = free.text.index(second) + 1
    assert (done.finish_reason, done.completion_tokens) == ("stop", length)
    assert done.text == free.text[:length], "a letter is no special token; the file's repetition penalty does nothing"
    assert longer.completion_tokens >= 1


async def test_a_completion_ends_where_the_context_does(folder: Path) -> None:
    async with opened(folder) as engine:
        long, short = await answers(
            engine,
            [asked("1" * 60, replace(GREEDY, max_tokens=99)), asked("1" * 30, replace(GREEDY, max_tokens=99))],
        )
        with pytest.raises(RefusedRequest, match=r"the prompt has 64 tokens, which leaves none .* maximum of 64"):
            await engine.complete(asked("1" * 64))
    assert (long.completion_tokens, long.finish_reason) == (4, "length")
    assert short.completion_tokens == 34 or short.finish_reason == "stop"


async def test_a_seeded_sample_is_the_same_whatever_runs_beside_it(folder: Path) -> None:
    requests = [asked(PROMPTS[k % 3] + "?", Sampling(1.0, max_tokens=16, seed=k)) for k in range(9)]
    async with opened(folder, reproducible=True) as engine:
        first = await answers(engine, requests)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    async with opened(folder, reproducible=True) as engine:
        again = await answers(engine, requests[::-1])
    assert [one.text for one in first] == [one.text for one in again[::-1]]
    assert len({one.text for one in first}) == 9
    assert torch.equal(state, torch.get_rng_state()), "a trainer in this process draws what it would have drawn"


async def test_unseeded_samples_differ_in_a_batch_and_between_starts(folder: Path) -> None:
    requests = [asked("7+5=", Sampling(1.0, max_tokens=16))] * 8
    found: set[str] = set()
    for _ in range(2):
        torch.manual_seed(0)
        async with opened(folder) as engine:
            found |= {one.text for one in await answers(engine, requests)}
    assert len(found) == 16


async def test_what_it_cannot_do_is_refused_with_the_remedy(folder: Path) -> None:
    seeded = asked("1", Sampling(max_tokens=2, seed=1))
    async with opened(folder) as engine:
        for request, message in (
            (asked("1", json_schema="{}"), "use engine: vllm"),
            (seeded, "set `reproducible`"),
            (asked(""), "the prompt is empty"),
        ):
            with pytest.raises(RefusedRequest, match=message):
                await engine.complete(request)
        assert (await engine.complete(asked("1"))).completion_tokens > 0, "the engine lives on"
    with pytest.raises(EngineDied, match="closed"):
        await engine.complete(asked("1"))


async def test_chat_turns_go_through_the_models_template(folder: Path, with_template: Any) -> None:
    turns = (Message("user", "7+5"),)
    opens = with_template("{% for m in messages %}{{ m['content'] }}={% endfor %}{{ '<think>\\n' }}")
    async with opened(opens) as engine:
        chat = await engine.complete(Request("a", turns, GREEDY))
        begun = await engine.complete(Request("b", turns, GREEDY, prefill="<think>\n12"))
        raw = await engine.complete(asked("7+5=", prefill="<think>\n"))
        raw_begun = await engine.complete(asked("7+5=", prefill="<think>\n12"))
    assert chat.text == "<think>\n" + raw.text, "what the template opened belongs to the completion"
    assert begun.text == raw_begun.text, "and is not opened twice"
    assert chat.prompt_tokens == raw.prompt_tokens == 6


async def test_a_template_that_drops_a_part_is_refused(folder: Path, with_template: Any) -> None:
    async with opened(folder) as engine:
        with pytest.raises(RefusedRequest, match="drops a part of the assistant turns"):
            await engine.complete(Request("a", (Message("assistant", "4", reasoning="2 and 2"),), GREEDY))
    async with opened(with_template(None)) as engine:
        with pytest.raises(RefusedRequest, match="no chat template; set thinking: r1_zero"):
            await engine.complete(Request("a", (Message("user", "7+5"),), GREEDY))


async def test_special_tokens_are_left_out_but_not_the_marks_of_reasoning(folder: Path, with_template: Any) -> None:
    """All that a tokenizer with a special <think> writes is looked at by hand; see `control_tokens`."""
    hot = Sampling(temperature=1.0, max_tokens=40)
    special = with_template(None, additional_special_tokens=["<think>"])
    for path in (folder, special):
        async with opened(path) as engine:
            texts = "".join(one.text for one in await answers(engine, [asked("1+", hot)] * 64))
        assert "<think>" in texts, "it is no special token, or it is and stays"
        assert "<pad>" not in texts
        assert "<unknown>" not in texts


async def test_bytes_that_are_no_text_do_not_end_a_sample(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_of = Tokenizer(models.BPE({letter: at for at, letter in enumerate(letters)}, []))
    bytes_of.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_of.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=bytes_of).save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    LlamaForCausalLM(LlamaConfig(vocab_size=256, eos_token_id=None, bos_token_id=None, **sizes)).save_pretrained(
        tmp_path
    )
    async with opened(tmp_path) as engine:
        done = await answers(engine, [asked("hi", Sampling(1.0, max_tokens=100))] * 16)
    assert {(one.completion_tokens, one.finish_reason) for one in done} == {(100, "length")}
    assert all("\N{REPLACEMENT CHARACTER}" in one.text and len(one.text) > 20 for one in done)


async def test_figures_and_one_batch_for_all_that_wait(folder: Path) -> None:
    async with opened(folder, concurrency=32) as engine, local_pool(engine, 32) as pool:
        done = await asyncio.gather(*(pool.complete(asked(f"{k}+1=")) for k in range(40)))
        stats = engine.stats()
        assert stats.prompt_tokens == sum(one.prompt_tokens for one in done)
        assert stats.completion_tokens == sum(one.completion_tokens for one in done)
        assert (stats.running, stats.waiting) == (0, 0)
        assert stats.busy_s > 0


async def test_a_cancelled_request_ends_and_the_others_go_on(folder: Path) -> None:
    long = replace(GREEDY, max_tokens=60)
    async with opened(folder) as engine:
        tasks = [asyncio.create_task(engine.complete(asked(prompt + "1", long))) for prompt in PROMPTS[:4]]
        await asyncio.sleep(0.03)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        after = await engine.complete(asked("1"))
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(one, Completion) for one in found[1:])
    assert after.completion_tokens > 0


async def test_closing_gives_the_model_back_and_those_who_wait_hear_of_it(folder: Path) -> None:
    engine = TransformersEngine(TransformersOptions(str(folder)))
    await engine.start()
    assert engine._model is not None
    network = weakref.ref(engine._model.network)
    waiting = asyncio.create_task(engine.complete(asked("1", replace(GREEDY, max_tokens=60))))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(EngineDied, match="closed"):
        await waiting
    del waiting
    gc.collect()
    assert network() is None


async def test_a_folder_that_is_no_model_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    engine = TransformersEngine(TransformersOptions(str(tmp_path)))
    with pytest.raises(EngineError, match=r"^transformers cannot load "):
        await engine.start()
    await engine.close()
