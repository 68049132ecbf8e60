"""What a classifier promises that knows how sure it is: one that is many."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Predictive(Protocol):
    """Several classifiers that answer as one: an ensemble, draws of a posterior, a device asked often.

    What it answers is what they answer together, so that whatever takes a classifier takes it; how far
    they disagree is what it does not know.
    """

    def __call__(self, x: Tensor, /) -> Tensor:
        """Logits ``(batch, classes)``: the logarithm of the mean of the members' probabilities."""
        ...

    def members(self, x: Tensor) -> Tensor:
        """The logits of every member, ``(members, batch, classes)``."""
        ...
