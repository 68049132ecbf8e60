"""The tampering that touches nothing."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.contracts import CircuitClassifier
from robustq.tampering.surface import Surface, surface
from robustq.threats import Knobs


@dataclass(frozen=True)
class Untouched:
    """One setting that is not connected to anything.

    >>> Untouched()
    Untouched()
    """

    def threat(self, model: CircuitClassifier) -> Knobs:
        """A knob that cannot be turned."""
        return Knobs(0.0)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model as it is."""
        features = model.encoder_inputs(x).detach()
        clean = model.read(model.measured(features, model.angles.detach())).detach()
        return surface(["nothing"], features, lambda settings: clean + 0 * settings.sum())
