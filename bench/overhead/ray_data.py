"""Ray Data LLM (`ray.data.llm`): one dataset for all rounds, so that its engine stays loaded between them.

Ray Data starts its engine with each execution of a dataset. So that it is measured warm, as the others are, a single
execution runs through all rounds: the rows of a round pass its first operator as soon as a file with their prompts is
there (a look every 10 ms). Its cluster is its own. The prompts come tokenised, so that none of its stages beside the
engine is needed. Counted until the last row of a round has come back; nothing is judged and nothing is kept.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from overhead.peers import Round, rendered, sampling
from tracemill.core.types import Request
from tracemill.factory.engines.vllm import VllmOptions, engine_arguments, prepare_environment


class RayData:
    """`sizes` are those of the rounds to come; a batch holds `batch` rows.

    A size is a multiple of `batch`: Ray Data fills up its batches, and would wait for the next round's rows.
    """

    def __init__(self, options: VllmOptions, sizes: Sequence[int], batch: int) -> None:
        prepare_environment()
        os.environ.setdefault("RAY_worker_niceness", "0")  # as in our own cluster: Ray's 15 gives way to any process
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import pyarrow
        import ray
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig
        from transformers import AutoTokenizer

        # Logical ones: the engine reserves one, each task around it another, and those that wait for a round too.
        ray.init("local", num_cpus=8, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        arguments = engine_arguments(options)
        config = vLLMEngineProcessorConfig(
            model_source=arguments.pop("model"),
            engine_kwargs=arguments,
            batch_size=batch,
            max_concurrent_batches=max(8, 2 * options.max_num_seqs // batch),
            placement_group_config=_no_gpu(),
            chat_template_stage=False,
            tokenize_stage=False,
            detokenize_stage=False,
            log_engine_metrics=False,
        )
        self._tokenizer = AutoTokenizer.from_pretrained(options.model)
        self._folder = tempfile.TemporaryDirectory()
        self._round = 0
        blocks = [
            pyarrow.table({"round": [number] * len(rows), "row": list(rows)})
            for number, size in enumerate((*sizes, batch))  # the last never comes: at its end the engine would go
            for rows in (range(size)[at : at + batch] for at in range(0, size, batch))
        ]
        process = build_processor(config, preprocess=_gate(self._folder.name), postprocess=_shorten())
        done = process(ray.data.from_arrow(blocks))
        self._coming = iter(done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))

    def run(self, requests: Sequence[Request]) -> Round:
        prompts = []
        for request in requests:
            tokens = self._tokenizer.encode(rendered(self._tokenizer, request), add_special_tokens=False)
            prompts.append({"id": request.id, "tokenized_prompt": tokens, "sampling_params": sampling(request)})
        path = Path(self._folder.name) / str(self._round)
        path.with_suffix(".new").write_text(json.dumps(prompts))
        started = time.perf_counter()
        path.with_suffix(".new").rename(path)
        made: list[dict[str, Any]] = []
        while len(made) < len(requests):
            made += next(self._coming).to_pylist()
        seconds = time.perf_counter() - started
        assert {row["round"] for row in made} == {self._round}
        self._round += 1
        return Round(sum(row["tokens"] for row in made), seconds, {row["id"]: row["text"] for row in made})

    def close(self) -> None:
        import ray

        self._coming.close()
        ray.shutdown()
        self._folder.cleanup()


def _no_gpu() -> dict[str, Any] | None:
    """Without this Ray Data reserves a GPU for the engine."""
    import torch

    return None if torch.cuda.is_available() else {"bundles": [{"CPU": 1}]}


def _gate(folder: str) -> Any:
    """The operator that lets a round's rows pass. Both are closures, for Ray's workers cannot import this module."""
    read: dict[str, list[dict[str, Any]]] = {}

    def gate(row: dict[str, Any]) -> dict[str, Any]:
        path = os.path.join(folder, str(row["round"]))
        while path not in read:
            if os.path.exists(path):
                with open(path) as file:
                    read[path] = json.load(file)
            else:
                time.sleep(0.01)
        return read[path][int(row["row"])]

    return gate


def _shorten() -> Any:
    def shorten(row: dict[str, Any]) -> dict[str, Any]:
        kept = {name: row[name] for name in ("round", "id")}
        return {**kept, "tokens": row["num_generated_tokens"], "text": row["generated_text"]}

    return shorten
