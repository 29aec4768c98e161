"""What TRL's GRPOTrainer (1.16) lacks: completions end where engines end them, each epoch has an order of its own
whenever it begins, and a replaced reference model is kept.

Engines stop at the strings of a think format (`factory.thinking`). TRL hands such strings to vLLM and to transformers,
but transformers then wants a tokenizer, and fills what ended early with padding that TRL takes for completion.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any


def generation(stops: Sequence[str], ends: Sequence[int], by_vllm: bool) -> dict[str, Any]:
    """TRL's `generation_kwargs` that end completions with these strings and tokens.

    vLLM reads the end tokens of the folder that it loads, which may lack the token that ends a turn; transformers has
    those of the model in memory.
    """
    if by_vllm:
        return {"stop_token_ids": [*ends]} | ({"stop": [*stops]} if stops else {})
    return {"stop_strings": [*stops]} if stops else {}


def trainer_class(stops: Sequence[str]) -> Any:
    """GRPOTrainer, whose completions end with the token that completes one of the strings."""
    import trl

    class Rollouts(trl.GRPOTrainer):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if stops and not self.use_vllm:
                self.model.generate = partial(self.model.generate, tokenizer=self._tokenizer)

        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            self.order = super()._get_train_sampler(*args, **kwargs)
            return self.order

        def _generate_single_turn(self, *args: Any, **kwargs: Any) -> tuple[list[list[int]], list[list[float]] | None]:
            completions, logprobs = super()._generate_single_turn(*args, **kwargs)
            lengths = [ended(ids, stops, self._tokenizer) for ids in completions]
            kept = [ids[:length] for ids, length in zip(completions, lengths, strict=True)]
            if logprobs is not None:
                logprobs = [one[:length] for one, length in zip(logprobs, lengths, strict=True)]
            return kept, logprobs

    return Rollouts


def ended(ids: Sequence[int], stops: Sequence[str], tokenizer: Any) -> int:
    """How many of the tokens there are up to the first that completes one of the strings; all where none is in them."""

    def has_stop(count: int) -> bool:
        text = tokenizer.decode(ids[:count])
        return any(stop in text for stop in stops)

    return bisect_left(range(len(ids)), True, key=has_stop) if stops and has_stop(len(ids)) else len(ids)


def reordering(trainer: Any) -> Any:
    """Draws each epoch's order from the seed and its number: TRL's goes on from that of the epoch before, so that a
    training that goes on in a later epoch would have the order of the first."""
    from transformers import TrainerCallback

    class Reordering(TrainerCallback):  # type: ignore[misc]
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.order.generator.manual_seed(trainer.order.seed + int(state.epoch + 1e-6))

    return Reordering()


def keeping_reference(trainer: Any, folder: Path) -> Any:
    """Writes the reference model each time that it was replaced, and reads it where training goes on.

    TRL's checkpoints are without it. It is written before the checkpoint of the same step, and stays as long as a
    checkpoint may need it.
    """
    import torch
    from transformers import TrainerCallback

    def file(step: int) -> Path:
        return folder / f"{step}.pt"

    class Keeping(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if step := state.global_step // args.ref_model_sync_steps * args.ref_model_sync_steps:
                model = trainer.accelerator.unwrap_model(trainer.ref_model)
                model.load_state_dict(torch.load(file(step), map_location=model.device, weights_only=True))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % args.ref_model_sync_steps or not state.is_world_process_zero:
                return
            folder.mkdir(exist_ok=True)
            beside = file(state.global_step).with_suffix(".new")
            torch.save(trainer.accelerator.unwrap_model(trainer.ref_model).state_dict(), beside)
            beside.replace(file(state.global_step))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not state.is_world_process_zero:
                return
            saved = [int(path.name.rpartition("-")[2]) for path in Path(args.output_dir).glob("checkpoint-*")]
            for path in folder.glob("*.pt"):
                if int(path.stem) + args.ref_model_sync_steps <= min(saved):
                    path.unlink()

    return Keeping()
