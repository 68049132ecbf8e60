"""MNIST and Fashion-MNIST, read from the gzipped IDX files of their publishers."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustq.data.files import DataFile
from robustq.data.raw import RawData
from robustq.errors import DataError

_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def _files(folder: str, site: str, checksums: tuple[str, ...]) -> tuple[DataFile, ...]:
    names = [f"{part}-ubyte.gz" for part in _PARTS]
    return tuple(
        DataFile(f"images/{folder}/{name}", checksum, f"{site}/{name}")
        for name, checksum in zip(names, checksums, strict=True)
    )


MNIST = _files(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)

FASHION = _files(
    "fashion_mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)

_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def mnist() -> RawData:
    """Handwritten digits: 60,000 / 10,000 grey images of 28 x 28, ten classes, official split."""
    return _load(
        "mnist",
        MNIST,
        tuple("0123456789"),
        "CC BY-SA 3.0 by its publisher's page; check before redistributing",
        "LeCun, Bottou, Bengio & Haffner, Proc. IEEE 86 (1998)",
    )


def fashion_mnist() -> RawData:
    """Articles of clothing: 60,000 / 10,000 grey images of 28 x 28, ten classes, official split."""
    return _load("fashion-mnist", FASHION, _GARMENTS, "MIT", "Xiao, Rasul & Vollgraf, arXiv:1708.07747")


def _load(name: str, files: tuple[DataFile, ...], classes: tuple[str, ...], licence: str, citation: str) -> RawData:
    x_train, y_train, x_test, y_test = (read_idx(file.fetch()) for file in files)
    return RawData(
        name,
        "image",
        x_train / 255.0,
        y_train.astype(np.int64),
        x_test / 255.0,
        y_test.astype(np.int64),
        classes=classes,
        licence=licence,
        citation=citation,
        split="official: 60,000 train, 10,000 test",
    )


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of bytes in a gzipped IDX file.

    Raises:
        DataError: if it is not gzipped, not of bytes, or its size is not what its head says.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise DataError(f"{path}: expected a gzipped IDX file, got {failure}") from failure
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":  # two zeros, then 8 for "bytes"
        raise DataError(f"{path}: expected an IDX file of bytes, got {content[:4]!r} at its head")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path}: expected {shape} values, got {len(content) - start} bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
