"""The optimisation-based attack (Carlini & Wagner, IEEE S&P 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks.nearest.moves import Moves
from robustq.attacks.nearest.refine import opening, slide
from robustq.contracts import Problem
from robustq.options import check_counts, check_rates
from robustq.threats import L2
from robustq.threats.l2 import length_of

EDGE = 1 - 1e-4  # of the tanh: an input on the edge of its box must be able to leave it


@dataclass(frozen=True)
class CarliniWagner:
    """Minimises ``|delta|^2 + c max(-margin, 0)`` by Adam, with a binary search for ``c``; l2.

    A finite box is kept by a tanh, as in the paper. Distances are measured by the first crossing along
    the gradient, margins by the clean one, so that neither features nor logits need a unit.

    Args:
        steps: Adam steps a search for one ``c``.
        searches: values of ``c`` tried, for each input.
        step: Adam's first step as a fraction of the first crossing, shared by the features and
            annealed to a hundredth of it.
        slides: rounds along the boundary at the end; 0 for the paper's attack.

    >>> print(CarliniWagner(steps=1000, searches=9))
    Carlini-Wagner, 9 x 1000 steps
    """

    steps: int = 40
    searches: int = 5
    step: float = 0.3
    slides: int = 3

    def __post_init__(self) -> None:
        check_counts("carlini-wagner", steps=self.steps, searches=self.searches)
        check_counts("carlini-wagner", 0, slides=self.slides)
        check_rates("carlini-wagner", step=self.step)

    def __str__(self) -> str:
        return f"Carlini-Wagner, {self.searches} x {self.steps} steps"

    def search(self, problem: Problem) -> Tensor:
        """The binary search for ``c``; raises ThreatError unless the threat is an l2 ball."""
        moves = Moves.of(problem, L2)
        reach = _or_one(length_of(opening(moves)))[:, None]
        weight = torch.full_like(reach, 4.0)  # twice what a straight boundary asks for
        least, most = torch.zeros_like(reach), torch.full_like(reach, torch.inf)
        for _ in range(self.searches):
            flipped = self._descend(moves, reach, weight)
            least = torch.where(flipped, least, weight)
            most = torch.where(flipped, weight, most)
            # tenfold while nothing flips, then bisection, as in the paper's search for c
            weight = torch.where(torch.isinf(most), 10 * weight, (least + most) / 2)
        slide(moves, self.slides)
        return problem.nearest

    def _descend(self, moves: Moves, reach: Tensor, weight: Tensor) -> Tensor:
        """Adam from the input for one ``c`` each; whether any step flipped, ``(batch, 1)``."""
        chart = _Chart.of(moves)
        # Adam moves every coordinate by its step, so the l2 length grows with sqrt(features)
        scale = chart.scale * moves.low.shape[1] ** 0.5
        adam = Adam(chart.origin)
        unit = _or_one(moves.margin(torch.zeros_like(moves.low)).abs())[:, None]
        flipped = torch.zeros_like(reach, dtype=torch.bool)
        for k in range(self.steps):
            cooled = 0.01 + 0.99 * (1 + math.cos(math.pi * k / self.steps)) / 2
            delta = chart.delta(adam.point)
            margin, slope = moves.slope(delta)
            # the paper's f: no pull on the margin once the input is flipped
            out = margin[:, None] > 0
            flipped |= out
            pull = 2 * delta / reach - torch.where(out, 0, weight * slope * reach / unit)
            adam.step(pull * chart.slope(adam.point), self.step * cooled * reach / scale)
        return flipped


def _or_one(values: Tensor) -> Tensor:
    """What to divide by where an input is flipped, or on the boundary, from the start."""
    return torch.where(values > 0, values, 1)


@dataclass(frozen=True)
class _Chart:
    """Changes as a function of free variables: a tanh in a finite box, themselves without."""

    middle: Tensor
    scale: Tensor
    bounded: bool

    @classmethod
    def of(cls, moves: Moves) -> _Chart:
        box = moves.problem.threat.box
        bounded = box is not None and all(bool(torch.isfinite(torch.as_tensor(b)).all()) for b in box)
        if not bounded:
            return cls(torch.zeros_like(moves.low), torch.ones_like(moves.low), False)
        half = (moves.high - moves.low) / 2
        return cls((moves.high + moves.low) / 2, half.clamp_min(torch.finfo(half.dtype).eps), True)

    @property
    def origin(self) -> Tensor:
        """Where no change is made."""
        start = -self.middle / self.scale
        # atanh is infinite at the edge, and the slope of tanh zero
        return start.clamp(-EDGE, EDGE).atanh() if self.bounded else start

    def delta(self, point: Tensor) -> Tensor:
        return self.middle + self.scale * (point.tanh() if self.bounded else point)

    def slope(self, point: Tensor) -> Tensor:
        return self.scale * (1 - point.tanh() ** 2) if self.bounded else self.scale


class Adam:
    """Adam (Kingma & Ba, ICLR 2015), each row on its own, with a step length of its own."""

    def __init__(self, point: Tensor) -> None:
        self.point = point
        self._mean, self._square, self._count = torch.zeros_like(point), torch.zeros_like(point), 0

    def step(self, gradient: Tensor, length: Tensor) -> None:
        """One step downhill; ``length`` broadcasts against the point."""
        self._count += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        # bias correction of both moments (Algorithm 1 of Kingma & Ba)
        mean = self._mean / (1 - 0.9**self._count)
        root = (self._square / (1 - 0.999**self._count)).sqrt()
        self.point = self.point - length * mean / (root + torch.finfo(root.dtype).eps)
