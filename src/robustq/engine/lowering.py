"""Lowering: a circuit becomes a short list of tensor steps, prepared once and cached.

Three observations keep the torch path short:

* every elementary gate is ``exp(-i t G)``, so all gates of one width are built by *one*
  vectorised spectral formula ``V exp(-i t lambda) V^dagger``;
* gates that only relabel basis states (X, CNOT, SWAP, Toffoli) are composed into one gather;
* one-qubit gates that stand side by side are multiplied and applied as Kronecker blocks.

Gates whose angles do not depend on the input are shared by the batch and built once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from robustq.circuits.angles import Angle
from robustq.circuits.circuit import Circuit, Operation
from robustq.circuits.gates import gate
from robustq.engine.slots import slot_positions, slot_vector

Key = tuple[bool, int]  # (depends on inputs, number of qubits)


@dataclass(frozen=True)
class Ref:
    """Where an elementary gate's matrix is found: a bank and a row in it."""

    key: Key
    row: int


@dataclass(frozen=True)
class Bank:
    """All elementary gates of one width that are shared (or not) by the batch.

    ``left`` and ``right`` index the slot vector ``[1, theta, x]``; entry ``t`` adds
    ``coefficient[t] * slots[left[t]] * slots[right[t]]`` to the angle of gate ``owner[t]``.
    """

    batched: bool
    left: Tensor
    right: Tensor
    coefficient: Tensor
    owner: Tensor
    eigenvalues: Tensor  # (gates, d)
    eigenvectors: Tensor  # (gates, d, d)

    def angles(self, slots: Tensor) -> Tensor:
        """Angles ``(batch or 1, gates)`` from slots ``(batch or 1, 1 + P + F)``."""
        products = slots[:, self.left] * slots[:, self.right] * self.coefficient
        zero = products.new_zeros(len(slots), len(self.eigenvalues))
        return zero.index_add(1, self.owner, products)

    def unitaries(self, angles: Tensor) -> Tensor:
        """Unitaries ``(batch or 1, gates, d, d)`` from angles ``(batch or 1, gates)``."""
        # polar: no complex exponential, and phases of modulus one up to a rounding
        phases = torch.polar(
            torch.ones_like(angles)[..., None].expand(*angles.shape, self.eigenvalues.shape[1]),
            -angles[..., None] * self.eigenvalues,
        )
        vectors = self.eigenvectors
        return (vectors * phases[..., None, :]) @ vectors.mH


@dataclass(frozen=True)
class Layer:
    """One-qubit gates side by side: for each qubit the elementary gates to multiply."""

    runs: tuple[tuple[int, tuple[Ref, ...]], ...]


@dataclass(frozen=True)
class Gather:
    """A relabelling of the basis: ``new[j] = old[index[j]]``."""

    index: Tensor


@dataclass(frozen=True)
class Block:
    """A gate on several qubits that is not a relabelling."""

    ref: Ref
    qubits: tuple[int, ...]


Step = Layer | Gather | Block


@dataclass(frozen=True)
class Program:
    """A lowered circuit: banks of elementary gates and the steps that use them.

    ``pieces[k]`` are the elementary gates whose product is operation ``k``; the density path,
    where noise stands between the gates, uses these instead of the fused ``steps``.
    """

    banks: dict[Key, Bank]
    steps: tuple[Step, ...]
    pieces: tuple[tuple[Ref, ...], ...]

    def matrices(self, inputs: Tensor, parameters: Tensor) -> dict[Key, Tensor]:
        """Every bank's unitaries for ``inputs`` ``(batch, F)`` and ``parameters`` ``(P,)``."""
        rows = {False: slot_vector(inputs.new_zeros(1, 0), parameters)}
        if any(bank.batched for bank in self.banks.values()):
            rows[True] = slot_vector(inputs, parameters)
        return {key: bank.unitaries(bank.angles(rows[bank.batched])) for key, bank in self.banks.items()}


@dataclass(frozen=True)
class _Elementary:
    generator: str
    angle: Angle


def _elements(operation: Operation) -> list[_Elementary]:
    """The operation as elementary gates: a fixed gate is its generator at angle one."""
    row = gate(operation.gate)
    if row.parts:
        return [_Elementary(part, operation.angles[index]) for part, index in row.parts]
    return [_Elementary(operation.gate, operation.angles[0] if operation.angles else Angle.of(1.0))]


