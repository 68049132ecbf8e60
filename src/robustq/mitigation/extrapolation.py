"""From expectations at several noise scales to the expectation at none.

Temme, Bravyi & Gambetta, PRL 119, 180509 (2017) (Richardson); Endo, Benjamin & Li, PRX 8, 031027 (2018)
(exponential).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq.errors import SpecError

SMALLEST = 1e-6  # of a value whose logarithm is taken


def coefficients(scales: Sequence[float], degree: int) -> NDArray[np.float64]:
    """Weights of the values at ``scales``: a polynomial of this degree by least squares, read at zero.

    With ``degree = len(scales) - 1`` this is Richardson's extrapolation.

    >>> coefficients([1.0, 3.0], 1).round(12).tolist()
    [1.5, -0.5]
    """
    check_scales(scales)
    if not 1 <= degree < len(scales):
        raise SpecError(
            f"extrapolation: expected a degree from 1 to {len(scales) - 1} for {len(scales)} scales, got {degree}"
        )
    powers = np.vander(np.asarray(scales, float), degree + 1, increasing=True)
    # the first row of the pseudo-inverse is the fitted value at scale zero
    weights: NDArray[np.float64] = np.linalg.pinv(powers)[0]
    return weights


def exponential(values: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """``a`` of ``a exp(-b scale)`` through the values, by least squares of their logarithms.

    Where values change sign or vanish no exponential passes through them: there the line of
    :func:`coefficients` is used. The estimate never leaves [-1, 1] by decay alone: growth is cut there.

    >>> at = [torch.tensor([[0.8 * 0.9**s]]).double() for s in (1, 2, 3)]
    >>> round(float(exponential(at, [1, 2, 3])), 6)
    0.8
    """
    check_scales(scales)
    stacked = torch.stack(list(values))
    signs = torch.sign(stacked[0])
    fits = ((stacked * signs) > SMALLEST).all(0)
    # ones where no fit is made: a logarithm of a negative number would poison the gradient
    logs = torch.where(fits, stacked * signs, torch.ones_like(stacked)).log()
    weights = torch.as_tensor(coefficients(scales, 1)).to(stacked)
    curve = signs * torch.einsum("s,s...->...", weights, logs).clamp_max(0).exp()
    line = torch.einsum("s,s...->...", weights, stacked)
    return torch.where(fits, curve, line)


def check_scales(scales: Sequence[float]) -> None:
    """Refuse anything but at least two different scales of at least one."""
    if len(scales) < 2 or len(set(scales)) != len(scales) or min(scales) < 1:
        raise SpecError(f"extrapolation: expected two or more different scales >= 1, got {list(scales)}")
