"""Rows that a detector may be fitted on: what can honestly be told of attacked ones.

An attacked row carries no mark. What can be recognised is what an attack does to a *sample*: values outside
the box, rows that are perturbed copies of one another, rows that change in the course of the sample, and rows
that differ in distribution from a reference that is known to be clean. What passes may still be attacked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.errors import DataError

COPIES = 0.2  # share of rows with a perturbed copy that is refused
EQUAL = 1e-5  # rounding within which two moves are of one size
MOST = 512  # rows that are compared with all others
NUMBERS = 2**22  # held at once in that
UNLIKELY = 1e-4  # chance that clean rows are refused by one test


def check_rows(x: Tensor, y: Tensor) -> None:
    """Refuse rows that are not finite, outside [0, 1], or perturbed copies of one another.

    Raises:
        DataError: naming what is wrong with them.
    """
    if x.ndim != 2 or y.shape != (len(x),) or len(x) < 4:
        raise DataError(f"expected rows (>= 4, features) with labels, got {tuple(x.shape)} and {tuple(y.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise DataError("expected finite rows to fit a detector on, got NaN or infinity")
    if float(x.min()) < -1e-6 or float(x.max()) > 1 + 1e-6:
        raise DataError(
            f"expected rows in [0, 1] to fit a detector on, got values in [{float(x.min()):.4g}, "
            f"{float(x.max()):.4g}]"
        )
    share, size = perturbed_copies(x)
    if share > COPIES:
        raise DataError(
            f"expected clean rows to fit a detector on, got {share:.0%} of them with a copy whose every "
            f"feature is moved by {size:.4g}: attacked or augmented rows"
        )


def perturbed_copies(x: Tensor) -> tuple[float, float]:
    """Share of rows that have a copy with every feature moved by one common size, and that size.

    This is what steps along the sign of a gradient leave behind. Features at the edge of the box may have
    moved less, as long as they are no more than half. Of clean rows no two differ so in continuous features;
    features of which more than two thirds of the values are repeated ones are not looked at.

    >>> x = 0.1 + 0.8 * torch.rand(50, 4, generator=torch.Generator())
    >>> both = torch.cat([x, x + 0.1 * torch.sign(x - 0.5)])
    >>> share, size = perturbed_copies(both)
    >>> round(share, 2), round(size, 3)
    (1.0, 0.1)
    """
    varied = torch.tensor([3 * len(torch.unique(column)) > len(x) for column in x.T])
    rows = x.detach().double()[:, varied]
    if rows.shape[1] < 2:
        return 0.0, 0.0
    sample = rows[:MOST]
    chunk = max(1, NUMBERS // rows.numel())
    sizes = torch.cat([_common_move(part, rows) for part in torch.split(sample, chunk)])
    moves = sizes[torch.isfinite(sizes)]
    if not len(moves):
        return 0.0, 0.0
    common = moves.median()
    share = float(((moves - common).abs() <= 2 * EQUAL).sum()) / len(sample)
    return share, float(common)


def _common_move(part: Tensor, rows: Tensor) -> Tensor:
    """The size of the move to a perturbed copy among ``rows``, infinite without one, ``(len(part),)``."""
    edge = (part <= EQUAL) | (part >= 1 - EQUAL)
    others = (rows <= EQUAL) | (rows >= 1 - EQUAL)
    edges = edge[:, None] | others[None]
    moved = (part[:, None] - rows[None]).abs()
    high = moved.masked_fill(edges, 0).amax(2)
    low = moved.masked_fill(edges, torch.inf).amin(2)
    inner = 2 * (~edges).sum(2) >= max(3, rows.shape[1])
    whole = inner & (high - low <= EQUAL) & (high > 1e-3) & (high < 0.5) & (moved.amax(2) <= high + EQUAL)
    return high.masked_fill(~whole, torch.inf).amin(1)


def check_course(columns: Tensor, y: Tensor) -> None:
    """Refuse rows that change from the first half of a class to its second, in the order given.

    A threshold is guaranteed for rows that are exchangeable. A stream whose end was attacked is not.

    Args:
        columns: what is compared, features or scores, ``(rows, columns)``.
        y: labels.

    Raises:
        DataError: if Kolmogorov and Smirnov's test says so at one in ten thousand, over all classes and columns.
    """
    classes = sorted(set(y.tolist()))
    tests = len(classes) * columns.shape[1]
    for label in classes:
        own = columns[y == label]
        half = len(own) // 2
        pairs = zip(own[:half].T, own[half:].T, strict=True) if half else ()
        if any(_differ(one, other) < UNLIKELY / tests for one, other in pairs):
            raise DataError(
                f"expected clean rows in random order to fit a detector on, got rows of class {label} "
                "whose second half differs from its first: attacked, drifted or sorted rows"
            )


def check_reference(x: Tensor, scores: Tensor, reference: Tensor, reference_scores: Tensor) -> None:
    """Refuse rows that differ from clean reference rows in their scores or in any feature.

    Args:
        x: rows that are to be used, none of which the detector was fitted on.
        scores: of ``x``.
        reference: rows known to be clean.
        reference_scores: of ``reference``.

    Raises:
        DataError: if a two-sample test of Kolmogorov and Smirnov says so (Bonferroni over all tests).
    """
    pairs = [(scores, reference_scores), *zip(x.T, reference.T, strict=True)]
    worst = min(_differ(one, other) for one, other in pairs) * len(pairs)
    if worst < UNLIKELY:
        raise DataError(
            "expected rows to fit a detector on that look like the clean reference rows, got others "
            f"(p = {worst:.1e}): attacked or drifted rows"
        )


def _differ(one: Tensor, other: Tensor) -> float:
    """p-value of the two-sample test."""
    from scipy.stats import ks_2samp

    first, second = (part.detach().double().cpu().numpy() for part in (one, other))
    return float(ks_2samp(first, second, method="asymp").pvalue)
