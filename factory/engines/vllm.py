"""One replica of a model on vLLM's AsyncLLM. Knows nothing of Ray; `factory.actors` hosts it.

On the CPU backend (0.32.0) a seeded request dies when its prefill is split, and loses its seed beside unseeded ones
(vllm issue 51226): a `reproducible` engine therefore runs without chunked prefill and takes seeded requests only.
"""

from __future__ import annotations

import math
import os
import secrets
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest, SetAside
from tracemill.core.types import Completion, Request
from tracemill.factory.engines.rendering import control_tokens, encoded, opened, rendered
from tracemill.factory.figures import EngineStats


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """How a replica is started."""

    model: str
    """A folder in the transformers format, or a name that vLLM finds."""
    max_num_seqs: int
    """Sequences decoded at once."""
    reproducible: bool = False
    """It takes requests with a seed of their own, and no others. Otherwise the engine draws a seed at each start, so
    that a run that goes on after a death does not draw the same samples again."""
    max_model_len: int | None = None
    """Longest prompt and completion together, in tokens; the model's own limit where unset."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further vLLM engine arguments by their own names."""

    @property
    def concurrency(self) -> int:
        """Sequences decoded at once."""
        return self.max_num_seqs

    @property
    def devices(self) -> int:
        """GPUs that one engine spans."""
        sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        return math.prod(int(self.extra.get(name) or 1) for name in sizes)

    def build(self) -> VllmEngine:
        """The engine, not yet started."""
        return VllmEngine(self)


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
        "seed": 0 if options.reproducible else secrets.randbits(31),
        "enable_prefix_caching": True,
        "disable_log_stats": True,  # ours are kept all the same; this is vLLM's own log
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


def kill_with_this_process(pids: Sequence[int]) -> subprocess.Popen[bytes]:
    """Have these processes killed when this one ends, however it ends.

    vLLM's engine process does not notice that its parent was killed: it would keep its GPU's memory, and the replica
    could not start again. A shell waits for the end of a pipe that only this process holds open.
    """
    kill = "trap '' INT TERM HUP; read -r line; kill -9 " + " ".join(map(str, pids)) + " 2>/dev/null"
    return subprocess.Popen(["sh", "-c", kill], stdin=subprocess.PIPE, start_new_session=True)


class VllmEngine:
    """Completes requests on one vLLM replica, once started. Lives on one event loop."""

    _llm: Any
    _stats: Callable[[], EngineStats]

    def __init__(self, options: VllmOptions) -> None:
        self._options = options

    async def start(self) -> None:
        """Load the model. Raises EngineError with vLLM's reason when it cannot be; a constructor would hide it."""
        prepare_environment()
        import psutil  # vLLM needs it too
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        from tracemill.factory.engines.vllm_stats import StatKeeper, total

        keepers: list[StatKeeper] = []

        def keeper(config: Any, index: int = 0) -> StatKeeper:
            keepers.append(StatKeeper(config, index))
            return keepers[-1]

        self._stats = lambda: total(keepers)
        try:
            arguments = AsyncEngineArgs(**engine_arguments(self._options))
            self._llm = AsyncLLM.from_engine_args(arguments, stat_loggers=[keeper])
        except Exception as error:  # vLLM raises anything here
            raise EngineError(f"vLLM cannot start {self._options.model}: {_one_line(error)}") from error
        self._guard = kill_with_this_process([one.pid for one in psutil.Process().children(recursive=True)])
        self._tokenizer = self._llm.get_tokenizer()
        self._control = control_tokens(self._tokenizer.all_special_tokens)

    def stats(self) -> EngineStats:
        """What vLLM says of itself."""
        return self._stats()

    def stop(self) -> None:
        """End vLLM's processes."""
        self._llm.shutdown()

    async def complete(self, request: Request) -> Completion:
        """One sample.

        Raises RefusedRequest for a request that can never work, SetAside for one that vLLM fails at, EngineDied when
        the engine is dead.

        Log probabilities are those of the model's own distribution, before temperature, top_p and top_k.
        """
        from vllm import TokensPrompt
        from vllm.exceptions import VLLMClientError

        if (request.sampling.seed is not None) != self._options.reproducible:
            raise RefusedRequest("seeded and unseeded requests must not share an engine: set `reproducible`")
        text = rendered(request, self._tokenizer)
        tokens = TokensPrompt(prompt_token_ids=encoded(request, text, self._tokenizer))
        for is_last in (False, True):
            try:
                outputs = [one async for one in self._llm.generate(tokens, self._sampling(request), request.id)]
            except (VLLMClientError, ValueError) as error:
                raise RefusedRequest(_one_line(error)) from error
            except Exception as error:  # EngineDeadError, EngineGenerateError: the boundary to vLLM
                failure = _one_line(error.__cause__ or error)
                if self._llm.errored:
                    raise EngineDied(f"vLLM died: {failure}") from error
            else:
                best = outputs[-1].outputs[0]  # FINAL_ONLY: there is one
                if best.finish_reason in ("stop", "length"):
                    return self._completion(request, text, outputs[-1], best)
                failure = f"it ended the request with {best.finish_reason!r}"  # its text is no sample
            if is_last:
                break
        raise SetAside(f"vLLM failed twice at this request: {failure}")

    def _sampling(self, request: Request) -> Any:
        """vLLM's sampling parameters of a request."""
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        return SamplingParams(
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            top_k=request.sampling.top_k,
            max_tokens=request.sampling.max_tokens,
            seed=request.sampling.seed,
            stop=list(request.stop),
            include_stop_str_in_output=True,
            skip_special_tokens=self._control is None,
            output_kind=RequestOutputKind.FINAL_ONLY,
            logprobs=0 if request.logprobs else None,
            flat_logprobs=request.logprobs,
            structured_outputs=StructuredOutputsParams(json=request.json_schema) if request.json_schema else None,
        )

    def _completion(self, request: Request, asked: str, output: Any, best: Any) -> Completion:
        """Our completion of vLLM's output. `asked` is the text that it went on from."""
        text = best.text if self._control is None else self._control.sub("", best.text)
        logprobs = None
        if request.logprobs:
            places = best.logprobs.start_indices  # the sampled token is the first at each position
            logprobs = tuple(best.logprobs.logprobs[place] for place in places)
        return Completion(
            request_id=request.id,
            text=opened(request, asked) + text,
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(best.token_ids),
            finish_reason=best.finish_reason,
            logprobs=logprobs,
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
