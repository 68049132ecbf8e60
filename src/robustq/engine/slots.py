"""Angles as polynomials of the slots, in torch: their values and their Jacobian.

The slot vector is ``[1, theta, x]``; every angle is a sum of ``coefficient * left * right``, where a
missing factor is the leading one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.circuits.angles import Angle, Slot


def slot_vector(inputs: Tensor, parameters: Tensor) -> Tensor:
    """``[1, theta, x]`` for inputs ``(batch, F)``, parameters ``(P,)``: ``(batch, 1 + P + F)``.

    >>> slot_vector(torch.tensor([[5.0], [6.0]]), torch.tensor([3.0])).tolist()
    [[1.0, 3.0, 5.0], [1.0, 3.0, 6.0]]
    """
    shared = torch.cat([parameters.new_ones(1), parameters])
    return torch.cat([shared.expand(len(inputs), -1), inputs], dim=1)


@dataclass(frozen=True, eq=False)
class Polynomials:
    """Some angles of a circuit as functions of its slots.

    >>> from robustq.circuits import theta, x
    >>> angles = Polynomials.of([2 * x(0) * theta(0) + 1.0, x(0)], parameters=1)
    >>> slots = slot_vector(torch.tensor([[5.0]]), torch.tensor([3.0]))
    >>> angles.values(slots).tolist()
    [[31.0, 5.0]]
    >>> angles.jacobian(slots).tolist()
    [[[0.0, 10.0, 6.0], [0.0, 0.0, 1.0]]]
    """

    count: int
    left: tuple[int, ...]
    right: tuple[int, ...]
    owner: tuple[int, ...]
    coefficient: tuple[float, ...]

    @staticmethod
    def of(angles: Sequence[Angle], parameters: int) -> Polynomials:
        """The ``angles`` of a circuit with so many trainable slots."""
        entries = [
            (*slot_positions(monomial, parameters), owner, coefficient)
            for owner, angle in enumerate(angles)
            for monomial, coefficient in angle.terms
        ]
        columns = zip(*entries, strict=True) if entries else ((), (), (), ())
        return Polynomials(len(angles), *columns)

    def values(self, slots: Tensor) -> Tensor:
        """Angles in radians, ``(batch, count)``, for slots ``(batch, 1 + P + F)``."""
        left, right, owner, coefficient = self._tensors(slots)
        terms = coefficient * slots[:, left] * slots[:, right]
        return slots.new_zeros(len(slots), self.count).index_add(1, owner, terms)

    def jacobian(self, slots: Tensor) -> Tensor:
        """Derivatives of the angles by the slots, ``(batch, count, 1 + P + F)``.

        The column of the constant slot has no meaning beyond the product rule and is zero.
        """
        left, right, owner, coefficient = self._tensors(slots)
        width = slots.shape[1]
        flat = slots.new_zeros(len(slots), self.count * width)
        flat = flat.index_add(1, owner * width + left, coefficient * slots[:, right])
        flat = flat.index_add(1, owner * width + right, coefficient * slots[:, left])
        jacobian = flat.reshape(len(slots), self.count, width)
        jacobian[:, :, 0] = 0
        return jacobian

    def _tensors(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        places = [
            torch.tensor(column, dtype=torch.long, device=like.device)
            for column in (self.left, self.right, self.owner)
        ]
        return places[0], places[1], places[2], like.new_tensor(self.coefficient)


def slot_positions(monomial: tuple[Slot, ...], parameters: int) -> tuple[int, int]:
    """Indices into ``[1, theta, x]``; a missing factor is the leading one."""
    places = [slot.number + (1 if slot.kind == "theta" else 1 + parameters) for slot in monomial]
    padded = [*places, 0, 0]
    return padded[0], padded[1]
