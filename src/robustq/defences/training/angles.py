"""Training for gate angles that drift: the loss at the worst angles nearby.

Adversarial weight perturbation: Wu, Xia & Wang, NeurIPS 2020; one step of it is SAM: Foret et al., ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Defence, Step, Threat
from robustq.defences.training.plain import Plain
from robustq.errors import ModelError, unknown_name
from robustq.models import QuantumNet
from robustq.options import check_counts
from robustq.threats import Knobs
from robustq.threats.knobs import NORMS

Drift = dict[str, Tensor]


@dataclass(frozen=True)
class AngleTraining:
    """Another loss at the trained angles' worst drift, the same for all inputs of a batch.

    The drift is found by steepest ascent on the batch's mean loss, and held fixed while the angles learn from
    the gradient there. In a quantum or hybrid model the gate angles drift, and nothing else; in
    a classical one all weights do. Inner attacks of the other defence see the drifted model.

    Args:
        radius: largest size of the drift, in radians.
        norm: ``"linf"`` (each angle) or ``"l2"`` (all together, as in SAM).
        steps: ascent steps; each costs a training step.
        on: the defence whose losses are raised.

    >>> AngleTraining(0.1).norm
    'linf'
    """

    radius: float = 0.05
    norm: str = "linf"
    steps: int = 1
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown_name("norm", self.norm, NORMS)
        check_counts("angle training", steps=self.steps)
        _ = self.threat  # refuses an impossible radius now

    @property
    def threat(self) -> Threat:
        """What the drift may be: one knob an angle."""
        return Knobs(self.radius, self.norm)

    def losses(self, model: Any, step: Step) -> Tensor:
        """The other defence's losses at the worst drift found.

        Raises:
            ModelError: if nothing can drift.
        """
        return self.losses_at(self.worst_drift(model, step), model, step)

    def worst_drift(self, model: nn.Module, step: Step) -> Drift:
        """The drift of each parameter that may, by name."""
        free = drifting(model)
        drift = {name: torch.zeros_like(parameter) for name, parameter in free.items()}
        length = self.radius * min(1.0, 2 / self.steps)
        for _ in range(self.steps):
            with torch.enable_grad():
                moved = {name: d.requires_grad_(True) for name, d in drift.items()}
                mean = self.losses_at(moved, model, step).mean()
                slopes = torch.autograd.grad(mean, list(moved.values()))
            ahead = _row(drift.values()) + length * self.threat.steepest(_row(slopes))
            drift = _named(self.threat.project(ahead, torch.zeros_like(ahead)), free)
        return drift

    def losses_at(self, drift: Drift, model: nn.Module, step: Step) -> Tensor:
        """The other defence's losses with parameters moved by ``drift``; differentiable in both."""
        free = drifting(model)
        moved = {f"model.{name}": free[name] + change for name, change in drift.items()}
        whole = _Losses(model, self.on)
        losses: Tensor = torch.func.functional_call(whole, moved, (step,))
        return losses


class _Losses(nn.Module):
    """A defence's losses as a module, whose parameters can be swapped for a call."""

    def __init__(self, model: nn.Module, defence: Defence) -> None:
        super().__init__()
        self.model, self.defence = model, defence

    def forward(self, step: Step) -> Tensor:
        """The losses of a batch, ``(batch,)``."""
        return self.defence.losses(self.model, step)


def drifting(model: nn.Module) -> Mapping[str, nn.Parameter]:
    """The parameters that may drift: gate angles where there are any, all otherwise.

    >>> list(drifting(nn.Linear(2, 2)))
    ['weight', 'bias']
    """
    parts = [name for name, part in model.named_modules() if isinstance(part, QuantumNet)]
    angles = {f"{part}.theta" if part else "theta" for part in parts}
    turned = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (name in angles or not parts)
    }
    if not any(parameter.numel() for parameter in turned.values()):
        raise ModelError("angle training: expected trained angles or weights, got none")
    return turned


def _row(tensors: Any) -> Tensor:
    """All entries in one row, ``(1, entries)``."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])[None]


def _named(row: Tensor, like: Mapping[str, Tensor]) -> Drift:
    """The inverse of :func:`_row`."""
    parts = torch.split(row[0], [tensor.numel() for tensor in like.values()])
    return {name: part.reshape(t.shape) for (name, t), part in zip(like.items(), parts, strict=True)}
