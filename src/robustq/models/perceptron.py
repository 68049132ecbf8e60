"""Classical baselines that train by gradient: logistic regression and a small perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from robustq.models.layers import linear, new_linear


class Perceptron(nn.Module):
    """A chain of linear layers with tanh between them; no hidden layer is logistic regression.

    Args:
        features: width of the input.
        hidden: widths of the hidden layers.
        classes: width of the output.
        generator: where the starting weights come from.

    >>> Perceptron(4, [8], 2, generator=torch.Generator())(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    kind = "perceptron"

    def __init__(self, features: int, hidden: list[int], classes: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = list(hidden)
        widths = [features, *hidden, classes]
        self.layers = nn.ModuleList(new_linear(a, b, generator) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for features ``(batch, features)``."""
        for k, layer in enumerate(self.layers):
            x = linear(layer, torch.tanh(x) if k else x)
        return x

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        first, last = self.layers[0], self.layers[-1]
        return {"features": first.in_features, "hidden": self.hidden, "classes": last.out_features}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Perceptron:
        """A model of the same shape, its weights still to be loaded."""
        return cls(
            int(config["features"]),
            [int(h) for h in config["hidden"]],
            int(config["classes"]),
            generator=torch.Generator(),
        )


def matched_hidden(features: int, classes: int, parameters: int) -> int:
    """The hidden width whose perceptron has the parameter count nearest to ``parameters``.

    ``h (features + classes + 1) + classes`` parameters for width ``h``.

    >>> matched_hidden(6, 2, 75)
    8
    """
    return max(1, round((parameters - classes) / (features + classes + 1)))
