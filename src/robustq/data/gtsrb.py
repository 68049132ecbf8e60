"""GTSRB: German traffic signs, one photograph of each physical sign."""

from __future__ import annotations

import numpy as np

from robustq.data.files import DataFile
from robustq.data.raw import RawData

GTSRB = DataFile(
    "autonomous/gtsrb32_rgb_subset.npz", "2b3fb4dc00d9259d32b0d5d1fd7ab9366cecacc72af0537949c550b3dca9e3c0"
)

_SIGNS = (
    "speed limit 20",
    "speed limit 30",
    "speed limit 50",
    "speed limit 60",
    "speed limit 70",
    "speed limit 80",
    "end of speed limit 80",
    "speed limit 100",
    "speed limit 120",
    "no passing",
    "no passing for lorries",
    "right of way at the next junction",
    "priority road",
    "yield",
    "stop",
    "no vehicles",
    "no lorries",
    "no entry",
    "general caution",
    "curve left",
    "curve right",
    "double curve",
    "bumpy road",
    "slippery road",
    "road narrows on the right",
    "road works",
    "traffic signals",
    "pedestrians",
    "children crossing",
    "cyclists crossing",
    "ice or snow",
    "wild animals",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "ahead only",
    "ahead or right",
    "ahead or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no passing",
    "end of no passing for lorries",
)

_SPLIT = (
    "official train and test, thinned: one frame of each of the 1,307 training tracks (a track is "
    "one physical sign) and every tenth test image (1,263); whole frames shrunk to 32 x 32"
)


def gtsrb() -> RawData:
    """German traffic signs: 1,307 / 1,263 colour images of 32 x 32, 43 classes, official split."""
    with np.load(GTSRB.fetch(), allow_pickle=False) as parts:
        y_train = parts["y_train"].astype(np.int64)
        return RawData(
            "gtsrb",
            "image",
            parts["x_train"] / 255.0,
            y_train,
            parts["x_test"] / 255.0,
            parts["y_test"].astype(np.int64),
            classes=_SIGNS,
            licence="no formal licence known; used for research, do not redistribute",
            citation="Stallkamp, Schlipsing, Salmen & Igel, Neural Networks 32 (2012)",
            split=_SPLIT,
            # tracks are counted from zero in each class, so only the pair names a sign
            groups=1000 * y_train + parts["train_track"],
        )
