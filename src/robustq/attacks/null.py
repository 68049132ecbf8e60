"""Attacks that do not try: the baselines every real attack must beat."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.contracts import Search
from robustq.options import check_counts


@dataclass(frozen=True)
class Identity:
    """Leaves the input as it is.

    >>> Identity()
    Identity()
    """

    def __str__(self) -> str:
        return "no attack"

    def search(self, problem: Search) -> Tensor:
        """The clean input."""
        return problem.x


@dataclass(frozen=True)
class UniformNoise:
    """The strongest of ``tries`` random points of the threat set.

    An attack that is no better than this has found nothing.

    >>> UniformNoise(tries=3).tries
    3
    """

    tries: int = 10

    def __post_init__(self) -> None:
        check_counts("uniform-noise", tries=self.tries)

    def __str__(self) -> str:
        return f"uniform noise, best of {self.tries}"

    def search(self, problem: Search) -> Tensor:
        """Ask about each random point; the framework remembers the strongest."""
        candidate = problem.x
        for _ in range(self.tries):
            candidate = problem.threat.sample(problem.x, problem.generator)
            problem.loss(candidate)
        return candidate
