"""Quantum trajectories: noisy circuits as averages over random pure states.

A channel replaces the state by ``K_i psi / |K_i psi|`` with probability ``|K_i psi|^2`` (Dalibard,
Castin, Molmer, "Wave-function approach to dissipative processes in quantum optics", Phys. Rev.
Lett. 68, 580 (1992)). The mean over trajectories is the density matrix, at the memory of state
vectors: the way to wide noisy registers. Where every ``K_i`` is proportional to a unitary the
probabilities do not depend on the state, and most trajectories of a weak channel are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq.circuits.circuit import Circuit, Operation
from robustq.circuits.gates import gate
from robustq.circuits.observables import Observable
from robustq.engine import measurement as m
from robustq.engine.expectations import _checked, check_memory
from robustq.engine.slots import Polynomials, slot_vector
from robustq.engine.statevector import apply_matrix, initial_state
from robustq.errors import CircuitError
from robustq.noise.model import NoiseModel

AMPLITUDES = 2**19  # held at once, over all trajectories of a chunk: what caches hold

ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class Estimate:
    """Means over trajectories, and how far to trust them.

    Attributes:
        mean: estimated expectations, ``(batch, observables)``.
        standard_error: estimated standard deviation of each mean, same shape; NaN for a single
            trajectory.
        trajectories: how many trajectories each input was given.
    """

    mean: Tensor
    standard_error: Tensor
    trajectories: int


@torch.no_grad()
def trajectory_expectations(
    circuit: Circuit,
    observables: Sequence[Observable],
    *,
    inputs: Tensor | None = None,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
    trajectories: int,
    generator: torch.Generator,
    chunk: int | None = None,
) -> Estimate:
    """Unbiased estimates of the noisy expectations ``tr(O_k rho(x))`` from random pure states.

    Each trajectory contributes its exact expectation (no shots), read-out error included. The
    result carries no gradient, because the probabilities of the jumps depend on the state; use
    ``expectations`` with noise (densities, effective observables) where one is needed. All
    trajectories of all inputs share one batch axis; every trajectory has random numbers of its
    own, so the result depends neither on ``chunk`` nor (but for rounding) on later inputs.

    Args:
        circuit: what to run.
        observables: what to read.
        inputs: features ``(batch, circuit.inputs)``, float32 or float64.
        parameters: trainable angles ``(circuit.parameters,)`` in radians, same dtype.
        noise: channels on one or two qubits after gates, and read-out error.
        trajectories: how many for each input, at least 1.
        generator: where the jumps come from.
        chunk: how many trajectories to hold at once; None for what fits the processor's caches.

    Raises:
        RobustQError: on wrong shapes, dtypes, values or counts.

    >>> from robustq.circuits import encodings, z
    >>> estimate = trajectory_expectations(
    ...     encodings.angle(1), [z(0)], inputs=torch.zeros(1, 1), trajectories=4000,
    ...     noise=NoiseModel.uniform(gate_error=0.2), generator=torch.Generator().manual_seed(0))
    >>> bool((estimate.mean - 0.8).abs() < 4 * estimate.standard_error)
    True
    """
    if min(trajectories, 1 if chunk is None else chunk) < 1:
        raise CircuitError(f"expected trajectories and chunk >= 1, got {trajectories} and {chunk}")
    inputs, parameters = _checked(circuit, inputs, parameters)
    model = noise or NoiseModel()
    plan = m.exact(m.as_tuple(observables), circuit.qubits, model.readouts_of(circuit.qubits))
    walk = _CircuitWithJumps(circuit, _script(circuit, model))
    size = chunk or max(1, AMPLITUDES // max(2**circuit.qubits, walk.draws))
    check_memory(circuit.qubits, min(size, len(inputs) * trajectories), 1)
    owners = torch.arange(len(inputs)).repeat_interleave(trajectories)
    values = [inputs.new_zeros(0, len(observables))]
    for rows in torch.split(owners, size) if len(owners) else ():
        chances = torch.rand(len(rows), walk.draws, dtype=torch.float64, generator=generator)
        state = walk.final(inputs, parameters, rows, chances)
        values.append(m.combine(m.pure_rows(state, plan), plan))
    return _estimate(torch.cat(values).reshape(len(inputs), trajectories, len(observables)))


def _estimate(values: Tensor) -> Estimate:
    """From the expectations of single trajectories ``(batch, trajectories, observables)``."""
    count, mean = values.shape[1], values.mean(dim=1)
    variance = ((values - mean[:, None]) ** 2).sum(dim=1) / (count - 1)  # 0 / 0 for a single one
    return Estimate(mean, (variance / count).sqrt(), count)


@dataclass(frozen=True, eq=False)
class _Jump:
    """A channel as the alternatives to draw from.

    ``weights`` are their probabilities where these do not depend on the state, and ``operators``
    unitary; otherwise None, and ``operators`` are the Kraus operators.
    """

    qubits: tuple[int, ...]
    operators: ComplexArray  # (alternatives, d, d)
    weights: NDArray[np.float64] | None


def _jump(kraus: Sequence[ComplexArray], qubits: tuple[int, ...]) -> _Jump:
    operators = np.array([k for k in kraus if np.abs(k).max() > 0], dtype=complex)
    effects = operators.conj().transpose(0, 2, 1) @ operators
    weights = np.trace(effects, axis1=1, axis2=2).real / effects.shape[1]
    # K^dagger K a multiple of the identity: a random unitary, whose odds no state can change
    if np.allclose(effects, weights[:, None, None] * np.eye(effects.shape[1]), atol=1e-12):
        return _Jump(qubits, operators / np.sqrt(weights)[:, None, None], weights)
    return _Jump(qubits, operators, None)


@lru_cache(maxsize=64)
def _script(circuit: Circuit, noise: NoiseModel) -> tuple[tuple[_Jump, ...], ...]:
    """For each operation, what may strike after it."""
    return tuple(
        tuple(_jump(channel.kraus, tuple(on)) for channel, on in noise.after(operation))
        for operation in circuit.operations
    )


@dataclass(frozen=True, eq=False)
class _CircuitWithJumps:
    """A circuit with its jumps, ready to be run along any number of trajectories."""

    circuit: Circuit
    jumps: tuple[tuple[_Jump, ...], ...]

    @property
    def draws(self) -> int:
        """Random numbers for each trajectory."""
        return sum(map(len, self.jumps))

    def final(self, inputs: Tensor, parameters: Tensor, rows: Tensor, chances: Tensor) -> Tensor:
        """Final states ``(rows, D)``; trajectory ``t`` runs on input ``rows[t]``."""
        rows = rows.to(inputs.device)
        state = initial_state(self.circuit, inputs[rows])
        draws = iter(chances.to(inputs.device).T.contiguous())
        unitaries = _unitaries(self.circuit, inputs, parameters, state.dtype)
        for operation, matrix, jumps in zip(self.circuit.operations, unitaries, self.jumps, strict=True):
            if gate(operation.gate).permutes:
                # no arithmetic for a gate that only moves amplitudes
                state = state[:, _index(operation, self.circuit.qubits).to(rows.device)]
            else:
                spread = matrix if len(matrix) == 1 else matrix[rows]
                state = apply_matrix(state, spread, operation.qubits)
            for jump in jumps:
                state = _struck(state, jump, next(draws))
        return state


def _unitaries(circuit: Circuit, inputs: Tensor, parameters: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """The matrix ``(batch or 1, d, d)`` of every operation in turn."""
    listed = [angle for operation in circuit.operations for angle in operation.angles]
    angles = Polynomials.of(listed, circuit.parameters).values(slot_vector(inputs, parameters))
    used = 0
    for operation in circuit.operations:
        own = angles[:, used : used + len(operation.angles)]
        used += len(operation.angles)
        yield _unitary(operation, own if operation.has_inputs else own[:1], dtype)


def _unitary(operation: Operation, angles: Tensor, dtype: torch.dtype) -> Tensor:
    """The gate's matrices ``exp(-i t G)`` for its angles ``(batch or 1, angles)``."""
    row = gate(operation.gate)
    if not row.parameters:
        return torch.as_tensor(row.matrix()).to(angles.device, dtype)[None]
    total: Tensor | None = None
    for part, index in row.parts or ((operation.gate, 0),):
        values, vectors = np.linalg.eigh(gate(part).generator_matrix)
        basis = torch.as_tensor(vectors).to(angles.device, dtype)
        phases = torch.exp(-1j * angles[:, index, None] * torch.as_tensor(values).to(angles))
        factor = (basis * phases[:, None, :]) @ basis.mH
        total = factor if total is None else factor @ total
    assert total is not None
    return total


