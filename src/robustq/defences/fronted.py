"""A model behind something that changes its inputs first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Classifier, QuantumClassifier, TwinnedClassifier
from robustq.models.files import describe


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

    def freeze(self, noise: Any = None, *, uses: int | None = None) -> Behind:
        """The same with the model behind it frozen, where it can be."""
        return Behind(self.front, frozen(self.model, noise, uses))

    def under(
        self, noise: Any = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Behind:
        """The same with the model behind it run on a noisy device."""
        assert isinstance(self.model, QuantumClassifier)
        return Behind(self.front, self.model.under(noise, shots=shots, generator=generator))

    def twins(self) -> tuple[Classifier, ...]:
        """The model without its front, and its own twins."""
        return beneath(self.model)

    def config(self) -> dict[str, Any]:
        """Both parts, JSON-able."""
        return {"front": describe(self.front), "model": describe(self.model)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Fronted:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        return cls(rebuild(config["front"]), rebuild(config["model"]))


@dataclass(frozen=True, eq=False)
class Behind:
    """A frozen model behind a front."""

    front: nn.Module
    model: Classifier

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return self.model(self.front(x))


def beneath(model: nn.Module) -> tuple[Classifier, ...]:
    """A guarded model's twins once its outermost guard is gone: the model within, and the twins of that.

    >>> len(beneath(Fronted(nn.Identity(), nn.Linear(2, 2))))
    2
    """
    return (model, *(model.twins() if isinstance(model, TwinnedClassifier) else ()))


def frozen(model: nn.Module, noise: Any = None, uses: int | None = None) -> Classifier:
    """The model frozen, where it can be; itself otherwise.

    >>> frozen(nn.Linear(2, 2))
    Linear(in_features=2, out_features=2, bias=True)
    """
    if not isinstance(model, QuantumClassifier):
        return model
    return model.freeze(uses=uses) if noise is None else model.freeze(noise, uses=uses)
