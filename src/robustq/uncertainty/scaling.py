"""Temperature and vector scaling (Guo et al., ICML 2017): logits made as sure as they are right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robustq.contracts import Classifier, QuantumClassifier, frozen
from robustq.errors import DataError, ModelError, SpecError
from robustq.models.composition import Composed
from robustq.models.files import describe
from robustq.models.training import hold_back
from robustq.noise import Noise
from robustq.uncertainty.point import Point
from robustq.uncertainty.trainer import Method, Trainer

Array = NDArray[np.float64]
COLDEST, HOTTEST = 1e-3, 1e3  # temperatures looked at, and the bound of every slope and shift
KINDS = ("temperature", "vector")


@dataclass(frozen=True)
class Scaling:
    """Another method on part of the rows, its logits scaled to fit the others.

    A posterior's members answer together first and are scaled then, which calibrates better than the
    other order (Rahaman & Thiery, NeurIPS 2021).

    Args:
        kind: ``"temperature"``: one factor, which leaves every answer as it is; ``"vector"``: a factor
            and a shift a class.
        share: of the rows held back, stratified.
        of: the method that trains.

    Raises:
        SpecError: on an unknown kind or a share outside (0, 1).

    >>> Scaling("vector").share
    0.2
    """

    kind: Literal["temperature", "vector"] = "temperature"
    share: float = 0.2
    of: Method = field(default_factory=Point)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SpecError(f"scaling: expected a kind of {', '.join(KINDS)}, got {self.kind!r}")
        if not 0 < self.share < 1:
            raise SpecError(f"scaling: expected a share in (0, 1), got {self.share}")

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Scaled:
        """Train on the rows kept, scale by the rows held back.

        Raises:
            DataError: if fewer rows are held back than there are numbers to fit.
        """
        train, held = hold_back(y, self.share, generator)
        model = self.of.fit(trainer, x[train], y[train], generator=generator)
        return scaled(model, x[held], y[held], self.kind).eval()


class Scaled(nn.Module):
    """``slope * logits + shift`` of another model.

    Args:
        model: whose logits ``(batch, classes)`` are scaled.
        slope, shift: ``(classes,)`` each.

    >>> Scaled(nn.Identity(), torch.full((2,), 0.5), torch.zeros(2))(torch.tensor([[2.0, 4.0]]))
    tensor([[1., 2.]])
    """

    kind = "scaled"
    slope: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, slope: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("slope", slope)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return self.answer(self.model(x))

    def answer(self, logits: Tensor) -> Tensor:
        """Scaled logits, shape of ``logits``."""
        return self.slope.to(logits) * logits + self.shift.to(logits)

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Classifier:
        """The same with the model behind it frozen, where it can be."""
        if not isinstance(self.model, QuantumClassifier):
            if noise is not None:
                raise ModelError(f"expected a quantum model, got {type(self.model).__name__}")
            return self
        return Composed(self.model.freeze(noise, uses=uses), head=self.answer)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Classifier:
        """The same with the model behind it run on a noisy device."""
        if not isinstance(self.model, QuantumClassifier):
            raise ModelError(f"expected a quantum model, got {type(self.model).__name__}")
        return Composed(self.model.under(noise, shots=shots, generator=generator), head=self.answer)

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        return {"model": describe(self.model), "classes": len(self.slope)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Scaled:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        empty = torch.zeros(int(config["classes"]))
        return cls(rebuild(config["model"]), empty, empty.clone())


def scaled(model: nn.Module, x: Tensor, y: Tensor, kind: Literal["temperature", "vector"] = "temperature") -> Scaled:
    """A trained model scaled to fit inputs that it was not trained on.

    Raises:
        DataError: if there are fewer rows than numbers to fit.
    """
    with torch.no_grad():
        logits = frozen(model, uses=len(x))(x).double().numpy()
    labels = y.numpy()
    if kind == "temperature":
        factor = 1 / temperature(logits, labels)
        slope, shift = np.full(logits.shape[1], factor), np.zeros(logits.shape[1])
    else:
        slope, shift = slopes_and_shifts(logits, labels)
    return Scaled(model, torch.tensor(slope).float(), torch.tensor(shift).float())


def temperature(logits: Array, labels: NDArray[np.int64]) -> float:
    """The ``T`` for which ``softmax(logits / T)`` is likeliest; convex in ``1 / T``.

    Raises:
        DataError: on rows that do not fit, or none.

    >>> round(temperature(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1])), 3)
    3.641
    """
    from scipy.optimize import minimize_scalar

    _check(logits, labels, 1)
    optimum = minimize_scalar(
        # over log T: the temperature stays positive, and its scale does not matter
        lambda exponent: _loss(logits * math.exp(-exponent), labels),
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return float(math.exp(optimum.x))


def slopes_and_shifts(logits: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """``w`` and ``b``, ``(classes,)`` each, for which ``softmax(w * logits + b)`` is likeliest.

    Raises:
        DataError: if there are fewer rows than the ``2 classes`` numbers.
    """
    from scipy.optimize import minimize
    from scipy.special import softmax

    rows, classes = logits.shape
    _check(logits, labels, 2 * classes)

    def loss_and_slope(numbers: Array) -> tuple[float, Array]:
        values = numbers[:classes] * logits + numbers[classes:]
        # the gradient of the cross-entropy: p - y
        excess = (softmax(values, axis=1) - np.eye(classes)[labels]) / rows
        return _loss(values, labels), np.concatenate([(excess * logits).sum(0), excess.sum(0)])

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    bounds = [(-HOTTEST, HOTTEST)] * (2 * classes)
    optimum = minimize(
        loss_and_slope, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-8}
    )
    return optimum.x[:classes], optimum.x[classes:]


def _loss(logits: Array, labels: NDArray[np.int64]) -> float:
    from scipy.special import log_softmax

    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def _check(logits: Array, labels: NDArray[np.int64], numbers: int) -> None:
    if logits.ndim != 2 or labels.shape != (len(logits),) or not np.isfinite(logits).all():
        raise DataError(
            f"expected finite logits (rows, classes) and a label for each row, got {logits.shape} and {labels.shape}"
        )
    if len(logits) < numbers:
        raise DataError(f"expected at least {numbers} rows to calibrate with, got {len(logits)}")
