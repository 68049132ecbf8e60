"""Fast adversarial training: one step from a random start (Wong, Rice & Kolter, ICLR 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import Step, Threat, frozen
from robustq.defences.training.inner import climb
from robustq.options import check_rates


@dataclass(frozen=True)
class Fast:
    """Cross-entropy at FGSM's point from a random start, one input gradient a step.

    Without the random start, or with a much longer step, training can collapse: the model then withstands
    this one step only. The suite's attacks tell.

    Args:
        threat: what the inner adversary may do.
        step: length of the step as a fraction of eps; 1.25 in the paper.

    >>> from robustq.threats import Linf
    >>> Fast(Linf(0.1)).step
    1.25
    """

    threat: Threat
    step: float = 1.25

    def __post_init__(self) -> None:
        check_rates("fast", step=self.step)

    def losses(self, model: Any, step: Step) -> Tensor:
        """Cross-entropy at the inputs of :func:`one_step`."""
        attacked = one_step(model, step, self.threat, self.step)
        return cross_entropy(model(attacked), step.y, reduction="none")


def one_step(model: Any, step: Step, threat: Threat, length: float) -> Tensor:
    """FGSM from a random point of the threat set, its step ``length * eps``, projected, detached.

    >>> import torch
    >>> from robustq.threats import Linf
    >>> step = Step(x=torch.zeros(1, 2), y=torch.tensor([0]), generator=torch.Generator())
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> one_step(model, step, Linf(0.5), 2.0)
    tensor([[-0.5000,  0.5000]])
    """
    target = frozen(model, uses=len(step.x))
    return climb(
        lambda inputs: cross_entropy(target(inputs), step.y, reduction="none"),
        step.x,
        threat.sample(step.x, step.generator),
        threat,
        steps=1,
        length=length,
    )
