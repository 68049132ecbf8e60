"""What sets are worth: how often they hold the true label, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustq.errors import DataError
from robustq.stats import Interval, mean, proportion
from robustq.uncertainty.conformal.split import check_labels


@dataclass(frozen=True)
class Evaluation:
    """Of sets on labelled inputs; classes and sizes that do not occur are left out.

    Attributes:
        coverage: share of the sets that hold the true label.
        by_class: the same of the inputs of each class.
        by_size: the same of the sets of each size; far below the level, hard inputs pay for easy ones.
        size: labels a set.
        singletons: share of the sets with one label: an answer.
        empty: share without any.
    """

    coverage: Interval
    by_class: Mapping[int, Interval]
    by_size: Mapping[int, Interval]
    size: Interval
    singletons: Interval
    empty: Interval


def evaluate(sets: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Evaluation:
    """Coverage and size of sets ``(n, classes)`` of inputs with labels ``(n,)``, with intervals.

    Raises:
        DataError: on sets that are not of bool, or labels that are no class.

    >>> evaluation = evaluate([[True, False], [True, True]], [1, 0])
    >>> evaluation.coverage.value, evaluation.size.value, evaluation.by_size[1].value
    (0.5, 1.5, 0.0)
    """
    held, labels, covered = _checked(sets, y)
    sizes = held.sum(1)
    return Evaluation(
        coverage=proportion(covered, confidence),
        by_class=_by(labels, covered, confidence),
        by_size=_by(sizes, covered, confidence),
        size=mean(sizes, confidence, bounds=(0, held.shape[1])),
        singletons=proportion(sizes == 1, confidence),
        empty=proportion(sizes == 0, confidence),
    )


def coverage(sets: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Interval:
    """The share of sets ``(n, classes)`` that hold the true label ``(n,)``.

    >>> coverage([[True, False], [True, True]], [1, 0]).value
    0.5
    """
    return proportion(_checked(sets, y)[2], confidence)


def _by(groups: NDArray[np.int64], covered: NDArray[np.bool_], confidence: float) -> dict[int, Interval]:
    return {int(group): proportion(covered[groups == group], confidence) for group in np.unique(groups)}


def _checked(sets: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]:
    """Sets, labels, and whether each set holds its label."""
    held = np.asarray(sets)
    if held.ndim != 2 or held.dtype != np.bool_ or not len(held):
        raise DataError(f"expected sets (n >= 1, classes) of bool, got {held.dtype} {held.shape}")
    labels = check_labels(y, *held.shape)
    return held, labels, held[np.arange(len(labels)), labels]
