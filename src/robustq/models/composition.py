"""A classifier between what stands in front of it and what stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from robustq.contracts import Classifier, ShotClassifier


def unchanged(values: Tensor) -> Tensor:
    """What there is where nothing stands in front or behind."""
    return values


@dataclass(frozen=True, eq=False)
class Composed:
    """``head(core(front(x)))``: what freezing, or a device, makes of a model with more to it than its circuit.

    Attributes:
        core: what is frozen, or run on the device.
        front: from inputs to inputs of the core.
        head: from the core's logits to the model's.

    >>> import torch
    >>> Composed(torch.nn.Identity(), front=torch.neg, head=torch.exp)(torch.zeros(1, 2))
    tensor([[1., 1.]])
    """

    core: Classifier
    front: Callable[[Tensor], Tensor] = unchanged
    head: Callable[[Tensor], Tensor] = unchanged

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return self.head(self.core(self.front(x)))


@dataclass(frozen=True, eq=False)
class ComposedShots(Composed):
    """The same of a core that is run with finite shots; they are all its own.

    Implements :class:`robustq.contracts.ShotClassifier`.
    """

    core: ShotClassifier

    @property
    def shots_per_answer(self) -> int:
        """Of the core."""
        return self.core.shots_per_answer

    @property
    def shots_per_gradient(self) -> int:
        """Of the core."""
        return self.core.shots_per_gradient