@lru_cache(maxsize=256)
def _index(operation: Operation, qubits: int) -> Tensor:
    """``new[j] = old[index[j]]`` for a gate that relabels basis states: its image of 0, 1, 2, ..."""
    basis = torch.arange(2**qubits, dtype=torch.float64)[None]
    matrix = torch.as_tensor(gate(operation.gate).matrix().real)[None]
    return apply_matrix(basis, matrix, operation.qubits)[0].long()


def _struck(state: Tensor, jump: _Jump, chances: Tensor) -> Tensor:
    """States ``(rows, D)`` after one channel, with one uniform number ``(rows,)`` for each."""
    operators = torch.as_tensor(jump.operators).to(state)
    if jump.weights is None:
        return _jumped(state, operators, jump.qubits, chances)
    edges = torch.as_tensor(jump.weights).cumsum(0)[:-1].to(chances.device)
    choice = torch.searchsorted(edges, chances, right=True)
    for k, operator in enumerate(operators):
        exact = jump.operators[k]
        if np.allclose(exact, exact[0, 0] * np.eye(len(exact)), atol=1e-12):
            continue  # a global phase
        hit = (choice == k).nonzero().squeeze(1)
        if len(hit):
            state[hit] = apply_matrix(state[hit], operator[None], jump.qubits)
    return state


def _jumped(state: Tensor, operators: Tensor, on: Sequence[int], chances: Tensor) -> Tensor:
    """A jump whose probabilities ``tr(K_i^dagger K_i rho)`` need the state's marginal ``rho``."""
    rho = _marginal(state, on)
    effects = operators.mH @ operators
    odds = torch.einsum("kij,bji->bk", effects, rho).real.double().clamp_min(0)
    edges = odds.cumsum(1)
    # The odds add up to one but for rounding, so the draw is scaled to their sum.
    choice = (edges <= (chances * edges[:, -1])[:, None]).sum(1).clamp_max(len(operators) - 1)
    norm = odds.gather(1, choice[:, None]).sqrt().to(state.real.dtype)
    return apply_matrix(state, operators[choice] / norm[:, :, None], on)


def _marginal(state: Tensor, on: Sequence[int]) -> Tensor:
    """Reduced densities ``(rows, d, d)`` of some qubits of pure states ``(rows, D)``."""
    rows, size = state.shape
    if len(on) == 1:
        pairs = state.reshape(rows, 2 ** on[0], 2, -1)
        return (pairs @ pairs.mH).sum(1)
    view = state.reshape(rows, *[2] * (size.bit_length() - 1))
    front = view.movedim([q + 1 for q in on], list(range(1, len(on) + 1)))
    matrix = front.reshape(rows, 2 ** len(on), -1)
    return matrix @ matrix.mH
