"""Density of the class that is answered (Feinman et al., arXiv:1703.00410, section 4.1)."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.errors import DataError


class KernelDensity(Detector):
    """Minus the log of a Gaussian kernel density of the training rows of the class answered.

    Feinman et al. take the last hidden layer of a network; a quantum model has none, so the rows are
    the inputs. The bandwidth is Scott's rule of each class as scikit-learn computes it, times the spread of the
    features.
    """

    kind = "kernel-density"
    rows: Tensor
    members: Tensor
    bandwidths: Tensor

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """``-log p(x | class answered)``, float64 ``(batch,)``."""
        squared = torch.cdist(
            x.double(), self.rows.to(x.device).double(), compute_mode="donot_use_mm_for_euclid_dist"
        ).square()
        member = self.members.to(squared)[:, logits.argmax(1)].T
        width = self.bandwidths.to(squared)[logits.argmax(1)]
        exponents = (-squared / (2 * width[:, None] ** 2)).masked_fill(member == 0, -torch.inf)
        norm = member.sum(1).log() + x.shape[1] * (width.log() + 0.5 * math.log(2 * math.pi))
        return norm - torch.logsumexp(exponents, 1)

    @classmethod
    def fitted(cls, clean: Clean) -> Self:
        """On the inputs and their labels.

        Raises:
            DataError: if the features do not vary.
        """
        members = one_hot(clean.y, clean.classes).double()
        rows = clean.x.double()
        spread = float(rows.std(0).mean())
        if spread <= 0:
            raise DataError("kernel density: expected features that vary, got constant ones")
        scott = members.sum(0) ** (-1 / (rows.shape[1] + 4))
        return cls(rows=rows, members=members, bandwidths=spread * scott)
