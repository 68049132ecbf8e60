"""The margin between two classes of an amplitude-encoded model, as a function of the change of an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.errors import CertificateError
from robustq.quadric import FORM_ERROR, NearestFlip, size_of
from robustq.threats.ball import Ball
from robustq.threats.box import bounds

NOTHING = 0.01  # share of an input's largest feature that a witness must keep
ROUNDINGS = 16  # of size features, that the margin at the clean input may suffer


@dataclass(frozen=True, eq=False)
class QuadraticMargin:
    """``q(d) = d^T form d + 2 linear.d + constant``, of the sign of the margin at ``x + units d``.

    Attributes:
        form: of the features that may move, ``(n, n)``.
        values: at most its eigenvalues, ascending, ``(n,)``.
        downward: the eigenvector of the lowest, ``(n,)``.
        linear: ``(batch, n)``.
        constant: ``(batch,)``; not more than the truth.
        low, high: the box around each input, ``(batch, n)``; it holds zero.
    """

    form: Tensor
    values: Tensor
    downward: Tensor
    linear: Tensor
    constant: Tensor
    low: Tensor
    high: Tensor

    def rows(self, index: Tensor) -> QuadraticMargin:
        """Some of the rows, by index or by mask."""
        names = ("linear", "constant", "low", "high")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def at(self, moved: Tensor) -> Tensor:
        """``q`` of changes ``(batch, n)``, ``(batch,)``."""
        return (moved * (moved @ self.form + 2 * self.linear)).sum(1) + self.constant

    def crossing(self, start: Tensor, end: Tensor) -> Tensor:
        """Where the segment from ``q > 0`` to ``q <= 0`` first has ``q = 0``, shape of ``start``."""
        way = end - start
        turned = way @ self.form
        square, half = (way * turned).sum(1), (start * turned + way * self.linear).sum(1)
        value = self.at(start)
        # the stable form of the quadratic's first root: no difference of nearly equal numbers
        root = (half**2 - square * value).clamp_min(0).sqrt() - half
        share = value / root.clamp_min(torch.finfo(value.dtype).tiny)
        return start + share.clamp(0, 1)[:, None] * way


def margin_of(form: Tensor, x: Tensor, threat: Ball, slack: float, size: float = 0.0) -> QuadraticMargin:
    """The margin that ``form`` gives, as low as rounding and ``slack`` allow.

    Args:
        form: ``M_A - M_k``, ``(features, features)``.
        x: rows ``(batch, features)`` of float64.
        threat: the box, the units of the features, and those that are frozen.
        slack: how far the margin may truly lie lower, in logits.
        size: largest eigenvalue of what ``form`` is a difference of, if that is more than its own.

    Raises:
        CertificateError: if no feature may move.

    >>> from robustq.threats import L2
    >>> x = torch.tensor([[1.0, 0.0]]).double()
    >>> margin = margin_of(torch.diag(x[0]), x, L2(1.0, frozen=(0,)), 0.0)
    >>> margin.form.shape, round(float(margin.constant), 6)
    (torch.Size([1, 1]), 1.0)
    """
    units = threat.units(x)
    units = torch.ones_like(x[0]) if units is None else units
    free = units > 0
    if not bool(free.any()):
        raise CertificateError(f"expected a feature that may move, got none of {len(units)}")
    form = (form + form.mT) / 2
    largest = torch.linalg.eigvalsh(form).abs().max().clamp_min(size)
    # slack |x|^2, because logits are x^T M x / |x|^2; the form's own rounding with it
    form = form - (slack + FORM_ERROR * largest) * torch.eye(len(form)).to(form)
    turned, units = x @ form, units[free]
    own = form[free][:, free] * units * units[:, None]
    values, vectors = torch.linalg.eigh(own)
    eps = ROUNDINGS * len(form) * torch.finfo(x.dtype).eps
    low, high = _around(threat, x)
    return QuadraticMargin(
        form=own,
        values=values - FORM_ERROR * values.abs().max(),
        downward=vectors[:, 0],
        linear=turned[:, free] * units,
        # not more than the truth, whatever the sum's rounding
        constant=(x * turned).sum(1) - eps * largest * x.square().sum(1),
        low=low[:, free] / units,
        high=high[:, free] / units,
    )


def _around(threat: Ball, x: Tensor) -> tuple[Tensor, Tensor]:
    """The box as changes of each input, not less than it is."""
    if threat.box is None:
        return torch.full_like(x, -torch.inf), torch.full_like(x, torch.inf)
    low, high = bounds(threat.box, x)
    wider = 1 + 8 * torch.finfo(x.dtype).eps
    return (low - x).clamp(max=0) * wider, (high - x).clamp(min=0) * wider


def moved_input(threat: Ball, x: Tensor, moved: Tensor) -> Tensor:
    """``x + units d``, shape of ``x``; the clean input where that would have no length.

    >>> from robustq.threats import Linf
    >>> moved_input(Linf(1.0, frozen=(0,)), torch.ones(1, 2), torch.ones(1, 1))
    tensor([[1., 2.]])
    """
    units = threat.units(x)
    units = torch.ones_like(x[0]) if units is None else units
    change = torch.zeros_like(x)
    change[:, units > 0] = moved * units[units > 0]
    shifted = x + change
    # a zero vector cannot be loaded, and one close to it is a step away from that
    nothing = shifted.abs().amax(1) <= NOTHING * x.abs().amax(1)
    return torch.where(nothing[:, None], x, shifted)


Pair = tuple[int, int, float]  # two classes and a slack: what a margin's form depends on
Reach = Callable[[Pair, QuadraticMargin, Tensor], NearestFlip]


def nearest_class(forms: Tensor, x: Tensor, label: Tensor, threat: Ball, slack: float, reach: Reach) -> NearestFlip:
    """Per row the nearest input of another class, by a method that knows one pair of classes at a time.

    Args:
        forms: one a class, ``(classes, features, features)``.
        x: rows ``(batch, features)``.
        label: their classes.
        threat: box, units, frozen features.
        slack: how far every margin may truly lie lower, for what is proved.
        reach: from a pair, its margin, and distances beyond which nothing matters ``(batch,)``, to changes.
    """
    endless = torch.full_like(x[:, 0], torch.inf)
    best = NearestFlip(x.clone(), endless, endless.clone())
    for right in torch.unique(label).tolist():
        rows = (label == right).nonzero()[:, 0]
        for other in (k for k in range(len(forms)) if k != right):
            form, size = forms[right] - forms[other], size_of(forms[[right, other]])
            cap = best.distance[rows]
            margin = margin_of(form, x[rows], threat, slack, size)
            lowered = reach((right, other, slack), margin, cap)
            nearest = lowered
            if slack > 0:
                margin = margin_of(form, x[rows], threat, 0.0, size)
                nearest = reach((right, other, 0.0), margin, cap)
            point = moved_input(threat, x[rows], nearest.point)
            nearer = (nearest.distance < cap) & (point != x[rows]).any(1)
            best.distance[rows[nearer]] = nearest.distance[nearer]
            best.point[rows[nearer]] = point[nearer]
            best.proved[rows] = torch.minimum(best.proved[rows], lowered.proved)
    return best
