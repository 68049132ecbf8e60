"""The inner searches of defences that train on attacked inputs: an attack's, or the ascent on a loss of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from robustq.attacks import SearchProblem
from robustq.contracts import Attack, Step, Threat, frozen

EXPECTED_STEPS = 16  # gradients an input in one inner search, roughly: is freezing worth its while?


def worst_inputs(attack: Attack, model: Any, step: Step, threat: Threat) -> Tensor:
    """The strongest candidates against the model as it is now, shape of ``step.x``, detached.

    Without the clean and final passes that a verdict needs.

    >>> import torch
    >>> from robustq.attacks import Identity
    >>> from robustq.threats import Linf
    >>> step = Step(x=torch.zeros(1, 2), y=torch.tensor([0]), generator=torch.Generator())
    >>> worst_inputs(Identity(), torch.nn.Linear(2, 2), step, Linf(0.1))
    tensor([[0., 0.]])
    """
    uses = len(step.x) * EXPECTED_STEPS
    problem = SearchProblem(frozen(model, uses=uses), step.x, step.y, threat, step.generator)
    return problem.best(attack)


def input_slopes(objective: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradients of a per-input objective at detached inputs, shape of ``x``.

    >>> input_slopes(lambda x: (x**2).sum(1), torch.ones(1, 2))
    tensor([[2., 2.]])
    """
    with torch.enable_grad():
        inputs = x.detach().clone().requires_grad_(True)
        (slopes,) = torch.autograd.grad(objective(inputs).sum(), inputs)
    return slopes


def climb(
    objective: Callable[[Tensor], Tensor], x: Tensor, start: Tensor, threat: Threat, *, steps: int, length: float
) -> Tensor:
    """Steepest ascent on a per-input objective within the threat set, detached.

    Args:
        objective: from candidates ``(batch, *features)`` to what is raised, ``(batch,)``.
        x: the inputs that the threat set surrounds.
        start: where to begin.
        threat: what the inner adversary may do.
        steps: gradient steps.
        length: of each, as a fraction of eps.

    >>> from robustq.threats import Linf
    >>> x = torch.zeros(1, 2)
    >>> climb(lambda z: z[:, 0] - z[:, 1], x, x, Linf(0.5), steps=3, length=0.25)
    tensor([[ 0.3750, -0.3750]])
    """
    candidate = threat.project(start.detach(), x)
    for _ in range(steps):
        direction = threat.steepest(input_slopes(objective, candidate))
        candidate = threat.project(candidate + length * threat.eps * direction, x)
    return candidate.detach()


def divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    """``KL(softmax(clean) || softmax(attacked))`` of each row of logits, ``(batch,)``.

    >>> divergence(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([0.])
    """
    logs = log_softmax(attacked, dim=1), log_softmax(clean, dim=1)
    return kl_div(*logs, reduction="none", log_target=True).sum(1)
