"""Saved models: ``model.json`` (what it is) and ``weights.safetensors`` (its numbers).

Nothing is ever unpickled. The JSON carries the SHA-256 of the weights and of itself, so a damaged
or altered file is refused; this detects accidents and careless edits, it is not a signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from robustq.atomic import write_atomically
from robustq.errors import ModelFileError
from robustq.models.convnet import ConvNet
from robustq.models.hybrid_net import HybridNet
from robustq.models.perceptron import Perceptron
from robustq.models.quantum_net import QuantumNet
from robustq.models.svm import RBFSVM

FORMAT = "robustq-model-1"
Rebuild = Callable[[Mapping[str, Any]], nn.Module]  # from a configuration, weights still to be loaded
KINDS: Mapping[str, Rebuild] = {
    "quantum-net": QuantumNet.from_config,
    "hybrid-net": HybridNet.from_config,
    "perceptron": Perceptron.from_config,
    "conv-net": ConvNet.from_config,
    "svm-rbf": RBFSVM.from_config,
}


def save(
    model: nn.Module,
    folder: Path | str,
    *,
    metadata: Mapping[str, Any] | None = None,
    kinds: Mapping[str, Rebuild] = KINDS,
) -> None:
    """Write ``model`` into ``folder`` (created if needed), each file atomically.

    Args:
        model: one of the library's models.
        folder: where ``model.json`` and ``weights.safetensors`` go.
        metadata: anything JSON-able to keep beside it (data record, training, scores).
        kinds: the kinds of model that can be rebuilt.
    """
    described = describe(model)
    if described["kind"] not in kinds:
        raise ModelFileError(f"expected one of the models {', '.join(kinds)}, got {described['kind']}")
    weights = save_tensors({k: v.contiguous() for k, v in model.state_dict().items()})
    content = {
        "format": FORMAT,
        **described,
        "metadata": dict(metadata or {}),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    content["sha256"] = _digest(content)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    write_atomically(target / "weights.safetensors", weights)
    write_atomically(target / "model.json", (json.dumps(content, indent=1) + "\n").encode())


def describe(model: nn.Module) -> dict[str, Any]:
    """``kind`` and ``config`` of a model, JSON-able: all but its weights.

    Raises:
        ModelFileError: if it is no model that says what it is.

    >>> import torch
    >>> describe(Perceptron(2, [], 2, generator=torch.Generator()))["kind"]
    'perceptron'
    """
    kind = getattr(model, "kind", None)
    if not isinstance(kind, str):
        raise ModelFileError(f"expected one of the models of the library, got {type(model).__name__}")
    return {"kind": kind, "config": model.config()}  # type: ignore[operator]


def load(folder: Path | str, *, kinds: Mapping[str, Rebuild] = KINDS) -> nn.Module:
    """The model saved in ``folder``, in evaluation mode.

    Raises:
        ModelFileError: if a file is missing, damaged, altered, or of another format.
    """
    content = read_json(folder, kinds=kinds)
    weights = _read(Path(folder) / "weights.safetensors")
    if hashlib.sha256(weights).hexdigest() != content["weights_sha256"]:
        raise ModelFileError(f"{folder}: weights.safetensors was altered (its SHA-256 differs)")
    try:
        model = kinds[content["kind"]](content["config"])
        model.load_state_dict(load_tensors(weights), assign=True)  # keeps the stored dtype
    except (
        SafetensorError,
        LookupError,
        TypeError,
        ArithmeticError,
        ValueError,
        AttributeError,
        RuntimeError,
        MemoryError,
    ) as failure:
        raise ModelFileError(f"{folder}: the weights do not fit the model: {failure}") from failure
    return model.eval()


def read_json(folder: Path | str, *, kinds: Mapping[str, Rebuild] = KINDS) -> dict[str, Any]:
    """The checked content of ``model.json``, metadata included."""
    path = Path(folder) / "model.json"
    text = _read(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise ModelFileError(f"{path}: expected JSON, got something else: {failure}") from failure
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFileError(f"{path}: expected format {FORMAT!r}, got another file")
    claimed = content.pop("sha256", None)
    if claimed != _digest(content):
        raise ModelFileError(f"{path}: the file was altered (its SHA-256 differs)")
    if content["kind"] not in kinds:
        raise ModelFileError(f"{path}: expected a kind of {', '.join(kinds)}, got {content['kind']}")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failure:
        raise ModelFileError(f"expected a saved model, but {path} cannot be read") from failure


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers in the model; for a kernel machine its support vectors and their weights.

    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    if isinstance(model, RBFSVM):
        return model.weight.numel() + model.support.numel()
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
