"""Boxes of features with the control values of a margin over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from robustq.certify.verifier.enclosure import controls, halves

UNIT = 2.0**-53


@dataclass(frozen=True, eq=False)
class Nodes:
    """A batch of boxes; ``features`` counts those that can move.

    Attributes:
        job: what each is a part of, ``(nodes,)`` of int64.
        centre: ``(nodes, features)``.
        half: half the widths ``(nodes, features)``.
        values: control values of the margin, ``(nodes, 2 d_1 + 1, 2 d_2 + 1, ...)``.
        error: how far any of them may be off by rounding, ``(nodes,)``.
        step: what one more halving adds to that.
        axis: the feature to halve next, ``(nodes,)`` of int64.
    """

    job: Tensor
    centre: Tensor
    half: Tensor
    values: Tensor
    error: Tensor
    step: Tensor
    axis: Tensor

    def __len__(self) -> int:
        return len(self.job)

    def __getitem__(self, rows: Tensor | slice) -> Nodes:
        """Some of them."""
        return Nodes(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Nodes]) -> Nodes:
        """All of several batches."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def rooted(
    job: Tensor, centre: Tensor, half: Tensor, coefficients: Tensor, frequencies: Tensor, size: Tensor
) -> Nodes:
    """Nodes from the coefficients of their margins, ``(nodes, 2 d_1 + 1, ...)``, one mode at a time.

    Every product errs by a few units in the last place of the sum of the absolute values of what it adds
    up, so that all of them err by at most ``(modes * (count + 24) + angles) * u * size * prod max|matrix|``,
    over the least weight of a control value, where ``size (nodes,)`` is the sum of all absolute coefficients.

    >>> one = torch.zeros(1, 1).double()
    >>> cosine = torch.tensor([[0.0, 1.0, 0.0]]).double()
    >>> rooted(torch.tensor([0]), one, one + 0.5, cosine, one[0] + 1, one[0] + 1).values
    tensor([[0.8776, 1.1395, 0.8776]], dtype=torch.float64)
    """
    shape, whole = coefficients.shape, math.prod(coefficients.shape[1:])
    bound, roundings, values = size, torch.full_like(size, 64.0), coefficients
    for axis, count in enumerate(shape[1:]):
        degree = (count - 1) // 2
        middle, width = (frequencies[axis] * part[:, axis] for part in (centre, half))
        matrix = controls(degree, middle, width)
        # the last mode comes first, and after as many modes as there are the order is the old one
        values = values.reshape(len(job), count, whole // count).transpose(1, 2) @ matrix.transpose(1, 2)
        bound = bound * matrix.abs().amax((1, 2))
        turns = 4 * degree * (1 + middle.abs())
        # summands of the product, the making of its entries, and the angle's own rounding times the degree
        roundings = roundings + (count + 24 + turns) / torch.cos(width) ** degree
    bound = bound * UNIT
    largest = 24 * max([1, *shape[1:]])
    errors = (roundings * bound, largest * bound)
    return Nodes(job, centre, half, values.reshape(shape), *errors, torch.zeros_like(job))


def halved(nodes: Nodes, frequencies: Tensor) -> Nodes:
    """Both halves of every node along its ``axis``."""
    parts = [
        _halved(nodes[torch.nonzero(nodes.axis == k)[:, 0]], k, frequencies) for k in sorted(set(nodes.axis.tolist()))
    ]
    return Nodes.join(parts)


def _halved(nodes: Nodes, axis: int, frequencies: Tensor) -> Nodes:
    """Both halves along the same axis: means of control values."""
    shape = nodes.values.shape
    count, before = shape[1 + axis], math.prod(shape[1 : 1 + axis])
    matrices = halves((count - 1) // 2, frequencies[axis] * nodes.half[:, axis])
    parted = nodes.values.reshape(len(nodes), before, count, -1)
    values = torch.einsum("nsrc,nbca->snbra", matrices, parted)
    quarter = torch.zeros_like(nodes.half)
    quarter[:, axis] = nodes.half[:, axis] / 2
    return Nodes(
        job=nodes.job.repeat(2),
        centre=torch.cat([nodes.centre - quarter, nodes.centre + quarter]),
        half=(nodes.half - quarter).repeat(2, 1),
        values=values.reshape(-1, *shape[1:]),
        error=(nodes.error + nodes.step).repeat(2),
        step=nodes.step.repeat(2),
        axis=nodes.axis.repeat(2),
    )
