"""What a way of evaluating a circuit costs, in floating-point operations, before it is run: a sample, and
once for preparing it.

The counts follow the kernel: a shared turn is four operations an amplitude (two fused multiply-adds for
the real part, two for the imaginary), one whose angle differs from sample to sample six, a product with
phases six. Relabellings are free. Undoing costs what doing does, for the state and for its cotangent.
"""

from __future__ import annotations

from robustq.circuits.circuit import Circuit
from robustq.engine.schedule import Step, schedule

OPENING, READING = 16, 6  # operations an amplitude: product state; probabilities and two diagonals
IN_TORCH = 8  # a gate in torch streams the batch through memory: that many times its arithmetic


def step_cost(step: Step) -> int:
    """Operations an amplitude of one pass."""
    if step.turns:
        return (6 if step.batched else 4) * step.qubits
    return 6 + (10 if step.batched else 0)


def circuit_forward(circuit: Circuit) -> int:
    """Expectations by the state vector."""
    steps = sum(step_cost(step) for step in schedule(circuit).steps)
    return (steps + OPENING + READING) * (1 << circuit.qubits)


def circuit_gradient(circuit: Circuit, *, parameters: bool) -> int:
    """Expectations and their derivatives in the inputs (and the parameters) by the adjoint method."""
    operations = 3 * circuit_forward(circuit)
    for step in schedule(circuit).steps:
        if step.batched or parameters:
            operations += (4 * step.qubits if step.turns else 5) * 2**circuit.qubits
    return operations


def bloch_gradient(letters: tuple[str, ...], classes: int) -> int:
    """Scores of a product encoding and their derivative in the input: two products with its tensor."""
    words = 1
    for own in letters:
        words *= len(own)
    return 4 * words * classes


def quadratic_gradient(prefix: Circuit, classes: int, *, real: bool) -> int:
    """Quadratic forms of a state that torch prepares, and their derivative in the input."""
    forms = (4 if real else 16) * classes * (1 << 2 * prefix.qubits)
    return forms + IN_TORCH * 12 * len(prefix.operations) * (1 << prefix.qubits)


def transfer_gradient(prefix: Circuit, classes: int) -> int:
    """Pauli vectors through a noisy prefix, forwards twice and back once."""
    return (3 * 20 * max(1, len(prefix.operations)) + 4 * classes) * (1 << 2 * prefix.qubits)


def density_gradient(prefix: Circuit, classes: int) -> int:
    """Density matrices through a noisy prefix in torch."""
    return IN_TORCH * transfer_gradient(prefix, classes)


def fusing(suffix: Circuit, classes: int) -> int:
    """Preparing effective observables in torch: the suffix on every basis state, and a product a class."""
    size = 1 << suffix.qubits
    return IN_TORCH * (12 * max(1, len(suffix.operations)) + 8 * classes * suffix.qubits) * size**2


def preparation(suffix: Circuit, classes: int) -> dict[str, int]:
    """Operations that each strategy of a frozen model spends before its first sample."""
    fused = fusing(suffix, classes)
    words = IN_TORCH * 16 * classes * suffix.qubits * (1 << 2 * suffix.qubits)
    return {"circuit": 0, "bloch": fused + words, "quadratic": fused, "pauli": fused, "density": fused}
