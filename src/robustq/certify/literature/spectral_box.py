"""What the mean and the extreme eigenvalues of a margin prove, and no more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.literature.pairs import MarginBox, PairProver, two_level
from robustq.certify.requirements import check_slack, check_states
from robustq.contracts import Classifier, Threat


@dataclass(frozen=True)
class SpectralBox:
    """The exact radius of the worst system with this mean and these extreme eigenvalues.

    :class:`Guan` with both ends of the spectrum of ``V = M_A - M_k`` in the place of its norm: with the
    effect ``(V - v_min) / (v_max - v_min)``, of probability ``p``, the classes draw level at probability
    ``c = -v_min / (v_max - v_min)``, so that ``sqrt F <= sqrt(p c) + sqrt((1 - p)(1 - c))`` (fidelity does
    not fall under a measurement: Fuchs & Caves, 1995). Never below :class:`Guan`; exact for one qubit.

    Args:
        slack: how far every margin may truly lie lower, in logits.

    >>> print(SpectralBox())
    spectral box
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "spectral-box")

    def __str__(self) -> str:
        return "spectral box"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> PairProver:
        """Extreme eigenvalues of every difference of two classes.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "spectral-box")
        box = MarginBox.of(view, self.slack)

        def distances(logits: Tensor, label: Tensor) -> Tensor:
            return two_level(box.margins(logits, label), box.low[label], box.high[label])

        return PairProver(view, ball, distances)
