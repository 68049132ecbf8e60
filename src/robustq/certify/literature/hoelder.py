"""The bound by Hoelder's inequality."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.literature.pairs import MarginBox, PairProver
from robustq.certify.requirements import check_slack, check_states
from robustq.contracts import Classifier, Threat


@dataclass(frozen=True)
class Hoelder:
    """Trace distance ``(p_A - p_B) / 2``, for pure and for mixed adversarial states.

    With the effect ``E = 1/2 (1 + V / |V|)`` of ``V = M_A - M_k``, ``p_A = <E>`` and ``p_B = 1 - p_A``;
    ``|tr E (rho - sigma)| <= T(rho, sigma)`` (the comparison of Weber et al., npj Quantum Information
    7:76, 2021; after Liu & Wittek, PRA 101, 2020). A mixed state of one qubit may be this near; no pure one is.

    Args:
        slack: how far every margin may truly lie lower, in logits.

    >>> print(Hoelder())
    hoelder
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "hoelder")

    def __str__(self) -> str:
        return "hoelder"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> PairProver:
        """The norm of every difference of two classes.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "hoelder")
        box = MarginBox.of(view, self.slack)

        def distances(logits: Tensor, label: Tensor) -> Tensor:
            return box.margins(logits, label).clamp_min(0) / (2 * box.radius[label])

        return PairProver(view, ball, distances)
