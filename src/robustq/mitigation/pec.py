"""Probabilistic error cancellation: channels undone on average by circuits drawn with signs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from robustq.circuits import Circuit
from robustq.engine import measurement as m
from robustq.engine import noisy, transfer
from robustq.engine.statevector import apply_matrix, product
from robustq.errors import CircuitError
from robustq.mitigation.plan import Plan, Problem, Run
from robustq.mitigation.quasi import inverse
from robustq.noise import NoiseModel

DEAREST = 1e3  # cost of a circuit: its square is how many times more shots it takes


@dataclass(frozen=True)
class PEC:
    """Every channel of the device's noise is followed by its inverse, drawn with signs.

    Unbiased where the noise is what the calibration says; read-out error stays (invert it first). Every shot is one
    random circuit, and its outcome counts ``cost`` times: the variance grows by ``cost**2``. Temme, Bravyi &
    Gambetta, PRL 119, 180509 (2017); van den Berg et al., Nature Physics 19, 1116 (2023).

    Args:
        dearest: the largest cost that is accepted.

    >>> print(PEC())
    pec
    """

    dearest: float = DEAREST

    def __str__(self) -> str:
        return "pec"

    def rewrite(self, problem: Problem) -> Run:
        """The circuit without channels, its shots signed.

        Raises:
            CircuitError: if a channel cannot be inverted, or all together cost too much.
        """
        run = problem.run
        # costs of the channels multiply, and the variance goes with their square
        price = cost(run.circuit, run.noise)
        if price > self.dearest:
            raise CircuitError(
                f"pec: expected a circuit of cost at most {self.dearest:g} (its square is how many times more "
                f"shots it takes), got {price:.3g}; use a shorter circuit or a better device"
            )
        quiet = NoiseModel(readout=run.noise.readout, readouts=run.noise.readouts, couplings=run.noise.couplings)
        return replace(run, noise=quiet, cost=run.cost * price)

    def plan(self, problem: Problem) -> Plan:
        """One run with signed shots."""
        return Plan((self.rewrite(problem),))


def cost(circuit: Circuit, noise: NoiseModel) -> float:
    """What sampling the inverses of all channels multiplies every outcome by.

    >>> from robustq.circuits import Circuit, op
    >>> quiet = Circuit.of(1, [op("x", 0)])
    >>> round(cost(quiet, NoiseModel.uniform(gate_error=0.1)), 6)
    1.166667
    """
    return math.prod(inverse(channel).cost for o in circuit.operations for channel, _ in noise.after(o))


@torch.no_grad()
def signed_circuits(
    run: Run, inputs: Tensor, parameters: Tensor, *, circuits: int, generator: torch.Generator, shots: bool = True
) -> Tensor:
    """Draw random circuits, run each with its noise, and return their signed outcomes.

    The whole experiment: nothing of the ideal circuit enters. The mean of what is returned estimates the ideal
    expectations without bias.

    Args:
        run: the circuit with its noise; ``run.seen`` must be Pauli words where ``shots`` are drawn.
        inputs: one input ``(1, circuit.inputs)``.
        parameters: trained angles.
        circuits: how many.
        generator: which circuits, and their shots.
        shots: one shot of each circuit, +1 or -1; otherwise its exact expectation.

    Returns:
        ``(circuits, observables)`` of float64, each ``sign * cost * outcome``.

    >>> from robustq.circuits import Circuit, op, z
    >>> run = Run(Circuit.of(1, [op("x", 0)]), (z(0),), NoiseModel.uniform(gate_error=0.1))
    >>> outcomes = signed_circuits(run, torch.zeros(1, 0), torch.zeros(0), circuits=5000,
    ...                         generator=torch.Generator().manual_seed(0))
    >>> bool((outcomes.mean() + 1).abs() < 4 * outcomes.std() / 5000**0.5)
    True
    """
    if len(inputs) != 1 or circuits < 1:
        raise CircuitError(f"pec: expected one input and circuits >= 1, got {len(inputs)}, {circuits}")
    walk = noisy.program(run.circuit, inputs.double(), parameters.double(), run.noise)
    state = torch.zeros(circuits, 4**run.circuit.qubits, dtype=torch.float64)
    start = transfer.state_vectors(run.circuit, inputs.double())
    state[:] = _ground(run.circuit.qubits) if start is None else start
    signs, price = torch.ones(circuits, 1, dtype=torch.float64), 1.0
    for event in walk[0]:
        on = [bit for q in event.qubits for bit in (2 * q, 2 * q + 1)]
        if event.channel is None:
            state = apply_matrix(state, _gate(product(event.refs, walk[1])), on)
            continue
        undone = inverse(event.channel)
        chosen = _drawn(undone.weights, circuits, generator)
        # the channel, then the drawn operation: one matrix each, as a device would run them
        after = torch.as_tensor(undone.operations @ event.channel.ptm)
        state = apply_matrix(state, after[chosen], on)
        # the signs of all draws of a circuit multiply its outcome
        signs *= torch.as_tensor(np.sign(undone.weights))[chosen][:, None]
        price *= undone.cost
    outcomes = _read(run, state)
    if shots:
        ups = ((1 + outcomes) / 2).clamp(0, 1)
        outcomes = 2 * torch.bernoulli(ups, generator=generator) - 1
    return price * signs * outcomes


def _drawn(weights: np.ndarray, count: int, generator: torch.Generator) -> Tensor:
    chances = torch.as_tensor(np.abs(weights))
    if len(chances) == 1:
        return torch.zeros(count, dtype=torch.int64)
    return torch.multinomial(chances, count, replacement=True, generator=generator)


def _ground(qubits: int) -> Tensor:
    """The Pauli vector of |0...0>: every word of I and Z has mean one."""
    single = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    total = torch.ones(1, dtype=torch.float64)
    for _ in range(qubits):
        total = torch.kron(total, single)
    return total


def _gate(matrix: Tensor) -> Tensor:
    """The transfer matrix of a unitary ``(1, d, d)``, ``(1, d**2, d**2)``."""
    unitary = matrix[0].to(torch.complex128)
    size = len(unitary)
    identity = torch.eye(size**2, dtype=torch.complex128).reshape(-1, size, size)
    images = unitary @ transfer.operators_of(identity.real.reshape(size**2, -1), _width(size)) @ unitary.mH
    return (transfer.pauli_vectors(images, _width(size)) / size).T[None]


def _width(size: int) -> int:
    return size.bit_length() - 1


def _read(run: Run, state: Tensor) -> Tensor:
    readouts = run.noise.readouts_of(run.circuit.qubits)
    plan = m.exact(run.seen, run.circuit.qubits, readouts)
    rows = transfer.pauli_rows(plan, torch.float64)
    return m.combine(state @ rows.T, plan)
