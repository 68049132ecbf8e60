"""A frozen model: parameters and noise fixed, everything but the encoder done once.

``f_k(x) = tr(M_k rho(x))`` where ``M_k`` is the read-out pulled back through the (noisy)
circuit. Building it costs one Heisenberg pass; afterwards a gradient costs what the encoder
costs, at any depth and any noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.circuits.observables import Observable
from robustq.engine import measurement as m
from robustq.engine import noisy
from robustq.engine.expectations import check_inputs, check_memory, effective_rows
from robustq.engine.lowering import lower
from robustq.engine.statevector import evolve, unitary
from robustq.noise.model import NoiseModel


class FrozenModel:
    """Logits ``scale * tr(M_k rho(x))`` as a function of the input only.

    Args:
        circuit: the circuit to freeze.
        observables: one per class.
        parameters: trainable angles ``(circuit.parameters,)``, taken as they are now.
        scale: factor from expectations to logits.
        noise: exact noise to pull back; None for none.

    >>> from robustq.circuits import ansaetze, encodings, z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> frozen = FrozenModel(circuit, [z(0), z(1)], torch.zeros(6))
    >>> frozen(torch.zeros(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        circuit: Circuit,
        observables: Sequence[Observable],
        parameters: Tensor,
        *,
        scale: float = 1.0,
        noise: NoiseModel | None = None,
    ) -> None:
        self.circuit = circuit
        self.scale = scale
        self._parameters = parameters.detach().clone()
        self._noise = noise or NoiseModel()
        check_memory(circuit.qubits, len(observables), 2)
        readouts = self._noise.readouts_of(circuit.qubits)
        self._plan = m.exact(m.as_tuple(observables), circuit.qubits, readouts)
        blank = self._parameters.new_zeros(0, circuit.inputs)
        listed, _ = noisy.program(circuit, blank, self._parameters, self._noise)
        prefix, self._suffix = noisy.split(listed)
        self._prefix = prefix
        self._prefix_circuit = _only(circuit, prefix, circuit.amplitudes)
        self._pure = not any(event.channel for event in prefix)
        self._real = all(gate(o.gate).is_real for o in self._prefix_circuit.operations)
        self._effective: dict[torch.dtype, Tensor] = {}
        self._pull_back(self.dtype)

    def _pull_back(self, dtype: torch.dtype) -> Tensor:
        """The effective observables for inputs of ``dtype``, made at first use."""
        if dtype not in self._effective:
            parameters = self._parameters.to(dtype)
            if any(event.channel for event in self._suffix):
                pulled = _pulled(self.circuit, self._plan, self._suffix, parameters)
            else:  # without channels one unitary serves every row
                fixed = unitary(_only(self.circuit, self._suffix, 0), parameters)
                pulled = _conjugated(fixed, self._plan)
            mix = torch.as_tensor(self._plan.combine).to(pulled)
            self._effective[dtype] = torch.einsum("rk,rij->kij", mix, pulled)
        return self._effective[dtype]

    @property
    def effective_observables(self) -> Tensor:
        """``M_k`` of shape ``(classes, 2**qubits, 2**qubits)``, Hermitian."""
        return self._pull_back(self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """The real dtype of its inputs and logits."""
        return self._parameters.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for features ``(batch, circuit.inputs)``, in their dtype."""
        check_inputs(self.circuit, x)
        effective, parameters = self._pull_back(x.dtype), self._parameters.to(x.dtype)
        if not len(x):
            return x.new_zeros(0, len(effective))
        if not self._pure:
            return self.scale * self._mixed(x, parameters, effective)
        check_memory(self.circuit.qubits, len(x), 1)
        state = evolve(self._prefix_circuit, x, parameters)
        if self._real:  # <psi|M|psi> = psi^T Re(M) psi
            return self.scale * m.real_quadratic_rows(state.real, effective.real)
        return self.scale * m.quadratic_rows(state, effective)

    def _mixed(self, x: Tensor, parameters: Tensor, effective: Tensor) -> Tensor:
        """The rows when channels are left in the prefix."""
        lowered = lower(self._prefix_circuit, x.dtype, x.device)
        pieces = iter(lowered.pieces)  # a channel in the prefix may follow a gate of the suffix
        prefix = [e if e.channel else replace(e, refs=next(pieces)) for e in self._prefix]
        matrices = lowered.matrices(x, parameters)
        return effective_rows(self._prefix_circuit, x, prefix, matrices, effective)


def _pulled(
    circuit: Circuit, plan: m.Measurement, suffix: Sequence[noisy.Event], parameters: Tensor
) -> Tensor:
    """The rows pulled back through a suffix with channels."""
    lowered = lower(circuit, parameters.dtype, parameters.device)
    matrices = lowered.matrices(parameters.new_zeros(0, circuit.inputs), parameters)
    dtype = torch.complex64 if parameters.dtype == torch.float32 else torch.complex128
    operators = torch.as_tensor(plan.matrices()).to(dtype).to(parameters.device)
    return noisy.pull_back(operators, suffix, matrices, circuit.qubits)


def _only(circuit: Circuit, part: Sequence[noisy.Event], amplitudes: int) -> Circuit:
    """The circuit with some of its gates alone, slots numbered as before."""
    kept = tuple(event.operation for event in part if event.operation is not None)
    return Circuit(circuit.qubits, kept, circuit.inputs, circuit.parameters, amplitudes)


def _conjugated(fixed: Tensor, plan: m.Measurement) -> Tensor:
    """``U^dagger M_r U`` for every row; a diagonal row only scales the columns of ``U^dagger``."""
    diagonal = torch.as_tensor(plan.diagonals).to(fixed)
    rows = [(fixed.mH * diagonal[:, None, :]) @ fixed]
    rows += [
        (fixed.mH @ torch.as_tensor(word.matrix(plan.qubits)).to(fixed) @ fixed)[None]
        for word in plan.words
    ]
    return torch.cat(rows)
