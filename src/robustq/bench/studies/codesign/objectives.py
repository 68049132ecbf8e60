"""What a co-design search can improve: a number of a trained architecture, and the gap between two.

Tables are ``(seeds, inputs)``, zeros and ones or shares of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from robustq import stats
from robustq.bench.stages import Table
from robustq.stats import Interval


@dataclass(frozen=True, eq=False)
class Performance:
    """What was measured on one architecture, all seeds; None where it was not asked for.

    Attributes:
        gates: two-qubit gates, those that load amplitudes included.
        correct: clean inputs classified correctly.
        robust: of these, not flipped by the attack.
        certified: correct, and proved to stay so.
        noisy: share of the noise levels at which the input is classified correctly.
        notes: what a reader of the numbers must know.
    """

    gates: int
    correct: Table
    robust: Table | None = None
    certified: Table | None = None
    noisy: Table | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Objective:
    """One objective.

    Attributes:
        label: what tables and figures call it.
        summary: one sentence.
        needs: the measurement it is made of: ``correct``, ``robust``, ``certified``, ``noisy`` or ``gates``.
        higher: whether more is better.
        measured: the number with its interval.
        gap: first minus second, positive where the first is *better*.
    """

    label: str
    summary: str
    needs: str
    higher: bool
    measured: Callable[[Performance, float], Interval]
    gap: Callable[[Performance, Performance, float], Interval]


def table(one: Performance, name: str) -> Table:
    """One of the tables, which must have been measured."""
    values = getattr(one, name)
    assert values is not None, name
    return np.asarray(values, dtype=np.float64)


def _share(name: str, label: str, summary: str) -> Objective:
    """The mean of one table of zeros and ones."""
    return Objective(
        label,
        summary,
        name,
        True,
        lambda o, confidence: stats.proportion(table(o, name), confidence),
        lambda a, b, confidence: stats.difference(table(a, name), table(b, name), confidence),
    )


def resilience_gap(one: Performance, two: Performance, confidence: float) -> Interval:
    """The difference of two ratios of means on the same inputs.

    Both ratios are linearised (Cochran, *Sampling Techniques*, ch. 6): ``r + (noisy - r correct) / mean
    correct`` has the ratio's mean and, to first order, its variance; Student's interval of their difference.

    >>> half, full = np.array([[1, 0, 1, 0.0]]), np.ones((1, 4))
    >>> a, b = Performance(2, full, noisy=full), Performance(2, full, noisy=half)
    >>> resilience_gap(a, b, 0.95).value
    0.5
    """
    return stats.mean(_linearised(one) - _linearised(two), confidence)


def _linearised(one: Performance) -> Table:
    noisy, base = table(one, "noisy"), float(one.correct.mean())
    if base <= 0:
        return np.ones_like(noisy)
    ratio = float(noisy.mean()) / base
    return ratio + (noisy - ratio * one.correct) / base


def _known(count: int, confidence: float) -> Interval:
    """A count has no interval."""
    return Interval(float(count), float(count), float(count), 0, 0, confidence)


OBJECTIVES: Mapping[str, Objective] = {
    "clean": _share("correct", "Clean accuracy", "share of inputs classified correctly"),
    "robust": _share(
        "robust", "Robust accuracy", "share classified correctly and not flipped by the attack at the reference eps"
    ),
    "certified": _share(
        "certified", "Certified accuracy", "share classified correctly and proved to stay so at the reference eps"
    ),
    "noise": Objective(
        "Noisy accuracy",
        "accuracy under gate noise with shots, averaged over the sweep",
        "noisy",
        True,
        lambda o, confidence: stats.mean(table(o, "noisy"), confidence, bounds=(0.0, 1.0)),
        lambda a, b, confidence: stats.difference(table(a, "noisy"), table(b, "noisy"), confidence),
    ),
    "noise-resilience": Objective(
        "Noise resilience",
        "noisy over clean accuracy; may pass 1",
        "noisy",
        True,
        lambda o, confidence: stats.relative(table(o, "noisy"), o.correct, confidence),
        resilience_gap,
    ),
    "two-qubit-gates": Objective(
        "Two-qubit gates",
        "of the circuit; loading n qubits of amplitudes counts 2^n - 2",
        "gates",
        False,
        lambda o, confidence: _known(o.gates, confidence),
        lambda a, b, confidence: _known(b.gates - a.gates, confidence),
    ),
}
