"""One replica of a model on vLLM's AsyncLLM. Knows nothing of Ray; `factory.cluster` hosts it as an actor.

On the CPU backend (0.32.0) a seeded request dies when its prefill is split, and loses its seed beside unseeded ones
(vllm issue 51226): a `reproducible` engine therefore runs without chunked prefill and takes seeded requests only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.types import Completion, Message, Request


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """How a replica is started."""

    model: str
    """A folder in the transformers format, or a name that vLLM finds."""
    max_num_seqs: int
    """Sequences decoded at once."""
    reproducible: bool = False
    seed: int = 0
    """Seed of the engine's own generator, which unseeded requests share."""
    max_model_len: int | None = None
    """Longest prompt and completion together, in tokens; the model's own limit where unset."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further vLLM engine arguments by their own names."""


CPU_ARGUMENTS = {
    "enforce_eager": True,  # compiling costs ~67 s of start for 5 % more tokens/s
    # A worker process of its own makes the engine process spin while it waits: one core of two lost, and 17 s of start.
    "distributed_executor_backend": "uni",
    "block_size": 32,  # of the default's 128 tokens, a prefix of 250 tokens caches only half
}
"""vLLM's defaults give 196 tokens/s where these give 295 (2 cores, SmolLM2-135M, the demo's prompts)."""


def on_cpu() -> bool:
    """Whether vLLM runs without an accelerator here."""
    import torch

    return not torch.cuda.is_available()


def engine_arguments(options: VllmOptions) -> dict[str, Any]:
    """The arguments that vLLM is started with."""
    arguments: dict[str, Any] = dict(CPU_ARGUMENTS) if on_cpu() else {}
    if options.reproducible:
        arguments["enable_chunked_prefill"] = False
    if options.max_model_len is not None:
        arguments["max_model_len"] = options.max_model_len
    return {
        "model": options.model,
        "max_num_seqs": options.max_num_seqs,
        "seed": options.seed % 2**31,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        **arguments,
        **options.extra,
    }


def prepare_environment() -> None:
    """Settings that vLLM reads from the environment when it is imported. What the user has set stays."""
    defaults = {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if on_cpu():
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # else the CPU backend turns `uni` back into `mp`
        # Ray sets this to the CPUs that the actor reserves, which is 1: half the speed on two cores.
        os.environ["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


class VllmEngine:
    """Completes requests on one vLLM replica, once started. Lives on one event loop."""

    def __init__(self, options: VllmOptions) -> None:
        self._options = options

    async def start(self) -> None:
        """Load the model. Raises EngineError with vLLM's reason when it cannot be; a constructor would hide it."""
        prepare_environment()
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        try:
            self._llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_arguments(self._options)))
        except Exception as error:  # vLLM raises anything here
            raise EngineError(f"vLLM cannot start {self._options.model}: {_one_line(error)}") from error
        self._tokenizer = self._llm.get_tokenizer()

    async def complete(self, request: Request) -> Completion:
        """One sample. Raises RefusedRequest for a request that can never work, EngineError when the engine is dead."""
        from vllm import TokensPrompt
        from vllm.exceptions import VLLMClientError
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        if (request.sampling.seed is not None) != self._options.reproducible:
            raise EngineError("seeded and unseeded requests must not share an engine: set `reproducible`")
        text = self._rendered(request)
        sampling = SamplingParams(
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            top_k=request.sampling.top_k,
            max_tokens=request.sampling.max_tokens,
            seed=request.sampling.seed,
            stop=list(request.stop),
            include_stop_str_in_output=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=request.json_schema) if request.json_schema else None,
        )
        raw = isinstance(request.prompt, str)
        tokens = TokensPrompt(prompt_token_ids=self._tokenizer.encode(text, add_special_tokens=raw))
        try:
            outputs = [output async for output in self._llm.generate(tokens, sampling, request.id)]
        except (VLLMClientError, ValueError) as error:
            raise RefusedRequest(_one_line(error)) from error
        except Exception as error:  # EngineDeadError, EngineGenerateError: the boundary to vLLM
            raise EngineError(f"vLLM failed: {_one_line(error)}") from error
        output = outputs[-1]  # FINAL_ONLY: there is one
        best = output.outputs[0]
        if best.finish_reason not in ("stop", "length"):
            raise EngineError(f"vLLM ended a request with {best.finish_reason!r}")  # its text is no sample
        # A chat template may open the reasoning itself (R1 distillates); what it opened belongs to the text.
        opened = "<think>\n" if not request.prefill and text.rstrip().endswith("<think>") else ""
        return Completion(
            request_id=request.id,
            text=opened + best.text,
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(best.token_ids),
            finish_reason=best.finish_reason,
        )

    def _rendered(self, request: Request) -> str:
        """The text that the model continues."""
        if isinstance(request.prompt, str):
            return request.prompt + request.prefill
        if not self._tokenizer.chat_template:
            raise RefusedRequest("the model has no chat template; set thinking: r1_zero")
        turns = [_turn(message) for message in request.prompt]
        text: str = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        for message in request.prompt:
            if message.content.strip() not in text or (message.reasoning or "").strip() not in text:
                raise RefusedRequest(
                    f"the model's chat template drops a part of the {message.role} turns (R1 distillates strip inline "
                    "reasoning, others their reasoning field); use no examples, or another think format"
                )
        # R1 distillates' templates open the reasoning themselves; it must not be opened twice.
        opened = text.rstrip().endswith("<think>")
        return text + (request.prefill.removeprefix("<think>\n") if opened else request.prefill)


def _turn(message: Message) -> dict[str, str]:
    turn = {"role": message.role, "content": message.content}
    return turn if message.reasoning is None else {**turn, "reasoning_content": message.reasoning}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
