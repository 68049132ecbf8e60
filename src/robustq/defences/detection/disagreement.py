"""A classical twin that was trained on the same rows, and is asked too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.models import Perceptron, Training, fit


class Disagreement(Detector):
    """``-log`` of the chance that a classical twin gives the class the model answers.

    Small perturbations that fool a quantum model transfer to a classical one only in part (West et
    al., Phys. Rev. Research 5, 023186, 2023). Unbounded, so that the gradient does not vanish where both are
    sure.
    """

    kind = "disagreement"

    def __init__(self, twin: Perceptron) -> None:
        super().__init__()
        self.twin = twin.requires_grad_(False)

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """``-log p_twin(class answered)``, float64 ``(batch,)``."""
        chances = log_softmax(self.twin(x).double(), 1)
        return -chances.gather(1, logits.argmax(1, keepdim=True))[:, 0]

    @classmethod
    def fitted(cls, clean: Clean, hidden: int = 16, epochs: int = 40) -> Self:
        """Train the twin on the inputs and their labels."""
        twin = Perceptron(clean.x.shape[1], [hidden], clean.classes, generator=clean.generator).to(clean.x)
        plan = Training(epochs=epochs, lr=0.02)
        with torch.enable_grad():
            fit(twin, clean.x, clean.y, generator=clean.generator, training=plan)
        return cls(twin.eval())

    def config(self) -> dict[str, Any]:
        """The twin's shape, JSON-able."""
        return {"twin": self.twin.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`config`, the twin's weights still to be loaded."""
        return cls(Perceptron.from_config(config["twin"]))
