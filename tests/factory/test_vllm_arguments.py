"""vLLM's arguments are checked before anything starts, and what is started from them, without loading a model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.factory.engines.rendering import control_tokens
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.engines.vllm_arguments import check_arguments, known_arguments
from tracemill.factory.ray_host import HostMaker

pytestmark = pytest.mark.skipif(not known_arguments(), reason="vLLM is not installed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tensor_paralel_size": 2}, r"^generate\.engine_options\.tensor_paralel_size: vLLM has no such argument "
         r"\(did you mean 'tensor_parallel_size'\?\)$"),
        ({"tensor_parallel_size": "2"}, r"tensor_parallel_size: vLLM takes int, got '2'$"),
        ({"tensor_parallel_size": True}, r"tensor_parallel_size: vLLM takes int, got True$"),
        ({"gpu_memory_utilization": "most"}, r"gpu_memory_utilization: vLLM takes float, got 'most'$"),
        ({"enforce_eager": 1}, r"enforce_eager: vLLM takes bool, got 1$"),
        ({"max_num_batched_tokens": 0.5}, r"max_num_batched_tokens: vLLM takes int \| None, got 0\.5$"),
    ],
)  # fmt: skip
def test_what_vllm_does_not_take_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_arguments(options, "generate.engine_options")


def test_what_it_takes_is_let_through() -> None:
    check_arguments(
        {
            "tensor_parallel_size": 2,
            "gpu_memory_utilization": 1,
            "max_num_batched_tokens": None,
            "dtype": "bfloat16",
            "enforce_eager": True,
            "compilation_config": {"level": 3},
            "hf_overrides": {"rope_theta": 1e6},
            "enable_log_requests": False,
        },
        "generate.engine_options",
    )


def test_checking_does_not_import_vllm() -> None:
    code = (
        "import sys; from tracemill.factory.engines.vllm_arguments import known_arguments as known; "
        "print('tensor_parallel_size' in known(), sorted({'vllm', 'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


def test_all_arguments_that_vllm_knows_are_known() -> None:
    import dataclasses

    arguments = pytest.importorskip("vllm.engine.arg_utils")
    names = {field.name for field in dataclasses.fields(arguments.AsyncEngineArgs)}
    assert set(known_arguments()) >= names


def test_an_engine_spans_the_devices_that_its_arguments_say() -> None:
    assert VllmOptions("m", 4).devices == 1
    assert VllmOptions("m", 4, extra={"tensor_parallel_size": 4, "pipeline_parallel_size": 2}).devices == 8


def test_jobs_find_each_others_engine_by_all_that_it_is_started_from() -> None:
    def name(gpus: float = 0.0, **changes: Any) -> str:
        return HostMaker(VllmOptions(**{"model": "m", "max_num_seqs": 4, **changes}), gpus, 60, True).engine

    assert name() == name()
    others = [
        name(gpus=1),
        name(model="n"),
        name(max_num_seqs=5),
        name(reproducible=True),
        name(extra={"dtype": "half"}),
    ]
    assert len({name(), *others}) == 6


def test_marks_of_reasoning_that_a_tokenizer_calls_special_are_kept() -> None:
    assert control_tokens(["<|im_end|>", "<|endoftext|>"]) is None, "vLLM leaves them out itself"
    found = control_tokens(["</s>", "[THINK]", "[/THINK]", "[INST]"])
    assert found is not None
    assert found.sub("", "[THINK]hm[/THINK]4</s>") == "[THINK]hm[/THINK]4"
    alone = control_tokens(["<think>", "</think>"])
    assert alone is not None
    assert alone.sub("", "<think>a</think>b") == "<think>a</think>b"
