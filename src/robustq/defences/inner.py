"""The inner search of defences that train on attacked inputs."""

from __future__ import annotations

from typing import Any

from torch import Tensor

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
    target = frozen(model, uses=uses)
    problem = SearchProblem(target, step.x, step.y, threat, step.generator)
    return problem.best(attack)
