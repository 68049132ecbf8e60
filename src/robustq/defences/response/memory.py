"""A bounded memory of attacks."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.errors import SpecError


class ReplayMemory:
    """At most ``capacity`` labelled inputs, a uniform sample of all that were ever added.

    Reservoir sampling (Vitter, ACM Trans. Math. Software 11, 1985, algorithm R): old attacks are not
    forgotten because new ones are frequent.

    >>> memory = ReplayMemory(10, torch.Generator().manual_seed(0))
    >>> memory.add(torch.rand(100, 2), torch.zeros(100, dtype=torch.int64))
    >>> len(memory), memory.seen
    (10, 100)
    """

    def __init__(self, capacity: int, generator: torch.Generator) -> None:
        if capacity < 1:
            raise SpecError(f"memory: expected capacity >= 1, got {capacity}")
        self.capacity, self.generator, self.seen = capacity, generator, 0
        self._rows: list[tuple[Tensor, int]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Show the memory inputs ``(batch, *features)`` with their labels."""
        for row, label in zip(x.detach(), y.tolist(), strict=True):
            self.seen += 1
            if len(self._rows) < self.capacity:
                self._rows.append((row.clone(), label))
                continue
            place = int(torch.randint(self.seen, (), generator=self.generator))
            if place < self.capacity:
                self._rows[place] = (row.clone(), label)

    def rows(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """All that is remembered: ``(n, *features)`` in the dtype of ``like``, and labels ``(n,)``."""
        if not self._rows:
            return like[:0].clone(), torch.zeros(0, dtype=torch.int64, device=like.device)
        x = torch.stack([row for row, _ in self._rows]).to(like)
        return x, torch.tensor([label for _, label in self._rows], device=like.device)
