"""Labels that are not quite sure (Szegedy et al., CVPR 2016)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.nn.functional import log_softmax

from robustq.contracts import Defence, Step
from robustq.defences.training.plain import Plain
from robustq.options import check_shares


@dataclass(frozen=True)
class LabelSmoothing:
    """``(1 - share)`` of another loss and ``share`` of the cross-entropy with equal labels.

    On ordinary training this is label smoothing. It keeps logits small, which shrinks gradients of the
    cross-entropy more than margins: attacks on margins (the default here) tell what it is worth.

    Args:
        share: of the label that is spread over all classes, in [0, 1].
        on: the defence whose loss keeps the rest.

    >>> LabelSmoothing(0.2).share
    0.2
    """

    share: float = 0.1
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        check_shares("label smoothing", share=self.share)

    def losses(self, model: Any, step: Step) -> Tensor:
        """The mixed losses; the equal labels are held against the clean inputs."""
        losses = self.on.losses(model, step)
        if self.share == 0:
            return losses
        spread = -log_softmax(model(step.x), dim=1).mean(1)
        return (1 - self.share) * losses + self.share * spread
