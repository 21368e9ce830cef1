"""The moving average of the weights: what is validated, kept and exported."""

from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class Averaging(WeightAveraging):
    """Exponential moving average of weights and running statistics, after every step.

    The decay of the n-th average is min(`decay`, (1 + n) / (10 + n)), as TensorFlow's
    ExponentialMovingAverage has it: without it a run of a few hundred steps would end on weights
    that are half those of its first step. What does not change is kept bit for bit, so frozen
    tensors are.

    Parameters
    ----------
    decay
        Of the average that many steps approach, 0 to 1.
    """

    def __init__(self, decay: float) -> None:
        @torch.no_grad()
        def move(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
            if not averaged[0].is_floating_point():
                torch._foreach_copy_(averaged, current)
                return
            number = float(count)
            share = 1.0 - min(decay, (1.0 + number) / (10.0 + number))
            # a + share * (b - a): a itself, exactly, where b is a.
            torch._foreach_lerp_(averaged, current, share)

        arguments: dict[str, Any] = {"multi_avg_fn": move}
        super().__init__(**arguments)
