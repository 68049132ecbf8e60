"""Classifiers that answer together; implement :class:`robustq.contracts.Predictive`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from robustq.contracts import Classifier, ShotClassifier
from robustq.errors import ModelError


def mixture(members: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of the mean probabilities of members ``(members, batch, classes)``.

    >>> certain = torch.tensor([[[50.0, 0.0]], [[0.0, 50.0]]])
    >>> mixture(certain).exp()
    tensor([[0.5000, 0.5000]])
    """
    return torch.logsumexp(members.log_softmax(-1), 0) - math.log(len(members))


@dataclass(frozen=True, eq=False)
class Panel:
    """Several classifiers, each asked once.

    >>> double, half = (lambda x: 2 * x), (lambda x: x / 2)
    >>> Panel((double, half)).members(torch.ones(1, 2)).tolist()
    [[[2.0, 2.0]], [[0.5, 0.5]]]
    """

    models: tuple[Classifier, ...]

    def __post_init__(self) -> None:
        if not self.models:
            raise ModelError("expected at least one member, got none")

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of the mean probabilities."""
        return mixture(self.members(x))

    def members(self, x: Tensor) -> Tensor:
        """Logits ``(members, batch, classes)``."""
        return torch.stack([model(x) for model in self.models])


class ShotPanel(Panel):
    """A panel of classifiers with finite shots; a :class:`robustq.contracts.ShotClassifier`."""

    @property
    def shots_per_answer(self) -> int:
        """Of all members together."""
        return sum(cast(ShotClassifier, model).shots_per_answer for model in self.models)

    @property
    def shots_per_gradient(self) -> int:
        """Of all members together."""
        return sum(cast(ShotClassifier, model).shots_per_gradient for model in self.models)


@dataclass(frozen=True, eq=False)
class Tangent:
    """Members on the tangent of a model at its parameters (Immer, Korzepa & Bauer, AISTATS 2021).

    Each is ``f(x; m) + J(x) (theta - m)``. The slope along ``theta - m`` is a central difference in float64.

    Attributes:
        centre: the model at ``m``.
        ahead, behind: the model a step along every direction, and a step back.
        factors: what makes a difference of the two a slope, float64 ``(members,)``.
    """

    centre: Classifier
    ahead: Panel
    behind: Panel
    factors: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of the mean probabilities."""
        return mixture(self.members(x))

    def members(self, x: Tensor) -> Tensor:
        """Logits ``(members, batch, classes)``, differentiable in ``x``."""
        inputs = x.double()
        apart = self.ahead.members(inputs) - self.behind.members(inputs)
        return (self.centre(inputs) + self.factors[:, None, None] * apart).to(x.dtype)
