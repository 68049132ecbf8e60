"""Circuits like the given one whose ideal values can be computed: most angles are made Clifford.

Czarnik, Arrasmith, Coles & Cincio, "Error mitigation with Clifford quantum-circuit data", Quantum 5, 592 (2021).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.circuits import Circuit, x
from robustq.circuits.circuit import Operation
from robustq.engine.slots import Polynomials, slot_vector
from robustq.errors import CircuitError
from robustq.mitigation.plan import Problem, Run

# Multiples of this angle make the gate a Clifford gate.
STEPS: Mapping[str, float] = {
    **dict.fromkeys(("rx", "ry", "rz", "p", "rot", "u3", "rxx", "ryy", "rzz"), math.pi / 2),
    **dict.fromkeys(("crx", "cry", "crz", "cp"), math.pi),
}


@dataclass(frozen=True, eq=False)
class TrainingCircuits:
    """Circuits that were run to learn from, with what a perfect device gives.

    Attributes:
        angles: every angle of the circuit, ``(circuits, angles)``.
        noisy: what was read, ``(circuits, observables)``.
        ideal: what would have been, same shape.
    """

    angles: Tensor
    noisy: Tensor
    ideal: Tensor


def training_circuits(problem: Problem, circuits: int, kept: float) -> TrainingCircuits:
    """Run that many near-Clifford relatives of the circuit, at the problem's inputs.

    Args:
        problem: its inputs and angles are what is rounded.
        circuits: how many.
        kept: share of the angles left as they are; the others go to one of the two nearest Clifford angles, the
            nearer the likelier, so that the mean angle is kept.

    Raises:
        CircuitError: if the circuit has no angles.
    """
    run, generator = problem.run, problem.generator
    whole = slotted(run.circuit)
    rows = torch.randint(len(problem.inputs), (circuits,), generator=generator)
    inputs = problem.inputs[rows.to(problem.inputs.device)]
    true = angles(run.circuit, inputs, problem.parameters)
    rounded = near_clifford(true, steps(run.circuit), kept, generator)
    slots = torch.cat([inputs[:, : run.circuit.amplitudes], rounded], 1)
    with torch.no_grad():
        return _answers(replace(run, circuit=whole), slots, problem, rounded)


def _answers(run: Run, slots: Tensor, problem: Problem, circuit_angles: Tensor) -> TrainingCircuits:
    blank = slots.new_zeros(0)
    noisy = run.values(slots, blank, shots=problem.shots, generator=problem.generator)
    return TrainingCircuits(circuit_angles, noisy, run.ideal(slots, blank))


def slotted(circuit: Circuit) -> Circuit:
    """The circuit with an input of its own for every angle, behind those that are loaded as amplitudes.

    >>> from robustq.circuits import ansaetze
    >>> slotted(ansaetze.brickwork(2)).inputs
    6
    """
    number = circuit.amplitudes
    operations: list[Operation] = []
    for operation in circuit.operations:
        count = len(operation.angles)
        own = tuple(x(number + k) for k in range(count))
        operations.append(Operation(operation.gate, operation.qubits, own))
        number += count
    if number == circuit.amplitudes:
        raise CircuitError("near-Clifford circuits: expected a circuit with angles, got none")
    return Circuit(circuit.qubits, tuple(operations), number, 0, circuit.amplitudes)


def angles(circuit: Circuit, inputs: Tensor, parameters: Tensor) -> Tensor:
    """Every angle of the circuit at these inputs, ``(batch, angles)``, in radians."""
    listed = [angle for operation in circuit.operations for angle in operation.angles]
    values = Polynomials.of(listed, circuit.parameters).values(slot_vector(inputs, parameters))
    return values.expand(len(inputs), -1)


def steps(circuit: Circuit) -> Tensor:
    """Between the Clifford angles of every angle's gate, ``(angles,)`` of float64."""
    sizes = [STEPS[o.gate] for o in circuit.operations for _ in o.angles]
    return torch.tensor(sizes, dtype=torch.float64)


def near_clifford(true: Tensor, step: Tensor, kept: float, generator: torch.Generator) -> Tensor:
    """Angles ``(rows, angles)`` of which a random share is kept and the others are rounded up or down.

    >>> rounded = near_clifford(torch.full((1, 4), 0.3), torch.ones(4), 0.0, torch.Generator())
    >>> sorted(set(rounded.flatten().tolist())) in ([0.0], [1.0], [0.0, 1.0])
    True
    """
    if not 0 <= kept <= 1:
        raise CircuitError(f"near-Clifford circuits: expected a share kept in [0, 1], got {kept}")
    order = torch.rand(true.shape, generator=generator).argsort(1).argsort(1).to(true.device)
    chance = torch.rand(true.shape, generator=generator, dtype=true.dtype).to(true.device)
    step = step.to(true)
    # stochastic rounding: unbiased, so that the relatives stay near the circuit on average
    rounded = step * torch.floor(true / step + chance)
    return torch.where(order < round(kept * true.shape[1]), true, rounded)
