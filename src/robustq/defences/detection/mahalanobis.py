"""Distance to the nearest class under one shared covariance (Lee et al., NeurIPS 2018, eq. 2)."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.errors import DataError


class Mahalanobis(Detector):
    """``min_c (x - mu_c)^T P (x - mu_c)``, ``P`` the inverse of the shrunk covariance within classes.

    The covariance is Ledoit & Wolf's (J. Multivariate Analysis 88, 2004), fitted by scikit-learn.
    """

    kind = "mahalanobis"
    means: Tensor
    precision: Tensor

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The squared distance to the nearest class, float64 ``(batch,)``."""
        return to_nearest(x.double(), self.means, self.precision)

    @classmethod
    def fitted(cls, clean: Clean) -> Self:
        """On the inputs and their labels."""
        means, precision = class_gaussians(clean.x, clean.y, clean.classes)
        return cls(means=means, precision=precision)


def class_gaussians(rows: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Means ``(classes, width)`` and one shared precision ``(width, width)``, float64.

    Raises:
        DataError: if the rows do not vary within their classes.
    """
    from sklearn.covariance import LedoitWolf

    values = rows.detach().double()
    means = torch.stack([values[y == c].mean(0) for c in range(classes)])
    centred = values - means[y]
    if float(centred.abs().max()) <= 1e-12:
        raise DataError("expected rows that vary within their classes, got one point a class")
    fitted = LedoitWolf(assume_centered=True).fit(centred.cpu().numpy())
    return means, torch.as_tensor(fitted.precision_).to(means)


def to_nearest(rows: Tensor, means: Tensor, precision: Tensor) -> Tensor:
    """The least squared Mahalanobis distance to a class mean, ``(batch,)``.

    >>> to_nearest(torch.tensor([[3.0]]), torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0]]))
    tensor([4.])
    """
    apart = rows[:, None] - means.to(rows)
    squared = ((apart @ precision.to(rows)) * apart).sum(2)
    return squared.amin(1)
