"""Pauli frames: noisy expectations and their gradients from noiseless circuits with random signs.

Pauli noise is a random Pauli word after a gate. Carried to the end of the circuit, through Clifford gates it
becomes another word, and each rotation that it anticommutes with turns the other way (Knill, Nature 434, 39
(2005)). So one sample of the noise is the
circuit itself with some angles negated and a word before the read-out: unbiased, differentiable in
parameters and inputs, and as fast as no noise at all, because the channels never act on the state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq import engine
from robustq.circuits import Circuit, Observable, Operation, op, x
from robustq.circuits.angles import Angle
from robustq.circuits.gates import gate, pauli_matrix
from robustq.errors import CircuitError
from robustq.noise import Channel, NoiseModel

Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Clifford:
    """A gate that maps words to words: the bits ``(2k, 2k)`` of its symplectic matrix, on some rows."""

    rows: tuple[int, ...]
    bits: Bits


@dataclass(frozen=True)
class _SignedRotation:
    """A rotation whose angle is negated where the parity of these rows of the frame is odd."""

    rows: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Strike:
    """A Pauli channel: cumulative chances of its words, and their bits ``(words, 2k)``."""

    rows: tuple[int, ...]
    edges: NDArray[np.float64]
    bits: Bits


_Step = _Clifford | _SignedRotation | _Strike


@dataclass(frozen=True, eq=False)
class Framed:
    """A circuit under Pauli noise as a noiseless one with more inputs; made by :func:`framed`.

    Attributes:
        circuit: takes the features, then a sign for every rotation, then the bits of the last word.
        observables: as they were.
        noise: the read-out error alone.
        features: how many of the inputs are the old ones.
    """

    circuit: Circuit
    observables: tuple[Observable, ...]
    noise: NoiseModel
    features: int
    _steps: tuple[_Step, ...]

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """One sample of the noise for each of ``batch`` inputs: the inputs after the features, float64."""
        strikes = sum(isinstance(step, _Strike) for step in self._steps)
        chances = iter(torch.rand(strikes, batch, generator=generator, dtype=torch.float64).numpy())
        frame: Bits = np.zeros((2 * self.circuit.qubits, batch), dtype=bool)
        signs: list[Bits] = []
        for step in self._steps:
            rows = list(step.rows)
            if isinstance(step, _SignedRotation):
                # P exp(-i a W) = exp(i a W) P where P and W anticommute
                signs.append(np.logical_xor.reduce(frame[rows]))
            elif isinstance(step, _Clifford):
                frame[rows] = np.logical_xor.reduce(step.bits[:, :, None] & frame[rows], axis=1)
            else:
                words = np.searchsorted(step.edges, next(chances), side="right")
                # Pauli words multiply up to a phase, which no mean can see
                frame[rows] ^= step.bits[words].T
        turned = 1.0 - 2.0 * np.array(signs).reshape(len(signs), batch)
        return torch.from_numpy(np.concatenate([turned, frame]).T)

    def expectations(
        self, inputs: Tensor, parameters: Tensor, *, generator: torch.Generator, frames: int = 1
    ) -> Tensor:
        """Unbiased estimates ``(batch, observables)`` of the noisy expectations, with their gradients.

        Args:
            inputs: ``(batch, features)``.
            parameters: trainable angles, same dtype.
            generator: where the noise comes from.
            frames: samples of the noise that are averaged for each input.

        Raises:
            CircuitError: if ``frames`` is not positive.
        """
        if frames < 1:
            raise CircuitError(f"expected frames >= 1, got {frames}")
        drawn = self.draw(frames * len(inputs), generator).to(inputs.dtype)
        rows = torch.cat([inputs.repeat(frames, 1), drawn], dim=1)
        values = engine.expectations(
            self.circuit, self.observables, inputs=rows, parameters=parameters, noise=self.noise
        )
        return values.reshape(frames, len(inputs), -1).mean(0)


def framed(circuit: Circuit, observables: Sequence[Observable], noise: NoiseModel) -> Framed:
    """Prepare a circuit of rotations about Pauli words and Clifford gates for noise of Pauli channels.

    Raises:
        CircuitError: on another gate (controlled rotations, T), on a channel that is not Pauli, or on an angle
            that is a product of slots already.

    >>> from robustq.circuits import ansaetze, encodings, z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> made = framed(circuit, [z(0)], NoiseModel.uniform(gate_error=0.1))
    >>> x, angles = torch.rand(5, 2), torch.rand(circuit.parameters)
    >>> made.expectations(x, angles, generator=torch.Generator(), frames=10).shape
    torch.Size([5, 1])
    """
    steps: list[_Step] = []
    operations: list[Operation] = []
    slots = itertools.count(circuit.inputs)
    for operation in circuit.operations:
        signed = [angle * x(next(slots)) for angle in map(Angle.of, operation.angles)]
        operations.append(Operation(operation.gate, operation.qubits, tuple(signed)))
        steps += _crossed(operation, circuit.qubits)
        steps += [_strike(channel, on, circuit.qubits) for channel, on in noise.after(operation)]
    for name in ("rx", "rz"):  # the word that is left: half turns, up to a global phase
        operations += [op(name, q, angles=[math.pi * x(next(slots))]) for q in range(circuit.qubits)]
    compiled = Circuit(circuit.qubits, tuple(operations), next(slots), circuit.parameters, circuit.amplitudes)
    readout = NoiseModel(readout=noise.readout, readouts=noise.readouts)
    return Framed(compiled, tuple(observables), readout, circuit.inputs, tuple(steps))


def _crossed(operation: Operation, qubits: int) -> Iterator[_Step]:
    """What a gate does to a frame: one step an angle, in the angles' order, or one Clifford map."""
    row = gate(operation.gate)
    if not row.parameters:
        yield _Clifford(_rows(operation.qubits, qubits), _symplectic(operation.gate))
        return
    parts = sorted(row.parts, key=lambda part: part[1]) or [(operation.gate, 0)]
    for name, _ in parts:
        words = [word for word in gate(name).generator if set(word) != {"I"}]
        if len(words) != 1:
            raise CircuitError(f"Pauli frame: expected Clifford gates and turns about Pauli words, got {name!r}")
        yield _SignedRotation(tuple(_anticommuting(words[0], operation.qubits, qubits)))


