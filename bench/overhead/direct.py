"""`vllm.LLM.generate`: all requests in one call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from overhead.peers import Round, rendered, sampling
from tracemill.core.types import Request
from tracemill.factory.engines.vllm import VllmOptions, engine_arguments, prepare_environment


class Direct:
    """Renders on the clock, as the factory does."""

    def __init__(self, options: VllmOptions) -> None:
        prepare_environment()
        from vllm import LLM

        self._llm = LLM(**engine_arguments(options))

    def run(self, requests: Sequence[Request]) -> Round:
        from vllm import SamplingParams, TokensPrompt

        tokenizer: Any = self._llm.get_tokenizer()
        started = time.perf_counter()
        texts = [rendered(tokenizer, request) for request in requests]
        prompts = [TokensPrompt(prompt_token_ids=tokenizer.encode(text, add_special_tokens=False)) for text in texts]
        asked = [SamplingParams(**sampling(request)) for request in requests]
        outputs = [output.outputs[0] for output in self._llm.generate(prompts, asked, use_tqdm=False)]
        seconds = time.perf_counter() - started
        made = {request.id: output.text for request, output in zip(requests, outputs, strict=True)}
        return Round(sum(len(output.token_ids) for output in outputs), seconds, made)

    def close(self) -> None:
        del self._llm
