"""What a tampering lays open: a row of settings, shared by all inputs, and the logits they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.circuits import Circuit, Operation
from robustq.contracts import CircuitClassifier, Search, Threat
from robustq.errors import ModelError

WAITING = 1000  # roundings that gates at angle zero may make in an expectation


@dataclass(frozen=True, eq=False)
class Surface:
    """A machine at given inputs as a function of its settings.

    Attributes:
        rest: the settings nobody touched, ``(1, settings)``.
        names: what each setting is, in words.
        logits: from settings ``(settings,)`` to logits ``(batch, classes)`` of all inputs;
            differentiable unless the settings are switches.

    >>> Surface(torch.zeros(1, 2), ("left", "right"), lambda s: s[None]).logits(torch.ones(2)).shape
    torch.Size([1, 2])
    """

    rest: Tensor
    names: tuple[str, ...]
    logits: Callable[[Tensor], Tensor]


@runtime_checkable
class Tampering(Protocol):
    """What an adversary may do to the machine, as a value."""

    def threat(self, model: CircuitClassifier) -> Threat:
        """The geometry of the settings."""
        ...

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The machine at inputs ``x`` ``(batch, features)`` as a function of the settings."""
        ...


class SettingsAttack(Protocol):
    """An attack that needs losses and gradients only, as one on settings must."""

    def search(self, problem: Search, /) -> Tensor:
        """The last candidate of the search, ``(1, settings)``."""
        ...


def surface(names: Sequence[str], like: Tensor, logits: Callable[[Tensor], Tensor]) -> Surface:
    """A surface whose settings rest at zero, in the dtype and on the device of ``like``."""
    return Surface(like.new_zeros(1, len(names)), tuple(names), logits)


def rewritten(model: CircuitClassifier, x: Tensor, circuit: Circuit, names: Sequence[str]) -> Surface:
    """The model with another circuit, whose further trainable slots are the settings.

    Raises:
        ModelError: if gates that wait at angle zero change what is read, as they do under gate noise.
    """
    features = model.encoder_inputs(x).detach()
    angles = model.angles.detach().to(features)
    with torch.no_grad():
        waiting = torch.cat([angles, angles.new_zeros(len(names))])
        change = model.measured(features, waiting, circuit=circuit)
        change = change - model.measured(features, angles)
    if float(change.abs().max() if len(x) else 0) > WAITING * torch.finfo(features.dtype).eps:
        raise ModelError(
            "expected a model without gate noise, which would strike inserted gates that only wait; "
            "tamper with its noise-free twin"
        )

    def logits(settings: Tensor) -> Tensor:
        full = torch.cat([angles, settings])
        return model.read(model.measured(features, full, circuit=circuit))

    return surface(names, features, logits)


def extended(circuit: Circuit, operations: Iterable[Operation], slots: int) -> Circuit:
    """Other operations on the same register, with ``slots`` more trainable slots.

    >>> extended(Circuit(2, ()), (), 3).parameters
    3
    """
    more = circuit.parameters + slots
    return Circuit(circuit.qubits, tuple(operations), circuit.inputs, more, circuit.amplitudes)


def described(operation: Operation) -> str:
    """An operation in words.

    >>> from robustq.circuits import op
    >>> described(op("cx", 0, 1))
    'cx on 0, 1'
    """
    return f"{operation.gate} on {', '.join(map(str, operation.qubits))}"
