"""How easily finite shots would answer otherwise."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.errors import SpecError


class ShotVariance(Detector):
    """Minus the margin over the standard deviation that its estimate has with so many shots.

    Both in closed form, nothing is sampled: the variance of a read-out is fixed by the state that is
    measured. An input just beyond a boundary is answered with a small margin and a large variance;
    under-sampled, its answers flicker. An attack that goes far enough is not seen.
    """

    kind = "shot-variance"

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """``-(top - second) / deviation``, float64 ``(batch,)``."""
        covariance = view.shot_covariance(x).double() / float(self.options["shots"])
        (top, second), (first, other) = (pair.unbind(1) for pair in logits.topk(2, dim=1))
        each = range(len(x))
        variance = covariance[each, first, first] + covariance[each, other, other]
        variance = variance - 2 * covariance[each, first, other]
        return -(top - second).double() / variance.clamp_min(1e-12).sqrt()

    @classmethod
    def fitted(cls, clean: Clean, shots: int = 100) -> Self:
        """Nothing is fitted; the model is asked once, to see that it can be.

        Raises:
            ModelError: if the model measures no circuit.
        """
        if shots < 1:
            raise SpecError(f"shot variance: expected shots >= 1, got {shots}")
        clean.view.shot_covariance(clean.x[:1])
        return cls({"shots": shots})
