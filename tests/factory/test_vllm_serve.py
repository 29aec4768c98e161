"""The OpenAI engine against vLLM's own server with the real model. `make test` fetches the model first."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import aiohttp
import pytest

from tracemill.core.errors import RefusedRequest
from tracemill.core.settings import settings
from tracemill.core.types import Message, Request, Sampling
from tracemill.factory.engines.openai import OpenAIEngine, OpenAIOptions
from tracemill.factory.engines.vllm import prepare_environment
from tracemill.factory.models import model_folder
from tracemill.factory.thinking import Example, ThinkFormat

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
]  # with its start, which takes a minute where nothing else runs

THINKING = ThinkFormat.named(
    "r1", (Example("What is 4 + 3?", "I add 3 to 4. 4 + 3 = 7.", "7"), Example("What is 9 - 1?", "9 - 1 = 8.", "8"))
)


@pytest.fixture(scope="module")
def vllm_url() -> Iterator[str]:
    """vLLM's own server with the packaged model. Seeded requests only: on the CPU backend the two kinds do not mix."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    prepare_environment()
    folder = model_folder("smollm2-135m", settings().cache)
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--enforce-eager", "--distributed-executor-backend", "uni", "--block-size", "32"]
    command += ["--max-model-len", "1024", "--max-num-seqs", "16", "--no-enable-chunked-prefill"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            asyncio.run(_answers(f"http://127.0.0.1:{port}/health", process))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server is up."""
    async with aiohttp.ClientSession() as session:
        while process.poll() is None:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.5)
    raise AssertionError("vllm serve ended before it was up")


@pytest.fixture
async def opened(vllm_url: str) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(OpenAIOptions("smollm2", vllm_url, dialect="vllm", concurrency=8, tries=2))
    await engine.start()
    yield engine
    await engine.close()


async def test_samples_of_one_prompt_on_a_real_vllm_server(opened: OpenAIEngine) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=32, seed=0)
    asked = [
        Request(str(k), THINKING.render("What is 68 + 57?"), replace(sampling, seed=k), THINKING.prefill, THINKING.stop)
        for k in range(8)
    ]
    done = await asyncio.gather(*(opened.complete(replace(one, logprobs=True)) for one in asked))
    assert len({one.text for one in done}) > 2, "seeds differ"
    closed = [one for one in done if "</answer>" in one.text]
    assert len(closed) >= 2
    assert all(one.text.endswith("</answer>") and one.finish_reason == "stop" for one in closed)
    assert all(len(one.logprobs or ()) == one.completion_tokens for one in done)
    assert all(value <= 0 for one in done for value in one.logprobs or ())
    assert {one.prompt_tokens for one in done} == {_prompt_tokens(asked[0])}, "the same prompt as on the vLLM engine"
    again = [await opened.complete(one) for one in asked[:4]]
    same = sum(one.text == other.text for one, other in zip(done, again, strict=False))
    assert same >= 3, "a batch of another size may round one token differently, not more"
    assert (again[0].logprobs, again[0].reasoning) == (None, None)


async def test_other_kinds_of_requests_to_a_real_vllm_server(opened: OpenAIEngine) -> None:
    greedy = Sampling(temperature=0, max_tokens=4, seed=1)
    done = await opened.complete(Request("raw", "The capital of France is", greedy))
    assert "Paris" in done.text
    assert (done.finish_reason, done.completion_tokens) == ("length", 4)
    schema = json.dumps({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]})
    sampling = replace(greedy, max_tokens=60)
    person = await opened.complete(Request("json", (Message("user", "Age?"),), sampling, json_schema=schema))
    assert person.text.lstrip().startswith("{")
    for long in (THINKING.render("why? " * 2000), "why? " * 2000):
        with pytest.raises(RefusedRequest, match="maximum context length is 1024 tokens"):
            await opened.complete(Request("long", long, greedy, prefill="<think>\n"))
    turns = (Message("user", "Hi"), Message("assistant", "Hello", reasoning="A greeting."), Message("user", "Bye"))
    with pytest.raises(RefusedRequest, match="drops a part of the assistant turns"):
        await opened.complete(Request("native", turns, greedy))


def _prompt_tokens(asked: Request) -> int:
    """As `VllmEngine` renders and counts."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder("smollm2-135m", settings().cache))
    turns = [{"role": one.role, "content": one.content} for one in asked.prompt if isinstance(one, Message)]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + asked.prefill
    return len(tokenizer.encode(text, add_special_tokens=False))
