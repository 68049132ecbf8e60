"""Distance to the training rows themselves."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.errors import DataError

MOST_ROWS = 2000  # kept of the training rows: a score costs a distance to each


class Neighbours(Detector):
    """Euclidean distance to the k-th nearest clean row (Ramaswamy, Rastogi & Shim, SIGMOD 2000)."""

    kind = "neighbours"
    rows: Tensor

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The distance, float64 ``(batch,)``."""
        distances = torch.cdist(
            x.double(), self.rows.to(x.device).double(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        return distances.kthvalue(int(self.options["k"]), dim=1).values

    @classmethod
    def fitted(cls, clean: Clean, k: int = 5) -> Self:
        """Keep at most 2000 rows, drawn at random.

        Raises:
            DataError: if there are fewer rows than neighbours.
        """
        if not 1 <= k <= len(clean.x):
            raise DataError(f"neighbours: expected 1 <= k <= {len(clean.x)} rows, got {k}")
        order = torch.randperm(len(clean.x), generator=clean.generator)[: max(MOST_ROWS, k)]
        return cls({"k": k}, rows=clean.x[order].double())
