"""A penalty on how fast inputs turn the gates (Berberich et al., Phys. Rev. Research 6, 043326, 2024)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import CircuitClassifier, Defence, GateAngles, Step
from robustq.defences.training.plain import Plain
from robustq.errors import CertificateError, ModelError, SpecError

STEEPEST = 0.25  # slope of a sigmoid


@dataclass(frozen=True)
class LipschitzPenalty:
    """Another defence's loss, and ``strength * sum_j |w_j|^2 |H_j|^2``.

    Gate ``j`` is ``exp(-i (w_j . x + b_j) H_j)``, so that the model's Lipschitz constant in l2 is at most
    ``2 |M| sum_j |w_j| |H_j|``; the penalty is theirs. Trained input scales make it matter: where no
    trained number stands before a feature it is a constant.

    Angles that are products of features have the slope ``w_j`` that they have at the input. In a hybrid
    the layer in front of the sigmoid counts with the largest slope that a sigmoid can have, 1/4.

    Args:
        strength: lambda, at least zero.
        on: whose loss it is added to.

    >>> LipschitzPenalty(0.2)
    LipschitzPenalty(strength=0.2, on=Plain())
    """

    strength: float = 0.2
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise SpecError(f"lipschitz penalty: expected strength >= 0 and finite, got {self.strength}")

    def losses(self, model: Any, step: Step) -> Tensor:
        """The loss of ``on`` plus the penalty, ``(batch,)``.

        Raises:
            CertificateError: unless the model's features turn gates.
        """
        losses = self.on.losses(model, step)
        return losses + self.strength * gate_speeds(model, step.x).square().sum(1).to(losses)


def gate_speeds(model: Any, x: Tensor) -> Tensor:
    """``|w_j| |H_j|`` of every gate that features turn, float64 ``(batch, gates)``, differentiable.

    Raises:
        CertificateError: unless the model's features turn gates.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> gate_speeds(model, torch.zeros(1, 2)).detach()  # RY(pi x): H = Y / 2
    tensor([[1.5708, 1.5708]], dtype=torch.float64)
    """
    if not isinstance(model, CircuitClassifier):
        raise CertificateError(
            f"lipschitz penalty: expected a model whose features turn gates, got {type(model).__name__}"
        )
    try:
        angles = model.gate_angles()
    except ModelError as failure:
        raise CertificateError(f"lipschitz penalty: {failure}") from failure
    return _slopes(angles, model.front, x.double()).square().sum(-1).clamp_min(
        torch.finfo(torch.float64).tiny  # the root of zero has no slope
    ).sqrt() * (angles.spread / 2)


def _slopes(angles: GateAngles, front: tuple[Tensor, Tensor] | None, x: Tensor) -> Tensor:
    """How fast features turn each gate at inputs ``(batch, features)``, ``(batch, angles, features)``."""
    reached = x if front is None else torch.sigmoid(x @ front[0].T + front[1])
    twice = angles.quadratic + angles.quadratic.mT
    slopes = angles.linear + torch.einsum("aij,bj->bai", twice, reached)
    return slopes if front is None else STEEPEST * slopes @ front[0]
