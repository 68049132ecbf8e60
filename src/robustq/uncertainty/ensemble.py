"""Deep ensembles (Lakshminarayanan, Pritzel & Blundell, NeurIPS 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from robustq.errors import ModelError, SpecError
from robustq.uncertainty.members import Members
from robustq.uncertainty.point import Point
from robustq.uncertainty.trainer import Method, Trainer


@dataclass(frozen=True)
class Ensemble:
    """Models from different starts, whose probabilities are averaged.

    Args:
        size: how many.
        of: the method that makes each of them; a posterior around every start is MultiSWAG (Wilson &
            Izmailov, NeurIPS 2020).

    Raises:
        SpecError: if ``size`` is below 1.

    >>> Ensemble(5).size
    5
    """

    size: int = 5
    of: Method = field(default_factory=Point)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SpecError(f"ensemble: expected size >= 1, got {self.size}")

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Members:
        """Train them one after the other.

        Raises:
            ModelError: if the method's posteriors cannot be joined: linearised ones, or scaled ones.
        """
        posteriors = [self.of.fit(_only(trainer, number), x, y, generator=generator) for number in range(self.size)]
        return joined(posteriors).eval()


def joined(posteriors: list[nn.Module]) -> Members:
    """The members of several posteriors as those of one.

    >>> one = Members.of([nn.Linear(2, 2)])
    >>> len(joined([one, one, one]))
    3
    """
    parts = [part for part in posteriors if isinstance(part, Members) and not part.linearised]
    if len(parts) < len(posteriors):
        raise ModelError("expected posteriors of models that are run as they are, got linearised or scaled ones")
    Members.of([part.base for part in parts])  # refuses what differs in more than parameters
    return Members(parts[0].base, torch.cat([part.vectors for part in parts]))


def _only(trainer: Trainer, number: int) -> Trainer:
    """A trainer all of whose models are that of one member."""
    return replace(trainer, build=lambda _: trainer.build(number))
