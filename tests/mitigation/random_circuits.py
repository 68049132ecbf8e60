"""Random circuits on few qubits, and problems made of them."""

import math

import numpy as np
import torch

from robustq.circuits import Circuit, op, z
from robustq.mitigation import Problem, Run
from robustq.noise import Device, mapped

ONE, TWO = ("rx", "ry", "rz", "h", "sx", "t"), ("cx", "cz", "rzz")


def random_circuit(rng, qubits=4, layers=5, two=0.5):
    """Layers of random one-qubit gates, and two-qubit gates on random neighbours."""
    operations = []
    for _ in range(layers):
        for q in range(qubits):
            operations.append(_random(rng, ONE[rng.integers(len(ONE))], q))
        for q in range(qubits - 1):
            if rng.random() < two:
                operations.append(_random(rng, TWO[rng.integers(len(TWO))], q, q + 1))
    return Circuit.of(qubits, operations)


def _random(rng, name, *qubits):
    angles = [rng.uniform(-math.pi, math.pi)] if name[0] == "r" else []
    return op(name, *qubits, angles=angles)


def problem_on(device, circuit, shots=None, seed=0):
    """What is read is Z of every qubit."""
    observables = [z(q) for q in range(circuit.qubits)]
    run = Run.of(mapped(circuit, observables, Device.bundled(device)))
    return problem_of(run, shots, seed)


def problem_of(run, shots=None, seed=0):
    blank = torch.zeros(1, run.circuit.inputs, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    return Problem(run, torch.zeros(run.circuit.parameters).double(), blank, generator, shots)


def errors(technique, problem):
    """Exact (infinitely many shots): unmitigated and mitigated error of every observable."""
    ideal = problem.run.ideal(problem.inputs, problem.parameters)
    noisy = problem.run.values(problem.inputs, problem.parameters)
    found = technique.plan(problem).values(problem.inputs, problem.parameters)
    return (noisy - ideal)[0].numpy(), (found - ideal)[0].numpy()


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))
