"""Adversarial inputs kept between the units of a run: written atomically, with a seal against damage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from robustq.atomic import write_atomically
from robustq.bench.stages import read_stage, write_stage


def save_inputs(inputs: Mapping[str, Tensor], path: Path, **costs: int) -> None:
    """Write tensors by name, and beside them, in a ``.json``, their SHA-256 and what finding them cost."""
    content = save_tensors({name: tensor.contiguous() for name, tensor in inputs.items()})
    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomically(path, content)
    write_stage(path.with_suffix(".json"), {"inputs_sha256": hashlib.sha256(content).hexdigest(), **costs})


def load_inputs(path: Path) -> dict[str, Tensor] | None:
    """What :func:`save_inputs` wrote; None if it is missing or damaged, and must be made again."""
    stored = read_stage(path.with_suffix(".json"))
    content = path.read_bytes() if path.exists() else b""
    if stored is None or hashlib.sha256(content).hexdigest() != stored["inputs_sha256"]:
        return None
    return dict(load_tensors(content))
