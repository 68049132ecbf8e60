"""Virtual distillation: two noisy copies, read as if the state were its square.

Huggins et al., PRX 11, 041036 (2021); Koczor, PRX 11, 031057 (2021). ``tr(rho^2 O) / tr(rho^2)`` weighs every
eigenvector of the state by its eigenvalue once more, so that what errors mixed in counts less.

With ``r_w = tr(P_w rho)`` of Pauli words, the swap of two copies of a qubit is ``(1/2) sum_P P (x) P``: so
``tr(rho^2) = 2^-n sum_w r_w^2``, and depolarising noise ``p`` on the gate between both copies of a qubit multiplies
every word by ``1 - p`` for each qubit that it touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq import engine
from robustq.circuits import Circuit
from robustq.circuits.gates import PAULI
from robustq.circuits.observables import Word
from robustq.errors import CircuitError, DataError
from robustq.mitigation.plan import Function, Plan, Problem, Run
from robustq.mitigation.signed_shots import as_pauli_sum

WIDEST = 6  # qubits: the state itself is kept for every input
LETTERS = "IXYZ"


@dataclass(frozen=True)
class VirtualDistillation:
    """``tr(rho^2 O) / tr(rho^2)`` from two copies.

    A device needs twice the qubits and a gate between both copies of every qubit. Errors that are the same in all
    runs (a rotation too far) stay; so does what the errors do to the eigenvector itself.

    Args:
        gate_error: depolarising probability of each gate between copies, whose read-out is taken as perfect.

    >>> print(VirtualDistillation())
    virtual distillation
    """

    gate_error: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gate_error < 1:
            raise DataError(f"virtual distillation: expected a gate error in [0, 1), got {self.gate_error}")

    def __str__(self) -> str:
        noisy = f", gates between copies fail at {self.gate_error:g}" if self.gate_error else ""
        return f"virtual distillation{noisy}"

    def plan(self, problem: Problem) -> Plan:
        """One run of two copies: the numerators of all observables, and the purity.

        Raises:
            CircuitError: if the register is too wide.
        """
        run = problem.run
        if run.circuit.qubits > WIDEST:
            raise CircuitError(f"virtual distillation: expected at most {WIDEST} qubits, got {run.circuit.qubits}")
        return Plan((Distilled(run, self.gate_error),), quotient, linear=False)


def quotient(parts: Sequence[Tensor]) -> Tensor:
    """Numerators over the purity, which is the last column and kept away from zero.

    >>> quotient([torch.tensor([[0.4, 0.8]])])
    tensor([[0.5000]])
    """
    (seen,) = parts
    # under shots the purity may come out zero or negative
    return (seen[:, :-1] / seen[:, -1:].clamp_min(1e-3)).clamp(-1, 1)


@dataclass(frozen=True)
class Distilled:
    """Two copies of a run: ``tr(rho^2 O_k)`` and, last, ``tr(rho^2)``."""

    run: Run
    gate_error: float

    @property
    def circuits(self) -> int:
        """One for each Pauli word that is read, which also gives the purity."""
        sums = [as_pauli_sum(o) for o in self.run.observables]
        return max(1, len({word for total in sums for _, word in total.terms if word}))

    def values(
        self,
        inputs: Tensor,
        parameters: Tensor,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """``(batch, observables + 1)``; shots count as outcomes +1 and -1, which scatter most."""
        state = engine.pauli_states(self.run.circuit, inputs=inputs, parameters=parameters, noise=self.run.noise)
        values = self._of(state)
        if shots is None:
            return values
        ups = ((1 + values.detach().double().cpu()) / 2).clamp(0, 1)
        drawn = torch.binomial(torch.full_like(ups, float(shots)), ups, generator=generator)
        return (2 * drawn / shots - 1).to(values)

    def frozen(self, parameters: Tensor) -> Function:
        """Nothing can be pulled back: the square of a state is not linear in it."""
        fixed = parameters.detach()
        return lambda x: self.values(x, fixed.to(x.dtype))

    def sampled(self, parameters: Tensor, shots: int, generator: torch.Generator) -> Function:
        """Values only."""
        fixed = parameters.detach()
        return lambda x: self.values(x, fixed.to(x.dtype), shots=shots, generator=generator)

    def _of(self, state: Tensor) -> Tensor:
        qubits, columns = self.run.circuit.qubits, []
        for observable in self.run.observables:
            total = state.new_zeros(len(state))
            for c, word in as_pauli_sum(observable).terms:
                total = total + c * overlap(state, word, qubits, self.gate_error)
            columns.append(total)
        return torch.stack([*columns, overlap(state, (), qubits, self.gate_error)], 1)


def overlap(state: Tensor, word: Word, qubits: int, gate_error: float = 0.0) -> Tensor:
    """``tr(rho^2 P)`` of Pauli vectors ``(batch, 4**qubits)``, ``(batch,)``.

    >>> pure = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    >>> overlap(pure, ((0, "Z"),), 1)
    tensor([1.])
    """
    partner, sign, weight = (torch.as_tensor(v) for v in _pairing(word, qubits))
    # a depolarised pair of copies loses every word that touches it
    factor = sign.to(state) * torch.pow(1 - gate_error, weight.to(state))
    total = (state * factor * state[:, partner]).sum(1)
    return total / float(2**qubits)


@lru_cache(maxsize=256)
def _pairing(word: Word, qubits: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """For every Pauli word ``w``: the word ``P w``, the real part of its phase, qubits touched by either."""
    letters = dict(word)
    partner, phase = np.zeros(1, np.int64), np.ones(1, complex)
    weight = np.zeros(1)
    for q in range(qubits):
        single = [_times(letters.get(q, "I"), letter) for letter in LETTERS]
        partner = (4 * partner[:, None] + np.array([k for k, _ in single])[None]).ravel()
        phase = (phase[:, None] * np.array([c for _, c in single])[None]).ravel()
        touched = [1.0 if q in letters or letter != "I" else 0.0 for letter in LETTERS]
        weight = (weight[:, None] + np.array(touched)[None]).ravel()
    return partner, phase.real, weight


def _times(first: str, second: str) -> tuple[int, complex]:
    """``P Q`` as a letter's number and a phase."""
    matrix = PAULI[first] @ PAULI[second]
    for k, letter in enumerate(LETTERS):
        inner = complex(np.trace(PAULI[letter] @ matrix) / 2)
        if abs(inner) > 0.5:
            return k, inner
    raise AssertionError("a product of Pauli matrices is one up to a phase")


