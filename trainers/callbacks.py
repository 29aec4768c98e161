"""What the trainer of TRL tells and is told between its steps: figures out, the order to stop in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Report = Callable[[int, int, dict[str, float]], None]
"""Called with the step, the last step, and what was logged at it; of several processes in the first only."""

BY_END_TOKENS = ("/clipped_ratio", "_terminated_length")
"""Figures of TRL's that take a completion without end token for a clipped one; strings end them too."""


def figures_of(logs: dict[str, Any]) -> dict[str, float]:
    """The numbers of one log entry; none of the summary at the end, and none of what TRL counts by end tokens alone.

    The summary divides the loss and the samples of this process's steps by all steps and by this process's seconds,
    which is wrong in a training that goes on from a checkpoint (transformers 5.19, `_finalize_training`).
    """
    if "train_runtime" in logs:
        return {}
    numbers = {name: float(value) for name, value in logs.items() if isinstance(value, int | float) and name != "step"}
    return {name: value for name, value in numbers.items() if not name.endswith(BY_END_TOKENS)}


def reporting(report: Report, trainer: Any) -> Any:
    """Passes on what the trainer logs, and logs where it saves, so that a checkpoint has all figures up to its step."""
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # TRL (1.16) begins to count again; GRPO's count is part of the state.
            trainer._total_train_tokens = next(
                (int(one["num_tokens"]) for one in reversed(state.log_history) if "num_tokens" in one), 0
            )

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_log |= control.should_save

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if state.is_world_process_zero and (figures := figures_of(logs or {})):
                report(state.global_step, state.max_steps, figures)

    return Reporting()


def stopping(is_stopped: Callable[[], bool]) -> Any:
    """Ends the training after the step in which it is told to, with a checkpoint."""
    from transformers import TrainerCallback

    class Stopping(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if _any(is_stopped()):
                control.should_training_stop = control.should_save = True

    return Stopping()


def _any(mine: bool) -> bool:
    """Whether one of the processes says so: all end after the same step, or they would wait for each other."""
    import torch

    if not torch.distributed.is_initialized():
        return mine
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    told = torch.tensor([float(mine)], device=device)
    torch.distributed.all_reduce(told)
    return bool(told.item())
