"""The circuits inside a model, run otherwise: another noise, other gates, the same weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from torch import nn

from robustq.circuits import Circuit, Operation
from robustq.contracts import RandomisedClassifier
from robustq.errors import ModelError
from robustq.models import QuantumNet
from robustq.noise import Device, Mapped, Noise, NoiseModel, Readout

Change = Callable[[QuantumNet], QuantumNet]
MARKER = "i"  # an identity gate marks where a defence's channel strikes; devices run it for free


@runtime_checkable
class Wired(Protocol):
    """A model that runs another circuit than the one it holds."""

    def wired(self) -> nn.Module:
        """The model that is run, at today's weights, differentiable in them."""
        ...


def core_of(model: nn.Module) -> QuantumNet:
    """The one circuit in a model, guards and hybrids included.

    Raises:
        ModelError: if there is none, or more than one.

    >>> core_of(nn.Linear(2, 2))
    Traceback (most recent call last):
        ...
    robustq.errors.ModelError: expected a model with one circuit, got 0 in Linear
    """
    circuits = [part for part in model.modules() if isinstance(part, QuantumNet)]
    if len(circuits) != 1:
        raise ModelError(f"expected a model with one circuit, got {len(circuits)} in {type(model).__name__}")
    return circuits[0]


def rewired(model: nn.Module, change: Change) -> nn.Module:
    """The same model around changed circuits; every weight is shared, the model stays as it is.

    Raises:
        ModelError: if there is no circuit in it.

    >>> rewired(nn.Linear(2, 2), lambda core: core)
    Traceback (most recent call last):
        ...
    robustq.errors.ModelError: expected a model with a circuit, got Linear
    """
    if isinstance(model, QuantumNet):
        return change(model)
    if not _holds_circuit(model):
        raise ModelError(f"expected a model with a circuit, got {type(model).__name__}")
    return _around(model, lambda part: rewired(part, change))


def viewed(model: nn.Module, change: Change) -> nn.Module:
    """As :func:`rewired`, of the circuits that are run: those with their keys, for one step or one answer.

    Gradients reach the weights, but later weights do not reach the view.
    """
    if isinstance(model, Wired):
        return rewired(model.wired(), change)
    if isinstance(model, QuantumNet) or not _holds_circuit(model):
        return rewired(model, change)
    return _around(model, lambda part: viewed(part, change))


def _around(model: nn.Module, change: Callable[[nn.Module], nn.Module]) -> nn.Module:
    twin = copy.copy(model)
    # a copied module shares this dictionary with the original: replaced, not written to
    twin._modules = {
        name: part if part is None or not _holds_circuit(part) else change(part)
        for name, part in model._modules.items()
    }
    return twin


def _holds_circuit(part: nn.Module) -> bool:
    return any(isinstance(inner, QuantumNet) for inner in part.modules())


def changed(core: QuantumNet, **attributes: Any) -> QuantumNet:
    """The circuit with other attributes (``circuit``, ``observables``, ``noise``), weights shared.

    ``theta`` may be a tensor that depends on the trained one: gradients reach the weights through it.

    >>> import torch
    >>> from robustq.circuits import encodings, per_qubit_z
    >>> core = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> noisy = changed(core, noise=NoiseModel.uniform(gate_error=0.1))
    >>> core.noise is None, noisy.theta is core.theta
    (True, True)
    """
    twin = copy.copy(core)
    if "theta" in attributes:
        # a plain attribute could not shadow a registered parameter
        twin._parameters = {k: v for k, v in core._parameters.items() if k != "theta"}
    for name, value in attributes.items():
        setattr(twin, name, value)
    return twin


def with_noise(model: nn.Module, noise: Noise) -> nn.Module:
    """The model under this noise besides its own; every weight is shared."""
    return rewired(model, lambda core: changed(core, noise=joined(core, noise)))


def seen_under(model: nn.Module, noise: Noise) -> nn.Module:
    """The same for one step or one answer: a device runs the circuit with its key; see :func:`viewed`."""
    return viewed(model, lambda core: changed(core, noise=joined(core, noise)))


