"""SWAG: the Gaussian of where training wanders (Maddox et al., NeurIPS 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.errors import SpecError
from robustq.uncertainty.members import Members
from robustq.uncertainty.trainer import Trainer
from robustq.uncertainty.vectors import vector_of


@dataclass(frozen=True)
class Swag:
    """Ordinary training, then more of it at a constant learning rate, a snapshot an epoch.

    As published but for the optimiser, Adam in the place of SGD, and for deviations, which are taken from
    the mean of all snapshots and not from the running one, so that the low-rank half is their covariance.

    Args:
        members: draws of the posterior that answer together.
        snapshots: epochs at the constant rate, at least 2.
        lr: that rate.

    Raises:
        SpecError: if ``members`` is below 1 or ``snapshots`` below 2.

    >>> Swag(snapshots=10).members
    30
    """

    members: int = 30
    snapshots: int = 20
    lr: float = 0.01

    def __post_init__(self) -> None:
        if self.members < 1 or self.snapshots < 2:
            raise SpecError(
                f"swag: expected members >= 1 and snapshots >= 2, got {self.members} and {self.snapshots}"
            )

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Members:
        """Train one model, keep its parameters of the further epochs, draw."""
        model = trainer.trained(x, y, generator=generator)
        wander = replace(
            trainer.training, epochs=self.snapshots, lr=self.lr, validation=0.0, patience=0, schedule="constant"
        )
        snapshots: list[Tensor] = []
        replace(trainer, training=wander).fit(
            model, x, y, generator=generator, callbacks=[lambda _: snapshots.append(vector_of(model))]
        )
        posterior = SwagPosterior(torch.stack(snapshots))
        return Members(model, posterior.draw(self.members, generator)).eval()


@dataclass(frozen=True, eq=False)
class SwagPosterior:
    """Low rank plus diagonal: half the snapshots' covariance and half its diagonal.

    Attributes:
        snapshots: ``(snapshots, P)``.

    >>> SwagPosterior(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).mean
    tensor([1., 1.])
    """

    snapshots: Tensor

    @property
    def mean(self) -> Tensor:
        """``(P,)``."""
        return self.snapshots.mean(0)

    @property
    def diagonal(self) -> Tensor:
        """Variance of every parameter, ``E[theta^2] - E[theta]^2``, ``(P,)``."""
        return self.snapshots.var(0, unbiased=False)

    @property
    def deviations(self) -> Tensor:
        """Of the snapshots from their mean, ``(snapshots, P)``."""
        return self.snapshots - self.mean

    @property
    def covariance(self) -> Tensor:
        """Of what is drawn, ``(P, P)``: equation (1) of the paper."""
        low_rank = self.deviations.mT @ self.deviations / (len(self.snapshots) - 1)
        return (torch.diag(self.diagonal) + low_rank) / 2

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count, P)``."""
        like = self.snapshots
        own = torch.randn(count, like.shape[1], generator=generator, dtype=like.dtype)
        shared = torch.randn(count, len(like), generator=generator, dtype=like.dtype)
        spread = shared @ self.deviations / math.sqrt(len(like) - 1)
        return self.mean + (own * self.diagonal.sqrt() + spread) / math.sqrt(2)
