"""Numbers as a page or a terminal prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustq.bench.estimates import Estimate

if TYPE_CHECKING:
    from robustq.bench.matrix import Cell


def percent(value: float) -> str:
    """A share as a percentage with one digit.

    >>> percent(0.9532).split()
    ['95.3', '%']
    """
    return f"{100 * value:.1f}\u00a0%"


def interval(estimate: Estimate) -> str:
    """The interval of a share, in percent."""
    return f"{100 * estimate.low:.1f}\u2009–\u2009{100 * estimate.high:.1f}\u00a0%"


def bounds(estimate: Estimate | Cell) -> str:
    """The interval of a share, in percent and without the sign, to stand in brackets.

    >>> bounds(Estimate(value=0.2, low=0.063, high=0.547, inputs=10, seeds=1))
    '6.3, 54.7'
    """
    return f"{100 * estimate.low:.1f}, {100 * estimate.high:.1f}"


def share(estimate: Estimate | None) -> str:
    """A share with its interval, in percent; a dash where there is none.

    >>> share(Estimate(value=0.2, low=0.063, high=0.547, inputs=10, seeds=1))
    '20.0 [6.3, 54.7]'
    """
    return "–" if estimate is None else f"{100 * estimate.value:.1f} [{bounds(estimate)}]"


def points(value: float) -> str:
    """A difference in percentage points.

    >>> points(0.1)
    '+10.0'
    """
    return f"{100 * value:+.1f}"


def gain(estimate: Estimate) -> str:
    """A difference in points with its interval.

    >>> gain(Estimate(value=0.012, low=-0.01, high=0.03, inputs=10, seeds=1))
    '+1.2 [-1.0, +3.0]'
    """
    return f"{points(estimate.value)} [{points(estimate.low)}, {points(estimate.high)}]"


def duration(seconds: float) -> str:
    """A duration with three digits.

    >>> duration(0.00123)
    '1.23 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
