"""What the OpenAI engine sends and understands, against a server that answers by script (vLLM's: test_vllm_serve.py)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.factory.scripted_server import QUESTION, Server, chat, completed, engine, failure, raw, request, serves

from tracemill.core.errors import EngineError, InputError, RefusedRequest, SetupError
from tracemill.core.types import Completion, Message, Sampling
from tracemill.factory.engines.openai import OpenAIOptions


async def test_a_chat_request_and_its_completion(server: Server) -> None:
    done = await completed(server, [chat("5", tokens=1)], request())
    assert done == Completion("r", "5", 11, 1, "stop")
    assert server.paths == ["/v1/chat/completions"]
    assert server.bodies == [
        {
            "model": "m",
            "temperature": 0.7,
            "top_p": 1.0,
            "messages": [{"role": "user", "content": "What is 2 + 3?"}],
            "max_tokens": 100,
        }
    ]
    assert "Authorization" not in server.headers[0]


async def test_the_key_comes_from_the_environment_and_stands_in_no_message(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SetupError, match=r"no API key for http.*: export SOME_KEY="):
        await completed(server, [chat("5")], request(), api_key_env="SOME_KEY")
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    await completed(server, [chat("5")], request(), api_key_env="SOME_KEY")
    assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    with pytest.raises(EngineError, match=r"401: wrong key …\): put a valid key into SOME_KEY") as caught:
        await completed(server, [failure(401, "wrong key sk-very-secret")], request(), api_key_env="SOME_KEY")
    assert not isinstance(caught.value, RefusedRequest)
    with pytest.raises(EngineError, match=r"403: .*name it in api_key_env"):
        await completed(server, [failure(403)], request())
    assert len(server.bodies) == 3, "a wrong key is not tried again"


async def test_reasoning_as_a_field_of_either_name_or_inline(server: Server) -> None:
    for name in ("reasoning_content", "reasoning"):
        done = await completed(server, [chat("5", "stop", 7, **{name: "Two and three."})], request())
        assert (done.text, done.reasoning) == ("5", "Two and three.")
    cut = await completed(server, [chat(None, "length", reasoning="Two and")], request())
    assert (cut.text, cut.reasoning, cut.finish_reason) == ("", "Two and", "length")
    inline = await completed(server, [chat("<think>\nTwo.\n</think>\n5", reasoning_content="")], request())
    assert (inline.text, inline.reasoning) == ("<think>\nTwo.\n</think>\n5", None)


async def test_a_template_that_opens_the_reasoning_itself(server: Server) -> None:
    done = await completed(server, [chat("Two.\n</think>\n5")], request(), opens_thinking=True)
    assert done.text == "<think>\nTwo.\n</think>\n5", "as on the vLLM engine: what the template opened belongs to it"
    split = await completed(server, [chat("5", reasoning="Two.")], request(), opens_thinking=True)
    assert (split.text, split.reasoning) == ("5", "Two.")
    kept = await completed(server, [chat("<think>\nTwo.")], request(), opens_thinking=True)
    assert kept.text == "<think>\nTwo."
    await completed(server, [chat("7")], request(prefill="<think>\n"), opens_thinking=True, dialect="sglang")
    assert "continue_final_message" not in server.bodies[-1], "it is not opened twice"
    await completed(server, [chat("7")], request(prefill="<think>\nSo"), opens_thinking=True, dialect="sglang")
    assert server.bodies[-1]["messages"][-1] == {"role": "assistant", "content": "So"}


async def test_sampling_fields_of_each_dialect(server: Server) -> None:
    asked = request(sampling=Sampling(0.5, 0.9, 20, 64, seed=2**40 + 3), stop=("</answer>",))
    wanted: dict[str, dict[str, Any]] = {
        "vllm": {
            "top_k": 20,
            "seed": 2**40 + 3,
            "stop": ["</answer>"],
            "include_stop_str_in_output": True,
            "min_p": 0.0,
        },
        "sglang": {"top_k": 20, "seed": 2**40 + 3, "stop": ["</answer>"], "no_stop_trim": True, "min_p": 0.0},
        "llamacpp": {"top_k": 20, "seed": 3, "repeat_penalty": 1.0, "min_p": 0.0},
    }
    for dialect, fields in wanted.items():
        await completed(server, [serves("<user>What is 2 + 3?<bot>", chat("7"))], asked, dialect=dialect)
        body = server.bodies[-1]
        assert {name: body[name] for name in fields} == fields
        assert ("stop" in body) == ("stop" in fields)
    await completed(server, [chat("7")], request(), dialect="sglang")
    assert server.bodies[-1]["top_k"] == -1, "SGLang refuses 0"
    await completed(server, [chat("7")], request(), limit_field="max_completion_tokens", extra_body={"min_p": 0.1})
    assert (server.bodies[-1]["max_completion_tokens"], server.bodies[-1]["min_p"]) == (100, 0.1)
    assert "max_tokens" not in server.bodies[-1]
    with pytest.raises(RefusedRequest, match=r"generate\.top_k is no part of the OpenAI API"):
        await completed(server, [chat("7")], asked)


@pytest.mark.parametrize(
    ("written", "text", "finish_reason"),
    [
        ("a</think><answer>5</answer> and more", "a</think><answer>5</answer>", "stop"),
        ("a</think><answer>5", "a</think><answer>5", "length"),
    ],
)
async def test_without_a_word_for_it_the_text_is_cut_after_the_stop_string(
    server: Server, written: str, text: str, finish_reason: str
) -> None:
    tokens = [written[k : k + 3] for k in range(0, len(written), 3)]
    logprobs = {"tokens": tokens, "token_logprobs": [-0.5] * len(tokens)}
    asked = request(prompt="User: 2 + 3?", prefill="<think>\n", stop=("</answer>",), logprobs=True)
    done = await completed(server, [raw(written, "length", logprobs=logprobs)], asked)
    assert (server.paths, server.bodies[0]["prompt"]) == (["/v1/completions"], "User: 2 + 3?<think>\n")
    assert "stop" not in server.bodies[0]
    assert (done.text, done.finish_reason, done.completion_tokens) == (text, finish_reason, 7)
    assert done.logprobs == (-0.5,) * -(-len(text) // 3)


async def test_log_probabilities(server: Server) -> None:
    entries = [{"token": "5", "logprob": -0.25, "bytes": [53]}, {"token": "!", "logprob": -2, "bytes": None}]
    reply = chat("5!")
    reply["choices"][0]["logprobs"] = {"content": entries}
    done = await completed(server, [reply], request(logprobs=True))
    assert (done.logprobs, server.bodies[-1]["logprobs"]) == ((-0.25, -2.0), True)
    with pytest.raises(RefusedRequest, match=r"gave no log probabilities: set generate\.logprobs: false"):
        await completed(server, [chat("5!")], request(logprobs=True))


async def test_a_json_schema_is_a_response_format(server: Server) -> None:
    asked = request(json_schema='{"type": "object"}')
    await completed(server, [chat("{}")], asked)
    format_ = server.bodies[-1]["response_format"]
    assert (format_["type"], format_["json_schema"]["schema"]) == ("json_schema", {"type": "object"})
    await completed(server, [raw("{}")], replace(asked, prompt="?"), dialect="llamacpp")
    assert server.bodies[-1]["json_schema"] == {"type": "object"}


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp"])
@pytest.mark.parametrize("opened", ["", "<think>\n"])
async def test_a_prefill_goes_behind_the_template_as_on_the_vllm_engine(
    server: Server, dialect: str, opened: str
) -> None:
    server.script = [serves(f"<user>What is 2 + 3?<bot>{opened}", raw("Five.</think>5"))]
    async with engine(server, dialect=dialect) as opened_engine:
        asked = [request(id=str(k), prefill="<think>\n") for k in range(20)]
        done = await asyncio.gather(*(opened_engine.complete(one) for one in asked))
        longer = await opened_engine.complete(request(prefill="<think>\nTwo and three. Wait"))
    assert [one.request_id for one in done] == [str(k) for k in range(20)]
    assert {one.text for one in [*done, longer]} == {"Five.</think>5"}
    prompts = [
        body["prompt"] if dialect == "llamacpp" else "".join(map(chr, body["prompt"]))
        for body, path in zip(server.bodies, server.paths, strict=True)
        if path == "/v1/completions"
    ]
    assert prompts[:20] == ["<user>What is 2 + 3?<bot><think>\n"] * 20, "opened once, by the template or by us"
    assert prompts[20] == "<user>What is 2 + 3?<bot><think>\nTwo and three. Wait"
    assert len(server.paths) - 21 <= 5, "rendered once, not once a sample"


async def test_what_the_template_of_a_rendering_server_opens_and_drops(server: Server) -> None:
    rendered = serves("<user>What is 2 + 3?<bot><think>\n", chat("Two.</think>5"))
    done = await completed(server, [rendered], request(), dialect="vllm")
    assert (done.text, server.paths[-1]) == ("<think>\nTwo.</think>5", "/v1/chat/completions")
    examples = (Message("user", "1 + 1?"), Message("assistant", "2", reasoning="One and one."), *QUESTION)
    for dialect in ("vllm", "llamacpp"):
        dropping = serves("<user>1 + 1?<bot>2<user>What is 2 + 3?<bot>", chat("5"))
        with pytest.raises(RefusedRequest, match="drops a part of the assistant turns"):
            await completed(server, [dropping], request(prompt=examples), dialect=dialect)
    with pytest.raises(RefusedRequest, match="reasoning has no field in the OpenAI API"):
        await completed(server, [chat("5")], request(prompt=examples))


async def test_sglang_continues_the_last_turn_as_text(server: Server) -> None:
    await completed(server, [chat("7")], request(prefill="<think>\n"), dialect="sglang")
    body = server.bodies[-1]
    assert body["messages"][-1] == {"role": "assistant", "content": "<think>\n"}
    assert (body["continue_final_message"], body["separate_reasoning"]) == (True, False)


async def test_a_server_that_takes_no_prefill_says_what_to_set(server: Server) -> None:
    with pytest.raises(RefusedRequest, match=r"set generate\.thinking: native"):
        await completed(server, [chat("5")], request(prefill="<think>\n"))
    assert server.bodies == []


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", "repetition"])
async def test_only_stop_and_length_make_a_sample(server: Server, reason: str) -> None:
    with pytest.raises(RefusedRequest, match=f"finish_reason '{reason}'"):
        await completed(server, [chat("5", reason)], request())
    with pytest.raises(RefusedRequest, match="the model refused: I cannot"):
        await completed(server, [chat(None, refusal="I cannot\nhelp.")], request())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dialect": "vlm"}, r"dialect: unknown dialect 'vlm' \(did you mean 'vllm'\?\)"),
        ({"base_url": "localhost:8000"}, r"base_url: must start with http"),
        ({"tries": 0}, r"tries: must be more than 0"),
        ({"extra_body": {"temperature": 1}}, r"extra_body\.temperature: the engine sets it by itself"),
    ],
)
def test_options_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OpenAIOptions(**{"model": "m", "base_url": "http://x/v1", **changes})
