"""An RBF support-vector machine: fitted by scikit-learn, evaluated (and attacked) in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustq.errors import DataError, ModelError


class RBFSVM(nn.Module):
    """One-vs-rest SVMs as a differentiable module, so that it faces the same white-box attacks.

    ``logit_k = scale * (sum_i a_ki exp(-gamma |x - s_i|^2) + b_k)``; ``scale`` is fitted on
    cross-validated decision values so that the softmax of the logits is a probability.

    Args:
        features: width of the input.
        classes: width of the output.
        vectors: number of support vectors to make room for (when loading).

    >>> model = RBFSVM(2, 2)
    >>> x = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [1.0, 1.0], [0.9, 1.0], [1.0, 0.9]])
    >>> model.fit_arrays(x, np.array([0, 0, 0, 1, 1, 1]), seed=0)
    >>> model(torch.tensor([[0.0, 0.0], [1.0, 1.0]])).argmax(1).tolist()
    [0, 1]
    """

    kind = "svm-rbf"
    support: Tensor
    weight: Tensor
    bias: Tensor
    gamma: Tensor
    scale: Tensor

    def __init__(self, features: int, classes: int, vectors: int = 0) -> None:
        super().__init__()
        self.features, self.classes = features, classes
        self.register_buffer("support", torch.zeros(vectors, features, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros(classes, vectors, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("gamma", torch.ones((), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def fit_arrays(self, x: np.ndarray, y: np.ndarray, *, seed: int) -> None:
        """Fit on ``(rows, features)`` and int labels; ``seed`` splits the calibration folds."""
        from sklearn.svm import SVC

        counts = np.bincount(y, minlength=self.classes)
        if (counts == 0).any() or len(counts) > self.classes:
            raise DataError(
                f"expected training rows of every class 0..{self.classes - 1}, got counts {counts.tolist()}"
            )
        spread = float(x.var())
        gamma = 1.0 / (x.shape[1] * spread) if spread > 0 else 1.0
        machines = [SVC(kernel="rbf", C=1.0, gamma=gamma).fit(x, (y == k).astype(int)) for k in range(self.classes)]
        vectors = np.unique(np.concatenate([machine.support_ for machine in machines]))
        weight = np.zeros((self.classes, len(vectors)))
        for k, machine in enumerate(machines):
            weight[k, np.searchsorted(vectors, machine.support_)] = machine.dual_coef_[0]
        self.support = torch.tensor(x[vectors], dtype=torch.float64)
        self.weight = torch.tensor(weight)
        self.bias = torch.tensor([float(machine.intercept_[0]) for machine in machines]).double()
        self.gamma = torch.tensor(gamma, dtype=torch.float64)
        self.scale = torch.tensor(_scale(machines, x, y, seed), dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for features ``(batch, features)``."""
        if not len(self.support):
            raise ModelError("expected a fitted support-vector machine, got one without vectors")
        # |x - s|^2 expanded is one matrix product; float64 keeps the cancellation harmless.
        rows = x.double()
        squared = (rows**2).sum(1, keepdim=True) + (self.support**2).sum(1) - 2 * rows @ self.support.T
        kernel = torch.exp(-self.gamma * squared)
        return (self.scale * (kernel @ self.weight.T + self.bias)).to(x.dtype)

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        return {"features": self.features, "classes": self.classes, "vectors": len(self.support)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> RBFSVM:
        """A model of the same shape, its weights still to be loaded."""
        return cls(int(config["features"]), int(config["classes"]), int(config["vectors"]))


def _scale(machines: list[Any], x: np.ndarray, y: np.ndarray, seed: int) -> float:
    """The factor that minimises the cross-validated log loss (temperature, Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = min(5, int(np.bincount(y).min()))
    if folds < 2:
        return 1.0
    cut = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**31)
    values = np.stack(
        [
            cross_val_predict(
                clone(machine), x, (y == k).astype(int), cv=list(cut.split(x, y)), method="decision_function"
            )
            for k, machine in enumerate(machines)
        ],
        axis=1,
    )

    def log_loss(log_scale: float) -> float:
        logits = torch.tensor(np.exp(log_scale) * values)
        return float(nn.functional.cross_entropy(logits, torch.tensor(y)))

    return float(np.exp(minimize_scalar(log_loss, bounds=(-3.0, 4.0), method="bounded").x))
