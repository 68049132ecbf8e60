"""Saved models: ``model.json`` (what it is) and ``weights.safetensors`` (its numbers).

Nothing is ever unpickled. The JSON carries the SHA-256 of the weights and of itself, so a damaged
or altered file is refused; this detects accidents and careless edits, it is not a signature.

A module that is not the library's is kept under the name of its class, ``"package.module:Class"``, and needs
``config()`` and ``from_config()`` as ours have them. To load it is to run its code, so ``load`` has to be told to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
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
from robustq.outsiders import imported, is_allowed, is_outside, package_of

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
        model: one of the library's models, or one with ``config()`` and ``from_config()``.
        folder: where ``model.json`` and ``weights.safetensors`` go.
        metadata: anything JSON-able to keep beside it (data record, training, scores).
        kinds: the kinds of model that can be rebuilt.
    """
    described = describe(model)
    if described["kind"] not in kinds and not is_outside(described["kind"]):
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
    own = type(model).__module__.startswith("robustq.")
    kind = getattr(model, "kind", None) if own else _outside_kind(type(model))
    if not isinstance(kind, str):
        raise ModelFileError(
            "expected one of the models of the library, or one that a module defines with config() and "
            f"from_config(), got {type(model).__name__}"
        )
    return {"kind": kind, "config": model.config()}  # type: ignore[operator]


def _outside_kind(cls: type) -> str | None:
    """The name that an outsider's class can be imported by, if it can be rebuilt at all."""
    name = f"{cls.__module__}:{cls.__qualname__}"
    able = hasattr(cls, "config") and hasattr(cls, "from_config") and is_outside(name)
    return name if able and cls.__module__ != "__main__" else None


def outsiders(folder: Path | str, allow: Collection[str]) -> Mapping[str, Rebuild]:
    """What a saved model is made of that is not the library's, imported.

    Raises:
        ModelFileError: if that is not in one of the modules or packages of ``allow``.
    """
    content = _checked(folder)
    kinds = dict.fromkeys(_outside_kinds({"kind": content["kind"], "config": content["config"]}))
    for kind in kinds:
        if not is_allowed(kind, allow):
            raise ModelFileError(
                f"{folder}: expected parts of the library only, got {kind}, whose code would be run: "
                f"if you trust it, load it with allow=[{package_of(kind)!r}]"
            )
    return {kind: imported("model", kind).from_config for kind in kinds}


def _outside_kinds(described: Any) -> Iterator[str]:
    """Of a description and all its parts."""
    if isinstance(described, Mapping):
        if is_outside(described.get("kind")):
            yield described["kind"]
        described = list(described.values())
    for part in described if isinstance(described, list) else ():
        yield from _outside_kinds(part)


def load(folder: Path | str, *, kinds: Mapping[str, Rebuild] = KINDS, allow: Collection[str] = ()) -> nn.Module:
    """The model saved in ``folder``, in evaluation mode.

    Args:
        folder: what :func:`save` wrote.
        kinds: the kinds of model that can be rebuilt.
        allow: modules or packages outside the library whose code may be run for it.

    Raises:
        ModelFileError: if a file is missing, damaged, altered, of another format, or asks for code that is not
            allowed.
    """
    kinds = {**outsiders(folder, allow), **kinds}
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
    content = _checked(folder)
    if content["kind"] not in kinds and not is_outside(content["kind"]):
        raise ModelFileError(f"{folder}: expected a kind of {', '.join(kinds)}, got {content['kind']}")
    return content


def _checked(folder: Path | str) -> dict[str, Any]:
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
