"""Images smoothed before they are classified (spatial smoothing: Xu, Evans & Qi, NDSS 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.front import Fronted
from robustq.errors import DataError, SpecError, unknown_name

WAYS = ("median", "mean")


class Smooth(nn.Module):
    """Median or mean over a sliding square window of square images, edges repeated.

    Both have a true gradient: the median's goes to the pixel that it picked.

    Args:
        way: ``"median"`` or ``"mean"``.
        window: side of the window in pixels, odd.

    >>> spike = torch.zeros(1, 9).index_fill(1, torch.tensor([4]), 1.0)
    >>> Smooth("median", 3)(spike).sum(), Smooth("mean", 3)(spike)[0, 4]
    (tensor(0.), tensor(0.1111))
    """

    kind = "smooth"

    def __init__(self, way: str, window: int) -> None:
        super().__init__()
        self.way, self.window = way, window

    def forward(self, x: Tensor) -> Tensor:
        """Smoothed pixels, shape of ``x`` ``(batch, side * side)``.

        Raises:
            DataError: if the pixels do not make a square.
        """
        side = math.isqrt(x.shape[1])
        if x.ndim != 2 or side * side != x.shape[1]:
            raise DataError(f"expected square images (batch, side^2), got {tuple(x.shape)}")
        reach = self.window // 2
        images = x.reshape(-1, 1, side, side)
        padded = nn.functional.pad(images, [reach] * 4, mode="replicate")
        windows = nn.functional.unfold(padded, self.window)  # (batch, window^2, side^2)
        return windows.median(1).values if self.way == "median" else windows.mean(1)

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"way": self.way, "window": self.window}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Smooth:
        """The inverse of :meth:`config`."""
        return cls(str(config["way"]), int(config["window"]))


@dataclass(frozen=True)
class Smoothing:
    """A model that sees smoothed images, in training too.

    Args:
        way: ``"median"`` takes single bright or dark pixels out, ``"mean"`` blurs.
        window: side of the window in pixels, odd, 3 to 15.

    >>> Smoothing("mean").window
    3
    """

    way: str = "median"
    window: int = 3

    trained_through = True

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise unknown_name("smoothing", self.way, WAYS)
        if not isinstance(self.window, int) or self.window % 2 != 1 or not 3 <= self.window <= 15:
            raise SpecError(f"smoothing: expected an odd window in 3..15, got {self.window!r}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind a smoothing filter."""
        smooth = Smooth(self.way, self.window)
        smooth(x[:1])  # refuses rows that are no square images now
        return Fronted(smooth, model)
