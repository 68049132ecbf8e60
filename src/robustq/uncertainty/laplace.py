"""Laplace's approximation: a Gaussian at the trained parameters, as wide as the loss is flat.

Curvature is the generalised Gauss-Newton matrix ``H = sum_n J_n^T (diag(p_n) - p_n p_n^T) J_n`` of the
cross-entropy, the prior is ``N(0, 1 / delta)``, the posterior ``N(theta, (H + delta)^-1)`` (MacKay 1992;
Ritter, Botev & Barber, ICLR 2018; Daxberger et al., NeurIPS 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robustq.errors import ModelError, SpecError
from robustq.models import QuantumNet
from robustq.uncertainty.members import Members
from robustq.uncertainty.trainer import Trainer
from robustq.uncertainty.vectors import at, jacobian, vector_of

CHUNK = 512  # rows whose Jacobian is held at once
FLATTEST, STEEPEST = 1e-6, 1e8  # prior precisions between which evidence is maximised


@dataclass(frozen=True)
class Laplace:
    """Ordinary training, then a Gaussian posterior around what was found.

    Args:
        members: draws of the posterior that answer together.
        precision: of the prior, ``delta``; None for the one of greatest evidence.
        last_layer: only the last layer varies (Kristiadi, Hein & Hennig, ICML 2020): see :func:`last_layer`.
        linearised: whether members are tangents, the predictive that belongs to this posterior (Immer et
            al., AISTATS 2021), or models at the drawn parameters, which a device can run.

    Raises:
        SpecError: if ``members`` is below 1 or the precision is not positive and finite.

    >>> Laplace(members=20).linearised
    True
    """

    members: int = 30
    precision: float | None = None
    last_layer: bool = False
    linearised: bool = True

    def __post_init__(self) -> None:
        if self.members < 1:
            raise SpecError(f"laplace: expected members >= 1, got {self.members}")
        if self.precision is not None and not 0 < self.precision < math.inf:
            raise SpecError(f"laplace: expected a precision > 0, got {self.precision}")

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Members:
        """Train one model, measure the curvature on all rows, draw."""
        model = trainer.trained(x, y, generator=generator)
        among = last_layer(model) if self.last_layer else list(range(len(vector_of(model))))
        posterior = gaussian(model, x, among, self.precision)
        vectors = vector_of(model).repeat(self.members, 1)
        vectors[:, among] += posterior.draw(self.members, generator).to(vectors)
        return Members(model, vectors, linearised=self.linearised).eval()


@dataclass(frozen=True, eq=False)
class Gaussian:
    """``N(0, (H + delta)^-1)`` by the eigendecomposition of ``H``, float64.

    Attributes:
        curvature: eigenvalues of ``H``, ``(P,)``.
        axes: its eigenvectors, in columns.
        precision: of the prior, ``delta``.
    """

    curvature: Tensor
    axes: Tensor
    precision: float

    @property
    def covariance(self) -> Tensor:
        """``(P, P)``."""
        return self.axes / (self.curvature + self.precision) @ self.axes.mT

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count, P)``."""
        normal = torch.randn(count, len(self.curvature), generator=generator, dtype=torch.float64)
        return normal / (self.curvature + self.precision).sqrt() @ self.axes.mT


def gaussian(model: nn.Module, x: Tensor, among: Sequence[int], precision: float | None = None) -> Gaussian:
    """The posterior of some parameters of a trained model, around where they are.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.zero_()
    >>> gaussian(model, torch.ones(8, 1), [0, 1], 1.0).covariance.round(decimals=6).tolist()
    [[0.6, 0.4], [0.4, 0.6]]
    """
    curvature, axes = torch.linalg.eigh(gauss_newton(model, x, among))
    curvature = curvature.clamp(min=0)  # rounding
    if precision is None:
        precision = best_precision(vector_of(model).double()[among].numpy(), curvature.numpy())
    return Gaussian(curvature, axes, precision)


