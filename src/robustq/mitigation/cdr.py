"""Clifford data regression: learn from circuits whose ideal values are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import DataError
from robustq.mitigation.near_clifford import TrainingCircuits, training_circuits
from robustq.mitigation.plan import Plan, Problem

LEAST_SPREAD = 1e-6  # of what was read, below which there is nothing to fit a slope to


@dataclass(frozen=True)
class CDR:
    """Ideal values as a line of noisy ones, fitted on near-Clifford circuits (Czarnik et al. 2021).

    One fit serves all inputs: the training circuits are made from inputs drawn among the problem's.

    Args:
        circuits: how many are run to learn.
        kept: share of the angles that stay as they are.

    >>> print(CDR())
    cdr, 64 training circuits
    """

    circuits: int = 64
    kept: float = 0.25

    def __post_init__(self) -> None:
        if self.circuits < 2:
            raise DataError(f"cdr: expected at least 2 training circuits, two numbers to fit, got {self.circuits}")

    def __str__(self) -> str:
        return f"cdr, {self.circuits} training circuits"

    def plan(self, problem: Problem) -> Plan:
        """One run, and a line for each observable."""
        slope, start = line(training_circuits(problem, self.circuits, self.kept))

        def combine(parts: Sequence[Tensor]) -> Tensor:
            return slope.to(parts[0]) * parts[0] + start.to(parts[0])

        return Plan((problem.run,), combine, training=self.circuits * problem.run.circuits)


def line(circuits: TrainingCircuits) -> tuple[Tensor, Tensor]:
    """Slope and constant of each observable by least squares, ``(observables,)``.

    Where the noisy values do not differ the slope is 1 and only the mean is corrected.

    >>> noisy = torch.tensor([[0.4], [-0.4], [0.0]])
    >>> [round(float(v), 6) for v in line(TrainingCircuits(noisy, noisy, 2 * noisy))]
    [2.0, 0.0]
    """
    centre, target = circuits.noisy.mean(0), circuits.ideal.mean(0)
    away, shift = circuits.noisy - centre, circuits.ideal - target
    spread = (away**2).sum(0)
    fitted = (away * shift).sum(0) / spread.clamp_min(LEAST_SPREAD)
    slope = torch.where(spread > LEAST_SPREAD, fitted, torch.ones_like(fitted))
    return slope, target - slope * centre
