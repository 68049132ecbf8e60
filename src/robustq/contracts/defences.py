"""What defences promise: those that act in training and those that stand around a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One batch of a training, as a defence sees it.

    Attributes:
        x: inputs ``(batch, *features)``.
        y: labels ``(batch,)`` of int64.
        generator: the defence's randomness.
        rows: which training rows these are, ``(batch,)``; None outside a training.
        progress: share of the training that is done; 1 where held-back rows are judged.
        memory: what the defence remembers during one training, its own keys only; a checkpoint holds it too.

    >>> Step(x=torch.zeros(2, 3), y=torch.tensor([0, 1]), generator=torch.Generator()).progress
    1.0
    """

    x: Tensor
    y: Tensor
    generator: torch.Generator
    rows: Tensor | None = None
    progress: float = 1.0
    memory: dict[str, Tensor] = field(default_factory=dict)


@runtime_checkable
class Defence(Protocol):
    """Turns one training step into a safer one."""

    def losses(self, model: torch.nn.Module, step: Step) -> Tensor:
        """The loss of each input, ``(batch,)``; their mean is minimised."""
        ...


@runtime_checkable
class Guard(Protocol):
    """A defence that stands around (or inside) a model, before training or after it."""

    @property
    def trained_through(self) -> bool:
        """Whether the model is trained with the guard in place; otherwise it is put up afterwards."""
        ...

    def around(self, model: torch.nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> torch.nn.Module:
        """The guarded model; ``x`` and ``y`` are the training data, for what has to be fitted."""
        ...


Defences = Sequence[Defence | Guard]
