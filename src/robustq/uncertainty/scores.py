"""How unsure an answer is, one number an input: from members' logits, higher is less sure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from robustq.uncertainty.panel import mixture

Score = Callable[[Tensor], Tensor]


def entropy_of(log_chances: Tensor) -> Tensor:
    """``-sum_k p_k log p_k`` in nats over the last axis, of logarithms of probabilities.

    >>> entropy_of(torch.tensor([0.5, 0.5]).log()).exp()
    tensor(2.)
    """
    chances = log_chances.exp()
    each: Tensor = torch.special.entr(chances)
    return each.sum(-1)


def confidence(members: Tensor) -> Tensor:
    """``1 - max_k p_k`` of the mean probabilities (Hendrycks & Gimpel, ICLR 2017), ``(batch,)``.

    >>> confidence(torch.zeros(3, 1, 2))
    tensor([0.5000])
    """
    return 1 - mixture(members).exp().amax(1)


def margin(members: Tensor) -> Tensor:
    """One less the lead of the first class over the second in mean probability, ``(batch,)``.

    >>> margin(torch.zeros(3, 1, 2))
    tensor([1.])
    """
    first, second = mixture(members).exp().topk(2, dim=1).values.unbind(1)
    return 1 - (first - second)


def entropy(members: Tensor) -> Tensor:
    """Of the mean probabilities, in nats, ``(batch,)``: all uncertainty.

    >>> entropy(torch.zeros(3, 1, 2)).exp()
    tensor([2.])
    """
    return entropy_of(mixture(members))


def expected_entropy(members: Tensor) -> Tensor:
    """The members' mean entropy, in nats, ``(batch,)``: what no further data would tell.

    >>> expected_entropy(torch.zeros(3, 1, 2)).exp()
    tensor([2.])
    """
    return entropy_of(members.log_softmax(-1)).mean(0)


def mutual_information(members: Tensor) -> Tensor:
    """Between the answer and the member, in nats, ``(batch,)`` (Houlsby et al. 2011): their disagreement.

    >>> mutual_information(torch.tensor([[[99.0, 0.0]], [[0.0, 99.0]]])).exp()
    tensor([2.])
    """
    return entropy(members) - expected_entropy(members)


def variance(members: Tensor) -> Tensor:
    """Of the members' probabilities of the winning class, ``(batch,)``.

    >>> variance(torch.tensor([[[99.0, 0.0]], [[0.0, 99.0]]]))
    tensor([0.2500])
    """
    winner = mixture(members).argmax(1).expand(len(members), -1)[..., None]
    return members.softmax(-1).gather(2, winner)[..., 0].var(0, unbiased=False)


def energy(members: Tensor) -> Tensor:
    """``-log sum_k exp(logit_k)`` of the mean logits, ``(batch,)`` (Liu et al., NeurIPS 2020).

    >>> energy(torch.zeros(3, 1, 2))
    tensor([-0.6931])
    """
    return -torch.logsumexp(members.mean(0), 1)


SCORES: Mapping[str, Score] = {
    "confidence": confidence,
    "margin": margin,
    "entropy": entropy,
    "mutual-information": mutual_information,
    "expected-entropy": expected_entropy,
    "variance": variance,
    "energy": energy,
}
