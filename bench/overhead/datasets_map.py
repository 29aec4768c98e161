"""`datasets.map` over an OpenAI-compatible vLLM server: a batch at a time, its requests from a pool of threads.

What is counted is the map alone; the server runs, the connections are open. Nothing is judged and nothing is kept.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from overhead.peers import Round, rendered, sampling
from tracemill.core.types import Request
from tracemill.factory.engines.vllm import VllmOptions, engine_arguments, prepare_environment

START_S = 300.0


class DatasetsMap:
    """`batch` rows are mapped together; so many requests as the engine decodes at once, and an eighth, are out."""

    def __init__(self, options: VllmOptions, batch: int) -> None:
        import datasets
        import openai
        from transformers import AutoTokenizer

        datasets.disable_caching()
        datasets.disable_progress_bars()
        self._batch = batch
        self._tokenizer = AutoTokenizer.from_pretrained(options.model)
        self._threads = ThreadPoolExecutor(options.max_num_seqs + options.max_num_seqs // 8)
        self._server, port = serve(options)
        self._client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", timeout=600.0)

    def run(self, requests: Sequence[Request]) -> Round:
        from datasets import Dataset

        rows = [
            {"id": request.id, "prompt": rendered(self._tokenizer, request), "sampling": sampling(request)}
            for request in requests
        ]
        dataset = Dataset.from_list(rows)
        started = time.perf_counter()
        done = dataset.map(self._ask_all, batched=True, batch_size=self._batch, new_fingerprint=f"{started}")
        seconds = time.perf_counter() - started
        return Round(sum(done["tokens"]), seconds, dict(zip(done["id"], done["text"], strict=True)))

    def _ask_all(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        answers = list(self._threads.map(self._ask, rows["prompt"], rows["sampling"]))
        return {"text": [text for text, _ in answers], "tokens": [tokens for _, tokens in answers]}

    def _ask(self, prompt: str, asked: dict[str, Any]) -> tuple[str, int]:
        of_vllm = {name: asked.pop(name) for name in ("top_k", "include_stop_str_in_output")}
        done = self._client.completions.create(model="model", prompt=prompt, extra_body=of_vllm, **asked)
        assert done.usage is not None
        return done.choices[0].text, done.usage.completion_tokens

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()


def serve(options: VllmOptions) -> tuple[subprocess.Popen[bytes], int]:
    """A vLLM server with the same arguments, ready, and its port."""
    prepare_environment()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--served-model-name", "model", "--disable-uvicorn-access-log"]
    for name, value in engine_arguments(options).items():
        flag = name.replace("_", "-")
        command += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return server, port
        except OSError:
            time.sleep(0.2)
    server.kill()
    said = server.stderr.read().decode(errors="replace") if server.stderr else ""
    raise RuntimeError(f"vllm serve did not start: {said[-2000:]}")