@lru_cache(maxsize=256)
def lower(circuit: Circuit, dtype: torch.dtype, device: torch.device) -> Program:
    """Lower ``circuit`` for inputs of real ``dtype`` on ``device``."""
    with torch.inference_mode(False):  # the program outlives the caller's mode
        return _lowered(circuit, dtype, device)


def _lowered(circuit: Circuit, dtype: torch.dtype, device: torch.device) -> Program:
    members: dict[Key, list[_Elementary]] = {}
    pieces: list[tuple[Ref, ...]] = []
    for operation in circuit.operations:
        refs = []
        for element in _elements(operation):
            key = (element.angle.has_inputs, len(operation.qubits))
            members.setdefault(key, []).append(element)
            refs.append(Ref(key, len(members[key]) - 1))
        pieces.append(tuple(refs))
    banks = {key: _bank(key[0], elements, circuit.parameters, dtype, device) for key, elements in members.items()}
    steps = tuple(_steps(circuit, pieces, device))
    return Program(banks, steps, tuple(pieces))


def _bank(
    batched: bool, elements: list[_Elementary], parameters: int, dtype: torch.dtype, device: torch.device
) -> Bank:
    entries = [
        (*slot_positions(monomial, parameters), coefficient, owner)
        for owner, element in enumerate(elements)
        for monomial, coefficient in element.angle.terms
    ]
    left, right, coefficient, owner = zip(*entries, strict=True) if entries else ((), (), (), ())
    spectra = [_spectrum(element.generator) for element in elements]
    complex_dtype = torch.complex64 if dtype == torch.float32 else torch.complex128
    return Bank(
        batched,
        torch.tensor(left, dtype=torch.long, device=device),
        torch.tensor(right, dtype=torch.long, device=device),
        torch.tensor(coefficient, dtype=dtype, device=device),
        torch.tensor(owner, dtype=torch.long, device=device),
        torch.tensor(np.stack([values for values, _ in spectra]), dtype=dtype, device=device),
        torch.tensor(np.stack([vectors for _, vectors in spectra]), dtype=complex_dtype, device=device),
    )


@cache
def _spectrum(name: str) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(gate(name).generator_matrix)
    return values, vectors


def _steps(circuit: Circuit, pieces: list[tuple[Ref, ...]], device: torch.device) -> list[Step]:
    """Group operations into layers, gathers and blocks, in an order that changes nothing."""
    steps: list[Step] = []
    runs: dict[int, list[Ref]] = {}
    index: np.ndarray | None = None

    def close_layer() -> None:
        if runs:
            steps.append(Layer(tuple((q, tuple(refs)) for q, refs in sorted(runs.items()))))
            runs.clear()

    def close_gather() -> None:
        nonlocal index
        if index is not None:
            steps.append(Gather(torch.tensor(index, dtype=torch.long, device=device)))
            index = None

    for operation, refs in zip(circuit.operations, pieces, strict=True):
        if gate(operation.gate).permutes:
            close_layer()
            moved = permutation(operation, circuit.qubits)
            # new[j] = old[index[moved[j]]]: the earlier relabelling is read last
            index = moved if index is None else index[moved]
        elif len(operation.qubits) == 1:
            close_gather()
            runs.setdefault(operation.qubits[0], []).extend(refs)
        else:
            close_layer()
            close_gather()
            steps.append(Block(refs[0], operation.qubits))
    close_layer()
    close_gather()
    return steps


def permutation(operation: Operation, qubits: int) -> np.ndarray:
    """``index`` with ``new[j] = old[index[j]]`` for a gate that relabels basis states.

    >>> from robustq.circuits import op
    >>> permutation(op("cx", 0, 1), 2).tolist()
    [0, 1, 3, 2]
    """
    images = gate(operation.gate).matrix().real.argmax(axis=0)  # column j holds a 1 at images[j]
    places = [qubits - 1 - q for q in operation.qubits]
    width = len(places)
    state = np.arange(2**qubits)
    local = sum((state >> p & 1) << (width - 1 - k) for k, p in enumerate(places))
    target = images[local]
    moved = state.copy()
    for k, p in enumerate(places):
        bit = target >> (width - 1 - k) & 1
        moved = moved & ~(1 << p) | bit << p
    index = np.empty_like(state)
    # the gate sends b to moved[b]; a gather needs the inverse
    index[moved] = state
    return index
