"""PneumoniaMNIST: chest X-rays of children, rebuilt from public copies of the MedMNIST file."""

from __future__ import annotations

import numpy as np

from robustq.data.files import DataFile
from robustq.data.raw import RawData

PNEUMONIA = DataFile(
    "health/pneumoniamnist_rebuilt.npz", "7874ae9e02cada29732e942ace4a71000d87066f7362dafeb0c6c3e5d083cc0e"
)

_SPLIT = (
    "official: 4,708 train, 624 test; the official validation part (524) is left out, so that it "
    "is never fitted on; 8 images occur in both train and validation, none in train and test; "
    "the order of the training rows is not that of the official file, so the first n differ"
)


def pneumonia_mnist() -> RawData:
    """PneumoniaMNIST: 4,708 / 624 grey images of 28 x 28, normal or pneumonia, official split."""
    with np.load(PNEUMONIA.fetch(), allow_pickle=False) as parts:
        pixels = parts["train_images"]
        _, groups = np.unique(pixels.reshape(len(pixels), -1), axis=0, return_inverse=True)
        return RawData(
            "pneumonia-mnist",
            "image",
            pixels / 255.0,
            parts["train_labels"][:, 0].astype(np.int64),
            parts["test_images"] / 255.0,
            parts["test_labels"][:, 0].astype(np.int64),
            classes=("normal", "pneumonia"),
            licence="CC BY 4.0",
            citation="Yang et al., Sci. Data 10, 41 (2023); Kermany et al., Cell 172 (2018)",
            split=_SPLIT,
            groups=groups.astype(np.int64),  # 18 training images repeat another
        )
