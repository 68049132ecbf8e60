"""Training for a certified margin (Tsuzuku, Sato & Sugiyama, NeurIPS 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.certify.slopes.falls import largest_falls
from robustq.contracts import Step, Threat
from robustq.options import check_shares


@dataclass(frozen=True)
class LipschitzMargin:
    """Cross-entropy with every other class ahead by all that the threat could give it.

    Tsuzuku et al. add ``sqrt(2) eps L`` to the other logits; here each pair of classes has its own
    bound, half the range of their difference times the largest swing of the gates (after Berberich et al.,
    Phys. Rev. Research 6, 043326, 2024). No inner attack: a step costs about what a plain one does.

    Args:
        threat: l-inf, l2 or l1; its budget is what the margins have to survive.
        weight: share of the loss with that handicap, in [0, 1].

    >>> from robustq.threats import Linf
    >>> LipschitzMargin(Linf(0.1)).weight
    1.0
    """

    threat: Threat
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_shares("lipschitz margin", weight=self.weight)

    def losses(self, model: Any, step: Step) -> Tensor:
        """``weight * CE(handicapped) + (1 - weight) * CE(clean)``.

        Raises:
            CertificateError: unless the model's features turn gates.
        """
        logits = model(step.x)
        worst = logits + largest_falls(model, step.x, step.y, self.threat)
        losses = cross_entropy(worst, step.y, reduction="none")
        if self.weight < 1:
            clean = cross_entropy(logits, step.y, reduction="none")
            losses = self.weight * losses + (1 - self.weight) * clean
        return losses
