"""What a device with finite shots answers, as rows for a conformal predictor.

Coverage needs calibration and test rows to be alike, not right: if each input is run with shots of its own, in both
and under the same noise, the shots are a part of the row and the guarantee holds whatever they do (Park &
Simeone, IEEE Trans. Quantum Eng. 2024). Calibrated on exact probabilities it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robustq.contracts import Classifier, QuantumClassifier, check_logits
from robustq.errors import SpecError
from robustq.noise import Noise
from robustq.uncertainty.conformal.scores import Array

RUNS = 1 << 16  # single shots that are worked on together


@dataclass(frozen=True, eq=False)
class ShotAnswers:
    """A quantum model as a device answers for it.

    Args:
        model: the model.
        shots: a circuit and measurement setting; None for exact answers (:meth:`probabilities` and
            :meth:`logits` only).
        noise: rules or a calibrated device; None for none.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> device, x = ShotAnswers(model, 100), torch.zeros(3, 2)
    >>> device.probabilities(x, torch.Generator()).shape, device.votes(x, torch.Generator()).tolist()[0]
    ((3, 2), [0.5, 0.5])
    """

    model: QuantumClassifier
    shots: int | None
    noise: Noise | None = None

    def __post_init__(self) -> None:
        if self.shots is not None and self.shots < 1:
            raise SpecError(f"expected shots >= 1 or None, got {self.shots}")

    def logits(self, x: Tensor, generator: torch.Generator | None = None) -> Array:
        """Logits ``(n, classes)`` from shots drawn anew for every row."""
        with torch.no_grad():
            logits = self._run(self.shots, generator)(x)
        return check_logits(logits, len(x)).double().numpy()

    def probabilities(self, x: Tensor, generator: torch.Generator | None = None) -> Array:
        """The softmax of :meth:`logits`, ``(n, classes)``."""
        shares = torch.from_numpy(self.logits(x, generator)).softmax(1)
        return shares.numpy()

    def votes(self, x: Tensor, generator: torch.Generator) -> Array:
        """How often single shots answer each class, as shares ``(n, classes)``; equal logits share a vote.

        The histogram of measured outcomes of Park & Simeone: ``lac`` of it asks how often the label was seen,
        ``nearest`` how near to it.

        Raises:
            SpecError: without shots.
        """
        if self.shots is None:
            raise SpecError("expected finite shots to count outcomes of, got None")
        single = self._run(1, generator)
        rows = max(1, RUNS // self.shots)
        with torch.no_grad():
            parts = [_outcomes(single, part, self.shots) for part in torch.split(x, rows)]
        return np.concatenate(parts)

    def _run(self, shots: int | None, generator: torch.Generator | None) -> Classifier:
        return self.model.under(self.noise, shots=shots, generator=generator)


def _outcomes(single: Classifier, x: Tensor, shots: int) -> Array:
    """Shares of votes ``(n, classes)``, each input asked so often."""
    logits = single(x.repeat_interleave(shots, 0)).double()
    best = logits == logits.amax(1, keepdim=True)
    votes = best.double() / best.sum(1, keepdim=True)
    return votes.reshape(len(x), shots, -1).mean(1).numpy()
