"""What an attack on training data is given, and what it has to give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.threats.poisoning import Poisoning, Rows


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Copies of the clean rows, the adversary's rights, and its randomness.

    Attributes:
        x: inputs ``(rows, *features)``.
        y: int64 labels ``(rows,)``.
        threat: what may be changed or added.
        generator: all of the attack's randomness.

    >>> y = torch.tensor([0, 1, 2, 0, 1])
    >>> data = TrainingData(torch.zeros(5, 1), y, Poisoning(0.4), torch.Generator())
    >>> data.classes, data.allowed
    (3, 2)
    """

    x: Tensor
    y: Tensor
    threat: Poisoning
    generator: torch.Generator

    @property
    def classes(self) -> int:
        """How many classes the labels name."""
        return int(self.y.max()) + 1

    @property
    def allowed(self) -> int:
        """How many rows may be changed or added."""
        return self.threat.allowed(len(self.y))


@runtime_checkable
class Poison(Protocol):
    """A way to spoil training data; the verdict is the framework's."""

    def craft(self, data: TrainingData, /) -> Rows:
        """The poisoned ``(x, y)``: the clean rows in their order, some changed, new ones at the end."""
        ...


@runtime_checkable
class Triggered(Protocol):
    """A poison that wants triggered inputs classified as one class."""

    @property
    def target(self) -> int:
        """The class it wants."""
        ...

    def trigger(self, x: Tensor, /) -> Tensor:
        """The inputs with the trigger put on, shape of ``x``."""
        ...
