"""Exact noise: density matrices forwards, observables backwards (the Heisenberg picture).

A noisy circuit is a list of events (gates and channels). Everything that neither depends on the
input nor stands before something that does can be pulled back into the observables once, for the
whole batch; what is left is simulated forwards, as pure states when no channel is left in it.
This is idea behind frozen models: ``f_k(x) = tr(M_k rho(x))`` with ``M_k`` the read-out pulled
back through the noisy circuit (its *effective observable*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit, Operation
from robustq.engine.lowering import Key, Ref, lower
from robustq.engine.statevector import apply_matrix, initial_state, product
from robustq.noise.channels import Channel
from robustq.noise.model import NoiseModel


@dataclass(frozen=True)
class Event:
    """A gate (``channel`` is None) or a channel, each on the qubits it acts on."""

    qubits: tuple[int, ...]
    refs: tuple[Ref, ...] = ()
    operation: Operation | None = None
    channel: Channel | None = None

    @property
    def has_inputs(self) -> bool:
        """Whether the event changes with the input features."""
        return self.operation is not None and self.operation.has_inputs


def events(circuit: Circuit, pieces: Sequence[tuple[Ref, ...]], noise: NoiseModel) -> list[Event]:
    """The circuit's gates with the noise model's channels after them."""
    listed: list[Event] = []
    for operation, refs in zip(circuit.operations, pieces, strict=True):
        listed.append(Event(operation.qubits, refs, operation))
        listed += [Event(on, channel=channel) for channel, on in noise.after(operation)]
    return listed


def split(listed: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """``(prefix, suffix)``: the suffix holds no inputs and commutes past all later prefix events.

    Scanning backwards, an event joins the prefix if it depends on the input or touches a qubit
    that a later prefix event touches.
    """
    blocked: set[int] = set()
    prefix: list[Event] = []
    suffix: list[Event] = []
    for event in reversed(listed):
        if event.has_inputs or blocked.intersection(event.qubits):
            # nothing earlier on these qubits can be moved behind it
            blocked.update(event.qubits)
            prefix.append(event)
        else:
            suffix.append(event)
    return prefix[::-1], suffix[::-1]


@lru_cache(maxsize=256)
def parts(circuit: Circuit, noise: NoiseModel) -> tuple[list[Event], list[Event]]:
    """Prefix and suffix of a circuit with noise, with references into its lowered form."""
    pieces = lower(circuit, torch.float32, torch.device("cpu")).pieces
    return split(events(circuit, pieces, noise))


@lru_cache(maxsize=256)
def encoder(circuit: Circuit, noise: NoiseModel) -> Circuit:
    """The gates of the prefix alone, slots numbered as before."""
    return only(circuit, parts(circuit, noise)[0], circuit.amplitudes)


def only(circuit: Circuit, part: Sequence[Event], amplitudes: int) -> Circuit:
    """The circuit with some of its gates alone, slots numbered as before."""
    operations = tuple(event.operation for event in part if event.operation is not None)
    return Circuit(circuit.qubits, operations, circuit.inputs, circuit.parameters, amplitudes)


def is_pure(circuit: Circuit, noise: NoiseModel) -> bool:
    """Whether no channel strikes before the last gate that depends on the input."""
    return not any(event.channel for event in parts(circuit, noise)[0])


def pull_back(operators: Tensor, suffix: Sequence[Event], matrices: dict[Key, Tensor], qubits: int) -> Tensor:
    """Effective observables: ``(rows, D, D)`` pulled back through ``suffix``."""
    rows, size, _ = operators.shape
    tensor = operators.reshape(rows, -1)
    for event in reversed(suffix):
        if event.channel is None:
            tensor = _conjugate(tensor, product(event.refs, matrices).mH, event.qubits, qubits)
        else:
            # Heisenberg picture: K^dagger O K, the adjoint of the channel's superoperator
            adjoint = _superoperator(event.channel, tensor).mH
            tensor = apply_matrix(tensor, adjoint, _both_sides(event.qubits, qubits))
    return tensor.reshape(rows, size, size)


def push_forward(circuit: Circuit, inputs: Tensor, prefix: Sequence[Event], matrices: dict[Key, Tensor]) -> Tensor:
    """Densities ``(batch, D, D)`` after ``prefix``."""
    state = initial_state(circuit, inputs)
    return push(state[:, :, None] * state.conj()[:, None, :], prefix, matrices)


def push(densities: Tensor, prefix: Sequence[Event], matrices: dict[Key, Tensor]) -> Tensor:
    """Densities ``(batch, D, D)`` after ``prefix``, from given ones."""
    batch, size, _ = densities.shape
    qubits = size.bit_length() - 1
    tensor = densities.reshape(batch, -1)
    for event in prefix:
        if event.channel is None:
            tensor = _conjugate(tensor, product(event.refs, matrices), event.qubits, qubits)
        else:
            forward = _superoperator(event.channel, tensor)
            tensor = apply_matrix(tensor, forward, _both_sides(event.qubits, qubits))
    return tensor.reshape(batch, size, size)


def push_pure(circuit: Circuit, inputs: Tensor, prefix: Sequence[Event], matrices: dict[Key, Tensor]) -> Tensor:
    """Pure states ``(batch, D)`` after a prefix without channels."""
    state = initial_state(circuit, inputs)
    for event in prefix:
        state = apply_matrix(state, product(event.refs, matrices), event.qubits)
    return state


def program(
    circuit: Circuit, inputs: Tensor, parameters: Tensor, noise: NoiseModel
) -> tuple[list[Event], dict[Key, Tensor]]:
    """The events of the circuit and the matrices they refer to."""
    lowered = lower(circuit, inputs.dtype, inputs.device)
    return events(circuit, lowered.pieces, noise), lowered.matrices(inputs, parameters)


def _conjugate(tensor: Tensor, matrix: Tensor, on: Sequence[int], qubits: int) -> Tensor:
    """``A X A^dagger`` for ``X`` flattened as row bits, then column bits."""
    half = apply_matrix(tensor, matrix, on)
    return apply_matrix(half, matrix.conj(), [qubits + q for q in on])


def _both_sides(on: Sequence[int], qubits: int) -> tuple[int, ...]:
    """The row bits, then the column bits, of the qubits a channel acts on."""
    return (*on, *(qubits + q for q in on))


def _superoperator(channel: Channel, like: Tensor) -> Tensor:
    return torch.as_tensor(channel.superoperator).to(like)[None]
