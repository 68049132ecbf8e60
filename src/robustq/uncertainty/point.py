"""No method at all: one model, as sure as its softmax says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.uncertainty.members import Members
from robustq.uncertainty.trainer import Trainer


@dataclass(frozen=True)
class Point:
    """Ordinary training; a posterior of one member.

    >>> from robustq.models.catalogue import logistic
    >>> from robustq.models.training import Training
    >>> generator = torch.Generator()
    >>> trainer = Trainer(lambda k: logistic(1, 2, generator=generator), Training(epochs=1))
    >>> x = torch.linspace(-1, 1, 20)[:, None]
    >>> len(Point().fit(trainer, x, (x[:, 0] > 0).long(), generator=generator))
    1
    """

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Members:
        """Train one model."""
        return Members.of([trainer.trained(x, y, generator=generator)]).eval()
