"""How far the gates of a circuit can turn while its input stays near a point.

A certificate by slopes needs two numbers for every radius: ``swing(r)``, the largest sum over the gates of
spread times turn, and ``curvature``, by how much those turns leave their tangent. Both are bounds over the whole
ball, so that what follows from them holds in it. All lengths are in the units of the threat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from robustq.contracts import Classifier, FrozenClassifier, GateAngles, Threat
from robustq.errors import CertificateError, ModelError
from robustq.threats import L1, L2, Linf

ROUNDING = 1e-12  # relative, of a swing: sums over some thousand gates and features
STEEPEST_BEND = 0.09623  # of the sigmoid: |s''| <= 1 / (6 sqrt 3)
FARTHEST = 1e100  # a sigmoid far from zero hardly turns anything nearby
TINY = 1e-100  # its square is a number too


class TurnBounds(Protocol):
    """What is known around each input of a batch."""

    @property
    def curvature(self) -> Tensor:
        """``b`` with spread times turn within ``b r^2 / 2`` of its tangent, ``(batch, 1)``."""
        ...

    def swing(self, radius: Tensor) -> Tensor:
        """Largest sum of spread times turn for radii ``(batch, any)``, of the same shape."""
        ...


def dual_order(threat: Threat, name: str) -> float:
    """The order of the norm that measures gradients under this threat.

    Raises:
        CertificateError: unless it is a ball of l-inf, l2 or l1.

    >>> dual_order(Linf(0.1), "some method")
    1.0
    """
    for kind, order in ((Linf, 1.0), (L2, 2.0), (L1, float("inf"))):
        if isinstance(threat, kind):
            return order
    raise CertificateError(f"{name}: expected an l-inf, l2 or l1 threat, got {threat}")


def length(vectors: Tensor, order: float) -> Tensor:
    """The norm of this order along the last axis, which is dropped.

    >>> length(torch.tensor([[3.0, 4.0]]), 2.0)
    tensor([5.])
    """
    norms: Tensor = torch.linalg.vector_norm(vectors, ord=order, dim=-1)
    return norms


def steepest(directions: Tensor, weights: Tensor, order: float) -> Tensor:
    """At least the largest norm of ``sum_j g_j w_j`` over all ``|g_j| <= c_j``.

    Feature by feature it is at most ``sum_j c_j |w_ji|``; the length of that is never above the sum of
    ``c_j |w_j|`` that Berberich et al. (2024) take. In l2 the spectral norm of ``C^1/2 W`` times
    ``sqrt(sum c)`` is another bound, better where the directions differ in sign.

    Args:
        directions: ``w``, shape ``(..., angles, features)``.
        weights: ``c``, shape ``(..., angles)``.
        order: of the norm.

    >>> w = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    >>> c = torch.ones(2)
    >>> float(steepest(w, c, 1.0)), round(float(steepest(w, c, 2.0)), 6)
    (4.0, 2.0)
    """
    bound = length((weights[..., None] * directions.abs()).sum(-2), order)
    if order != 2:
        return bound
    # clamped, because nothing has a gradient where it vanishes, and models are trained through this
    scaled = weights.clamp_min(TINY).sqrt()[..., None] * directions
    across = 0 < scaled.shape[-2] < scaled.shape[-1]
    square = scaled @ scaled.mT if across else scaled.mT @ scaled
    highest = torch.linalg.eigvalsh(square)[..., -1]
    most = (weights.sum(-1) * highest).clamp_min(TINY).sqrt()
    return torch.minimum(bound, most * (1 + ROUNDING))


@dataclass(frozen=True, eq=False)
class PolynomialTurn:
    """Angles that are polynomials of the features: ``swing = rate r + bend r^2 / 2``.

    Attributes:
        rate: ``(batch, 1)``, or ``(1, 1)`` where it is the same for all.
        curvature: as ``rate``; zero where the angles are affine.
    """

    rate: Tensor
    curvature: Tensor

    @staticmethod
    def around(angles: GateAngles, x: Tensor, units: Tensor, order: float) -> PolynomialTurn:
        """Around inputs ``(batch, features)``; units ``(features,)`` or ``(batch, features)``."""
        slopes, curvature = angles.linear, x.new_zeros(1)
        twice = angles.quadratic + angles.quadratic.mT
        if bool(twice.any()):  # else it is the same around every input, however many features
            slopes = slopes + torch.einsum("aij,bj->bai", twice, x)
            rows = length(twice * units[..., None, None, :], order) * units[..., None, :]
            curvature = length((angles.spread[:, None] * rows).sum(-2), order)
        rate = steepest(slopes * units[..., None, :], angles.spread, order)
        return PolynomialTurn(rate.reshape(-1, 1), curvature.reshape(-1, 1))

    def swing(self, radius: Tensor) -> Tensor:
        """See :class:`TurnBounds`."""
        return (self.rate * radius + self.curvature * radius**2 / 2) * (1 + ROUNDING)


@dataclass(frozen=True, eq=False)
class SquashedTurn:
    """Angles of ``sigmoid(W x + b)``, whose slope is known between here and there.

    Attributes:
        directions: rows of ``W`` in units, ``(batch, inner, features)``.
        height: ``|W x + b|``, ``(batch, inner)``.
        weights: spread times slope of the angles in each inner feature, ``(inner,)``.
        twists: spread times second derivative in each pair of them, ``(inner, inner)``.
        order: of the norm of gradients.
    """

    directions: Tensor
    height: Tensor
    weights: Tensor
    twists: Tensor
    order: float

    @staticmethod
    def around(
        angles: GateAngles, front: tuple[Tensor, Tensor], x: Tensor, units: Tensor, order: float
    ) -> SquashedTurn:
        """Around inputs ``(batch, features)``; units ``(features,)`` or ``(batch, features)``."""
        weight, bias = front
        units = units.expand_as(x)
        twice = angles.quadratic + angles.quadratic.mT  # inner features lie in (0, 1)
        slopes = (angles.linear + twice.sum(-1) / 2).abs() + twice.abs().sum(-1) / 2
        height, directions = (x @ weight.T + bias).abs(), weight * units[:, None]
        twists = torch.einsum("a,aij->ij", angles.spread, twice.abs())
        return SquashedTurn(directions, height, angles.spread @ slopes, twists, order)

    @property
    def _reach(self) -> Tensor:
        return length(self.directions, self.order)

    @property
    def curvature(self) -> Tensor:
        """See :class:`TurnBounds`: of each sigmoid, and of the products of two, whose slopes are 1/4 at most."""
        reach = self._reach
        own = STEEPEST_BEND * (self.weights * reach**2).sum(-1, keepdim=True)
        return own + ((reach @ self.twists) * reach).sum(-1, keepdim=True) / 16

    def swing(self, radius: Tensor) -> Tensor:
        """See :class:`TurnBounds`: the mean slope of each sigmoid on the way bounds its share."""
        reach = self._reach[:, None]
        shares = self.weights * _mean_slope(self.height[:, None], reach * radius[..., None])
        return radius * steepest(self.directions[:, None], shares, self.order) * (1 + ROUNDING)


def _mean_slope(height: Tensor, way: Tensor) -> Tensor:
    """Mean of the largest slope that a sigmoid can have on its way from ``height``."""
    down = height - way
    past = (-down).clamp_min(0)
    risen = torch.sigmoid(height) - torch.sigmoid(down.clamp_min(0)) + past / 4
    end = down.clamp_min(0)
    # the slope grows on the way: its last value is above the mean, and is not lost far from zero
    steep = torch.sigmoid(end) * torch.sigmoid(-end)
    mean = (risen + 1e-15) / way.clamp_min(TINY)
    return torch.minimum(mean, steep)


@dataclass(frozen=True, eq=False)
class Turning:
    """How the inputs of one model turn its gates, and what is read behind them.

    Attributes:
        angles: of the circuit.
        front: weight and bias in front of a sigmoid; None if there is none.
        forms: one Hermitian matrix a class.
    """

    angles: GateAngles
    front: tuple[Tensor, Tensor] | None
    forms: Tensor

    @property
    def is_affine(self) -> bool:
        """Whether every angle is affine in the features."""
        return self.front is None and not bool(self.angles.quadratic.any())

    def around(self, x: Tensor, units: Tensor, order: float) -> TurnBounds:
        """Around inputs ``(batch, features)``; units ``(features,)`` or ``(batch, features)``."""
        if self.front is None:
            return PolynomialTurn.around(self.angles, x, units, order)
        return SquashedTurn.around(self.angles, self.front, x, units, order)


def is_constant(turn: TurnBounds, like: Tensor) -> Tensor:
    """Where no gate turns, however far the input moves: bool, of the shape of ``like``."""
    return turn.swing(torch.full_like(like, FARTHEST)) == 0


def turning(model: Classifier, name: str) -> Turning:
    """What a certificate by slopes has to know of a model.

    Raises:
        CertificateError: if its features do not turn gates, as they are or behind a sigmoid.
    """
    if not isinstance(model, FrozenClassifier):
        raise CertificateError(f"{name}: expected a model whose features turn gates, got {type(model).__name__}")
    try:
        return Turning(model.gate_angles(), model.front, model.state_forms())
    except ModelError as failure:
        raise CertificateError(f"{name}: {failure}") from failure


def units_of(threat: Threat, x: Tensor) -> Tensor:
    """The threat's unit of each feature, ``(features,)``; zero where frozen.

    >>> units_of(Linf(0.1, frozen=(0,)), torch.zeros(1, 2))
    tensor([0., 1.])
    """
    assert isinstance(threat, Linf | L2 | L1)
    units = threat.units(x)
    return x.new_ones(x.shape[1]) if units is None else units
