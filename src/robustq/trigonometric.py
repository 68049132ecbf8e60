"""Functions that are trigonometric polynomials of their features, as tensors of coefficients.

A gate that turns by an angle acts on a density matrix as ``1, cos, sin`` of that angle (Schuld, Sweke &
Meyer, PRA 103, 2021), and noise is linear. So a model in which feature ``j`` turns a few gates is
``f_k(x) = sum_w C_k[w] prod_j phi_{w_j}(x_j)`` with ``phi = (1, cos wx, sin wx, cos 2wx, sin 2wx, ...)``,
whatever the depth, the entanglement and the noise; a few values of the model give the coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import ModelError

LARGEST = 1 << 21  # coefficients a class
CHUNK = 4096  # points a call
UNIT = 2.0**-53
SAME = 8 * UNIT  # relative: frequencies as near to a multiple are one, but for rounding


@dataclass(frozen=True, eq=False)
class Trigonometric:
    """One polynomial a class, in float64.

    Attributes:
        coefficients: ``(classes, 2 d_1 + 1, 2 d_2 + 1, ...)`` for degrees ``d_j``, along each axis
            1, cos, sin, cos of twice, sin of twice, ...
        frequencies: radians of the lowest frequency by unit of each feature, ``(features,)``.
        error: how far a value may lie from the model's own, rounding of both included.

    >>> form = Trigonometric(torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([2.0]), 0.0)  # cos 2x
    >>> form.degrees, form(torch.tensor([[0.0], [math.pi / 2]])).tolist()
    ((1,), [[1.0], [-1.0]])
    """

    coefficients: Tensor
    frequencies: Tensor
    error: float

    @property
    def degrees(self) -> tuple[int, ...]:
        """How many multiples of its frequency each feature has; zero where it plays no part."""
        return tuple((size - 1) // 2 for size in self.coefficients.shape[1:])

    def __call__(self, x: Tensor) -> Tensor:
        """Values ``(batch, classes)`` at features ``(batch, features)``."""
        classes, *sizes = self.coefficients.shape
        values = self.coefficients.expand(len(x), classes, *sizes)
        for feature, degree in enumerate(self.degrees):
            row = basis(x[:, feature] * self.frequencies[feature], degree)
            rest = math.prod(sizes[feature + 1 :])  # spelt out: of no inputs it cannot be inferred
            values = values.reshape(len(x), classes, sizes[feature], rest)
            values = (values * row[:, None, :, None]).sum(2)
        return values.reshape(len(x), classes)


def basis(angle: Tensor, degree: int) -> Tensor:
    """``1, cos a, sin a, cos 2a, sin 2a, ...`` along a new last axis.

    >>> basis(torch.tensor(0.0), 2).tolist()
    [1.0, 1.0, 0.0, 1.0, 0.0]
    """
    rows = [torch.ones_like(angle)]
    for k in range(1, degree + 1):
        rows += [torch.cos(k * angle), torch.sin(k * angle)]
    return torch.stack(rows, -1)


def nodes(degree: int) -> Tensor:
    """The angles at which a polynomial of this degree has to be known, ``(2 degree + 1,)``."""
    count = 2 * degree + 1
    return torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)


def from_nodes(degree: int) -> Tensor:
    """The matrix from values at :func:`nodes` to coefficients, ``(2 degree + 1, 2 degree + 1)``.

    >>> bool((from_nodes(1) @ basis(nodes(1), 1) - torch.eye(3)).abs().max() < 1e-15)
    True
    """
    count = 2 * degree + 1
    weight = torch.full((count,), 2 / count, dtype=torch.float64)
    weight[0] = 1 / count
    return weight[:, None] * basis(nodes(degree), degree).T


def amplification(degrees: Sequence[int]) -> float:
    """How much larger than the error of the values the error between the nodes may be.

    The product of the Lebesgue constants of equidistant nodes (Ehlich & Zeller 1966).

    >>> round(amplification([1]), 2)  # the constant itself is 5/3
    1.7
    """
    return math.prod(1 + 2 / math.pi * math.log(2 * d + 1) for d in degrees)


def interpolated(
    function: Callable[[Tensor], Tensor], frequencies: Tensor, degrees: Sequence[int], rounding: float
) -> Trigonometric:
    """The polynomials of a function known to be one, from its values on a grid.

    Coefficients are differentiable in whatever the values are.

    Args:
        function: ``(batch, features)`` of float64 to values ``(batch, classes)``.
        frequencies: ``(features,)``, positive where the degree is.
        degrees: one a feature.
        rounding: bound on the error of the function's values.

    Raises:
        ModelError: if there are too many coefficients.

    >>> form = interpolated(lambda x: torch.cos(3 * x), torch.tensor([3.0]).double(), [1], 1e-16)
    >>> [round(c, 12) + 0.0 for c in form.coefficients[0].tolist()]
    [0.0, 1.0, 0.0]
    """
    check_size(degrees)
    shape = [2 * d + 1 for d in degrees]
    flat = torch.arange(math.prod(shape))
    parts = [flat[at : at + CHUNK] for at in range(0, len(flat), CHUNK)]
    values = torch.cat([function(_points(part, shape, frequencies)) for part in parts])
    tensor = values.T.reshape(-1, *shape)
    for axis, degree in enumerate(degrees, 1):
        tensor = torch.tensordot(tensor, from_nodes(degree), dims=([axis], [1])).movedim(-1, axis)
    # the last digit of an angle counts as often as the degree says
    roundings = 8 * (len(shape) + sum(degrees)) * UNIT
    largest = float(values.detach().abs().max())
    error = amplification(degrees) * (rounding + roundings * largest)
    return Trigonometric(tensor.contiguous(), frequencies, error)


def check_size(degrees: Sequence[int]) -> None:
    """Refuse more coefficients than fit."""
    size = math.prod(2 * d + 1 for d in degrees)
    if size > LARGEST:
        raise ModelError(f"expected at most {LARGEST} frequencies, so that they can be listed, got {size:.3g}")


def _points(flat: Tensor, shape: Sequence[int], frequencies: Tensor) -> Tensor:
    """The grid points with these numbers, ``(batch, features)``."""
    points = torch.zeros(len(flat), len(shape), dtype=torch.float64)
    for feature in reversed(range(len(shape))):
        count = shape[feature]
        if count > 1:
            step = 2 * math.pi / (count * frequencies[feature])
            points[:, feature] = (flat % count) * step
            flat = flat // count
    return points


def common_frequency(uses: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The frequency of which everything is a multiple, and the degree.

    Args:
        uses: for each gate the frequencies it adds, ascending; one of them or none is taken of each.

    Raises:
        ModelError: if the smallest frequency does not divide the others.

    >>> common_frequency([(0.5, 1.0), (1.5,)])  # up to 1 + 1.5 in steps of 0.5
    (0.5, 5)
    """
    if not uses:
        return 1.0, 0
    lowest = min(sizes[0] for sizes in uses)
    multiples = [size / lowest for sizes in uses for size in sizes]
    if any(abs(m - round(m)) > SAME * m for m in multiples):
        shown = ", ".join(f"{lowest * m:.6g}" for m in sorted(multiples)[:4])
        raise ModelError(
            f"expected frequencies that are multiples of the lowest, got {shown}: trained scales have no common one"
        )
    return lowest, sum(round(sizes[-1] / lowest) for sizes in uses)
