"""Dephasing behind the encoder: Gaussian smoothing of every encoded angle, without a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from robustq.circuits import Circuit, Operation, op
from robustq.circuits.gates import gate
from robustq.defences.noise.cores import MARKER, changed, check_unmarked, joined, rewired
from robustq.defences.noise.noisy import Noisy
from robustq.errors import ModelError, SpecError
from robustq.models import QuantumNet
from robustq.noise import Channel, NoiseModel, Rule

AXES: Mapping[str, str] = {"rx": "x", "ry": "y", "rz": "z", "p": "z"}
# Where several axes meet on a qubit, each is turned to z for the dephasing, and back.
TURNS: Mapping[str, tuple[str, str]] = {"x": ("h", "h"), "y": ("sx", "sxdg")}


@dataclass(frozen=True)
class PhaseDamping:
    """Noise that blurs each encoded angle by a Gaussian, in training and at inference.

    ``E[R(t + sigma N) rho R(t + sigma N)^dagger]`` is ``R(t) rho R(t)^dagger`` dephased about the rotation's
    own axis: coherences shrink by ``exp(-sigma^2 / 2)``, that is, the axis' Pauli strikes with chance
    ``(1 - exp(-sigma^2 / 2)) / 2``. So the noisy model is the randomised smoothing (Cohen, Rosenfeld & Kolter,
    ICML 2019) of the noise-free one, exactly, where each feature turns one gate; a feature that turns several
    is blurred independently at each.

    Args:
        sigma: standard deviation of the blur of every encoding gate's angle, in radians.

    >>> PhaseDamping(0.5).coherence
    0.8824969025845955
    """

    sigma: float = 0.5

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < math.inf:
            raise SpecError(f"phase-damping: expected sigma >= 0, got {self.sigma}")

    @property
    def coherence(self) -> float:
        """By how much coherences across the axis shrink."""
        return math.exp(-(self.sigma**2) / 2)

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Noisy:
        """The model with a dephasing channel behind every gate that loads a feature.

        Raises:
            ModelError: if its features do not turn rotations about x, y or z.
        """
        return Noisy(rewired(model, self._damped))

    def _damped(self, core: QuantumNet) -> QuantumNet:
        circuit, axes = dephased(core.circuit)
        chance = (1 - self.coherence) / 2
        rules = tuple(
            Rule(Channel("pauli", *(chance * (axis == letter) for letter in "xyz")), (MARKER,), qubits)
            for axis, qubits in axes.items()
        )
        marked = changed(core, circuit=circuit)
        return changed(marked, noise=joined(marked, NoiseModel(rules)))


def dephased(circuit: Circuit) -> tuple[Circuit, dict[str, tuple[int, ...]]]:
    """The circuit with a marker behind every encoding rotation, and the axes to dephase about.

    Returns:
        The same function of its inputs, and axis -> the marked qubits; no qubits stand for all of them.

    Raises:
        ModelError: if features are loaded otherwise than by rotations about x, y or z.

    >>> from robustq.circuits import encodings
    >>> circuit, axes = dephased(encodings.angle(2))
    >>> [o.gate for o in circuit.operations], axes
    (['ry', 'i', 'ry', 'i'], {'y': ()})
    """
    check_unmarked(circuit)
    if circuit.amplitudes:
        raise ModelError("phase-damping: expected features that turn gates, got amplitudes")
    simple = [part for o in circuit.operations for part in _rotations(o)]
    seen: dict[int, set[str]] = {}
    for o in simple:
        if o.has_inputs:
            seen.setdefault(o.qubits[0], set()).add(AXES[o.gate])
    axes = {q: next(iter(axes_of)) if len(axes_of) == 1 else "z" for q, axes_of in seen.items()}
    marked = [part for o in simple for part in _marked(o, axes)]
    groups: dict[str, tuple[int, ...]] = {}
    for q, axis in sorted(axes.items()):
        groups[axis] = (*groups.get(axis, ()), q)
    if len(groups) == 1:
        groups = dict.fromkeys(groups, ())
    return replace(circuit, operations=tuple(marked)), groups


def _rotations(o: Operation) -> Iterator[Operation]:
    """An encoding gate as rotations of single qubits and gates without inputs; others as they are."""
    if not o.has_inputs or o.gate in AXES:
        yield o
    elif gate(o.gate).parts:
        for name, slot in gate(o.gate).parts:
            yield op(name, *o.qubits, angles=[o.angles[slot]])
    elif o.gate == "rzz":
        yield from (op("cx", *o.qubits), op("rz", o.qubits[1], angles=o.angles), op("cx", *o.qubits))
    else:
        raise ModelError(f"phase-damping: expected encoding gates {', '.join(AXES)}, rot, u3 or rzz, got {o.gate!r}")


def _marked(o: Operation, axes: Mapping[int, str]) -> Iterator[Operation]:
    yield o
    if not o.has_inputs:
        return
    q = o.qubits[0]
    turn = TURNS[AXES[o.gate]] if AXES[o.gate] != axes[q] else None
    if turn:
        yield op(turn[0], q)
    yield op(MARKER, q)
    if turn:
        yield op(turn[1], q)
