"""The poison that does not think: what every real one must beat."""

from __future__ import annotations

from dataclasses import dataclass

from robustq.poisoning.task import TrainingData
from robustq.threats.poisoning import Rows


@dataclass(frozen=True)
class RandomFlip:
    """Random rows get a random other label.

    >>> print(RandomFlip())
    random label flips
    """

    def __str__(self) -> str:
        return "random label flips"

    def craft(self, data: TrainingData) -> Rows:
        """A random point of the threat set."""
        return data.threat.sample((data.x, data.y), data.generator)
