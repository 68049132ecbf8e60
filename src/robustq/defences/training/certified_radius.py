"""Training for the exact l2 radius of a model whose features are loaded as amplitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import AmplitudeClassifier, QuantumClassifier, Step, Threat
from robustq.errors import CertificateError, ModelError, SpecError
from robustq.quadric import Cones, nearest_zero
from robustq.threats import L2


@dataclass(frozen=True)
class CertifiedRadius:
    """A smooth count of the inputs that are not certified at ``eps``, beside the cross-entropy.

    The certified loss is ``log(1 + sum_k exp((eps - r_k) / (softness eps)))`` with ``r_k`` the distance from
    an input to where class ``k`` draws level, negative where it is ahead: the cross-entropy of logits that are
    distances. It falls wherever a radius grows, hardly once that is well above ``eps``, and about in proportion
    where an input is far from it: a hinge with its corner rounded, so that rows near the budget count most.

    Distances are exact (one quadratic constraint, no duality gap) and so is their gradient: by the envelope
    theorem ``d r_k = z^T dV z / (2 |V z|)`` with ``V = M_y - M_k`` and ``z`` the nearest point of the boundary,
    so that one ordinary pass at ``z`` has the gradient of the radius in every parameter, whatever noise
    the model has. Ding et al. (MMA training, ICLR 2020) look for that point with an attack; here it is known.

    Args:
        threat: l2 in equal units, whose budget is the radius aimed at; any other if ``eps`` is given. Its
            box is left out, which makes radii no larger.
        weight: share of the certified loss, in [0, 1]; radii do not see the model's scale, which learns
            from the cross-entropy alone.
        softness: how wide the hinge is rounded, as a share of the radius aimed at.
        eps: the l2 radius aimed at; None for the threat's budget.

    >>> from robustq.threats import L2
    >>> CertifiedRadius(L2(0.5)).target
    0.5
    """

    threat: Threat
    weight: float = 0.9
    softness: float = 0.5
    eps: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.target < math.inf:
            raise SpecError(f"certified radius: expected 0 < eps < inf, got {self.target}")
        if not 0 <= self.weight <= 1 or not 0 < self.softness < math.inf:
            raise SpecError(
                f"certified radius: expected weight in [0, 1] and softness > 0, got {self.weight} and {self.softness}"
            )

    @property
    def target(self) -> float:
        """The l2 radius aimed at."""
        if self.eps is not None:
            return self.eps
        if not isinstance(self.threat, L2) or not self.threat.is_plain:
            raise SpecError(f"certified radius: expected an l2 threat in equal units or an eps, got {self.threat}")
        return self.threat.eps

    def losses(self, model: Any, step: Step) -> Tensor:
        """``weight * certified + (1 - weight) * CE(clean)``.

        Raises:
            CertificateError: unless the model's features are loaded as amplitudes.
        """
        missing = (self.target - signed_radii(model, step.x, step.y)) / self.target
        missing = missing.scatter(1, step.y[:, None], 0.0)  # to itself: the one in log(1 + ...)
        losses = self.weight * torch.logsumexp(missing / self.softness, 1)
        if self.weight < 1:
            clean = cross_entropy(model(step.x), step.y, reduction="none")
            losses = losses + (1 - self.weight) * clean
        return losses


def signed_radii(model: Any, x: Tensor, y: Tensor) -> Tensor:
    """The l2 distance from each input to where each class draws level with its own, ``(batch, classes)``.

    Negative where that class is ahead, infinite for the own class; the least of a row is the certified radius
    of an input that is right, and for two classes minus the distance to the right answer of one that is
    wrong. Differentiable in the model's parameters. Where a boundary is never met the length of the input
    stands for the distance: no vector of that length away is a direction any more.

    Raises:
        CertificateError: unless the model's features are loaded as amplitudes.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> model = QuantumNet(encodings.amplitude(4), per_qubit_z(2, 2), generator=torch.Generator())
    >>> x = torch.tensor([[1.0, 0.2, 0.4, 0.0], [1.0, 0.4, 0.2, 0.0]])
    >>> signed_radii(model, x, torch.tensor([1, 1])).detach()
    tensor([[ 0.1414,     inf],
            [-0.1414,     inf]])
    """
    cones = _cones(model, x.dtype)
    classes = len(cones.forms)
    distances = x.new_full((len(x), classes), torch.inf)
    for pair in combinations(range(classes), 2):
        rows = ((y == pair[0]) | (y == pair[1])).nonzero()[:, 0]
        if len(rows):
            first = y[rows] == pair[0]
            other = torch.where(first, pair[1], pair[0])
            radii = torch.where(first, 1, -1) * _radii(model, cones, x[rows], pair)
            # out of place: autograd needs the versions before
            distances = distances.index_put((rows, other), radii)
    return distances


def _cones(model: Any, dtype: torch.dtype) -> Cones:
    """Where classes draw level, simulated in the precision of the inputs, decomposed in float64."""
    if not isinstance(model, QuantumClassifier):
        raise CertificateError(
            f"certified radius: expected a model whose features are loaded as amplitudes, got {type(model).__name__}"
        )
    frozen = model.freeze(uses=1)
    if not isinstance(frozen, AmplitudeClassifier):
        raise CertificateError(
            f"certified radius: expected a model whose features are loaded as amplitudes, got {type(frozen).__name__}"
        )
    try:
        with torch.no_grad():
            return Cones(frozen.forms(dtype).double())
    except ModelError as failure:
        raise CertificateError(f"certified radius: {failure}") from failure


def _radii(model: Any, cones: Cones, x: Tensor, pair: tuple[int, int]) -> Tensor:
    """Distances to where a pair draws level, positive where its first is ahead, ``(batch,)``.

    Values come from the closed form, gradients from one pass at the nearest points.
    """
    near = _nearest(cones, x.double(), pair)
    logits = model(near.point.to(x.dtype))
    level = (logits[:, pair[0]] - logits[:, pair[1]]) * near.slope.to(x.dtype)
    # value of the closed form, gradient of the margin at the fixed nearest point (envelope theorem)
    radius: Tensor = near.radius.to(x.dtype) + level - level.detach()
    return radius


@dataclass(frozen=True, eq=False)
class _Nearest:
    """Where a class draws level: the points, signed distances, and those by unit of the logits' gap."""

    point: Tensor
    radius: Tensor
    slope: Tensor


@torch.no_grad()
def _nearest(cones: Cones, x: Tensor, pair: tuple[int, int]) -> _Nearest:
    """The nearest points of a pair's boundary to rows of float64, from both of its sides."""
    values, vectors = cones.spectrum(*pair)
    coefficients = x @ vectors
    ahead = (values * coefficients.square()).sum(1) > 0
    point, radius = coefficients.clone(), torch.linalg.vector_norm(x, dim=1)
    for side, sign in ((ahead, 1), (~ahead, -1)):
        if bool(side.any()):
            # the other side is the same problem of the negated form, whose eigenvalues ascend the other way
            order = slice(None) if sign > 0 else torch.arange(len(values) - 1, -1, -1)
            zero = nearest_zero(sign * values[order], coefficients[side][:, order])
            met = torch.isfinite(zero.distance)[:, None]
            moved = zero.coefficients[:, order]
            point[side] = torch.where(met, moved, coefficients[side])
            radius[side] = sign * torch.minimum(zero.distance, radius[side])
    steep = torch.linalg.vector_norm(values * point, dim=1)
    length = point.square().sum(1)  # logits are those of a vector of unit length
    slope = length / (2 * steep).clamp_min(torch.finfo(x.dtype).tiny)
    return _Nearest(point @ vectors.T, radius, slope)
