"""What a detector is: fitted numbers as buffers, and a score of every input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from robustq.defences.detection.view import View
from robustq.errors import DataError


@dataclass(frozen=True, eq=False)
class Clean:
    """Clean rows to fit a detector on.

    Attributes:
        x: inputs ``(rows, features)``.
        y: their labels ``(rows,)``; every class has rows.
        view: the trained model.
        generator: all of the fit's randomness.
    """

    x: Tensor
    y: Tensor
    view: View
    generator: torch.Generator

    @property
    def logits(self) -> Tensor:
        """The model's answers, ``(rows, classes)``."""
        with torch.no_grad():
            return self.view.answer(self.x)

    @property
    def classes(self) -> int:
        """How many classes there are, every one with rows.

        Raises:
            DataError: if a class has none.
        """
        counts = torch.bincount(self.y)
        if bool((counts == 0).any()):
            raise DataError(f"expected rows of every class, got counts {counts.tolist()}")
        return len(counts)


class Detector(nn.Module):
    """A score of each input, higher where it is more suspicious, differentiable in the input.

    Fitted with scikit-learn where that knows how, evaluated and attacked in torch, saved as buffers. The score may
    depend on the model's answer and on whatever else the :class:`View` of the model shows.

    Args:
        options: JSON-able.
        buffers: what was fitted.
    """

    kind = ""
    passes = 0  # runs of the model besides the one that answers

    def __init__(self, options: Mapping[str, Any] | None = None, **buffers: Tensor) -> None:
        super().__init__()
        self.options = dict(options or {})
        for name, value in buffers.items():
            self.register_buffer(name, value.detach().clone())

    def config(self) -> dict[str, Any]:
        """Options and shapes, JSON-able."""
        shapes = {name: list(value.shape) for name, value in self.named_buffers(recurse=False)}
        return {"options": self.options, "shapes": shapes}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`config`, its numbers still to be loaded."""
        zeros = {name: torch.zeros(*shape) for name, shape in config["shapes"].items()}
        return cls(config["options"], **zeros)


Maker = Callable[[Clean], Detector]
