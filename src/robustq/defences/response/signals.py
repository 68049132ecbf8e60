"""Signals of how sure a model is: from its logits alone, from a posterior, from conformal sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from robustq.contracts import Predictive
from robustq.errors import unknown_name
from robustq.uncertainty.conformal import Conformal
from robustq.uncertainty.scores import SCORES

Signal = Callable[[Tensor, Tensor], Tensor]
"""From inputs and logits to one number each, ``(batch,)``."""


def confidence(x: Tensor, logits: Tensor) -> Tensor:
    """The softmax of the class answered.

    >>> confidence(torch.zeros(1, 1), torch.zeros(1, 4))
    tensor([0.2500])
    """
    return logits.softmax(1).amax(1)


def margin(x: Tensor, logits: Tensor) -> Tensor:
    """How far it leads over the second, in softmax.

    >>> margin(torch.zeros(1, 1), torch.zeros(1, 4))
    tensor([0.])
    """
    top = logits.softmax(1).topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def entropy(x: Tensor, logits: Tensor) -> Tensor:
    """Shannon's entropy of the softmax over its largest value, in [0, 1].

    >>> entropy(torch.zeros(1, 1), torch.zeros(1, 4))
    tensor([1.])
    """
    logs = logits.log_softmax(1)
    full = torch.tensor(float(logits.shape[1])).log().to(logits)
    return -(logs.exp() * logs).sum(1) / full


def doubt(posterior: Predictive, score: str) -> Signal:
    """Any score of uncertainty of a posterior over models, as a signal; higher is less sure.

    Args:
        posterior: an ensemble, a Laplace posterior, finite shots, ...: whatever has members.
        score: a name in :data:`robustq.uncertainty.SCORES`.

    Raises:
        SpecError: if no score has that name.

    >>> from robustq.uncertainty import Panel
    >>> disagree = Panel((lambda x: x, lambda x: -x))
    >>> sure = doubt(disagree, "mutual-information")
    >>> sure(torch.tensor([[9.0, -9.0], [0.0, 0.0]]), torch.zeros(2, 2)).round(decimals=3)
    tensor([0.6930, 0.0000])
    """
    if score not in SCORES:
        raise unknown_name("uncertainty score", score, SCORES)
    return lambda x, logits: SCORES[score](posterior.members(x)).to(logits)


def set_size(conformal: Conformal) -> Signal:
    """How many classes the conformal set of an answer holds: 1 is an answer, more is doubt, 0 is like nothing known.

    For scores of probabilities that are not randomised, which are those that a policy can repeat.

    >>> from robustq.uncertainty.conformal import LeastAmbiguous
    >>> size = set_size(Conformal(LeastAmbiguous(), 0.1, "none", (0.6, 0.6), (10, 10)))
    >>> size(torch.zeros(2, 1), torch.tensor([[9.0, 0.0], [0.1, 0.0]]))
    tensor([1., 2.])
    """

    def size(x: Tensor, logits: Tensor) -> Tensor:
        chances = logits.detach().double().softmax(1).cpu().numpy()
        return torch.as_tensor(conformal.sets(chances).sum(1)).to(logits)

    return size


BUILT_IN: Mapping[str, Signal] = {"confidence": confidence, "margin": margin, "entropy": entropy}
