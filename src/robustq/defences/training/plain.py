"""No defence: ordinary training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import Step


@dataclass(frozen=True)
class Plain:
    """Cross-entropy on the batch as it is.

    >>> Plain()
    Plain()
    """

    def losses(self, model: Any, step: Step) -> Tensor:
        """Cross-entropy of each input."""
        return torch.nn.functional.cross_entropy(model(step.x), step.y, reduction="none")
