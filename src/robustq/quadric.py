"""The nearest point where a quadratic form vanishes: what exact attacks and exact certificates share.

For ``V = Q diag(v) Q^T`` and a vector with coefficients ``c = Q^T x`` and ``x^T V x > 0``, the point of
``{z: z^T V z = 0}`` nearest to ``x`` is ``(I + t V)^-1 x``, with ``t`` the root of ``sum v c^2 / (1 + t v)^2`` in
``(0, 1 / max(-v))`` (one quadratic constraint: no duality gap). In the hard case the vector has no part in
the lowest eigenspace and there may be no root; then ``t = 1 / max(-v)`` and a part in that space is added.

Weak duality proves a distance at any ``t`` of the interval, converged or not:
``|z - x|^2 >= sum c^2 t v / (1 + t v)`` wherever ``z^T V z <= 0``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

NEWTON = 60  # at most; a bracket is kept, and halved (in its logarithm) where Newton's step leaves it
ROUNDING = 1e-13  # of the largest eigenvalue: what is less negative is not negative
# Of the largest eigenvalue: by how much a form may be wrong. More than the simulation of a thousand gates
# (each a few roundings) and an eigendecomposition of side 4096 (side x rounding) make of it.
FORM_ERROR = 1e-12
NOTHING = 1e-10  # a share of the vector below which a part counts as absent
CLOSE = 1e-14  # relative change of s at which the search ends
SMALLEST = 1e-40  # of s = 1 - t max(-v): nearer to the end of the interval is its end


@dataclass(frozen=True)
class NearestZero:
    """Coefficients of the nearest zero of the form, its distance, and what is proved of it.

    Attributes:
        coefficients: in the eigenbasis, ``(batch, dimension)``; the given ones where there is no zero.
        distance: Euclidean, ``(batch,)``; infinite where the form has no negative eigenvalue, zero
            where it is not positive at the given vector.
        proved: no zero of any form as near to this one as ``FORM_ERROR`` (of the largest eigenvalue, or
            of ``size``) and ``slack`` allow is nearer than this, ``(batch,)``; rounding of sums included.
    """

    coefficients: Tensor
    distance: Tensor
    proved: Tensor


def nearest_zero(values: Tensor, coefficients: Tensor, slack: float = 0.0, size: float = 0.0) -> NearestZero:
    """The nearest zero of ``sum values * |z|^2`` to each row of coefficients.

    Args:
        values: eigenvalues, ascending, float64 ``(dimension,)``.
        coefficients: real or complex, ``(batch, dimension)``.
        slack: how far the true form may lie below this one, for what is proved.
        size: largest eigenvalue of what the form is a difference of, if that is more than its own.

    >>> v, c = torch.tensor([-1.0, 1.0]).double(), torch.tensor([[0.0, 1.0]]).double()
    >>> nearest = nearest_zero(v, c)  # the zeros are the diagonals of the plane
    >>> [round(float(z), 6) for z in nearest.coefficients.abs()[0]], round(float(nearest.distance), 6)
    ([0.5, 0.5], 0.707107)
    """
    if slack > 0:
        lowered = nearest_zero(values - slack, coefficients, size=size)
        return replace(nearest_zero(values, coefficients), proved=lowered.proved)
    weights = coefficients.abs().square()
    form = (values * weights).sum(1)
    if values[0] >= -ROUNDING * values.abs().max():
        endless = torch.full_like(form, torch.inf)
        return NearestZero(coefficients, endless, _proved_of_endless(values, coefficients, size))
    lowest = values <= values[0] * (1 - 1e-12)
    absent = (weights * lowest).sum(1) <= NOTHING**2 * weights.sum(1)
    present = torch.where(absent[:, None] & lowest, 0, weights)
    s = _root(values, present)
    moved = torch.where(present > 0, coefficients * _inverse(values / -values[0], s), 0)
    moved = _completed(values, moved, lowest)
    inside = form > 0
    moved = torch.where(inside[:, None], moved, coefficients)
    length = torch.linalg.vector_norm(moved - coefficients, dim=1)
    return NearestZero(moved, length, _proved(values, weights, (1 - s) / -values[0], size))


def _proved_of_endless(values: Tensor, coefficients: Tensor, size: float) -> Tensor:
    """What is proved where this form is nowhere negative, though one near it may be."""
    lowered = values - FORM_ERROR * values.abs().max().clamp_min(size)
    if lowered[0] > 0 or not bool(values.any()):
        bound = torch.full_like(coefficients[:, 0].real, torch.inf)
        return bound if lowered[0] > 0 else torch.zeros_like(bound)
    return nearest_zero(lowered, coefficients, size=size).proved


def _proved(values: Tensor, weights: Tensor, t: Tensor, size: float) -> Tensor:
    """The dual bound at multipliers near ``t``, for every form near this one.

    Eigenvalues are lowered by what they may be wrong, so that where the true form is not positive this
    one is not either; the bound is then lowered by its own rounding.
    """
    lowered = values - FORM_ERROR * values.abs().max().clamp_min(size)
    highest = 1 / (-lowered[0]).clamp_min(torch.finfo(values.dtype).tiny)
    t = torch.minimum(t, highest * (1 - 1e-15))[:, None]
    ratio = t * lowered / (1 + t * lowered)
    terms = weights * torch.where(weights > 0, ratio, 0)
    rounding = 4 * len(values) * torch.finfo(values.dtype).eps * terms.abs().sum(1)
    return (terms.sum(1) - rounding).clamp_min(0).sqrt() * (1 - FORM_ERROR)


@dataclass(frozen=True)
class NearestFlip:
    """Where another class draws level with a row's own.

    Attributes:
        point: the nearest such vector, ``(batch, size)``; the row itself where no class can be reached.
        distance: to it, ``(batch,)``; infinite where no class can be reached.
        proved: no class draws level nearer than this, ``(batch,)``.
    """

    point: Tensor
    distance: Tensor
    proved: Tensor


@dataclass(frozen=True, eq=False)
class Cones:
    """The boundaries between classes whose scores are quadratic forms; decomposed once each.

    Attributes:
        forms: one a class, Hermitian, float64 or complex128, ``(classes, size, size)``.

    >>> forms = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]).double()
    >>> nearest = Cones(forms).nearest(torch.tensor([[1.0, 0.0]]).double(), torch.tensor([0]))
    >>> nearest.point.abs().tolist(), round(float(nearest.distance), 6)
    ([[0.5, 0.5]], 0.707107)
    """

    forms: Tensor
    _known: dict[tuple[int, int], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def nearest(self, x: Tensor, y: Tensor, slack: float = 0.0) -> NearestFlip:
        """For each row the nearest vector at which another class draws level.

        Args:
            x: rows ``(batch, size)``.
            y: their classes.
            slack: how far each difference of two classes may truly lie lower, for what is proved.
        """
        endless = torch.full_like(x[:, 0].real, torch.inf)
        best = NearestFlip(x.clone(), endless, endless.clone())
        for right in torch.unique(y).tolist():
            rows = (y == right).nonzero()[:, 0]
            for other in range(len(self.forms)):
                if other != right:
                    self._improve(best, rows, x[rows], (right, other), slack)
        return best

    def spectrum(self, right: int, other: int) -> tuple[Tensor, Tensor]:
        """Eigenvalues, ascending, and eigenvectors of the difference of two classes."""
        if right > other:
            values, vectors = self.spectrum(other, right)
            return -values.flip(0), vectors.flip(1)
        if (right, other) not in self._known:
            form = self.forms[right] - self.forms[other]
            values, vectors = torch.linalg.eigh((form + form.mH) / 2)
            self._known[right, other] = values, vectors
        return self._known[right, other]

    def _improve(self, best: NearestFlip, rows: Tensor, x: Tensor, pair: tuple[int, int], slack: float) -> None:
        """Keep the nearest zero of the pair's form for the rows that it is nearer to than what they had."""
        values, vectors = self.spectrum(*pair)
        size = size_of(self.forms[list(pair)])
        zero = nearest_zero(values, x @ vectors.conj(), slack, size)
        nearer = zero.distance < best.distance[rows]
        best.point[rows[nearer]] = (zero.coefficients @ vectors.T)[nearer]
        best.distance[rows[nearer]] = zero.distance[nearer]
        best.proved[rows] = torch.minimum(best.proved[rows], zero.proved)


