"""From raw data to model inputs in [0, 1]: reduce, then scale, fitted on the training part only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robustq.data.raw import RawData
from robustq.errors import DataError, unknown_name
from robustq.seeding import numpy_generator

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs in the unit box with labels, and the record of how they were made.

    Attributes:
        x_train, x_test: ``(rows, features)`` float64 in [0, 1].
        y_train, y_test: int64 labels.
        classes: class names in label order.
        features: a name for each column.
        image_shape: how to show a row as an image, if it is one.
        record: everything a reader needs to make the same arrays again, JSON-able.
    """

    name: str
    x_train: Array
    y_train: NDArray[np.int64]
    x_test: Array
    y_test: NDArray[np.int64]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    image_shape: tuple[int, ...] | None
    record: Mapping[str, Any]

    def tensors(self, part: str, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
        """``(x, y)`` of ``"train"`` or ``"test"`` as tensors, inputs still inside [0, 1]."""
        if part not in ("train", "test"):
            raise unknown_name("part", part, ("train", "test"))
        x, y = (self.x_train, self.y_train) if part == "train" else (self.x_test, self.y_test)
        return torch.tensor(x, dtype=dtype).clamp(0, 1), torch.tensor(y)


FEWEST = 5  # rows a subsample keeps of every class, however rare, if there are as many
REDUCTIONS = ("auto", "none", "pca", "select", "resize", "svd")


def prepare(
    raw: RawData,
    *,
    reduction: str = "auto",
    features: int | None = None,
    train_size: int | None = None,
    test_size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Subsample, reduce and scale ``raw`` into the unit box.

    Args:
        raw: what a loader returned.
        reduction: ``"pca"`` (after standardising), ``"select"`` (highest ANOVA F), ``"resize"``
            (images, area average to a square), ``"svd"`` (text: TF-IDF, then truncated SVD),
            ``"none"``, or ``"auto"``: resize for images, svd for text, pca for tables.
        features: how many columns to keep; for ``"resize"`` the number of pixels, a square.
        train_size: keep at most so many training rows, stratified by class.
        test_size: keep at most so many test rows, stratified by class.
        seed: chooses the rows kept.

    >>> from robustq.data.bundled import iris
    >>> prepare(iris(), features=2).x_train.shape
    (120, 2)
    """
    if reduction not in REDUCTIONS:
        raise unknown_name("reduction", reduction, REDUCTIONS)
    chosen = _auto(raw, features) if reduction == "auto" else reduction
    train = _subsample(raw.y_train, train_size, seed, "train")
    test = _subsample(raw.y_test, test_size, seed, "test")
    x_train, x_test = raw.x_train[train], raw.x_test[test]
    y_train, y_test = raw.y_train[train], raw.y_test[test]
    a, b, names, shape = _reduce(raw, chosen, features, x_train, y_train, x_test)
    a, b, outside = _scale(a, b, image=shape is not None)
    record = {
        "name": raw.name,
        "content_sha256": raw.content_hash,
        "licence": raw.licence,
        "citation": raw.citation,
        "split": raw.split,
        "classes": list(raw.classes),
        "rows": {"train": len(a), "test": len(b)},
        "balance": {
            "train": np.bincount(y_train, minlength=len(raw.classes)).tolist(),
            "test": np.bincount(y_test, minlength=len(raw.classes)).tolist(),
        },
        "reduction": chosen,
        "features": list(names),
        "scaling": "pixels as they are" if shape else "min-max on train; test clipped to [0, 1]",
        "test_values_clipped": outside,
        "subsample_seed": seed,
        "prepared_sha256": hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest(),
    }
    return Dataset(raw.name, a, y_train, b, y_test, raw.classes, names, shape, record)


def _auto(raw: RawData, features: int | None) -> str:
    if raw.kind == "text":
        return "svd"
    if features is None:
        return "none"
    if raw.kind == "image":
        return "resize" if int(features**0.5) ** 2 == features else "pca"
    return "none" if features == raw.x_train.shape[1] else "pca"


def _subsample(y: NDArray[np.int64], size: int | None, seed: int, part: str) -> NDArray[np.int64]:
    """Row numbers to keep, in their original order: a few of every class, the rest in proportion."""
    if size is None or size >= len(y):
        return np.arange(len(y))
    if size < len(np.unique(y)):
        raise DataError(f"expected {part}_size >= {len(np.unique(y))} (one a class), got {size}")
    order = numpy_generator(seed, "subsample", part).permutation(len(y))
    rank = np.empty(len(y))  # place of each row within its class, as a share of the class
    for label in np.unique(y):
        mine = order[y[order] == label]
        rank[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
        rank[mine[:FEWEST]] = np.arange(len(mine[:FEWEST])) * 1e-9
    return np.sort(np.argsort(rank, kind="stable")[:size])


Reduced = tuple[Array, Array, tuple[str, ...], tuple[int, ...] | None]


def _reduce(
    raw: RawData, how: str, features: int | None, x: NDArray[Any], y: NDArray[np.int64], x_test: NDArray[Any]
) -> Reduced:
    if (raw.kind == "text") != (how == "svd"):
        raise DataError(f"{raw.name}: expected reduction 'svd' for text and only there, got {how!r}")
    if how == "svd":
        return _svd(x, x_test, features or 8)
    if how == "resize":
        return _resize(raw, x, x_test, features)
    shape = x.shape[1:] if raw.kind == "image" else None
    flat, flat_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
    width = flat.shape[1]
    names = raw.features or tuple(f"x{k}" for k in range(width))
    if how == "none":
        if features is not None and features != width:
            raise DataError(f"reduction 'none': expected features = {width}, got {features}")
        return flat, flat_test, names, shape
    if features is None or not 1 <= features <= min(width, len(x)):
        raise DataError(f"expected features in 1..{min(width, len(x))}, got {features}")
    reducer = _pca if how == "pca" else _select
    return reducer(flat, y, flat_test, features, names)


def _pca(x: Array, y: Any, x_test: Array, features: int, names: tuple[str, ...]) -> Reduced:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), PCA(features, svd_solver="covariance_eigh")).fit(x)
    columns = tuple(f"PC{k + 1}" for k in range(features))
    return pipeline.transform(x), pipeline.transform(x_test), columns, None


def _select(x: Array, y: Any, x_test: Array, features: int, names: tuple[str, ...]) -> Reduced:
    from sklearn.feature_selection import f_classif

    varying = x.std(0) > 0
    score = np.full(x.shape[1], -np.inf)
    score[varying] = f_classif(x[:, varying], y)[0]
    chosen = np.sort(np.argsort(-score, kind="stable")[:features])
    return x[:, chosen], x_test[:, chosen], tuple(names[k] for k in chosen), None


def _resize(raw: RawData, x: Array, x_test: Array, features: int | None) -> Reduced:
    if raw.kind != "image":
        raise DataError(f"{raw.name}: expected an image for reduction 'resize', got {raw.kind}")
    side = int((features or 0) ** 0.5)
    if side < 1 or side * side != features:
        raise DataError(f"reduction 'resize': expected a square number of pixels, got {features}")
    names = tuple(f"pixel {r},{c}" for r in range(side) for c in range(side))
    return _shrink(x, side), _shrink(x_test, side), names, (side, side)


def _shrink(images: Array, side: int) -> Array:
    """Area average to ``side x side``; colours are averaged first."""
    grey = images.mean(-1) if images.ndim == 4 else images
    pooled = torch.nn.functional.adaptive_avg_pool2d(torch.tensor(grey)[:, None], side)
    return pooled.reshape(len(images), -1).numpy()


def _svd(x: NDArray[Any], x_test: NDArray[Any], features: int) -> Reduced:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words=None)
    pipeline = make_pipeline(words, TruncatedSVD(features, random_state=0)).fit(x)
    columns = tuple(f"SVD{k + 1}" for k in range(features))
    return pipeline.transform(x), pipeline.transform(x_test), columns, None


def _scale(a: Array, b: Array, *, image: bool) -> tuple[Array, Array, int]:
    """Unit box: images stay as they are; other columns min-max on train, test clipped."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if image:
        if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1:
            raise DataError("expected pixels in [0, 1], got others")
        return a, b, 0
    low, high = a.min(0), a.max(0)
    span = np.where(high > low, high - low, 1.0)
    scaled = (b - low) / span
    outside = int(((scaled < 0) | (scaled > 1)).sum())
    return np.clip((a - low) / span, 0, 1), np.clip(scaled, 0, 1), outside
