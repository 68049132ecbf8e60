"""Adversarial inputs kept between the units of a run: written atomically, with a seal against damage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from robustq.atomic import write_atomically


def save_inputs(inputs: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name, and beside them their SHA-256."""
    content = save_tensors({name: tensor.contiguous() for name, tensor in inputs.items()})
    _seal_of(path).unlink(missing_ok=True)
    write_atomically(path, content)
    write_atomically(_seal_of(path), (hashlib.sha256(content).hexdigest() + "\n").encode())


def load_inputs(path: Path) -> dict[str, Tensor] | None:
    """What :func:`save_inputs` wrote; None if it is missing or damaged, and must be made again."""
    try:
        content, seal = path.read_bytes(), _seal_of(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    if hashlib.sha256(content).hexdigest() != seal.strip():
        return None
    return dict(load_tensors(content))


def _seal_of(path: Path) -> Path:
    return path.with_suffix(".sha256")