def _anticommuting(word: str, on: Sequence[int], qubits: int) -> Iterator[int]:
    """Rows of the frame whose parity says whether it anticommutes with ``word``."""
    for letter, q in zip(word, on, strict=True):
        if letter in "ZY":
            yield q
        if letter in "XY":
            yield qubits + q


def _rows(on: Sequence[int], qubits: int) -> tuple[int, ...]:
    """The rows of some qubits: their X bits, then their Z bits."""
    return (*on, *(qubits + q for q in on))


@lru_cache(maxsize=64)
def _symplectic(name: str) -> Bits:
    """Column ``j``: the bits of ``U P_j U^dagger`` for the X of each qubit, then the Z of each."""
    row, columns = gate(name), []
    matrix = row.matrix()
    for letter, q in itertools.product("XZ", range(row.qubits)):
        start = "".join(letter if k == q else "I" for k in range(row.qubits))
        image = matrix @ pauli_matrix(start) @ matrix.conj().T
        for word in map("".join, itertools.product("IXYZ", repeat=row.qubits)):
            if abs(np.trace(pauli_matrix(word) @ image)) > 2**row.qubits * (1 - 1e-9):
                columns.append(_bits(word))
    if len(columns) != 2 * row.qubits:
        raise CircuitError(f"Pauli frame: expected Clifford gates and turns about Pauli words, got {name!r}")
    return np.array(columns).T


def _bits(word: str) -> list[bool]:
    return [letter in "XY" for letter in word] + [letter in "ZY" for letter in word]


def _strike(channel: Channel, on: Sequence[int], qubits: int) -> _Step:
    """A channel with diagonal transfer matrix: its chances are the signed sums of the diagonal."""
    ptm, words = channel.ptm, ["".join(w) for w in itertools.product("IXYZ", repeat=channel.qubits)]
    diagonal = np.diagonal(ptm)
    if not np.allclose(ptm, np.diag(diagonal), atol=1e-9):
        raise CircuitError(f"Pauli frame: expected Pauli channels, got {channel!r}")
    signs = np.array([[1 - 2 * _anticommute(v, w) for v in words] for w in words])
    chances = np.clip(signs @ diagonal / len(words), 0, 1)
    return _Strike(_rows(on, qubits), np.cumsum(chances)[:-1], np.array([_bits(w) for w in words]))


def _anticommute(first: str, second: str) -> int:
    return sum("I" not in (a, b) and a != b for a, b in zip(first, second, strict=True)) % 2