def without_noise(model: nn.Module) -> nn.Module:
    """The model without any noise of its own; every weight is shared."""
    return rewired(model, lambda core: changed(core, noise=None))


def joined(core: QuantumNet, noise: Noise | None) -> Noise | None:
    """The circuit's own noise and another one, as one.

    Rules add up; to a device the circuit is fitted first; of two devices the second is where it runs.

    Raises:
        ModelError: if rules name qubits that a fit to a device moves before they strike.
    """
    own = core.noise
    if own is None or noise is None:
        return own if noise is None else noise
    if isinstance(noise, NoiseModel):
        return _more(core, own, noise)
    return _more(core, noise, own) if isinstance(own, NoiseModel) else noise


def _more(core: QuantumNet, noise: Noise, rules: NoiseModel) -> Noise:
    if isinstance(noise, NoiseModel):
        return _sum(noise, rules)
    fit = core.fitted(noise) if isinstance(noise, Device) else noise
    if any(rule.qubits or rule.on for rule in rules.rules) and not _in_place(fit):
        raise ModelError(
            "expected noise on named qubits before the circuit's qubits are swapped, got a fit "
            "to a device that swaps them first"
        )
    return replace(fit, noise=_sum(fit.noise, rules))


def _sum(first: NoiseModel, second: NoiseModel) -> NoiseModel:
    """The rules of both; read-out errors may come from one of them only."""
    loud = [n for n in (first, second) if n.readouts or n.readout != Readout()]
    if len(loud) > 1:
        raise ModelError("expected one noise with read-out errors, got two to be joined")
    base = (loud or [first])[0]
    pairs = first.couplings if first.couplings is not None else second.couplings
    return replace(base, rules=first.rules + second.rules, couplings=pairs)


def _in_place(fit: Mapped) -> bool:
    """Whether every marker comes before the first SWAP: so far qubit k sits at position k."""
    names = [o.gate for o in fit.circuit.operations]
    marks = [place for place, name in enumerate(names) if name == MARKER]
    return not marks or "swap" not in names[: marks[-1]]


def check_unmarked(circuit: Circuit) -> None:
    """Refuse a circuit that has identity gates already.

    Raises:
        ModelError: since a channel after them would strike there too.
    """
    if MARKER in circuit.counts:
        raise ModelError(
            "expected a circuit without identity gates, which mark where a defence's noise strikes; "
            "got some (two such defences on one model?)"
        )


def check_steady(model: nn.Module) -> None:
    """Refuse a model that holds a randomised one, whose need for many answers would be forgotten.

    Raises:
        ModelError: saying where randomised defences go.
    """
    for part in model.modules():
        if isinstance(part, RandomisedClassifier):
            raise ModelError(
                f"expected randomised defences as the last of a recipe, got {type(part).__name__} within another one"
            )


def encoded(circuit: Circuit) -> int:
    """How many of the circuit's leading operations come before the last input has been loaded.

    >>> from robustq.circuits import ansaetze, encodings
    >>> encoded(encodings.angle(3).then(ansaetze.brickwork(3)))
    3
    """
    places = [k for k, o in enumerate(circuit.operations, 1) if o.has_inputs]
    if not places and not circuit.amplitudes:
        raise ModelError("expected a circuit that loads inputs, got one that takes none")
    return max(places, default=0)


def spliced(circuit: Circuit, place: int, operations: Iterable[Operation]) -> Circuit:
    """The circuit with further operations in front of its operation number ``place``.

    >>> from robustq.circuits import encodings, op
    >>> [o.gate for o in spliced(encodings.angle(2), 1, [op("h", 0)]).operations]
    ['ry', 'h', 'ry']
    """
    gates = circuit.operations
    longer = Circuit.of(circuit.qubits, (*gates[:place], *operations, *gates[place:]))
    return replace(circuit, operations=longer.operations, parameters=max(circuit.parameters, longer.parameters))
