"""Rows that are in more than one part of the data."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from robustq.audit.evidence import Count

NEAR = 0.01  # of the usual distance between neighbours


def shared_rows(parts: Mapping[str, Tensor]) -> dict[str, Count]:
    """For each two parts, the later one's rows that lie almost on a row of the earlier one.

    Almost: nearer than a hundredth of the median distance between neighbours of the earlier part, so that
    exact copies and copies with a little noise are found, in any unit.

    >>> a, b = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.001], [5.0]])
    >>> shared_rows({"train": a, "test": b})
    {'test in train': Count(found=1, of=2)}
    """
    flat = {name: rows.double().flatten(1) for name, rows in parts.items()}
    names = list(flat)
    return {
        f"{later} in {earlier}": _close(flat[later], flat[earlier])
        for k, later in enumerate(names)
        for earlier in names[:k]
        if len(flat[later]) and len(flat[earlier])
    }


def _close(rows: Tensor, others: Tensor) -> Count:
    usual = torch.zeros((), dtype=others.dtype, device=others.device)
    if len(others) > 1:
        few = others[:: max(1, len(others) // 500)]
        usual = _nearest(few, others, 2)[:, 1].median()
    return Count(int((_nearest(rows, others, 1)[:, 0] <= NEAR * usual).sum()), len(rows))


def _nearest(rows: Tensor, others: Tensor, count: int) -> Tensor:
    """Distances ``(rows, count)`` to the nearest others, a few rows at a time.

    Computed by differences: the faster expansion of the square loses the small distances that matter.
    """
    exact = "donot_use_mm_for_euclid_dist"
    distances = [
        torch.cdist(part, others, compute_mode=exact).topk(count, dim=1, largest=False).values
        for part in torch.split(rows, 256)
    ]
    return torch.cat(distances)
