"""Training for margins that one step of the complete verifier proves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.certify.verifier.enclosure import controls
from robustq.certify.verifier.region import Region
from robustq.contracts import CircuitClassifier, Step, Threat
from robustq.engine.gate_angles import frequencies
from robustq.errors import CertificateError, ModelError, SpecError
from robustq.options import check_shares
from robustq.threats import Linf
from robustq.trigonometric import interpolated

LARGEST = 1 << 14  # frequencies: so many inputs a step more than the batch


@dataclass(frozen=True)
class CertifiedBound:
    """Cross-entropy with every other class as far ahead as the verifier's first box cannot rule out.

    Where features turn gates the logits are trigonometric polynomials. A step runs the circuit on the grid
    of inputs that determines them, however large the batch, and the smallest control value over an input's
    l-inf box is a lower bound of each margin: what :class:`robustq.certify.Complete` computes before it splits
    anything. All of it is differentiable, whatever noise the model has. That is training on interval
    bounds (Gowal et al., ICCV 2019) with an enclosure made for circuits; as there, ``eps`` grows at first.

    Args:
        threat: l-inf; its budget is what the margins have to survive.
        weight: share of the loss with that handicap, in [0, 1].
        growth: share of the training during which the budget grows from zero to the threat's.

    >>> from robustq.threats import Linf
    >>> CertifiedBound(Linf(0.1)).growth
    0.5
    """

    threat: Threat
    weight: float = 1.0
    growth: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.threat, Linf):
            raise SpecError(f"certified bound: expected an l-inf threat, got {self.threat}")
        check_shares("certified bound", weight=self.weight, growth=self.growth)

    def losses(self, model: Any, step: Step) -> Tensor:
        """``weight * CE(handicapped) + (1 - weight) * CE(clean)``.

        Raises:
            CertificateError: unless the model's features turn gates by commensurate angles, are few, and
                turn them by less than a quarter turn within the budget.
        """
        assert isinstance(self.threat, Linf)
        eps = self.threat.eps * min(1.0, step.progress / self.growth if self.growth else 1.0)
        worst = -margin_bounds(model, step.x, step.y, self.threat, eps)
        losses = cross_entropy(worst.to(step.x.dtype), step.y, reduction="none")
        if self.weight < 1:
            clean = cross_entropy(model(step.x), step.y, reduction="none")
            losses = self.weight * losses + (1 - self.weight) * clean
        return losses


def margin_bounds(model: Any, x: Tensor, y: Tensor, threat: Linf, eps: float) -> Tensor:
    """At least so far class ``y`` stays ahead of each within ``eps``, float64 ``(batch, classes)``.

    Zero for ``y`` itself; differentiable in the model's parameters. Rounding is left out: this is to train
    on, not to certify with.

    Raises:
        CertificateError: as :meth:`CertifiedBound.losses`.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> x, y = torch.tensor([[0.0, 1.0]]), torch.tensor([0])
    >>> margin_bounds(model, x, y, Linf(0.25), 0.25).div(model.scale).detach()  # 2 cos(pi / 4)
    tensor([[0.0000, 1.4142]], dtype=torch.float64)
    """
    if not isinstance(model, CircuitClassifier):
        raise CertificateError(
            f"certified bound: expected a model whose features turn gates, got {type(model).__name__}"
        )
    lowest, degrees = _frequencies(model)
    low, high = reached_boxes(model, x, threat, eps)
    middle, half = lowest * (low + high) / 2, lowest * (high - low) / 2
    widest = float(half.detach().max())
    if widest >= math.pi / 2:
        raise CertificateError(
            f"certified bound: expected a budget that turns gates by less than pi / 2, got {widest:.3g}"
        )

    def logits(features: Tensor) -> Tensor:
        scores: Tensor = model.read(model.measured(features, model.angles))
        return scores

    # once a step, whatever the batch: the polynomial is the model's, only the boxes are the inputs'
    values = interpolated(logits, lowest, degrees, 0.0).coefficients
    gaps = values[y].unsqueeze(1) - values
    return _lowest_controls(gaps, degrees, middle, half)


def _frequencies(model: CircuitClassifier) -> tuple[Tensor, tuple[int, ...]]:
    """Of what reaches the circuit, refused where they have no common multiple or are too many."""
    try:
        lowest, degrees = frequencies(model.circuit, model.angles.detach())
    except ModelError as failure:
        raise CertificateError(f"certified bound: {failure}") from failure
    count = math.prod(2 * degree + 1 for degree in degrees)
    if count > LARGEST:
        raise CertificateError(f"certified bound: expected at most {LARGEST} frequencies to train on, got {count}")
    return lowest, degrees


def _lowest_controls(coefficients: Tensor, degrees: Sequence[int], middle: Tensor, half: Tensor) -> Tensor:
    """The least control value of polynomials ``(batch, classes, 2 d_1 + 1, ...)`` over boxes of angles.

    One mode at a time; the last comes first, and after as many as there are the order is the old one.
    """
    batch, classes, *sizes = coefficients.shape
    values = coefficients.reshape(batch, classes, -1)
    for axis, (size, degree) in enumerate(zip(sizes, degrees, strict=True)):
        matrix = controls(degree, middle[:, axis], half[:, axis])[:, None]
        parted = values.reshape(batch, classes, size, -1)
        values = (parted.mT @ matrix.mT).reshape(batch, classes, -1)
    return values.amin(2)


def reached_boxes(model: CircuitClassifier, x: Tensor, threat: Linf, eps: float) -> tuple[Tensor, Tensor]:
    """Lower and upper ends of what can reach the circuit, float64 ``(batch, inputs)`` each."""
    region = Region.around(threat, x.double(), torch.full((len(x),), eps).to(x.device))
    if model.front is None:
        return region.low, region.high
    weight, bias = model.front
    centre = (region.low + region.high) / 2 @ weight.T + bias
    reach = (region.high - region.low) / 2 @ weight.abs().T
    return torch.sigmoid(centre - reach), torch.sigmoid(centre + reach)
