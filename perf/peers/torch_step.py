"""Loss and gradient by torch's autograd, for every contender whose scores are torch tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from perf.workload import Answer, Step, Workload


def gradient_step(scores: Callable[[Tensor, Tensor], Tensor], work: Workload) -> Step:
    """A call of ``scores(x, theta)`` of shape ``(batch, classes)``, its loss and its gradients."""
    x, theta, y = work.data()
    x.requires_grad_(True)
    theta.requires_grad_(work.trains)

    def step() -> Answer:
        loss = torch.nn.functional.cross_entropy(scores(x, theta), y)
        wanted = (x, theta) if work.trains else (x,)
        found = torch.autograd.grad(loss, wanted)
        return loss.detach(), found[0], found[1] if work.trains else None

    return step
