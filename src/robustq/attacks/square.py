"""Random search in blocks of features, scores only (Andriushchenko et al., ECCV 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Problem
from robustq.errors import SpecError, ThreatError
from robustq.options import check_counts
from robustq.threats import L1, L2, Linf
from robustq.threats.ball import Ball, column, unit_noise

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # questions of the paper's 10,000
TINY = 1e-30
POWERS: dict[type[Ball], float] = {Linf: math.inf, L2: 2.0, L1: 1.0}


@dataclass(frozen=True)
class Square:
    """Changes a random block of features at a time and keeps what raises the margin.

    A block is a window of neighbouring features (going round at the end), or a square of the last two
    axes of images. It covers ``share`` of the features at first and is halved on the paper's schedule,
    down to one feature. In l-inf the block jumps to one side of the ball. In l2 and l1 a random pattern is
    added to it with the budget that is unused and that of a second block, which is emptied half of the
    time (always, with a fixed pattern, in the paper, whose images have more features than budget). Of
    labels alone it learns nothing before the first flip.

    Args:
        queries: questions about each input.
        share: of the features in the first block.

    Raises:
        ThreatError: when searching a threat that is no l-inf, l2 or l1 ball.

    >>> print(Square(queries=500))
    Square, 500 queries
    """

    queries: int = 500
    share: float = 0.5

    def __post_init__(self) -> None:
        check_counts("square", queries=self.queries)
        if not 0 < self.share <= 1:
            raise SpecError(f"square: expected a share in (0, 1], got {self.share}")

    def __str__(self) -> str:
        return f"Square, {self.queries} queries"

    def search(self, problem: Problem) -> Tensor:
        """A walk of one candidate for each input; each accepts for itself."""
        threat, power = _ball_of(problem.threat)
        units = threat.units(problem.x)
        units = torch.ones_like(problem.x) if units is None else units.expand_as(problem.x)
        moved = _scaled(torch.where(units > 0, _signs(problem.x.shape, problem), 0), power)
        candidate = threat.project(problem.x + threat.eps * units * moved, problem.x)
        best = problem.loss(candidate)
        for query in range(1, self.queries):
            moved = torch.where(units > 0, (candidate - problem.x) / units.clamp_min(TINY), 0)
            blocks = [_blocks(problem, self._size(query)) & (units > 0) for _ in range(2)]
            moved = _redrawn(problem, moved, blocks, power)
            proposal = threat.project(problem.x + units * moved, problem.x)
            loss = problem.loss(proposal)
            candidate = torch.where(column(loss > best, candidate), proposal, candidate)
            best = torch.maximum(loss, best)
        return candidate

    def _size(self, queries: int) -> float:
        """The share of the features in a block after so many questions."""
        place = 10_000 * queries / self.queries
        return self.share / float(2 ** sum(place > halving for halving in HALVINGS))


def _ball_of(threat: object) -> tuple[Ball, float]:
    if not isinstance(threat, Ball) or type(threat) not in POWERS:
        raise ThreatError(f"square: expected an l-inf, l2 or l1 ball, got {threat}")
    return threat, POWERS[type(threat)]


def _signs(shape: Sequence[int], problem: Problem) -> Tensor:
    drawn = torch.randint(0, 2, tuple(shape), generator=problem.generator)
    return (2 * drawn - 1).to(problem.x)


def _redrawn(problem: Problem, moved: Tensor, blocks: list[Tensor], power: float) -> Tensor:
    """The change with the first block redrawn, in units of the threat."""
    block, other = blocks
    if power == math.inf:
        # one sign for the whole block (of each channel), as in the paper
        alike = min(2, moved.ndim - 1)
        signs = _signs((*moved.shape[: moved.ndim - alike], *[1] * alike), problem)
        return torch.where(block, problem.threat.eps * signs, moved)
    rest = torch.where(block | other, 0, moved)
    budget = (problem.threat.eps**power - (rest.abs() ** power).flatten(1).sum(1)).clamp_min(0)
    emptied = other & ~block & (_signs((len(moved), *[1] * (moved.ndim - 1)), problem) > 0)
    drawn = torch.where(block, unit_noise(moved, problem.generator), 0)
    pattern = _scaled(drawn, 2) + _scaled(torch.where(emptied, 0, moved - rest), 2)
    return rest + column(budget ** (1 / power), moved) * _scaled(pattern, power)


def _scaled(moved: Tensor, power: float) -> Tensor:
    """Each row at length one in the norm of ``power``; zero where it vanishes."""
    length = torch.linalg.vector_norm(moved.flatten(1), ord=power, dim=1)
    return moved / column(length.clamp_min(TINY), moved)


def _blocks(problem: Problem, share: float) -> Tensor:
    """A block for each row, bool, to broadcast against ``x``: at least one feature of each channel."""
    axes = problem.x.shape[1:] if problem.x.ndim < 3 else problem.x.shape[-2:]
    block = torch.ones(len(problem.x), *[1] * (problem.x.ndim - 1), dtype=torch.bool)
    for k, size in enumerate(axes):
        width = max(1, round(size * share ** (1 / len(axes))))
        start = torch.randint(0, size, (len(block), 1), generator=problem.generator)
        window = (torch.arange(size) - start) % size < width
        block = block & window.reshape(
            len(block), *[1] * (problem.x.ndim - 1 - len(axes) + k), size, *[1] * (len(axes) - 1 - k)
        )
    return block.to(problem.x.device)
