"""The certificate that says nothing: what every other must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Bounds, Classifier, Threat


@dataclass(frozen=True)
class Vacuous:
    """Claims a radius of zero for every input.

    >>> print(Vacuous())
    vacuous
    """

    confidence = 1.0

    def __str__(self) -> str:
        return "vacuous"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> Nothing:
        """Nothing to prepare."""
        return Nothing(model)


@dataclass(frozen=True)
class Nothing:
    """The prover of :class:`Vacuous`."""

    model: Classifier

    def prove(self, x: Tensor) -> Bounds:
        """Zero, and no witness."""
        label = self.model(x).argmax(1)
        zero = torch.zeros(len(x), dtype=torch.float64)
        return Bounds(label=label, lower=zero, upper=torch.full_like(zero, torch.inf))
