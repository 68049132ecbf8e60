"""Numbers as a page prints them."""

from __future__ import annotations

from robustq.bench.estimates import Estimate


def percent(value: float) -> str:
    """A share as a percentage with one digit.

    >>> percent(0.9532).split()
    ['95.3', '%']
    """
    return f"{100 * value:.1f}\u00a0%"


def interval(estimate: Estimate) -> str:
    """The interval of a share, in percent."""
    return f"{100 * estimate.low:.1f}\u2009–\u2009{100 * estimate.high:.1f}\u00a0%"


def gain(estimate: Estimate) -> str:
    """A difference in points with its interval.

    >>> gain(Estimate(value=0.012, low=-0.01, high=0.03, inputs=10, seeds=1))
    '+1.2 [-1.0, +3.0]'
    """
    return f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"


def script_safe(text: str | None) -> str:
    """JSON that can stand inside a script element whatever names the data holds."""
    return (text or "").replace("<", "\\u003c")
