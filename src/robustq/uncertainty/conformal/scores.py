"""Non-conformity scores: how badly each label would fit an answer; and the scores by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.catalogue import Entry
from robustq.errors import DataError, SpecError

Array = NDArray[np.float64]
SUM = 1e-5  # how far probabilities in single precision may sum from one


class Score(Protocol):
    """What a conformal predictor asks of a score; a frozen dataclass whose fields are its options."""

    @property
    def name(self) -> str:
        """Its name in :data:`SCORES`."""
        ...

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """The score of every label, ``(n, classes)`` like the rows; the larger, the worse it fits."""
        ...


def check_rows(rows: ArrayLike) -> Array:
    """Answers ``(n, classes >= 2)`` as float64.

    Raises:
        DataError: on another shape, NaN or infinity.

    >>> check_rows([[0.5, 0.5]]).shape
    (1, 2)
    """
    values = np.asarray(rows, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise DataError(f"expected rows of shape (n, classes >= 2), got {values.shape}")
    if not np.isfinite(values).all():
        raise DataError("expected finite answers, got NaN or infinity")
    return values


def check_probabilities(rows: ArrayLike) -> Array:
    """The same of probabilities.

    Raises:
        DataError: where they leave [0, 1] or do not sum to one.

    >>> check_probabilities([[0.5, 0.6]])
    Traceback (most recent call last):
        ...
    robustq.errors.DataError: expected probabilities in [0, 1] that sum to one, got a row with sum 1.1
    """
    values = check_rows(rows)
    sums = values.sum(1)
    wrong = (np.abs(sums - 1) > SUM) | (values < 0).any(1) | (values > 1 + SUM).any(1)
    if wrong.any():
        raise DataError(
            f"expected probabilities in [0, 1] that sum to one, got a row with sum {sums[wrong.argmax()]:g}"
        )
    return values


@dataclass(frozen=True)
class LeastAmbiguous:
    """``1 - p_y``: the smallest sets on average, if the probabilities were right.

    Sadinle, Lei & Wasserman, "Least ambiguous set-valued classifiers", JASA 2019.

    >>> LeastAmbiguous().of([[0.75, 0.25]]).tolist()
    [[0.25, 0.75]]
    """

    name: ClassVar[str] = "lac"

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """From probabilities ``(n, classes)``."""
        return 1 - check_probabilities(rows)


@dataclass(frozen=True)
class Adaptive:
    """The probability of all labels likelier than ``y``, and a share ``1 - u`` of its own.

    Romano, Sesia & Candes, "Classification with valid and adaptive coverage", NeurIPS 2020.

    Args:
        randomised: ``u`` is uniform in [0, 1], one an input, which makes coverage exact and some sets
            empty; otherwise 0.

    >>> Adaptive(randomised=False).of([[0.2, 0.5, 0.3]]).round(12).tolist()
    [[1.0, 0.5, 0.8]]
    """

    randomised: bool = True
    name: ClassVar[str] = "aps"

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """From probabilities ``(n, classes)``; SpecError if it is randomised and there is no generator."""
        rows = check_probabilities(rows)
        upto, _ = _ranked(rows)
        return upto - rows * _draws(self, self.randomised, len(rows), generator)


@dataclass(frozen=True)
class RegularisedAdaptive:
    """:class:`Adaptive` and a penalty on every label beyond the first few (Angelopoulos et al., ICLR 2021).

    Args:
        k_reg: so many labels are free.
        penalty: what each further one adds; ``lambda`` in the paper.
        randomised: as in :class:`Adaptive`.

    >>> RegularisedAdaptive(randomised=False, penalty=0.5).of([[0.2, 0.5, 0.3]]).round(12).tolist()
    [[2.0, 0.5, 1.3]]
    """

    k_reg: int = 1
    penalty: float = 0.01
    randomised: bool = True
    name: ClassVar[str] = "raps"

    def __post_init__(self) -> None:
        if self.k_reg < 0 or not 0 <= self.penalty < math.inf:
            raise SpecError(f"raps: expected k_reg >= 0 and penalty >= 0, got {self.k_reg}, {self.penalty}")

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """From probabilities ``(n, classes)``; SpecError if it is randomised and there is no generator."""
        rows = check_probabilities(rows)
        upto, rank = _ranked(rows)
        own = rows * _draws(self, self.randomised, len(rows), generator)
        return upto - own + self.penalty * np.maximum(0, rank - self.k_reg)


@dataclass(frozen=True)
class Margin:
    """``max_{j != y} p_j - p_y``: how far ``y`` is from being answered.

    >>> Margin().of([[0.5, 0.25, 0.25]]).tolist()
    [[-0.25, 0.25, 0.25]]
    """

    name: ClassVar[str] = "margin"

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """From probabilities ``(n, classes)``."""
        return margins(check_probabilities(rows))


@dataclass(frozen=True)
class LogitMargin:
    """``max_{j != y} f_j - f_y`` of the logits themselves: the score that certificates can speak about.

    >>> LogitMargin().of([[2.0, -1.0]]).tolist()
    [[-3.0, 3.0]]
    """

    name: ClassVar[str] = "logit-margin"

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """From logits ``(n, classes)``."""
        return margins(check_rows(rows))


@dataclass(frozen=True)
class Nearest:
    """How far from the class ``y`` one has to look to see a share of the measured outcomes.

    The distance to the ``k``-th nearest of ``M`` outcomes (after Park & Simeone, IEEE Trans. Quantum Eng. 2024).
    It makes sense where classes are ordered and the distance of two is the difference of their numbers.

    Args:
        share: ``k / M``, in (0, 1]; the default is ``sqrt(M) / M`` of 100 shots.

    >>> Nearest(0.25).of([[0.5, 0.5, 0.0, 0.0]]).tolist()
    [[0.0, 0.0, 1.0, 2.0]]
    """

    share: float = 0.1
    name: ClassVar[str] = "nearest"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise SpecError(f"nearest: expected a share in (0, 1], got {self.share}")

    def of(self, rows: ArrayLike, generator: np.random.Generator | None = None, /) -> Array:
        """From relative frequencies of outcomes ``(n, classes)``."""
        rows = check_probabilities(rows)
        classes = rows.shape[1]
        apart = np.abs(np.arange(classes)[:, None] - np.arange(classes))  # (seen, candidate)
        # by distance, row and candidate
        within = np.stack([rows @ (apart <= d) for d in range(classes)])
        ranks: Array = (within >= self.share - SUM).argmax(0).astype(np.float64)
        return ranks


def margins(rows: Array) -> Array:
    """The largest other entry minus each, shape of ``rows``.

    >>> margins(np.array([[1.0, 4.0, 2.0]])).tolist()
    [[3.0, -2.0, 2.0]]
    """
    order = np.sort(rows, axis=1)
    best, second = order[:, -1:], order[:, -2:-1]
    first = np.arange(rows.shape[1]) == rows.argmax(1)[:, None]
    return np.where(first, second, best) - rows


def _ranked(rows: Array) -> tuple[Array, NDArray[np.int64]]:
    """Per label the probability down to it and its place from 1, likeliest first, lowest of equals."""
    order = np.argsort(-rows, axis=1, kind="stable")
    # the argsort of an order is the rank of each label
    place = np.argsort(order, axis=1, kind="stable")
    upto = np.cumsum(np.take_along_axis(rows, order, axis=1), axis=1)
    upto[:, -1] = 1.0  # rounding would make ties of the last label a matter of chance
    return np.take_along_axis(upto, place, axis=1), place + 1


def _draws(score: Score, randomised: bool, count: int, generator: np.random.Generator | None) -> Array:
    """One ``u`` an input, ``(n, 1)``."""
    if not randomised:
        return np.zeros((count, 1))
    if generator is None:
        raise SpecError(f"{score.name}: expected a generator for a randomised score, got None")
    drawn: Array = generator.random((count, 1))
    return drawn


@dataclass(frozen=True, kw_only=True)
class ScoreEntry(Entry[Score]):
    """One score, and what it is computed from."""

    of: Literal["probabilities", "logits", "frequencies of ordered outcomes"]


SCORES: Mapping[str, ScoreEntry] = {
    "lac": ScoreEntry(
        LeastAmbiguous,
        "one minus the probability of the label",
        "Sadinle, Lei & Wasserman, JASA 2019",
        of="probabilities",
    ),
    "aps": ScoreEntry(
        Adaptive, "the probability of the likelier labels", "Romano, Sesia & Candes, NeurIPS 2020", of="probabilities"
    ),
    "raps": ScoreEntry(
        RegularisedAdaptive,
        "the same and a penalty on large sets",
        "Angelopoulos et al., ICLR 2021",
        of="probabilities",
    ),
    "margin": ScoreEntry(Margin, "the best other probability minus that of the label", "-", of="probabilities"),
    "logit-margin": ScoreEntry(LogitMargin, "the same of logits; the one for certified sets", "-", of="logits"),
    "nearest": ScoreEntry(
        Nearest,
        "distance to the k-th nearest measured outcome",
        "Park & Simeone, IEEE Trans. Quantum Eng. 2024",
        of="frequencies of ordered outcomes",
    ),
}
