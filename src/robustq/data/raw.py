"""What a loader returns: arrays with an official or fixed split, before any scaling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq.errors import DataError, unknown_name

KINDS = ("tabular", "image", "text")


@dataclass(frozen=True, eq=False)
class RawData:
    """A data set as its source gives it.

    Attributes:
        name: its name in the catalogue.
        kind: ``"tabular"`` (float matrix), ``"image"`` (floats in [0, 1], ``(rows, height, width)``
            or with a trailing colour axis) or ``"text"`` (one string a row).
        x_train, x_test: the inputs.
        y_train, y_test: labels ``0 .. classes-1`` of int64.
        classes: class names, in label order.
        features: column names (tabular only).
        licence: what may be done with it.
        citation: where it comes from.
        split: how train and test were separated, and any caveat the report must repeat.
        groups: ids of rows of ``x_train`` that must stay together when it is split again.
    """

    name: str
    kind: str
    x_train: NDArray[Any]
    y_train: NDArray[np.int64]
    x_test: NDArray[Any]
    y_test: NDArray[np.int64]
    classes: tuple[str, ...]
    licence: str
    citation: str
    split: str
    features: tuple[str, ...] = field(default=())
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of data", self.kind, KINDS)
        for part, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            _check_part(f"{self.name} ({part})", self.kind, x, y, len(self.classes))

    @property
    def content_hash(self) -> str:
        """SHA-256 of every array, shape and class name."""
        digest = hashlib.sha256(repr((self.kind, self.classes)).encode())
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            if array.dtype.kind in "OU":
                digest.update("\x1f".join(map(str, array)).encode())
            else:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def only(self, classes: tuple[str, ...]) -> RawData:
        """The rows of some classes, relabelled in the order given."""
        for name in classes:
            if name not in self.classes:
                raise unknown_name(f"class of {self.name}", name, self.classes)
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise DataError(f"expected at least two different classes, got {list(classes)}")
        numbers = [self.classes.index(name) for name in classes]
        train, test = np.isin(self.y_train, numbers), np.isin(self.y_test, numbers)
        relabel = np.full(len(self.classes), -1)
        relabel[numbers] = range(len(numbers))
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=relabel[self.y_train[train]],
            x_test=self.x_test[test],
            y_test=relabel[self.y_test[test]],
            classes=classes,
            groups=None if self.groups is None else self.groups[train],
        )


def _check_part(where: str, kind: str, x: NDArray[Any], y: NDArray[Any], classes: int) -> None:
    if len(x) != len(y) or not len(x):
        raise DataError(f"{where}: expected as many labels as rows, got {len(y)} and {len(x)}")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{where}: expected integer labels (rows,), got {y.dtype} {y.shape}")
    if y.min() < 0 or y.max() >= classes:
        raise DataError(f"{where}: expected labels in 0..{classes - 1}, got {y.min()}..{y.max()}")
    if kind == "text":
        return
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{where}: expected floating-point features, got {x.dtype}")
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x.reshape(len(x), -1)).all(1))[0, 0])
        raise DataError(f"{where}: expected finite features, got NaN or infinity in row {row}")
