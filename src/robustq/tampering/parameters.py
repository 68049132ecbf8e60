"""Trained angles that are run a little off: the machine's owner, or its calibration, turns them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.circuits import Circuit
from robustq.contracts import CircuitClassifier
from robustq.errors import ThreatError
from robustq.tampering.starts import ManyStarts
from robustq.tampering.surface import SettingsAttack, Surface, described, surface
from robustq.tampering.verdict import TamperResult, check_tamperable, tamper
from robustq.threats import Knobs


@dataclass(frozen=True)
class ParameterDrift:
    """The trained angles drift together by at most ``eps`` radians in ``norm``.

    The worst case of the coherent control errors of Berberich, Fink & Holm (PRA 109, 2024).

    Args:
        eps: largest size of the drift, in radians.
        norm: ``"linf"`` (each angle) or ``"l2"``.
        at_most: how many angles may drift; None for all.

    >>> ParameterDrift(0.1, at_most=2).threat(None).at_most
    2
    """

    eps: float = 0.1
    norm: str = "linf"
    at_most: int | None = None

    def __post_init__(self) -> None:
        self.threat(None)  # refuses an impossible budget now

    def threat(self, model: CircuitClassifier | None) -> Knobs:
        """One knob an angle."""
        return Knobs(self.eps, self.norm, self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model at its angles plus the settings."""
        features = model.encoder_inputs(x).detach()
        angles = model.angles.detach().to(features)
        return surface(
            _names(model.circuit), features, lambda settings: model.read(model.measured(features, angles + settings))
        )


def _names(circuit: Circuit) -> list[str]:
    names = [f"angle {k}" for k in range(circuit.parameters)]
    for operation in reversed(circuit.operations):  # the first gate that uses an angle names it
        for slot in {slot for angle in operation.angles for slot in angle.slots}:
            if slot.kind == "theta":
                names[slot.number] = f"angle {slot.number} ({described(operation)})"
    return names


def smallest_drift(
    model: CircuitClassifier,
    x: Tensor,
    y: Tensor,
    *,
    share: float,
    generator: torch.Generator,
    drift: ParameterDrift | None = None,
    attack: SettingsAttack | None = None,
) -> TamperResult:
    """The smallest drift found that flips a given share of the correctly classified inputs.

    What Carlini & Wagner (S&P 2017) ask of an input, asked of a circuit's parameters, by bisection on
    eps: an upper bound on the smallest drift there is.

    Args:
        model: a quantum or hybrid classifier.
        x: inputs ``(batch, features)``.
        y: labels ``(batch,)`` of int64.
        share: of the inputs that are correct at rest, in (0, 1].
        generator: all randomness.
        drift: norm and number of angles; its eps is the largest drift tried (default: l2, pi).
        attack: the search at every eps; :class:`ManyStarts` unless given.

    Raises:
        ThreatError: on a share outside (0, 1], or if even the largest drift flips fewer.

    >>> from robustq.circuits import Circuit, op, theta, z
    >>> from robustq.models import QuantumNet
    >>> circuit = Circuit.of(1, [op("ry", 0, angles=[theta(0)])])  # the scores are cos and -cos
    >>> model = QuantumNet(circuit, [z(0), -z(0)], generator=torch.Generator(), spread=0.0).double()
    >>> with torch.no_grad():
    ...     _ = model.theta.fill_(1.0)
    >>> x, y = torch.zeros(1, 0, dtype=torch.float64), torch.tensor([0])
    >>> result = smallest_drift(model, x, y, share=1.0, generator=torch.Generator())
    >>> abs(result.distance - (math.pi / 2 - 1)) < 0.01
    True
    """
    if not 0 < share <= 1:
        raise ThreatError(f"expected a share in (0, 1], got {share}")
    check_tamperable(model)
    most = drift or ParameterDrift(math.pi, "l2")
    search = attack or ManyStarts()

    def at(eps: float) -> TamperResult:
        return tamper(replace(most, eps=eps), model, x, y, attack=search, generator=generator)

    best = at(most.eps)
    if not _flips(best, share):
        raise ThreatError(f"expected a drift that flips {share:g} of the inputs within {most}, found none")
    low = 0.0
    for _ in range(ROUNDS):
        # from the size that the drift really had, which may be far below its budget
        middle = (low + best.distance) / 2
        result = at(middle)
        low, best = (low, result) if _flips(result, share) else (middle, best)
    return best


ROUNDS = 10  # halvings of the interval: a thousandth of it


def _flips(result: TamperResult, share: float) -> bool:
    return int(result.success.sum()) >= max(1, math.ceil(share * int(result.correct.sum()) - 1e-9))
