"""Class scores as outcomes of a measurement: probabilities, for bounds that speak of nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.literature.pairs import rounding_of
from robustq.states import StateView


@dataclass(frozen=True, eq=False)
class Effects:
    """``E_k = (M_k - low) / (high - low)``: one shift and one scale for all classes, the answers unaltered.

    ``low`` and ``high`` are the extreme eigenvalues over all classes, so that ``0 <= E_k <= 1``, each by
    itself; their sum may exceed 1. Forms that are effects already are stretched too. That is never to
    a bound's loss where more distinguishable outcomes help: ``M_k`` is ``E_k`` behind a noisy reading.

    Attributes:
        low: the least eigenvalue of any class, lowered by rounding.
        scale: from there to the greatest one.
        error: by how much a probability may be wrong.
    """

    low: float
    scale: float
    error: float

    @staticmethod
    def of(view: StateView) -> Effects:
        """The common shift and scale of a model's forms."""
        forms = view.frozen.state_forms()
        values, error = torch.linalg.eigvalsh(forms), rounding_of(forms)
        low, high = float(values.min()) - error, float(values.max()) + error
        scale = max(high - low, torch.finfo(torch.float64).tiny)
        return Effects(low, scale, 2 * error / scale)

    def probabilities(self, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Of the row's own class, at least, ``(batch, 1)``; of each, at most, ``(batch, classes)``."""
        shares = (logits - self.low) / self.scale
        own = shares.gather(1, label[:, None])
        return (own - self.error).clamp(0, 1), (shares + self.error).clamp(0, 1)
