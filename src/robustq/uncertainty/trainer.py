"""What every method is given: how a model is built and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from robustq.contracts import Defence
from robustq.models.training import Callback, Training, fit


@dataclass(frozen=True)
class Trainer:
    """How models are made.

    Attributes:
        build: the untrained model of member ``k``, guards that are trained through included.
        training: how long and how fast.
        defence: what replaces the cross-entropy of a step; None for nothing.

    >>> trainer = Trainer(lambda k: nn.Linear(2, 2), Training(epochs=1))
    >>> trainer.build(0).out_features
    2
    """

    build: Callable[[int], nn.Module]
    training: Training = field(default_factory=Training)
    defence: Defence | None = None

    def fit(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        generator: torch.Generator,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Train ``model`` in place; see :func:`robustq.models.training.fit`."""
        fit(model, x, y, generator=generator, training=self.training, defence=self.defence, callbacks=callbacks)
        model.eval()

    def trained(self, x: Tensor, y: Tensor, *, generator: torch.Generator, number: int = 0) -> nn.Module:
        """A new model of member ``number``, trained."""
        model = self.build(number)
        self.fit(model, x, y, generator=generator)
        return model


@runtime_checkable
class Method(Protocol):
    """A way to a classifier that knows how sure it is."""

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> nn.Module:
        """Train on inputs ``(rows, *features)`` with int64 labels ``(rows,)``."""
        ...
