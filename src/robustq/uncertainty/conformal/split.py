"""Split conformal prediction: sets of labels that hold the true one as often as was asked, whatever the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.catalogue import resolve
from robustq.errors import DataError, SpecError
from robustq.stats import Interval
from robustq.uncertainty.conformal.scores import SCORES, Array, LeastAmbiguous, Score

GROUPS = ("none", "class")


def check_alpha(alpha: float) -> Fraction:
    """The share of sets that may miss, exactly as written (0.1 is a tenth).

    Raises:
        SpecError: unless it lies in (0, 1).

    >>> check_alpha(0.1)
    Fraction(1, 10)
    """
    if not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise SpecError(f"expected alpha in (0, 1), got {alpha}")
    # as written, not as stored: ceil((n + 1)(1 - alpha)) must not depend on binary fractions
    return Fraction(repr(float(alpha)))


def rows_needed(alpha: float) -> int:
    """The fewest calibration rows for which a finite threshold keeps the level, ``ceil(1 / alpha) - 1``.

    >>> rows_needed(0.1), rows_needed(0.05)
    (9, 19)
    """
    return math.ceil(1 / check_alpha(alpha)) - 1


def place(count: int, alpha: float) -> int:
    """Which of so many sorted scores is the threshold: ``ceil((n + 1)(1 - alpha))``, from 1.

    Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random World* (2005), proposition 4.1.

    Raises:
        DataError: if there are too few, saying how many would do.

    >>> place(9, 0.1), place(100, 0.1)
    (9, 91)
    """
    needed = rows_needed(alpha)
    if count < needed:
        raise DataError(f"expected at least {needed} calibration rows for alpha = {alpha:g}, got {count}")
    return math.ceil((count + 1) * (1 - check_alpha(alpha)))


def guarantee(count: int, alpha: float, confidence: float = 0.95) -> Interval:
    """Where the coverage of one calibration lies: it is ``Beta(n + 1 - l, l)``, ``l = floor((n + 1) alpha)``.

    Over the draw of the calibration rows, for scores without ties; ties only raise it (Vovk, ACML 2012,
    proposition 2). The value is the mean.

    >>> interval = guarantee(1000, 0.1)
    >>> round(interval.value, 4), round(interval.low, 3), round(interval.high, 3)
    (0.9001, 0.881, 0.918)
    """
    from scipy.stats import beta

    if not 0 < confidence < 1:
        raise SpecError(f"expected confidence in (0, 1), got {confidence}")
    rank = place(count, alpha)
    spread = beta(rank, count + 1 - rank)
    low, high = (float(spread.ppf((1 + side * confidence) / 2)) for side in (-1, 1))
    return Interval(rank / (count + 1), low, high, count, 1, confidence)


@dataclass(frozen=True)
class Conformal:
    """Thresholds on the score of every class, ready for new answers of the same model.

    Attributes:
        score: what is compared with the thresholds.
        alpha: the share of sets that may miss the true label.
        groups: what coverage is kept of: ``"none"``, all inputs together; ``"class"``, each class by itself
            (Mondrian; Vovk 2012).
        thresholds: the largest score that is let in, one a class.
        counts: calibration rows, one a class.

    >>> conformal = Conformal(LeastAmbiguous(), 0.1, "none", (0.6, 0.6), (10, 10))
    >>> conformal.sets([[0.9, 0.1], [0.5, 0.5]]).tolist()
    [[True, False], [True, True]]
    >>> Conformal.from_data(conformal.to_data()) == conformal
    True
    """

    score: Score
    alpha: float
    groups: str
    thresholds: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        _check_groups(self.groups)
        if len(self.thresholds) != len(self.counts) or len(self.counts) < 2:
            raise DataError(
                f"expected a threshold and a count for each of >= 2 classes, got {self.thresholds} and {self.counts}"
            )
        if not all(math.isfinite(t) for t in self.thresholds):
            raise DataError(f"expected finite thresholds, got {self.thresholds}")

    def sets(self, rows: ArrayLike, generator: np.random.Generator | None = None) -> NDArray[np.bool_]:
        """Which labels each set holds, ``(n, classes)`` of bool.

        Args:
            rows: what the score is of, probabilities or logits ``(n, classes)``.
            generator: the randomness of a randomised score.

        Raises:
            DataError: on another number of classes, NaN, or no probabilities where they are expected.
        """
        scores = self.score.of(rows, generator)
        _check_width(scores, len(self.thresholds))
        return scores <= np.asarray(self.thresholds)

    def guarantee(self, confidence: float = 0.95) -> tuple[Interval, ...]:
        """Where the true coverage lies, one interval a class (the same without groups); see :func:`guarantee`."""
        counts = self.counts if self.groups == "class" else [sum(self.counts)] * len(self.counts)
        return tuple(guarantee(count, self.alpha, confidence) for count in counts)

    def widened(self, slack: float) -> Conformal:
        """The same with every threshold higher by ``slack``.

        Its sets cover wherever the scores may rise by no more than that: an input moved within ``eps`` where
        ``slack / eps`` is a Lipschitz constant, a device as uncertain as ``model.uncertainty`` says
        (scores are then ``logit-margin``).

        Raises:
            SpecError: unless ``slack >= 0`` and finite.
        """
        if not 0 <= slack < math.inf:
            raise SpecError(f"expected slack >= 0 and finite, got {slack}")
        return replace(self, thresholds=tuple(t + slack for t in self.thresholds))

    def to_data(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {
            "score": self.score.name,
            "options": asdict(self.score),  # type: ignore[call-overload]  # a score is a dataclass
            "alpha": self.alpha,
            "groups": self.groups,
            "thresholds": list(self.thresholds),
            "counts": list(self.counts),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Conformal:
        """What :meth:`to_data` wrote.

        Raises:
            DataError: if something is missing or of the wrong type; SpecError on an unknown score.
        """
        try:
            score = resolve("score", data["score"], SCORES).make(**data["options"])
            return cls(
                score=score,
                alpha=float(data["alpha"]),
                groups=data["groups"],
                thresholds=tuple(float(t) for t in data["thresholds"]),
                counts=tuple(int(n) for n in data["counts"]),
            )
        except (KeyError, TypeError) as failure:
            raise DataError(f"expected a saved conformal predictor, got {failure}") from failure


def calibrate(
    rows: ArrayLike,
    y: ArrayLike,
    *,
    alpha: float,
    score: Score | None = None,
    groups: str = "none",
    generator: np.random.Generator | None = None,
) -> Conformal:
    """Thresholds from answers to rows that the model was not trained on.

    A further row, exchangeable with these, lies in its set with probability ``1 - alpha`` at least, whatever
    the model and its noise are; so do the shots of both have to be drawn alike.

    Args:
        rows: what the score is of, probabilities or logits ``(n, classes)``.
        y: labels ``(n,)``.
        alpha: the share of sets that may miss.
        score: None for :class:`LeastAmbiguous`.
        groups: ``"none"`` or ``"class"``.
        generator: the randomness of a randomised score.

    Raises:
        DataError: on labels that are no class, NaN, or fewer rows than the level needs, saying how many
            would do; SpecError on an ``alpha`` or groups that are none.

    >>> rows = np.linspace(0.5, 1.0, 19)[:, None] * [1, -1] + [0, 1]
    >>> round(calibrate(rows, np.zeros(19, int), alpha=0.05).thresholds[0], 12)
    0.5
    """
    chosen = LeastAmbiguous() if score is None else score
    scores = chosen.of(rows, generator)
    labels = check_labels(y, *scores.shape)
    own = scores[np.arange(len(labels)), labels]
    thresholds = by_group(groups, labels, scores.shape[1], lambda part: _kept(own[part], alpha))
    counts = np.bincount(labels, minlength=scores.shape[1])
    return Conformal(chosen, alpha, groups, thresholds, tuple(counts.tolist()))


def by_group(groups: str, labels: NDArray[np.int64], classes: int, threshold: Any) -> tuple[float, ...]:
    """One threshold a class, of all rows or of its own: ``threshold`` is a function of row numbers.

    Raises:
        DataError: naming the class whose rows are too few.

    >>> by_group("class", np.array([0, 1, 1]), 2, len)
    (1, 2)
    """
    _check_groups(groups)
    if groups == "none":
        return (threshold(np.arange(len(labels))),) * classes
    thresholds = []
    for label in range(classes):
        try:
            thresholds.append(threshold(np.flatnonzero(labels == label)))
        except DataError as failure:
            raise DataError(f"class {label}: {failure}") from failure
    return tuple(thresholds)


def check_labels(y: ArrayLike, count: int, classes: int) -> NDArray[np.int64]:
    """Labels ``(count,)`` in ``0..classes - 1``.

    Raises:
        DataError: on others.

    >>> check_labels([0, 1], 2, 2).tolist()
    [0, 1]
    """
    labels = np.asarray(y)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise DataError(f"expected labels ({count},) of integers, got {labels.dtype} {labels.shape}")
    if count and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(f"expected labels in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
    return labels.astype(np.int64)


def _kept(scores: Array, alpha: float) -> float:
    return float(np.sort(scores)[place(len(scores), alpha) - 1])


def _check_groups(groups: str) -> None:
    if groups not in GROUPS:
        raise SpecError(f"expected groups as one of {', '.join(GROUPS)}, got {groups!r}")


def _check_width(scores: Array, classes: int) -> None:
    if scores.shape[1] != classes:
        raise DataError(f"expected answers about {classes} classes, got {scores.shape[1]}")
