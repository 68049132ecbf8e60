"""The fixed splits of sets that have no official one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def split_fixed(x: np.ndarray, y: np.ndarray, test: float = 0.2) -> tuple[Any, Any, Any, Any]:
    """The fixed stratified split of a set without an official one."""
    from sklearn.model_selection import train_test_split

    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=test, stratify=y, random_state=0)
    return x_train, np.asarray(y_train, np.int64), x_test, np.asarray(y_test, np.int64)


def split_together(rows: Sequence[Hashable], y: Labels) -> tuple[list[int], list[int]]:
    """Row numbers of the fixed 80/20 split of the distinct rows; copies go with the first."""
    members: dict[Hashable, list[int]] = {}
    for number, row in enumerate(rows):
        members.setdefault(row, []).append(number)
    copies = list(members.values())
    first = np.array([numbers[0] for numbers in copies])
    train, _, test, _ = split_fixed(np.arange(len(copies)), y[first])
    return [n for k in train for n in copies[k]], [n for k in test for n in copies[k]]
