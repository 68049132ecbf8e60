"""Angles: small polynomials of input slots and trainable slots.

An angle is ``c + sum_k c_k * s_k`` where each ``s_k`` is a slot or a product of two. One slot
a term is the affine case; the products are what trainable input scales (``theta * x``) and
the ZZ feature map (``x_i * x_j``) need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from robustq.errors import CircuitError


class Slot(NamedTuple):
    """A place that a number fills later: input feature ``x`` or trainable ``theta``."""

    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind}[{self.number}]"


Monomial = tuple[Slot, ...]


@dataclass(frozen=True)
class Angle:
    """A polynomial of degree at most two in the slots, in radians.

    Build it with :func:`x`, :func:`theta` and arithmetic.

    >>> str(2 * x(0) + theta(1) - 0.5)
    '-0.5 + theta[1] + 2*x[0]'
    """

    terms: tuple[tuple[Monomial, float], ...] = ()

    @staticmethod
    def of(value: Angle | float) -> Angle:
        """The angle itself, or a number as a constant angle."""
        if isinstance(value, Angle):
            return value
        if not math.isfinite(value):
            raise CircuitError(f"expected a finite angle, got {value}")
        return _canonical({(): float(value)})

    def __add__(self, other: Angle | float) -> Angle:
        total = dict(self.terms)
        for monomial, coefficient in Angle.of(other).terms:
            total[monomial] = total.get(monomial, 0.0) + coefficient
        return _canonical(total)

    __radd__ = __add__

    def __neg__(self) -> Angle:
        return self * -1.0

    def __sub__(self, other: Angle | float) -> Angle:
        return self + -Angle.of(other)

    def __rsub__(self, other: float) -> Angle:
        return Angle.of(other) - self

    def __mul__(self, other: Angle | float) -> Angle:
        total: dict[Monomial, float] = {}
        for left, a in self.terms:
            for right, b in Angle.of(other).terms:
                monomial = tuple(sorted(left + right))
                total[monomial] = total.get(monomial, 0.0) + a * b
        return _canonical(total)

    __rmul__ = __mul__

    @property
    def slots(self) -> frozenset[Slot]:
        """Every slot the angle depends on."""
        return frozenset(slot for monomial, _ in self.terms for slot in monomial)

    @property
    def has_inputs(self) -> bool:
        """Whether the angle changes with the input features."""
        return any(slot.kind == "x" for slot in self.slots)

    def shifted(self, parameters: int) -> Angle:
        """The same angle with its trainable slots renumbered by ``+parameters``."""

        def move(slot: Slot) -> Slot:
            return Slot("theta", slot.number + parameters) if slot.kind == "theta" else slot

        return _canonical({tuple(sorted(map(move, m))): c for m, c in self.terms})

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        return " + ".join(_show(monomial, c) for monomial, c in self.terms).replace("+ -", "- ")


def _show(monomial: Monomial, coefficient: float) -> str:
    name = "*".join(map(str, monomial))
    if not name:
        return f"{coefficient:.6g}"
    return name if coefficient == 1 else f"{coefficient:.6g}*{name}"


def _canonical(terms: Mapping[Monomial, float]) -> Angle:
    """Sorted, merged, without zeros; degree checked."""
    monomials = sorted((m, c) for m, c in terms.items() if c != 0.0)
    for monomial, _ in monomials:
        if len(monomial) > 2:
            raise CircuitError(f"expected products of at most two slots, got {'*'.join(map(str, monomial))}")
    return Angle(tuple(monomials))


def _slot(kind: str, index: int) -> Angle:
    if index < 0:
        raise CircuitError(f"expected a slot index >= 0, got {kind}[{index}]")
    return Angle((((Slot(kind, index),), 1.0),))


def x(index: int) -> Angle:
    """Input feature ``index`` as an angle.

    >>> x(3).has_inputs
    True
    """
    return _slot("x", index)


def theta(index: int) -> Angle:
    """Trainable parameter ``index`` as an angle.

    >>> theta(3).has_inputs
    False
    """
    return _slot("theta", index)