def size_of(forms: Tensor) -> float:
    """At least the largest eigenvalue of any of some forms: how wrong their differences may be.

    >>> size_of(torch.tensor([[[1.0, 0.5], [0.5, -1.0]]]))
    1.5
    """
    return float(forms.abs().sum(-1).amax())


def _root(values: Tensor, weights: Tensor) -> Tensor:
    """``s = 1 - t max(-v)`` of the root, or of the end of the interval if there is none, ``(batch,)``.

    In ``s`` the digits near the end of the interval are kept. Newton's method on
    ``N^-1/2 - P^-1/2``, with ``P`` and ``N`` the sums over positive and negative eigenvalues: both are
    almost linear (Conn, Gould & Toint, *Trust-Region Methods*, 2000, section 7.3).
    """
    ratio = values / -values[0]  # -1 at the lowest
    low, high = weights.new_zeros(len(weights)), weights.new_ones(len(weights))
    s, live = weights.new_full((len(weights),), 0.5), torch.arange(len(weights))
    live = live.to(weights.device)
    for _ in range(NEWTON):
        height, slope = _secular(ratio, weights[live], s[live])
        at = s[live]
        below = torch.where(height > 0, low[live], at)
        above = torch.where(height > 0, at, high[live])
        step = at - height / slope
        middle = torch.where(below > 0, (below * above).sqrt(), above / 64)
        step = torch.where((step > below) & (step < above), step, middle)
        low[live], high[live], s[live] = below, above, step
        live = live[((step - at).abs() > CLOSE * at) & (above > SMALLEST)]
        if not len(live):
            break
    return torch.where(high <= SMALLEST, high, s)


def _secular(ratio: Tensor, weights: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """``N^-1/2 - P^-1/2``, which rises with ``s``, and its slope, ``(batch,)`` each."""
    inverse = _inverse(ratio, s)
    second = ratio.abs() * weights * inverse**2
    third = ratio.abs() * second * inverse
    up = ratio > 0
    p, p3, n, n3 = (part[:, side].sum(1) for side in (up, ~up) for part in (second, third))
    return n**-0.5 - p**-0.5, n3 * n**-1.5 + p3 * p**-1.5


def _inverse(ratio: Tensor, s: Tensor) -> Tensor:
    """``1 / (1 + (1 - s) ratio)``, written so that the lowest eigenvalue gives ``1 / s`` exactly."""
    return 1 / ((1 + ratio) - s[:, None] * ratio)


def _completed(values: Tensor, moved: Tensor, lowest: Tensor) -> Tensor:
    """What is missing to zero is added in the lowest eigenspace (hard case, and the last rounding)."""
    rest = (values * moved.abs().square()).sum(1)
    own = (moved.abs().square() * lowest).sum(1)
    length = (own + rest.clamp_min(0) / -values[0]).sqrt()
    first = int(lowest.nonzero()[0])
    grown = torch.where((own > 0)[:, None] & lowest, moved * (length / own.clamp_min(1e-300).sqrt())[:, None], moved)
    bare = own <= 0
    grown[:, first] = torch.where(bare, length.to(grown.dtype), grown[:, first])
    return grown
