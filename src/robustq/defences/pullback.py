"""Logits of states in the place of inputs, differentiable in what is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.defences.front import without_front
from robustq.engine import measurement as m
from robustq.engine import noisy
from robustq.engine.statevector import unitary
from robustq.errors import ModelError
from robustq.models import HybridNet, QuantumNet
from robustq.noise import NoiseModel


@dataclass(frozen=True, eq=False)
class PulledBack:
    """A model at a batch: its encoded states, and its read-out pulled back to them.

    What :meth:`robustq.engine.FrozenModel.of_states` is for fixed parameters, here as a graph of them.

    Attributes:
        states: after the last gate that depends on the input, complex ``(batch, dimension)``.
        effective: read-out rows pulled back, ``(rows, dimension, dimension)``.
        plan: what the rows are, and how observables are made of them.
        read: from expectations to logits.
    """

    states: Tensor
    effective: Tensor
    plan: m.Measurement
    read: Callable[[Tensor], Tensor]

    @staticmethod
    def of(model: Any, x: Tensor) -> PulledBack:
        """The model at inputs ``(batch, features)``, at today's parameters.

        Raises:
            ModelError: for anything but a circuit or a hybrid whose encoded state is pure; something in
                front of it does no harm.

        >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
        >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
        >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
        >>> PulledBack.of(model, torch.zeros(3, 2)).states.shape
        torch.Size([3, 4])
        """
        model, x = without_front(model, x)
        core = model.core if isinstance(model, HybridNet) else model
        if not isinstance(core, QuantumNet):
            raise ModelError(f"expected a quantum or hybrid model, got {type(model).__name__}")
        circuit, observables, rules = core.run_as(core.noise)
        noise = rules or NoiseModel()
        if not noisy.is_pure(circuit, noise):
            raise ModelError(
                "expected a pure state before the read-out is pulled back, got noise between the encoding gates"
            )
        inputs = model.encoder_inputs(x)
        listed, matrices = noisy.program(circuit, inputs, core.theta.to(x.dtype), noise)
        prefix, suffix = noisy.split(listed)
        states = noisy.push_pure(circuit, inputs, prefix, matrices)
        plan = m.exact(m.as_tuple(observables), circuit.qubits, noise.readouts_of(circuit.qubits))
        operators = torch.as_tensor(plan.matrices()).to(states)
        if any(event.channel for event in suffix):
            effective = noisy.pull_back(operators, suffix, matrices, circuit.qubits)
        else:  # without channels one unitary serves every row
            behind = unitary(noisy.only(circuit, suffix, 0), core.theta.to(x.dtype))
            effective = behind.mH @ operators @ behind
        states = states.expand(len(x), -1)
        return PulledBack(states, effective, plan, model.read)

    def logits(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of unit states in the place of the encoded ones."""
        return self._of_rows(m.quadratic_rows(states, self.effective))

    def forms(self) -> Tensor:
        """One Hermitian matrix a class, complex128 ``(classes, dimension, dimension)``, detached.

        Logits are affine in the rows; a constant is a multiple of the identity.
        """
        with torch.no_grad():
            real = self.states.real.new_zeros(1, len(self.effective))
            constant = self._of_rows(real)
            slopes = self._of_rows(torch.eye(len(self.effective)).to(real)) - constant
        pulled = self.effective.detach().to(torch.complex128)
        identity = torch.eye(pulled.shape[1], dtype=pulled.dtype, device=pulled.device)
        mixed = torch.einsum("rk,rij->kij", slopes.to(pulled), pulled)
        mixed = mixed + constant[0].to(pulled)[:, None, None] * identity
        return (mixed + mixed.mH) / 2

    def _of_rows(self, rows: Tensor) -> Tensor:
        return self.read(m.combine(rows, self.plan))
