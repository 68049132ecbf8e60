"""Which class to aim at: away from the right one, or towards each of the likeliest wrong ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robustq.contracts import Problem


def target_options(problem: Any, count: int) -> list[dict[str, Tensor]]:
    """What every run passes to the loss: nothing for ``count`` 0, else a class for each input.

    With two classes there is one aim, which is the same as fleeing.
    """
    if not count:
        return [{}]
    return [{"target": target} for target in likeliest_wrong(problem, count)]


def likeliest_wrong(problem: Problem, count: int) -> list[Tensor]:
    """For each rank, the wrong class of that rank at the clean input, ``(batch,)``."""
    logits = problem.logits(problem.x).scatter(1, problem.y[:, None], -torch.inf)
    ranked = logits.argsort(1, descending=True)
    return list(ranked[:, : min(count, logits.shape[1] - 1)].unbind(1))
