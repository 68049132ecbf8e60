"""Plus-Minus: four line figures on noisy 16 x 16 images, made to study attribution maps."""

from __future__ import annotations

import numpy as np

from robustq.data.files import DataFile
from robustq.data.raw import RawData

PLUS_MINUS = DataFile("images/plus_minus.npz", "61ecf07629324751b4468c3c30e61fbb9776df972a5cfdec17aa2b55cca9d98d")


def plus_minus() -> RawData:
    """Plus-Minus: 1,000 / 200 grey images of 16 x 16, four balanced figures, official split."""
    with np.load(PLUS_MINUS.fetch(), allow_pickle=False) as parts:
        return RawData(
            "plus-minus",
            "image",
            parts["x_train"].astype(float),
            parts["y_train"].astype(np.int64),
            parts["x_test"].astype(float),
            parts["y_test"].astype(np.int64),
            classes=("minus", "plus", "right-tee", "left-tee"),
            licence="CC BY-SA 4.0",
            citation="Wendlinger, Tscharke & Debus, arXiv:2404.16154",
            split="official: 1,000 train, 200 test; synthetic and linearly separable, "
            "so too easy to rank models by accuracy",
        )
