"""The least of a quadratic form over a box, from below: made convex by what vanishes at the corners.

On ``low <= z <= high`` every ``(z_i - low_i)(z_i - high_i)`` is at most zero, so that adding ``mu_i >= 0`` times it
only lowers the form (alpha-BB: Adjiman et al., Computers & Chem. Eng. 1998). With ``V + diag(mu) >= 0`` the sum is
convex. What is lost is at most ``sum mu_i (width_i / 2)^2``; the ``mu`` of least sum solve a semidefinite programme,
the dual of ``min <V, X>`` with ``X_ii <= 1``, by coordinate descent on vectors (mixing method: Wang, Chang & Kolter,
arXiv:1706.00476). Whatever is left to convexity is added at the end, so that the search need not converge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.amplitude.margin import QuadraticMargin
from robustq.certify.amplitude.quadratic import BoxQuadratic
from robustq.quadric import FORM_ERROR

SWEEPS = 20  # over all features


@dataclass(frozen=True, eq=False)
class Shift:
    """What makes a form convex.

    Attributes:
        diagonal: ``mu >= 0``, ``(n,)``.
        lowest, highest: at most, and at least, the eigenvalues of ``V + diag(mu)``.
    """

    diagonal: Tensor
    lowest: float
    highest: float


def least_shift(form: Tensor) -> Shift:
    """The diagonal of about the least sum that makes ``form (n, n)`` convex.

    >>> form = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).double()
    >>> [round(float(mu), 3) for mu in least_shift(form).diagonal]  # one everywhere would do, too
    [1.0, 1.0, 0.0]
    """
    # the programme is not solved to the end, so that an even diagonal can be the better one
    even, own = _convex(form, torch.zeros_like(form[0])), _convex(form, _mixed(form))
    return own if own.diagonal.sum() < even.diagonal.sum() else even


def _convex(form: Tensor, diagonal: Tensor) -> Shift:
    """The diagonal raised evenly as far as convexity asks."""
    values = torch.linalg.eigvalsh(form + torch.diag(diagonal))
    error = FORM_ERROR * float(values.abs().max())
    rise = max(0.0, 2 * error - float(values[0]))
    lowest, highest = float(values[0]) + rise - error, float(values[-1]) + rise + error
    return Shift(diagonal + rise, max(0.0, lowest), highest)


def _mixed(form: Tensor) -> Tensor:
    """Multipliers of the semidefinite programme, by coordinate descent on one vector a feature."""
    size = len(form)
    rank = math.ceil(math.sqrt(2 * size)) + 1
    # any start in general position will do
    grid = torch.arange(1, size + 1)[:, None] * torch.arange(1, rank + 1).sqrt()
    vectors = torch.nn.functional.normalize(torch.cos(7 * grid.to(form)), dim=1)
    own = form.diagonal()
    coupled = form - torch.diag(own)
    for _ in range(SWEEPS):
        for row in range(size):
            pull = coupled[row] @ vectors
            length = torch.linalg.vector_norm(pull)
            # the unit vector that lowers the objective most; shorter where the diagonal alone is enough
            vectors[row] = -pull / torch.maximum(length, own[row]).clamp_min(1e-300)
    pulls: Tensor = torch.linalg.vector_norm(coupled @ vectors, dim=1)
    return (pulls - own).clamp_min(0)


def relaxed(margin: QuadraticMargin, shift: Shift, low: Tensor, high: Tensor) -> BoxQuadratic:
    """A convex quadratic that is below the margin on the boxes ``low <= d <= high``, ``(batch, n)``."""
    mu, one = shift.diagonal, torch.ones_like(margin.constant)
    return BoxQuadratic(
        form=margin.form,
        diagonal=mu.expand_as(margin.linear),
        weight=one,
        linear=margin.linear - mu * (low + high) / 2,
        constant=margin.constant + (mu * low * high).sum(1),
        low=low,
        high=high,
        lowest=shift.lowest * one,
        highest=shift.highest * one,
    )


def unrelaxed(margin: QuadraticMargin, low: Tensor, high: Tensor) -> BoxQuadratic:
    """The margin on boxes, as it is."""
    one = torch.ones_like(margin.constant)
    return BoxQuadratic(
        form=margin.form,
        diagonal=torch.zeros_like(margin.linear),
        weight=one,
        linear=margin.linear,
        constant=margin.constant,
        low=low,
        high=high,
        lowest=margin.values[0] * one,
        highest=margin.values.abs().max() * one,
    )
