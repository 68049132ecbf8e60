"""How the answer changes when the device becomes noisier."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.mahalanobis import class_gaussians, to_nearest
from robustq.defences.detection.view import View
from robustq.errors import DataError
from robustq.noise import NoiseModel


class NoiseResponse(Detector):
    """Mahalanobis distance of ``noisy logits - logits`` to that of the nearest class of clean rows.

    Noise is the one thing a quantum device can vary at will without touching the input. A clean input's
    response lies where those of its class lie; one that was pushed over a boundary answers like one class and
    responds like none. The noise is depolarising after every gate, with read-out flips.
    """

    kind = "noise-response"
    passes = 1
    means: Tensor
    precision: Tensor

    @property
    def noise(self) -> NoiseModel:
        """What the second run suffers."""
        return NoiseModel.uniform(
            gate_error=float(self.options["gate_error"]), readout_error=float(self.options["readout_error"])
        )

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The squared distance, float64 ``(batch,)``."""
        return to_nearest(self.response(x, logits, view).double(), self.means, self.precision)

    def response(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """What noise does to the logits, ``(batch, classes)``."""
        return view.noisy(x, self.noise) - logits

    @classmethod
    def fitted(cls, clean: Clean, gate_error: float = 0.02, readout_error: float = 0.0) -> Self:
        """On the responses of the clean rows.

        Raises:
            DataError: if the noise does nothing.
            ModelError: if there is no circuit to run under noise.
        """
        options = {"gate_error": gate_error, "readout_error": readout_error}
        response = cls(options).response(clean.x, clean.logits, clean.view).detach()
        if float(response.abs().max()) < 1e-6:
            raise DataError(f"noise response: expected noise that changes answers, got {options}")
        means, precision = class_gaussians(response, clean.y, clean.classes)
        return cls(options, means=means, precision=precision)
