"""A trigonometric polynomial over an interval lies within the range of its control values.

With ``p`` between the half angles at both ends, a polynomial of degree ``d`` is homogeneous of degree
``2 d`` in ``(cos, sin)`` of half its angle, so that de Casteljau's algorithm applies as it does to
polynomials (Lyche & Winther 1979; Alfeld, Neamtu & Schumaker 1995): ``f = sum_i b_i F_i`` with ``b_i >= 0``
that add up to one. Over an arc the three control points of degree 1 are the triangle of both ends and the
intersection of their tangents; the first and the last control value are values of ``f``, the others lie
within O(width^2) of some, and those of half an interval are means of those of the whole.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import torch
from torch import Tensor

WIDEST = 1.0  # half widths, in radians of the lowest frequency, up to which control values are tight


@lru_cache
def _table(degree: int) -> Tensor:
    """How the control values of ``exp(i k a)`` add up from ``exp(i r half)``, ``r = -2d..2d``."""
    count = 2 * degree
    table = torch.zeros(2 * count + 1, count + 1, degree + 1, dtype=torch.complex128)
    for i in range(count + 1):
        for k in range(degree + 1):
            for j in range(max(0, degree + k - count + i), min(i, degree + k) + 1):
                # the polar form (blossom) of exp(i k a) with i of its 2d arguments at the right end
                share = comb(count - i, degree + k - j) * comb(i, j) / comb(count, degree + k)
                table[2 * j - i - k + count, i, k] += share
    return table


def _harmonics(degree: int, half: Tensor) -> Tensor:
    """Control coefficients of ``exp(i k a)`` around zero, complex ``(..., 2 degree + 1, degree + 1)``."""
    steps = torch.arange(-2 * degree, 2 * degree + 1, dtype=half.dtype)
    turned = torch.polar(torch.ones_like(half)[..., None].expand(*half.shape, len(steps)), half[..., None] * steps)
    coefficients: Tensor = torch.tensordot(turned, _table(degree), dims=1)
    return coefficients


def weights(degree: int, half: Tensor) -> Tensor:
    """The control coefficients of the constant 1, positive for ``half < pi / 2``, ``(..., 2 degree + 1)``.

    >>> weights(1, torch.tensor(0.5).double())  # 1, cos 0.5, 1
    tensor([1.0000, 0.8776, 1.0000], dtype=torch.float64)
    """
    return _harmonics(degree, half)[..., 0].real


def controls(degree: int, middle: Tensor, half: Tensor) -> Tensor:
    """The matrices from coefficients to control values, ``(..., 2 degree + 1, 2 degree + 1)``.

    Args:
        degree: multiples of the lowest frequency.
        middle: angles ``(...)``.
        half: half the widths, below ``pi / 2``.

    >>> corners = controls(1, torch.tensor(0.0), torch.tensor(0.5)).double()  # rows 1, cos, sin
    >>> corners[1]  # where the tangents meet: (1 / cos 0.5, 0)
    tensor([1.0000, 1.1395, 0.0000], dtype=torch.float64)
    """
    local = _harmonics(degree, half.double())
    steps = torch.arange(degree + 1, dtype=torch.float64)
    turn = torch.polar(torch.ones(*middle.shape, degree + 1).double(), middle.double()[..., None] * steps)
    # divided by the control values of 1, so that those of a constant are the constant
    waves = local * turn[..., None, :] / local[..., :1].real
    pairs = torch.view_as_real(waves).flatten(-2)  # Re 1, Im 1, cos, sin, cos 2, ...
    return torch.cat([pairs[..., :1], pairs[..., 2:]], -1)


def halves(degree: int, half: Tensor) -> Tensor:
    """From control values to those of both halves, ``(..., 2, 2 degree + 1, 2 degree + 1)``.

    Every row holds weights >= 0 that add up to one: nothing is ever amplified.

    >>> [round(v, 4) for v in halves(1, torch.tensor(0.5).double())[0, 1].tolist()]
    [0.5326, 0.4674, 0.0]
    """
    count = 2 * degree + 1
    choose = half.new_tensor([[comb(i, k) for k in range(count)] for i in range(count)])
    shrink = (0.5 / torch.cos(half / 2))[..., None] ** torch.arange(count, dtype=half.dtype)
    parent, child = weights(degree, half), weights(degree, half / 2)
    left = choose * (shrink / child)[..., :, None] * parent[..., None, :]
    return torch.stack([left, left.flip((-1, -2))], -3)
