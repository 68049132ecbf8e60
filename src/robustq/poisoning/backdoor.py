"""A trigger that the victim learns to obey (BadNets; Gu et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import DataError, SpecError
from robustq.poisoning.task import TrainingData
from robustq.threats.poisoning import Rows


@dataclass(frozen=True)
class Backdoor:
    """Random rows of other classes are added once more, with the trigger on and the target's label.

    As in the paper, the clean rows stay: the model has no reason to lose accuracy on inputs
    without the trigger.

    Args:
        values: ``(feature, value)`` pairs, the trigger; negative features count from the end of the
            flattened input.
        target: the class that triggered inputs shall get.

    >>> Backdoor().trigger(torch.zeros(1, 4)).tolist()
    [[1.0, 0.0, 0.0, 1.0]]
    """

    values: tuple[tuple[int, float], ...] = ((0, 1.0), (-1, 1.0))
    target: int = 0

    def __post_init__(self) -> None:
        if not self.values:
            raise SpecError("backdoor: expected a trigger of at least one feature, got none")
        if self.target < 0:
            raise SpecError(f"backdoor: expected target >= 0, got {self.target}")

    def __str__(self) -> str:
        put = ", ".join(f"{feature} at {value:g}" for feature, value in self.values)
        return f"backdoor to class {self.target}, features {put}"

    def trigger(self, x: Tensor) -> Tensor:
        """The inputs with the trigger put on, shape of ``x``.

        Raises:
            DataError: if the inputs have no such feature.
        """
        flat = x.flatten(1).clone()
        for feature, value in self.values:
            if not -flat.shape[1] <= feature < flat.shape[1]:
                raise DataError(f"backdoor: expected features within {flat.shape[1]}, got {feature}")
            flat[:, feature] = value
        return flat.reshape(x.shape)

    def craft(self, data: TrainingData) -> Rows:
        """As many triggered copies as may be added."""
        if self.target >= data.classes:
            raise DataError(f"backdoor: expected a target in 0..{data.classes - 1}, got {self.target}")
        others = (data.y.cpu() != self.target).nonzero()[:, 0]
        chosen = others[torch.randperm(len(others), generator=data.generator)[: data.allowed]]
        copies = self.trigger(data.x[chosen.to(data.x.device)])
        labels = data.y.new_full((len(copies),), self.target)
        return torch.cat([data.x, copies]), torch.cat([data.y, labels])
