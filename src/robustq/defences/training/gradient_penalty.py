"""A penalty on the loss's slope at the input (Ross & Doshi-Velez, AAAI 2018)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import Defence, Step, Threat
from robustq.defences.training.plain import Plain
from robustq.errors import SpecError
from robustq.options import check_not_negative
from robustq.threats import L1, L2, Linf

DUAL = {Linf: 1.0, L2: 2.0, L1: torch.inf}  # the norm that measures slopes


@dataclass(frozen=True)
class GradientPenalty:
    """Another loss plus ``weight * eps * ||d CE / dx||`` in the norm dual to the threat's.

    To first order ``eps`` times that norm is all that the adversary can add to the loss (the local
    Lipschitz view of Hein & Andriushchenko, NeurIPS 2017), so that ``weight = 1`` approximates adversarial
    training without a search. Costs a second derivative. Beyond its first order nothing is bounded: a model
    can have small slopes at the data and steep ones beside them.

    Args:
        threat: l-inf, l2 or l1; the box is ignored.
        weight: of the penalty.
        on: the defence that is added to.

    >>> GradientPenalty(Linf(0.1)).weight
    1.0
    """

    threat: Threat
    weight: float = 1.0
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        check_not_negative("gradient penalty", weight=self.weight)
        if type(self.threat) not in DUAL:
            raise SpecError(f"gradient penalty: expected an l-inf, l2 or l1 threat, got {self.threat}")

    def losses(self, model: Any, step: Step) -> Tensor:
        """The other defence's losses plus the penalty."""
        losses = self.on.losses(model, step)
        if self.weight == 0:
            return losses
        return losses + self.weight * self.threat.eps * self.slopes(model, step)

    def slopes(self, model: Any, step: Step) -> Tensor:
        """Dual norm of each input's gradient, in the threat's units, ``(batch,)``; differentiable."""
        threat: Any = self.threat
        with torch.enable_grad():
            x = step.x.detach().clone().requires_grad_(True)
            loss = cross_entropy(model(x), step.y, reduction="sum")
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        units = threat.units(x)
        reached = slope if units is None else slope * units
        norm: Tensor = torch.linalg.vector_norm(reached.flatten(1), DUAL[type(threat)], dim=1)
        return norm
