"""A model behind something that changes its inputs first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Classifier, QuantumClassifier, TwinnedClassifier, frozen
from robustq.models.composition import Composed
from robustq.models.files import describe
from robustq.noise import Noise


class Fronted(nn.Module):
    """``model(front(x))``: a filter, an encoder, a squeezer in front of a classifier.

    What cannot be differentiated in a front passes its gradient straight through (BPDA: Athalye, Carlini &
    Wagner, ICML 2018), so that no attack of the suite is fooled by it.

    Args:
        front: from inputs to inputs of the model.
        model: the classifier behind it.

    >>> Fronted(nn.Identity(), nn.Linear(2, 2))(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    kind = "fronted"

    def __init__(self, front: nn.Module, model: nn.Module) -> None:
        super().__init__()
        self.front, self.model = front, model

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of inputs ``(batch, features)``."""
        logits: Tensor = self.model(self.front(x))
        return logits

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Composed:
        """The same with the model behind it frozen, where it can be."""
        return Composed(frozen(self.model, noise, uses), self.front)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Composed:
        """The same with the model behind it run on a noisy device."""
        assert isinstance(self.model, QuantumClassifier)
        return Composed(self.model.under(noise, shots=shots, generator=generator), self.front)

    def twins(self) -> tuple[Classifier, ...]:
        """The model without its front, and its own twins."""
        return inner_twins(self.model)

    def config(self) -> dict[str, Any]:
        """Both parts, JSON-able."""
        return {"front": describe(self.front), "model": describe(self.model)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Fronted:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        return cls(rebuild(config["front"]), rebuild(config["model"]))


def inner_twins(model: nn.Module) -> tuple[Classifier, ...]:
    """A guarded model's twins once its outermost guard is gone: the model within, and the twins of that.

    >>> len(inner_twins(Fronted(nn.Identity(), nn.Linear(2, 2))))
    2
    """
    return (model, *(model.twins() if isinstance(model, TwinnedClassifier) else ()))


def without_front(model: nn.Module, x: Any) -> tuple[nn.Module, Any]:
    """The model behind all its fronts, and what reaches it; ``x`` may be None.

    >>> without_front(Fronted(nn.Identity(), nn.Linear(2, 2)), None)
    (Linear(in_features=2, out_features=2, bias=True), None)
    """
    while isinstance(model, Fronted):
        x = None if x is None else model.front(x)
        model = model.model
    return model, x
