"""The adversary moves the encoded state itself: the strongest thing that can be done to an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import Problem, QuantumClassifier, StateClassifier, TamperableClassifier
from robustq.errors import ModelError
from robustq.threats.l2 import direction_of


@dataclass(frozen=True, eq=False)
class StateView:
    """A frozen model as a classifier of its encoded states, for every attack on real tensors.

    States are real tensors ``(batch, dimension, 2)``, as in :mod:`robustq.threats.states`, so that
    ``run_attack(PGD(), view, view.encoded(x), y, Fidelity(eps), generator=...)`` is the state adversary
    of Liu & Wittek (PRA 101, 2020).

    Args:
        frozen: what ``model.freeze()`` returned; pure up to its last encoding gate.
        qubits: width of its register.

    Raises:
        ModelError: if it cannot be asked about states.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> view = StateView.of(model)
    >>> view.encoded(torch.zeros(3, 2)).shape, view(view.encoded(torch.zeros(3, 2))).shape
    (torch.Size([3, 4, 2]), torch.Size([3, 2]))
    """

    frozen: StateClassifier
    qubits: int

    @staticmethod
    def of(model: TamperableClassifier) -> StateView:
        """The view of a quantum or hybrid model at today's parameters."""
        if not isinstance(model, TamperableClassifier) or not isinstance(model, QuantumClassifier):
            raise ModelError(f"expected a quantum or hybrid model, got {type(model).__name__}")
        frozen: Any = model.freeze()
        return StateView(frozen, model.circuit.qubits)

    def __post_init__(self) -> None:
        if not isinstance(self.frozen, StateClassifier):
            raise ModelError(
                "expected a frozen quantum model (model.freeze()), which can be asked about states, "
                f"got {type(self.frozen).__name__}"
            )

    def encoded(self, x: Tensor) -> Tensor:
        """The states of inputs, ``(batch, dimension, 2)``."""
        with torch.no_grad():
            return torch.view_as_real(self.frozen.states(x).resolve_conj().contiguous())

    def __call__(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)``; a state's length does not matter."""
        return self.frozen.of_states(torch.view_as_complex(states.contiguous()))

    def forms(self, dtype: torch.dtype) -> Tensor:
        """``F_k`` with logits ``s^T F_k s / s^T s`` of states ``s`` as real vectors.

        Shape ``(classes, 2 dimension, 2 dimension)``; real and imaginary parts take turns.
        """
        columns = self._columns(dtype)  # M_k e_j, (classes, j, dimension, 2)
        turned = torch.stack([-columns[..., 1], columns[..., 0]], -1)  # i M_k e_j
        classes, dimension = columns.shape[:2]
        both = torch.stack([columns, turned], 2)  # images of e_j and of i e_j
        return both.reshape(classes, 2 * dimension, 2 * dimension).mT

    def _columns(self, dtype: torch.dtype) -> Tensor:
        """``M_k e_j``: half the gradient of the Rayleigh quotient at ``e_j``, plus its value there."""
        kets = torch.eye(2**self.qubits, dtype=_complex(dtype))
        basis = torch.view_as_real(kets).requires_grad_(True)
        with torch.enable_grad():
            logits = self(basis)
            slopes = [torch.autograd.grad(row.sum(), basis, retain_graph=True)[0]
                      for row in logits.unbind(1)]  # fmt: skip
        values = logits.detach().T[:, :, None, None]
        return torch.stack(slopes) / 2 + values * basis.detach()


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.complex64 if dtype == torch.float32 else torch.complex128


@dataclass(frozen=True)
class ExactState:
    """The nearest state (or real vector of amplitudes) of another class, in closed form.

    With ``V = F_y - F_k`` it is ``(I + t V)^-1 s`` for the one ``t`` that makes the two classes equal:
    a quadratic problem with one quadratic constraint has no duality gap (Guan, Fang & Ying, CAV 2021,
    pose it as a semidefinite programme). The nearest over all other classes ``k`` is asked about, at
    the boundary and just behind it. Needs a model that is a quadratic form of what it is given.

    Args:
        beyond: how far behind the boundary, as a share of the way.

    >>> print(ExactState())
    exact state
    """

    beyond: float = 1e-6

    def __str__(self) -> str:
        return "exact state"

    def search(self, problem: Problem) -> Tensor:
        """One candidate a class, each at the boundary and a little further."""
        forms = problem.forms().double()
        states = problem.x.double().flatten(1)
        candidate = problem.x
        for k in range(len(forms)):
            edge = states.clone()
            for label in set(problem.y.tolist()) - {k}:
                rows = problem.y == label
                edge[rows] = nearest(states[rows], forms[label] - forms[k])
            for further in (self.beyond, 1e3 * self.beyond):
                moved = edge + further * (edge - states)
                candidate = moved.reshape(problem.x.shape).to(problem.x)
                problem.logits(candidate)
        return candidate


def nearest(states: Tensor, form: Tensor) -> Tensor:
    """The nearest unit vectors ``(batch, size)`` at which ``v^T form v`` has fallen to zero.

    With ``t = (1 - s) / |lowest eigenvalue|`` the root of the secular equation lies at ``s`` in (0, 1],
    and is bisected in its logarithm: states with hardly any weight on the lowest eigenspace (the hard
    case) have theirs near zero, and those with none are given a trace of it. States where the form is
    not positive, and forms that never fall to zero, are left as they are.

    >>> form = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))  # at 45 degrees
    >>> nearest(torch.tensor([[1.0, 0.0]], dtype=torch.float64), form).abs().round(decimals=6)
    tensor([[0.7071, 0.7071]], dtype=torch.float64)
    """
    values, vectors = torch.linalg.eigh(form)
    if float(values[0]) >= 0:
        return states
    ratio = values / values[0].abs()
    gap = torch.where(1 + ratio < DEGENERATE, 0, 1 + ratio)
    weights = states @ vectors
    none = (weights[:, gap == 0].abs() < TRACE).all(1)
    weights[:, 0] = torch.where(none, TRACE, weights[:, 0])
    low, high = weights.new_full((len(states), 1), DEEPEST), weights.new_zeros(len(states), 1)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        shrunk = weights / (gap - 10**middle * ratio)
        right = (ratio * shrunk**2).sum(1, keepdim=True) > 0
        low, high = torch.where(right, low, middle), torch.where(right, middle, high)
    return direction_of(weights / (gap - 10**high * ratio) @ vectors.T)


DEGENERATE = 1e-12  # eigenvalues this near to the lowest count as it
TRACE, DEEPEST = 1e-100, -140.0  # squares of both are still numbers of float64
ROUNDS = 100
