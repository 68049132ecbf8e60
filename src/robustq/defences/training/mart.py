"""MART: adversarial training that minds which inputs are misclassified (Wang et al., ICLR 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from robustq.contracts import Attack, Step, Threat
from robustq.defences.training.inner import divergence, worst_inputs
from robustq.options import check_not_negative


@dataclass(frozen=True)
class MART:
    """``BCE(attacked) + beta * KL(clean || attacked) * (1 - p_y(clean))``.

    The boosted cross-entropy also pushes the likeliest wrong class down:
    ``BCE = -log p_y - log(1 - max_{k != y} p_k)``.

    Args:
        attack: the inner search, run against the model as it is at this step.
        threat: what the inner adversary may do.
        beta: weight of the divergence, called lambda in the paper.

    >>> from robustq.attacks import PGD
    >>> from robustq.threats import Linf
    >>> MART(PGD(steps=7, restarts=1), Linf(0.1)).beta
    5.0
    """

    attack: Attack
    threat: Threat
    beta: float = 5.0

    def __post_init__(self) -> None:
        check_not_negative("mart", beta=self.beta)

    def losses(self, model: Any, step: Step) -> Tensor:
        """The boosted cross-entropy and the weighted divergence of each input."""
        attacked = model(worst_inputs(self.attack, model, step, self.threat))
        clean = model(step.x)
        doubt: Tensor = 1 - clean.softmax(1).gather(1, step.y[:, None])[:, 0]
        return boosted(attacked, step.y) + self.beta * doubt * divergence(clean, attacked)


def boosted(logits: Tensor, y: Tensor) -> Tensor:
    """``-log p_y - log(1 - max_{k != y} p_k)`` of each row, ``(batch,)``.

    For two classes this is twice the cross-entropy.

    >>> boosted(torch.zeros(1, 2), torch.tensor([0])) / torch.tensor(2.0).log()
    tensor([2.])
    """
    logs = log_softmax(logits, dim=1)
    rival = logs.scatter(1, y[:, None], -torch.inf).argmax(1, keepdim=True)
    # log(1 - p_rival) from the other classes: 1 - p would lose its digits where the rival is sure
    others = logs.scatter(1, rival, -torch.inf).logsumexp(1)
    loss: Tensor = -logs.gather(1, y[:, None])[:, 0] - others
    return loss
