"""What an attack raises: the margin, which is defined for two classes too, and the cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.errors import unknown_name

LOSSES = ("margin", "cross-entropy")


def margin(logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """Best wrong logit (or that of ``target``) minus the right one, ``(batch,)``.

    >>> margin(torch.tensor([[2.0, 0.5]]), torch.tensor([0]))
    tensor([-1.5000])
    """
    right = logits.gather(1, y[:, None])[:, 0]
    if target is not None:
        return logits.gather(1, target[:, None])[:, 0] - right
    wrong = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return wrong - right


def loss_of(kind: str, logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """The loss to raise, ``(batch,)``; towards ``target`` if one is given."""
    check_loss(kind)
    if kind == "margin":
        return margin(logits, y, target)
    if target is not None:
        return -torch.nn.functional.cross_entropy(logits, target, reduction="none")
    return torch.nn.functional.cross_entropy(logits, y, reduction="none")


def check_loss(kind: str) -> None:
    """Refuse a loss that attacks do not know."""
    if kind not in LOSSES:
        raise unknown_name("attack loss", kind, LOSSES)
