"""Expectation over transformation: attack the mean answer of a randomised model (Athalye et al., ICML 2018)."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from robustq.attacks.pgd import PGD
from robustq.contracts import Attack, Problem
from robustq.options import check_counts


@dataclass(frozen=True)
class EOT:
    """Another attack, every question of which is asked ``samples`` times and averaged.

    Finite shots, random noise and randomised defences hide the gradient of one answer, not that of the
    mean.

    Args:
        attack: what searches.
        samples: answers, and gradients, averaged at every question.

    >>> print(EOT(PGD(steps=10, restarts=1), samples=8))
    EOT of 8 answers: PGD, 10 steps, 1 restart, margin
    """

    attack: Attack = field(default_factory=lambda: PGD(steps=20, restarts=1))
    samples: int = 8

    def __post_init__(self) -> None:
        check_counts("eot", samples=self.samples)

    def __str__(self) -> str:
        return f"EOT of {self.samples} answers: {self.attack}"

    def search(self, problem: Problem) -> Tensor:
        """The inner search on mean answers."""
        return problem.run(self.attack, samples=self.samples)
