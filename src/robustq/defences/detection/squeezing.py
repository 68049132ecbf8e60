"""The answer before and after squeezing (Xu, Evans & Qi, NDSS 2018, section 5)."""

from __future__ import annotations

from typing import Self

from torch import Tensor
from torch.nn.functional import log_softmax

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.defences.filters.quantise import Quantise
from robustq.errors import SpecError


class Squeezing(Detector):
    """Divergence of the answers to the input and to the input with few bits a feature.

    Jeffreys' ``sum (p - q)(log p - log q)`` in the place of the paper's l1 distance: that one has no gradient
    where both answers are sure, and a detector without a gradient only looks hard to evade.
    """

    kind = "squeezing"
    passes = 1

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The divergence, float64 ``(batch,)``, >= 0."""
        squeezed = view.answer(Quantise(int(self.options["bits"]))(x))
        one, other = (log_softmax(values.double(), 1) for values in (logits, squeezed))
        return ((one.exp() - other.exp()) * (one - other)).sum(1)

    @classmethod
    def fitted(cls, clean: Clean, bits: int = 3) -> Self:
        """Nothing is fitted."""
        if not 1 <= bits <= 16:
            raise SpecError(f"squeezing: expected bits in 1..16, got {bits}")
        return cls({"bits": bits})