def distilled_error(infidelity: float, qubits: int, mean: float) -> float:
    """What is left of ``mean`` when errors are global depolarising, in closed form.

    ``rho = (1 - p) psi + p I / D`` gives ``tr(rho^2 O) / tr(rho^2) = mean a / (a + p^2 / D)`` for traceless
    ``O``, with ``a = (1 - p)^2 + 2 p (1 - p) / D``: an error of second order where the plain one is ``p mean``.

    Args:
        infidelity: ``p``.
        qubits: of the register, ``D = 2**qubits``.
        mean: the ideal expectation.

    >>> round(distilled_error(0.1, 4, 1.0), 6)
    0.00076
    """
    size: int = 2**qubits
    signal = (1 - infidelity) ** 2 + 2 * infidelity * (1 - infidelity) / size
    return mean * (1 - signal / (signal + infidelity**2 / size))


def purity(circuit: Circuit, state: Tensor) -> Tensor:
    """``tr(rho^2)`` of Pauli vectors, ``(batch,)``: 1 for a pure state, ``2**-n`` for no information.

    >>> from robustq.circuits import Circuit
    >>> purity(Circuit.of(1, []), torch.tensor([[1.0, 0.0, 0.0, 1.0]]))
    tensor([1.])
    """
    return overlap(state, (), circuit.qubits)
