"""A walk along the decision boundary, labels only (Chen, Jordan & Wainwright, S&P 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.contracts import Problem
from robustq.errors import SpecError
from robustq.options import check_counts
from robustq.threats import Linf
from robustq.threats.ball import Ball, column

GROWTH = 6  # doublings of the threat set from which starting points are drawn


@dataclass(frozen=True)
class HopSkipJump:
    """From a flipped input to the boundary, along the estimated normal, and back to the boundary.

    Starting points are random points of the threat set, and of sets two, four, ... times as large within
    the box: an adversary may ask about any input, though only flips inside the threat set count. The
    normal is the mean of random directions weighted by whether they flip (their mean subtracted); the way
    back is a bisection, along the line to the clean input in l2 and by shrinking the largest changes in
    l-inf.

    A model that answers at random is asked ``answers`` times at every question and the majority of the
    labels decides: averaging scores would see more than labels. The last candidate goes on from the
    boundary to the rim of the threat set, where such a model flips most surely.

    Args:
        steps: walks to the boundary.
        probes: directions of the first normal; their number grows with the root of the step.
        tries: starting points, at most.
        bisections: questions of each way back.
        probe: how far directions reach, as a fraction of the present distance.
        answers: labels for every question, odd.

    >>> print(HopSkipJump(steps=5))
    HopSkipJump, 5 steps of 16 probes and more
    """

    steps: int = 8
    probes: int = 16
    tries: int = 24
    bisections: int = 10
    probe: float = 0.3
    answers: int = 1

    def __post_init__(self) -> None:
        check_counts(
            "hopskipjump",
            steps=self.steps,
            probes=self.probes,
            tries=self.tries,
            bisections=self.bisections,
            answers=self.answers,
        )
        if not 0 < self.probe < 1:
            raise SpecError(f"hopskipjump: expected probe in (0, 1), got {self.probe}")
        if self.answers % 2 == 0:
            raise SpecError(f"hopskipjump: expected an odd number of answers, got {self.answers}")

    def __str__(self) -> str:
        again = f", {self.answers} answers each" if self.answers > 1 else ""
        return f"HopSkipJump, {self.steps} steps of {self.probes} probes and more{again}"

    def search(self, problem: Problem) -> Tensor:
        """Beyond the boundary, at the rim of the threat set; the clean input where no start flipped."""
        flip, flipped = self._start(problem)
        if not bool(flipped.any()):
            return flip
        flip = self._to_boundary(problem, flip)
        for step in range(1, self.steps + 1):
            probes = round(self.probes * step**0.5)
            away = problem.threat.steepest(self._normal(problem, flip, probes))
            flip = self._jump(problem, flip, away, step)
            flip = self._to_boundary(problem, flip)
        return _to_the_rim(problem, flip)

    def _flips(self, problem: Problem, inputs: Tensor) -> Tensor:
        """Whether most answers are wrong, bool ``(batch,)``."""
        wrong = sum((problem.ask(inputs).argmax(1) != problem.y).long() for _ in range(self.answers))
        return torch.as_tensor(2 * wrong > self.answers)

    def _start(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """A flipped input for each row, and whether there is one."""
        start, flipped = problem.x, torch.zeros_like(problem.y, dtype=torch.bool)
        for attempt in range(self.tries):
            if bool(flipped.all()):
                break
            drawn = problem.threat.sample(problem.x, problem.generator) - problem.x
            grown = problem.x + 2.0 ** ((GROWTH + 1) * attempt // self.tries) * drawn
            new = self._flips(problem, grown) & ~flipped
            start = torch.where(column(new, start), grown, start)
            flipped = flipped | new
        return start, flipped

    def _to_boundary(self, problem: Problem, flip: Tensor) -> Tensor:
        """The flipped end of a bisection between the clean input and ``flip``."""
        low = torch.zeros(len(flip), dtype=flip.dtype, device=flip.device)
        high = torch.ones_like(low)
        for _ in range(self.bisections):
            middle = (low + high) / 2
            flipped = self._flips(problem, _towards(problem, flip, middle))
            low, high = torch.where(flipped, low, middle), torch.where(flipped, middle, high)
        return _towards(problem, flip, high)

    def _normal(self, problem: Problem, flip: Tensor, probes: int) -> Tensor:
        """The direction in which inputs flip, by Monte Carlo; shape of ``x``."""
        length = self.probe * column(problem.threat.distance(flip, problem.x), flip)
        # not the steepest signs of l-inf: one large weight outvotes all others at every vertex
        threat, eps = problem.threat, max(problem.threat.eps, 1e-30)
        # directions know no box: an input on its edge has two sides all the same
        around = replace(threat, box=None) if isinstance(threat, Ball) else threat
        votes, directions = [], []
        for _ in range(probes):
            direction = (around.sample(problem.x, problem.generator) - problem.x) / eps
            votes.append(2.0 * self._flips(problem, flip + length * direction) - 1)
            directions.append(direction)
        weights = torch.stack(votes)
        # the mean is a control variate, except where all agree and it would leave nothing
        level = weights.mean(0)
        weights = torch.where(level.abs() < 1, weights - level, weights)
        return torch.einsum("kb,kb...->b...", weights.to(flip), torch.stack(directions))

    def _jump(self, problem: Problem, flip: Tensor, away: Tensor, step: int) -> Tensor:
        """Along the normal, half as far as long as the landing does not flip; else stay."""
        length = problem.threat.distance(flip, problem.x) / step**0.5
        landed = torch.zeros(len(flip), dtype=torch.bool, device=flip.device)
        for _ in range(self.bisections):
            proposal = flip + column(length, flip) * away
            flipped = self._flips(problem, proposal) & ~landed
            flip = torch.where(column(flipped, flip), proposal, flip)
            landed = landed | flipped
            if bool(landed.all()):
                break
            length = torch.where(landed, 0, length / 2)
        return flip


def _to_the_rim(problem: Problem, flip: Tensor) -> Tensor:
    """As far in the direction of ``flip`` as the budget allows."""
    length = problem.threat.distance(flip, problem.x)
    longer = problem.threat.eps / length.clamp_min(torch.finfo(flip.dtype).tiny)
    return problem.x + column(torch.where(length > 0, longer, 1), flip) * (flip - problem.x)


def _towards(problem: Problem, flip: Tensor, share: Tensor) -> Tensor:
    """``flip`` brought to ``share`` of its distance from the clean input."""
    moved, threat = flip - problem.x, problem.threat
    if not isinstance(threat, Linf):
        return problem.x + column(share, flip) * moved
    units = threat.units(problem.x)
    limit = column(share * threat.distance(flip, problem.x), flip)
    limit = limit if units is None else limit * units
    return problem.x + torch.minimum(torch.maximum(moved, -limit), limit)
