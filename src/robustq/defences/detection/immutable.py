"""Inputs that no real row could be are refused."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustq.defences.detection.detector import Clean
from robustq.defences.detection.rejection import Rejecting
from robustq.defences.detection.rows import check_rows
from robustq.defences.detection.support import Support
from robustq.defences.detection.view import View
from robustq.errors import SpecError

UNIT = 0.01  # of a feature's range: a violation of this size raises the alarm by one logit


@dataclass(frozen=True)
class ImmutableFeatures:
    """An alarm for every input with a feature outside of what training rows were.

    A rule rather than a test: the threshold is zero, and no training row raises the alarm. Of a further
    clean row each watched continuous feature leaves its range with probability ``2 / (rows + 1)`` at most.

    Args:
        levels: most values of a feature that may take only those it was seen with.
        features: columns that are watched, by number and separated by commas; empty for all.

    >>> ImmutableFeatures(features="0, 3").columns
    (0, 3)
    """

    levels: int = 10
    features: str = ""

    trained_through = False

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise SpecError(f"immutable features: expected levels >= 1, got {self.levels}")
        _ = self.columns

    @property
    def columns(self) -> tuple[int, ...]:
        """The watched columns; none for all."""
        try:
            return tuple(int(part) for part in self.features.split(",") if part.strip())
        except ValueError:
            raise SpecError(f"immutable features: expected column numbers, got {self.features!r}") from None

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Rejecting:
        """The model with the rule."""
        check_rows(x, y)
        clean = Clean(x, y, View.still(model), generator)
        support = Support.fitted(clean, self.levels, self.columns)
        watched = Rejecting(model, [support], sharpness=1.0, false_alarms=2 / (len(x) + 1))
        watched.spread.fill_(UNIT)
        watched.threshold.fill_(0.0)
        return watched.to(x.device).eval()
