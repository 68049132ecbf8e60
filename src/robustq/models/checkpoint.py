"""Trainings that survive being killed: what is needed to continue one, in a file without pickle.

A training that is continued ends with the same bytes as one that was never interrupted. The file says which training
it belongs to (data, starting weights, plan, defence, generator) and carries its own SHA-256; any other file, and a
damaged one, is not used, and the training starts anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from robustq.atomic import write_atomically
from robustq.errors import ModelError, RobustQError
from robustq.models.files import describe

Parts = dict[str, dict[str, Tensor]]  # tensors by name, by what they are part of


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps what it needs to be continued, and how often.

    Attributes:
        path: the file, written whole or not at all; its folder is created if needed. It stays when the training is
            done: whoever has kept the trained model removes it.
        seconds: it is written after the first epoch that ends so long after the last time; 0 for every epoch.

    >>> import tempfile
    >>> from robustq.models import Training, fit
    >>> x, y = torch.linspace(-1, 1, 40)[:, None], (torch.linspace(-1, 1, 40) > 0).long()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept, plan = Checkpoint(Path(folder) / "training.safetensors", seconds=0), Training(epochs=3)
    ...     _ = fit(nn.Linear(1, 2), x, y, generator=torch.Generator(), training=plan, checkpoint=kept)
    ...     kept.path.exists()
    True
    """

    path: Path
    seconds: float = 20.0


@dataclass(eq=False)
class Keeper:
    """A checkpoint during one training, which ``training`` names.

    >>> Keeper(Checkpoint(Path("nowhere")), "a training").read() is None
    True
    """

    checkpoint: Checkpoint
    training: str
    _written: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """Whether so many seconds have passed."""
        return time.monotonic() - self._written >= self.checkpoint.seconds

    def write(self, parts: Parts, numbers: Mapping[str, Any]) -> None:
        """Keep these tensors, and numbers that JSON can hold."""
        tensors = {f"{part}/{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
        content = {"training": self.training, "numbers": json.dumps(numbers)}
        self.checkpoint.path.parent.mkdir(parents=True, exist_ok=True)
        sealed = {**content, "sha256": digest(tensors, content)}
        write_atomically(self.checkpoint.path, save(_apart(tensors), metadata=sealed))
        self._written = time.monotonic()

    def read(self) -> tuple[Parts, dict[str, Any]] | None:
        """What was kept of this very training; None if there is nothing, or it is damaged."""
        try:
            held = self.checkpoint.path.read_bytes()
            tensors, content = load(held), _metadata(held)
            sound = content.pop("sha256") == digest(tensors, content)
        except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError):
            return None
        if not sound or content["training"] != self.training:
            return None
        parts: Parts = {}
        for key, tensor in tensors.items():
            part, name = key.split("/", 1)
            parts.setdefault(part, {})[name] = tensor
        return parts, json.loads(content["numbers"])


def name_of(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator, *arguments: object) -> str:
    """The SHA-256 of all that a training depends on: its name in a checkpoint.

    Args:
        model: as it is before the training.
        x: inputs.
        y: labels.
        generator: as it is before the training.
        arguments: whatever else; they are told apart by how they print.

    >>> model, x = nn.Linear(1, 1), torch.ones(2, 1)
    >>> names = [name_of(model, x, x, torch.Generator(), epochs) for epochs in (10, 10, 20)]
    >>> names[0] == names[1], names[0] == names[2]
    (True, False)
    """
    try:
        described = json.dumps(describe(model))
    except RobustQError:  # no model of the library, or one that cannot be saved
        described = repr(model)
    printed = [re.sub(r" at 0x[0-9a-f]+", "", repr(argument)) for argument in arguments]
    streams = {f"stream/{name}": stream.get_state() for name, stream in generators_of(model, generator)}
    weights = {f"model/{name}": tensor for name, tensor in weights_of(model).items()}
    return digest({"x": x, "y": y, **weights, **streams}, [torch.__version__, described, *printed])


def generators_of(model: nn.Module, generator: torch.Generator) -> Iterator[tuple[str, torch.Generator]]:
    """The training's generator and those that parts of the model hold, by name."""
    yield "", generator
    for name, part in model.named_modules():
        yield from ((f"{name}.{key}", held) for key, held in vars(part).items() if isinstance(held, torch.Generator))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of parameters and buffers.

    Raises:
        ModelError: if the model has other state, which a checkpoint could not hold.
    """
    held = model.state_dict()
    for name, value in held.items():
        if not isinstance(value, Tensor):
            raise ModelError(
                f"checkpoint: expected a model whose state is tensors, got {type(value).__name__} {name!r}"
            )
    return {name: value.detach().clone() for name, value in held.items()}


def digest(tensors: Mapping[str, Tensor], content: object) -> str:
    """The SHA-256 of tensors and of something JSON-able.

    >>> digest({}, 1) == digest({"a": torch.zeros(1)}, 1)
    False
    """
    seen = hashlib.sha256(save(_apart(tensors)))
    seen.update(json.dumps(content, sort_keys=True).encode())
    return seen.hexdigest()


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies, since a file cannot hold two views of the same memory."""
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def _metadata(held: bytes) -> dict[str, str]:
    """The text in the header of a safetensors file, whose length its first eight bytes say."""
    header = json.loads(held[8 : 8 + int.from_bytes(held[:8], "little")])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata
