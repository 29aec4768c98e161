"""The training loop, on TRL: one process, or one of several that Ray Train has started (`trainers.cluster`).

A training is done in a folder of its own: rows in `data`, checkpoints in `checkpoints`, and at the end the model in
`model`. Started again there, it goes on from its last checkpoint. The same seed gives the same weights on the same
number of processes and machine.
"""

from __future__ import annotations

import gc
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from tracemill.core.errors import SetupError
from tracemill.trainers import rollouts
from tracemill.trainers.callbacks import Report, figures_of, reporting, stopping
from tracemill.trainers.options import Dpo, Grpo, Sft, Training
from tracemill.trainers.text import Text
from tracemill.trainers.trl_rewards import trl_reward


@dataclass(frozen=True, slots=True)
class Work:
    """The folder of a training, on storage that all its processes see."""

    folder: Path
    workers: int = 1
    """Processes that train, each of which writes its part of a checkpoint."""

    @property
    def data(self) -> Path:
        """Rows, as `datasets` saves them."""
        return self.folder / "data"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        """The trained model; there once it is whole."""
        return self.folder / "model"

    def last_checkpoint(self) -> Path | None:
        """The newest that was written to its end."""
        found = sorted(self.checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        return next((path for path in reversed(found) if self._is_whole(path)), None)

    def step(self) -> int:
        """That of the last checkpoint; 0 where there is none."""
        last = self.last_checkpoint()
        return 0 if last is None else int(_state(last)["global_step"])

    def _is_whole(self, checkpoint: Path) -> bool:
        """The first process writes the state last; others may still be at their random state then."""
        each = [f"rng_state_{worker}.pth" for worker in range(self.workers)]
        random = ["rng_state.pth"] if self.workers == 1 else each
        return bool(_state(checkpoint)) and all((checkpoint / name).is_file() for name in random)

    def logged(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Steps up to the last checkpoint with what was logged at them."""
        if (last := self.last_checkpoint()) is not None:
            for entry in _state(last)["log_history"]:
                if figures := figures_of(entry):
                    yield entry["step"], figures


def _state(checkpoint: Path) -> dict[str, Any]:
    """What the trainer wrote last of all into a checkpoint; empty where it did not get that far."""
    try:
        found: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def _is_at_the_end(checkpoint: Path) -> bool:
    state = _state(checkpoint)
    return bool(state["global_step"] >= state["max_steps"])


def train(training: Training, work: Work, report: Report, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Train to the end and write the model. Blocks.

    Told to stop by `is_stopped`, which is asked after each step, it leaves a checkpoint and no model; so it may be
    ended at any time, and goes on from the last checkpoint. Raises SetupError where a GPU's memory is too small.
    """
    import torch

    try:
        _train(training, work, report, is_stopped)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        raise SetupError(
            f"train.method.{training.method}: the GPU's memory is full; lower per_device, max_length or vllm_memory, "
            "or set gradient_checkpointing: true, or lora"
        ) from error
    finally:
        gc.collect()  # a trainer and its model refer to each other
        torch.cuda.empty_cache()


def _train(training: Training, work: Work, report: Report, is_stopped: Callable[[], bool]) -> None:
    import datasets
    from transformers import PrinterCallback, set_seed

    _be_quiet()
    set_seed(training.seed)
    text = Text.of(training.model, training.thinking)
    trainer = _trainer(training, text, work, datasets.load_from_disk(str(work.data)))
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(reporting(report, trainer))
    trainer.add_callback(stopping(is_stopped))
    last = work.last_checkpoint()
    if last is not None and _is_at_the_end(last):
        trainer._load_from_checkpoint(str(last))  # `train` would do one step more (transformers 5.19)
    else:
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        if trainer.state.global_step < trainer.state.max_steps:
            return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.is_world_process_zero():
        whole = model.merge_and_unload() if training.options.lora else model
        # A reward model is given prompts as they are here; all others are asked raw text too.
        tokenizer = text.tokenizer if training.method == "reward" else text.tokenizer_of(training.model)
        _write(whole, tokenizer, training, work)
    trainer.accelerator.wait_for_everyone()


def _be_quiet() -> None:
    """What matters is reported; the libraries' own bars and advice would bury it."""
    import datasets
    import transformers
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    # TRL writes each completion that has no reward to its log, whole; their share is a figure.
    getLogger("trl").setLevel(ERROR)
    getLogger("vllm").setLevel(ERROR)  # which TRL imports
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # It names the vLLM versions that it was tested with when it is imported, five times.
    warnings.filterwarnings("ignore", message="TRL currently supports vLLM", category=UserWarning)


def _trainer(training: Training, text: Text, work: Work, rows: Any) -> Any:
    """TRL's trainer of the method."""
    import trl

    common = _arguments(training, work)
    shared: dict[str, Any] = {"processing_class": text.tokenizer, "train_dataset": rows}
    options = training.options
    if options.lora:
        shared["peft_config"] = _lora(training)
    if isinstance(options, Sft):
        length = options.max_length if options.packing else None  # rows that are longer were left out
        config = on_one_device(trl.SFTConfig(**common, max_length=length, packing=options.packing))
        return trl.SFTTrainer(_model(training, text), args=config, **shared)
    if isinstance(options, Grpo):
        stops, model = text.thinking.stop, _model(training, text)
        ends = model.generation_config.eos_token_id
        config = on_one_device(trl.GRPOConfig(**common, **_grpo(options, text, ends)))
        rewards = trl_reward(training.rewards(text.prefill), ends, stops)
        trainer = rollouts.trainer_class(stops)(model, reward_funcs=rewards, args=config, **shared)
        trainer.add_callback(rollouts.reordering(trainer))
        if options.reference_every is not None:
            trainer.add_callback(rollouts.keeping_reference(trainer, work.folder / "references"))
        return trainer
    if isinstance(options, Dpo):
        config = on_one_device(trl.DPOConfig(**common, beta=options.beta, max_length=None))
        return trl.DPOTrainer(_model(training, text), args=config, **shared)
    config = on_one_device(trl.RewardConfig(**common, max_length=None))
    return trl.RewardTrainer(_model(training, text), args=config, **shared)


def on_one_device(config: Any) -> Any:
    """A process trains on one: of a machine with several GPUs transformers (5.19) would take all (`nn.DataParallel`),
    and multiply the batch by their number."""
    if config.n_gpu > 1:
        config._n_gpu = 1
    return config


def _model(training: Training, text: Text) -> Any:
    """The model in 32 bits: AdamW's steps are lost in 16. On a GPU it computes in bfloat16 (`bf16`)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = {"attn_implementation": "flash_attention_2"} if getattr(training.options, "packing", False) else {}
    if training.method == "reward":
        return AutoModelForSequenceClassification.from_pretrained(training.model, num_labels=1, dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(training.model, dtype=torch.float32, **kind)
    known, end = model.generation_config.eos_token_id, text.tokenizer.eos_token_id
    others = known if isinstance(known, list) else [known]
    model.generation_config.eos_token_id = [end, *(one for one in others if one not in (end, None))]
    return model


def _arguments(training: Training, work: Work) -> dict[str, Any]:
    """The arguments that all of TRL's configurations share."""
    import torch

    options = training.options
    per_device, accumulated = options.shared(_workers())
    schedule: dict[str, Any] = {"lr_scheduler_type": "constant_with_warmup"}
    if options.schedule == "cosine":
        schedule = {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": options.end}}
    elif options.schedule == "linear":
        end = {"lr_end": options.learning_rate * options.end, "power": 1.0}
        schedule = {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": end}
    on_gpu = torch.cuda.is_available()
    return schedule | {
        "output_dir": str(work.checkpoints),
        "seed": training.seed,
        "learning_rate": options.learning_rate,
        "warmup_steps": options.warmup,
        "weight_decay": options.weight_decay,
        "adam_beta2": options.adam_beta2,
        "max_grad_norm": options.clip,
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": accumulated,
        "num_train_epochs": options.epochs,
        "max_steps": options.steps or -1,
        "logging_steps": options.log_every,
        "save_steps": options.save_every,
        "save_total_limit": 2,
        "gradient_checkpointing": options.gradient_checkpointing,
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "report_to": "none",
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
    }


def _workers() -> int:
    import torch.distributed

    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def _grpo(options: Grpo, text: Text, ends: Sequence[int]) -> dict[str, Any]:
    sync = {} if options.reference_every is None else {
        "sync_ref_model": True,
        "ref_model_mixup_alpha": 1.0,
        "ref_model_sync_steps": options.reference_every,
    }  # fmt: skip
    served = {} if options.vllm == "off" else {
        "vllm_mode": options.vllm,
        "vllm_server_base_url": options.vllm_server,
        "vllm_gpu_memory_utilization": options.vllm_memory,
        "vllm_max_model_length": min(options.max_length, text.window or options.max_length),
    }  # fmt: skip
    return (
        sync
        | served
        | {
            "num_generations": options.samples,
            "max_completion_length": options.max_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "beta": options.beta,
            "epsilon": options.epsilon,
            "loss_type": options.loss,
            "scale_rewards": "none" if options.loss == "dr_grpo" else "group",
            "generation_kwargs": rollouts.generation(text.thinking.stop, ends, options.vllm != "off"),
            "use_vllm": options.vllm != "off",
        }
    )


def _lora(training: Training) -> Any:
    from peft import LoraConfig

    options = training.options
    alpha = 2 * options.lora if options.lora_alpha is None else options.lora_alpha
    task = "SEQ_CLS" if training.method == "reward" else "CAUSAL_LM"
    return LoraConfig(r=options.lora, lora_alpha=alpha, target_modules="all-linear", task_type=task)


def _write(model: Any, tokenizer: Any, training: Training, work: Work) -> None:
    """Whole or not at all, in the number format of the model that it was trained from; a reward model in 32 bits, for
    16 would make scores of one prompt's completions equal that are not."""
    from transformers import AutoConfig

    beside = work.folder / f"model-{time.time_ns()}"
    dtype = None if training.method == "reward" else AutoConfig.from_pretrained(training.model).dtype
    (model if dtype is None else model.to(dtype)).save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    beside.rename(work.model)
