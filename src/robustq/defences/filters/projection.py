"""What lies off the directions in which training data varies, taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.filters.clipping import straight_through
from robustq.defences.front import Fronted
from robustq.errors import DataError, SpecError


class Project(nn.Module):
    """``mean + (x - mean) C^T C``, then into [0, 1]; the clipping alone passes gradients straight through.

    Args:
        mean: ``(features,)``.
        components: orthonormal rows ``(kept, features)``.

    >>> Project(torch.zeros(2), torch.tensor([[1.0, 0.0]]))(torch.tensor([[0.3, 0.4]]))
    tensor([[0.3000, 0.0000]])
    """

    kind = "project"
    mean: Tensor
    components: Tensor

    def __init__(self, mean: Tensor, components: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructed features, shape of ``x``."""
        mean, components = self.mean.to(x), self.components.to(x)
        near = mean + (x - mean) @ components.T @ components
        return straight_through(near, near.detach().clamp(0, 1))

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"features": len(self.mean), "kept": len(self.components)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Project:
        """The inverse of :meth:`config`, its directions still to be loaded."""
        features, directions = int(config["features"]), int(config["kept"])
        return cls(torch.zeros(features), torch.zeros(directions, features))


@dataclass(frozen=True)
class Projection:
    """A model that sees inputs projected onto their principal components (Bhagoji et al., CISS 2018).

    An adversary can only move along directions in which clean data varies too. Trained through, and
    differentiable: what is left of the model can be attacked as it is.

    Args:
        variance: share of the training variance that the kept components explain, in (0, 1).

    >>> Projection().variance
    0.95
    """

    variance: float = 0.95

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 < self.variance < 1:
            raise SpecError(f"projection: expected variance in (0, 1), got {self.variance}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind the principal components of ``x``."""
        from sklearn.decomposition import PCA

        if x.ndim != 2 or len(x) < 2 or not bool((x != x[:1]).any()):
            raise DataError(f"projection: expected (rows, features) that vary, got {tuple(x.shape)}")
        fitted = PCA(n_components=self.variance, svd_solver="full").fit(x.double().cpu().numpy())
        mean, components = (torch.as_tensor(a) for a in (fitted.mean_, fitted.components_))
        return Fronted(Project(mean.to(x.device), components.to(x.device)), model)
