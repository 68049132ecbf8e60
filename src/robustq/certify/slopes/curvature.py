"""A radius from the slope at the input and the largest curvature that a circuit can have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.slopes.bisection import largest_radius
from robustq.certify.slopes.lipschitz import claim
from robustq.certify.slopes.margins import TINY, Margins
from robustq.certify.slopes.turns import (
    ROUNDING,
    TurnBounds,
    Turning,
    dual_order,
    is_constant,
    length,
    turning,
    units_of,
)
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.quadric import FORM_ERROR


@dataclass(frozen=True)
class Curvature:
    """No gate can bend the margin more than its generator and the read-out allow.

    Along a straight line in the angles the scaled margin ``u`` is of exponential type ``S``, the sum of
    spread times speed, and at most 1, so ``u^2 + (u'/S)^2 <= 1`` (Duffin & Schaeffer, Bull. AMS 44, 1938).
    The same holds of ``u'/S``, whence ``|u''| <= S sqrt(S^2 - u'^2)``, and never more than ``S^2``, as two
    nested commutators with the generators show. Starting from the true slope at the input, ``u`` cannot
    fall faster than :func:`lowest` says: never a smaller radius than :class:`Lipschitz`, whose slope is
    the largest there could be.

    Args:
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(Curvature())
    curvature
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        if not self.slack >= 0:
            raise CertificateError(f"curvature: expected slack >= 0, got {self.slack}")

    def __str__(self) -> str:
        return "curvature"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> CurvatureProver:
        """The angles of the gates and the ranges of the margins.

        Raises:
            CertificateError: unless the features turn gates and the threat is l-inf, l2 or l1.
        """
        order, turns = dual_order(threat, "curvature"), turning(model, "curvature")
        return CurvatureProver(model, threat, order, turns, Margins.of(turns.forms), self.slack)


@dataclass(frozen=True, eq=False)
class CurvatureProver:
    """:class:`Curvature` for one model and one threat."""

    model: Classifier
    threat: Threat
    order: float
    turning: Turning
    margins: Margins
    slack: float

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``."""
        units = units_of(self.threat, x)
        here = tangent(self.model, self.margins, x)
        goals = self.margins.goals(here.label, self.slack)
        turn = self.turning.around(x, units, self.order)
        slopes = length(here.slopes * units, self.order)
        radius = largest_radius(lambda r: above(turn, here.shares, slopes, r) >= goals, goals)
        level = here.shares <= goals
        endless = (is_constant(turn, goals) & ~level) | (goals == -torch.inf)
        radius = radius.masked_fill(endless, torch.inf)
        return claim(here.label, radius.masked_fill(level, 0).amin(1))


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Answers, scaled margins and their gradients at a batch of inputs.

    Attributes:
        label: ``(batch,)``.
        shares: ``(batch, classes)``.
        slopes: ``(batch, classes, features)``.
    """

    label: Tensor
    shares: Tensor
    slopes: Tensor


def tangent(model: Classifier, margins: Margins, x: Tensor, label: Tensor | None = None) -> Linearisation:
    """The scaled margins of ``label`` (the answer, if absent) and their gradients by autograd."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        logits = model(leaf) + 0 * leaf.sum(1, keepdim=True)  # the input may turn no gate at all
        parts = [torch.autograd.grad(logits[:, k].sum(), leaf, retain_graph=True)[0] for k in range(logits.shape[1])]
    jacobian, logits = torch.stack(parts, 1), logits.detach()
    label = logits.argmax(1) if label is None else label
    own = jacobian.gather(1, label[:, None, None].expand(-1, 1, x.shape[1]))
    scale = margins.half[label].clamp_min(TINY)
    return Linearisation(label, margins.shares(logits, label), (own - jacobian) / scale[..., None])


def above(turn: TurnBounds, shares: Tensor, slopes: Tensor, radius: Tensor) -> Tensor:
    """What the scaled margins cannot fall below within ``radius``; all ``(batch, classes)``."""
    swing = turn.swing(radius)
    return lowest(shares, slopes * radius + turn.curvature * radius**2 / 2, swing)


def lowest(share: Tensor, slope: Tensor, swing: Tensor) -> Tensor:
    """The least that ``u`` can be at the end of a way of length ``swing``.

    With ``sin psi = slope / swing`` at the start, ``u' >= -sin(psi + t)`` after a way ``t``, until
    ``u' >= -sqrt(1 - u^2)`` says more.

    Args:
        share: ``u`` at the start, in [-1, 1].
        slope: the way times ``-u'`` at the start, at most.
        swing: the way.

    >>> half = torch.tensor(0.5).double()
    >>> round(float(lowest(half, 0 * half, half)), 6), round(0.5 - 1 + math.cos(0.5), 6)
    (0.377583, 0.377583)
    """
    sine = (slope / swing.clamp_min(TINY) + ROUNDING).clamp(0, 1)
    start = torch.minimum(torch.arcsin(sine), torch.arccos(share))  # no wave is steeper there
    cosine = torch.cos(start)  # as rounded as the start is
    turnover = torch.arccos(((cosine - share) / 2).clamp(0, 1))
    first = share - cosine + torch.cos((start + swing).clamp(max=math.pi))
    second = torch.cos((math.pi - 2 * turnover + start + swing).clamp(max=math.pi))
    return torch.where(start + swing <= turnover, first, second) - FORM_ERROR
