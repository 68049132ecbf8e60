"""One seed, any number of independent generators, no global state.

A generator is named by a path (``("train", 3, "batches")``); its seed is the SHA-256 of the
root seed and that path, so adding a consumer never shifts the stream of another.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derive(seed: int, *path: str | int) -> int:
    """The 63-bit seed of the stream called ``path`` under ``seed``.

    >>> derive(0, "train") == derive(0, "train")
    True
    >>> derive(0, "train") == derive(0, "attack")
    False
    """
    text = "\x1f".join([str(int(seed)), *map(str, path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *path: str | int) -> torch.Generator:
    """A fresh CPU ``torch.Generator`` for the stream called ``path``.

    >>> torch.rand(1, generator=torch_generator(7, "a")).shape
    torch.Size([1])
    """
    return torch.Generator().manual_seed(derive(seed, *path))


def numpy_generator(seed: int, *path: str | int) -> np.random.Generator:
    """A fresh ``numpy.random.Generator`` for the stream called ``path``.

    >>> bool(0 <= numpy_generator(7, "a").random() < 1)
    True
    """
    return np.random.default_rng(derive(seed, *path))