def gauss_newton(model: nn.Module, x: Tensor, among: Sequence[int]) -> Tensor:
    """``H``, float64 ``(len(among), len(among))``, summed over the inputs ``(batch, *features)``."""
    exact = at(model, vector_of(model).double())
    total = torch.zeros(len(among), len(among), dtype=torch.float64)
    for rows in torch.split(x.double(), CHUNK):
        slopes = jacobian(model, rows, among)
        with torch.no_grad():
            chance = exact(rows).softmax(1)
        # J^T (diag p - p p^T) J as a square: stays positive semidefinite under rounding
        centred = slopes - torch.einsum("nc,ncp->np", chance, slopes)[:, None]
        weighted = (chance.sqrt()[:, :, None] * centred).flatten(0, 1)
        total += weighted.mT @ weighted
    return total


def evidence(parameters: NDArray[np.float64], curvature: NDArray[np.float64], precision: float) -> float:
    """Logarithm of the marginal likelihood less that of the likelihood at the trained parameters, in nats.

    ``(P log delta - delta |theta|^2 - sum_i log(h_i + delta)) / 2`` (MacKay 1992, eq. 2.8).

    >>> evidence(np.zeros(3), np.zeros(3), 2.0)
    0.0
    """
    fit = len(parameters) * math.log(precision) - precision * float(parameters @ parameters)
    return 0.5 * (fit - float(np.log(curvature + precision).sum()))


def best_precision(parameters: NDArray[np.float64], curvature: NDArray[np.float64]) -> float:
    """The prior precision of greatest :func:`evidence`, given the eigenvalues of ``H``.

    >>> round(best_precision(np.array([2.0]), np.array([1e12])), 4)
    0.25
    """
    from scipy.optimize import minimize_scalar

    optimum = minimize_scalar(
        lambda exponent: -evidence(parameters, curvature, math.exp(exponent)),
        bounds=(math.log(FLATTEST), math.log(STEEPEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(optimum.x))


def last_layer(model: nn.Module) -> list[int]:
    """Numbers of the parameters that act last.

    Of a model that ends in a linear layer, that layer's. A circuit has none: of one that is read as it is, the
    scale of the read-out and the angles of the shortest tail of trained gates that touches every qubit,
    which is the last layer of an ansatz made of layers.

    Raises:
        ModelError: if the model has neither.

    >>> from robustq.models.catalogue import mlp, qnn
    >>> last_layer(mlp(2, 2, generator=torch.Generator(), hidden=3))
    [9, 10, 11, 12, 13, 14, 15, 16]
    >>> last_layer(qnn(2, 2, generator=torch.Generator(), layers=4))
    [18, 19, 20, 21, 22, 23, 24]
    """
    linears = [part for part in model.modules() if isinstance(part, nn.Linear)]
    circuits = [part for part in model.modules() if isinstance(part, QuantumNet)]
    if linears:
        return _places(model, linears[-1])
    if not circuits:
        raise ModelError(f"expected a linear layer or a circuit, got neither in {type(model).__name__}")
    angles, scale = (_place(model, p) for p in (circuits[-1].theta, circuits[-1].log_scale))
    return [*(angles[slot] for slot in _tail(circuits[-1])), *scale]


def _place(model: nn.Module, target: nn.Parameter) -> list[int]:
    start = 0
    for parameter in model.parameters():
        if parameter is target:
            return list(range(start, start + parameter.numel()))
        start += parameter.numel()
    raise ModelError("expected a parameter of the model, got another")


def _places(model: nn.Module, part: nn.Module) -> list[int]:
    return [place for parameter in part.parameters() for place in _place(model, parameter)]


def _tail(core: QuantumNet) -> list[int]:
    """Trained slots of the last gates, back to where every qubit was turned by one of them."""
    slots: set[int] = set()
    touched: set[int] = set()
    for operation in reversed(core.circuit.operations):
        own = {s.number for a in operation.angles for s in a.slots if s.kind == "theta"}
        slots |= own
        touched |= set(operation.qubits) if own else set()
        if len(touched) == core.circuit.qubits:
            break
    return sorted(slots)
