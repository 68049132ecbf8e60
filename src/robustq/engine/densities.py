"""The final state of a noisy circuit itself, where a read-out of it is not enough."""

from __future__ import annotations

from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.engine import native, noisy, transfer
from robustq.engine.expectations import _checked, check_memory
from robustq.noise.model import NoiseModel


def pauli_states(
    circuit: Circuit,
    *,
    inputs: Tensor | None = None,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
) -> Tensor:
    """``tr(P_w rho)`` of the final states, ``(batch, 4**qubits)``, differentiable.

    Pauli words are ordered I, X, Y, Z, qubit 0 slowest; read-out error plays no part. Arguments and errors are
    those of :func:`robustq.engine.expectations`.

    >>> from robustq.circuits import encodings
    >>> import torch
    >>> pauli_states(encodings.angle(1), inputs=torch.tensor([[1.0]])).round().tolist()[0][3]
    -1.0
    """
    inputs, parameters = _checked(circuit, inputs, parameters)
    model = noise or NoiseModel()
    check_memory(circuit.qubits, len(inputs), 2)
    if native.available() and inputs.device.type == "cpu" and transfer.fits(circuit):
        start = transfer.state_vectors(circuit, inputs)
        by = transfer.passage(circuit, model, "whole")
        return transfer.evolve(by, inputs, parameters, start)
    listed, matrices = noisy.program(circuit, inputs, parameters, model)
    densities = noisy.push_forward(circuit, inputs, listed, matrices)
    return transfer.pauli_vectors(densities, circuit.qubits)
