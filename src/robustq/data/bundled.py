"""Real data that ships with scikit-learn: no download, no licence question."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustq.data.raw import RawData
from robustq.data.splits import split_together

_SPLIT = "ours: 80/20, stratified, train_test_split(random_state=0), equal rows kept on one side"


def _tabular(name: str, bunch: Any, citation: str) -> RawData:
    x, y = np.asarray(bunch.data, float), np.asarray(bunch.target, np.int64)
    train, test = split_together([row.tobytes() for row in x], y)
    return RawData(
        name,
        "tabular",
        x[train],
        y[train],
        x[test],
        y[test],
        classes=tuple(map(str, bunch.target_names)),
        features=tuple(map(str, bunch.feature_names)),
        licence="CC BY 4.0 (UCI), bundled with scikit-learn",
        citation=citation,
        split=_SPLIT,
    )


def breast_cancer() -> RawData:
    """Wisconsin diagnostic breast cancer: 569 x 30, malignant or benign."""
    from sklearn.datasets import load_breast_cancer

    return _tabular("breast-cancer", load_breast_cancer(), "Street, Wolberg & Mangasarian 1993")


def wine() -> RawData:
    """Wine recognition: 178 x 13, three cultivars."""
    from sklearn.datasets import load_wine

    return _tabular("wine", load_wine(), "Aeberhard & Forina 1991")


def iris() -> RawData:
    """Iris: 150 x 4, three species."""
    from sklearn.datasets import load_iris

    return _tabular("iris", load_iris(), "Fisher 1936")


def digits() -> RawData:
    """Optical recognition of handwritten digits: 1797 grey images of 8 x 8."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y = bunch.images / 16.0, np.asarray(bunch.target, np.int64)
    train, test = split_together([row.tobytes() for row in x], y)
    return RawData(
        "digits",
        "image",
        x[train],
        y[train],
        x[test],
        y[test],
        classes=tuple(map(str, bunch.target_names)),
        licence="CC BY 4.0 (UCI), bundled with scikit-learn",
        citation="Alpaydin & Kaynak 1998",
        split=_SPLIT,
    )
