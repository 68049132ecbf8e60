"""Noisy circuits in the Pauli basis, natively: real vectors over words, gates with their channels as maps.

A state is ``r_w = tr(P_w rho)`` and an observable ``O = sum_w o_w P_w``, so that ``<O> = sum_w o_w r_w``; both
are real vectors over the ``4**qubits`` Pauli words (letters I, X, Y, Z; qubit 0 most significant). A gate and
the channels that follow it become one small real matrix (a Pauli transfer matrix, Greenbaum 2015,
arXiv:1509.02921); states go forwards by it and observables backwards by its transpose. The torch path with
complex densities (:mod:`robustq.engine.noisy`) does the same and is what the kernel is checked against.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq.circuits.circuit import Circuit, Operation
from robustq.circuits.gates import PAULI, gate, pauli_matrix
from robustq.engine import native
from robustq.engine.lowering import Ref, lower
from robustq.engine.measurement import Measurement, quadratic_rows, real_quadratic_rows
from robustq.engine.noisy import Event, encoder, events, is_pure, pull_back, push, push_forward, split
from robustq.engine.primitives import Phase, Relabelling, Turn, primitives
from robustq.engine.statevector import evolve as states
from robustq.engine.statevector import initial_amplitudes
from robustq.noise.model import NoiseModel

QUADRATIC = 9  # qubits from which a pure prefix is run as states, whatever it is
WIDEST = 10  # qubits: a vector of 4**10 words and its lanes are 64 MiB
LETTERS = "IXYZ"
RealMatrix = NDArray[np.float64]


def fits(circuit: Circuit) -> bool:
    """Whether the kernel can run the circuit with noise: not too wide, no gate on three qubits."""
    return native.available() and circuit.qubits <= WIDEST and _narrow(circuit)


@lru_cache(maxsize=256)
def _narrow(circuit: Circuit) -> bool:
    return all(len(o.qubits) <= 2 for o in circuit.operations)


def copies(circuit: Circuit, batch: int, *, differentiated: bool) -> int:
    """Densities' worth of memory, for ``check_memory``: on the way back about the root of the depth.

    Every thread keeps lanes of vectors: one, or that many checkpoints and as many states between two.
    """
    lanes = 4 * (1 + math.isqrt(2 * len(circuit.operations)) if differentiated else 1)
    return 16 + batch + lanes * min(torch.get_num_threads(), -(-batch // native.LANES))


@dataclass(frozen=True)
class _Piece:
    """A fixed matrix, or the rotation by an angle whose generator is ``matrix``."""

    matrix: RealMatrix
    factor: Turn | Phase | None = None


@dataclass
class _Map:
    """The pieces that act on the same one or two qubits before anything else touches these."""

    qubits: tuple[int, ...]
    pieces: list[_Piece] = field(default_factory=list)

    @property
    def batched(self) -> bool:
        return any(p.factor is not None and p.factor.angle.has_inputs for p in self.pieces)


@dataclass(frozen=True, eq=False)
class Passage:
    """A circuit with noise, or its prefix or suffix, as a plan of the kernel."""

    circuit: Circuit
    noise: NoiseModel
    part: str
    plan: Any

    def events(self, pieces: Sequence[tuple[Ref, ...]] | None = None) -> Sequence[Event]:
        """The part's gates and channels, with references to matrices where ``pieces`` are given."""
        listed = events(self.circuit, pieces or [()] * len(self.circuit.operations), self.noise)
        return listed if self.part == "whole" else split(listed)[self.part == "suffix"]


@lru_cache(maxsize=512)
def passage(circuit: Circuit, noise: NoiseModel, part: str) -> Passage:
    """The plan of ``part`` (see :func:`robustq.engine.noisy.split`)."""
    blank = Passage(circuit, noise, part, None)
    return replace(blank, plan=_plan(circuit, blank.events()))


def _plan(circuit: Circuit, events: Sequence[Event]) -> Any:
    flat = native.Flat(circuit)
    pieces: list[list[int]] = []
    ops: list[list[int]] = []
    tables: dict[int, list[RealMatrix]] = {4: [], 16: []}
    for step in _maps(events):
        first = len(pieces)
        for piece in step.pieces:
            table = tables[len(piece.matrix)]
            table.append(piece.matrix)
            number = -1
            if piece.factor is not None:
                number = len(flat.factors)
                flat.add([piece.factor])
            pieces.append([len(table) - 1, number])
        places = [circuit.qubits - 1 - q for q in step.qubits] + [-1]
        ops.append([places[0], places[1], first, len(step.pieces)])
    return native.kernel().TransferPlan(
        circuit.qubits,
        circuit.parameters,
        circuit.inputs,
        *flat.angles(),
        np.array(pieces, np.int32).reshape(-1, 2),
        np.array(ops, np.int32).reshape(-1, 4),
        np.array(tables[4]).reshape(-1, 16),
        np.array(tables[16]).reshape(-1, 256),
    )


def _maps(events: Sequence[Event]) -> list[_Map]:
    """The events as maps: a piece joins the map that touched its qubits last, where that is cheap."""
    maps: list[_Map] = []
    latest: dict[int, _Map] = {}
    for event in events:
        for qubits, piece in _pieces(event):
            target = latest.get(qubits[0])
            alone = target is not None and all(latest.get(q) is target for q in qubits)
            if target is None or not alone or not _joins(target, qubits, piece):
                target = _Map(qubits)
                maps.append(target)
            target.pieces.append(_Piece(_on(piece.matrix, qubits, target.qubits), piece.factor))
            latest |= dict.fromkeys(qubits, target)
    return maps


def _joins(target: _Map, qubits: tuple[int, ...], piece: _Piece) -> bool:
    """A rotation stays out of a wider map, which it would fill, and out of one of the other kind."""
    wider = len(target.qubits) > len(qubits)
    if piece.factor is None:
        return not wider or int(np.count_nonzero(piece.matrix)) <= 6  # a channel, not a Hadamard
    shared = not any(p.factor is not None for p in target.pieces)
    return not wider and (shared or target.batched == piece.factor.angle.has_inputs)


def _pieces(event: Event) -> Iterator[tuple[tuple[int, ...], _Piece]]:
    if event.channel is not None:
        yield event.qubits, _Piece(event.channel.ptm)
    elif event.operation is not None and not event.operation.angles:
        yield event.qubits, _Piece(_transfer_matrix(event.operation.gate))
    elif event.operation is not None:
        yield from _rotations(event.operation)


def _rotations(operation: Operation) -> Iterator[tuple[tuple[int, ...], _Piece]]:
    for primitive in primitives(operation):
        if isinstance(primitive, Relabelling):
            inner = primitive.operation
            yield inner.qubits, _Piece(_transfer_matrix(inner.gate))
        else:
            turns = isinstance(primitive, Turn)
            on = (primitive.qubit,) if isinstance(primitive, Turn) else primitive.qubits
            yield on, _Piece(_generator("Y" if turns else "Z" * len(on)), primitive)


def cost_rows(circuit: Circuit, noise: NoiseModel) -> list[tuple[str, int, int]]:
    """What is done, how often, and the operations: the prefix a sample, the suffix a row that is read."""
    table = []
    for part in ("prefix", "suffix"):
        maps = _maps(passage(circuit, noise, part).events())
        words = sum(_entries(one) * 4 ** (circuit.qubits - len(one.qubits)) for one in maps)
        table.append((f"maps of the {part}", len(maps), 2 * words))
    return table


def _entries(of: _Map) -> int:
    """Non-zero entries of a map at a generic angle."""
    total: RealMatrix = np.eye(4 ** len(of.qubits))
    for piece in of.pieces:
        matrix = np.abs(piece.matrix) + (0 if piece.factor is None else np.eye(len(piece.matrix)))
        total = np.asarray(matrix @ total != 0, float)
    return int(total.sum())


@lru_cache(maxsize=64)
def _transfer_matrix(name: str) -> RealMatrix:
    """``R_ij = tr(P_i U P_j U^dagger) / d`` of a gate without angles."""
    unitary, words = gate(name).matrix(), _words(gate(name).qubits)
    images = unitary @ words @ unitary.conj().T
    matrix: RealMatrix = np.einsum("iab,jba->ij", words, images).real / len(unitary)
    matrix[np.abs(matrix) < 1e-15] = 0
    return matrix


@lru_cache(maxsize=8)
def _generator(word: str) -> RealMatrix:
    """``S`` with ``exp(-i a W) P_j exp(i a W) = cos(2a) P_j + sin(2a) sum_i S_ij P_i`` where W, P_j anticommute."""
    words, matrix = _words(len(word)), pauli_matrix(word)
    images = -0.5j * (matrix @ words - words @ matrix)
    generator: RealMatrix = np.einsum("iab,jba->ij", words, images).real / len(matrix)
    # entries are 0 or +-1 exactly; rounding the einsum's noise away keeps them sparse
    return np.round(generator)


@lru_cache(maxsize=4)
def _words(qubits: int) -> NDArray[np.complex128]:
    words = np.eye(1, dtype=complex)[None]
    letters = np.stack([PAULI[letter] for letter in LETTERS])
    for _ in range(qubits):
        words = np.stack([np.kron(word, letter) for word in words for letter in letters])
    return words


def _on(matrix: RealMatrix, qubits: tuple[int, ...], onto: tuple[int, ...]) -> RealMatrix:
    """A map on ``qubits`` as a map on ``onto``, which holds them all."""
    if qubits == onto:
        return matrix
    if len(qubits) == 2:  # the same two, the other way round
        return matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
    first = qubits[0] == onto[0]
    extended = np.kron(matrix, np.eye(4)) if first else np.kron(np.eye(4), matrix)
    return np.asarray(extended, np.float64)


def rows(
    circuit: Circuit,
    reading: Measurement,
    noise: NoiseModel,
    inputs: Tensor,
    parameters: Tensor,
    *,
    forwards: bool | None = None,
) -> Tensor:
    """Means of the rows ``(batch, rows)``: observables back through the suffix, states through the rest.

    With ``forwards`` the states go all the way; by default where there are fewer of them than rows.
    """
    # evolve whichever there are fewer of: states forwards, or read-out rows backwards
    if len(inputs) < rows_of(reading) if forwards is None else forwards:
        start = state_vectors(circuit, inputs)
        state = evolve(passage(circuit, noise, "whole"), inputs, parameters, start)
        return state @ pauli_rows(reading, inputs.dtype).T
    pulled = pulled_rows(circuit, reading, noise, parameters)
    if is_pure(circuit, noise) and (circuit.amplitudes or circuit.qubits >= QUADRATIC):
        return _pure_means(encoder(circuit, noise), pulled, inputs, parameters)
    start = state_vectors(circuit, inputs)
    return evolve(passage(circuit, noise, "prefix"), inputs, parameters, start) @ pulled.T


def _pure_means(pure: Circuit, pulled: Tensor, inputs: Tensor, parameters: Tensor) -> Tensor:
    """``<psi|M_r|psi>`` of the states that ``pure`` prepares: ``2**n`` numbers a sample, not ``4**n``."""
    state, operators = states(pure, inputs, parameters), operators_of(pulled, pure.qubits)
    if all(gate(o.gate).is_real for o in pure.operations):
        return real_quadratic_rows(state.real, operators.real)
    return quadratic_rows(state, operators)


def pulled_rows(circuit: Circuit, reading: Measurement, noise: NoiseModel, parameters: Tensor) -> Tensor:
    """The rows' Pauli vectors ``(rows, 4**qubits)`` pulled back through the suffix."""
    observed = pauli_rows(reading, parameters.dtype)
    blank = parameters.new_zeros(len(observed), circuit.inputs)
    return evolve(passage(circuit, noise, "suffix"), blank, parameters, observed, back=True)


def evolve(by: Passage, inputs: Tensor, parameters: Tensor, start: Tensor | None, *, back: bool = False) -> Tensor:
    """Pauli vectors ``(batch, 4**qubits)`` through a passage; without ``start`` from |0...0>."""
    if start is None:
        start = inputs.new_zeros(0, 0)
    result: Tensor = _PauliTransfer.apply(by, inputs, parameters, start, back)  # type: ignore[no-untyped-call]
    return result


class _PauliTransfer(torch.autograd.Function):
    """The kernel's maps; backwards it runs them again from checkpoints."""

    @staticmethod
    def forward(ctx: Any, by: Passage, inputs: Tensor, parameters: Tensor, start: Tensor, back: bool) -> Tensor:
        ctx.by, ctx.back = by, back
        ctx.save_for_backward(inputs, parameters, start)
        out = inputs.new_empty(len(inputs), by.plan.words)
        empty = inputs.new_empty(0, 0)
        arguments = native.views(parameters[None], inputs, start, out, empty, empty, empty)
        native.kernel().transfer(by.plan, back, *arguments, False, torch.get_num_threads())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (upstream,) = gradients
        if torch.is_grad_enabled():  # somebody wants second derivatives
            return (None, *_torch_gradients(ctx, upstream), None)
        inputs, parameters, start = ctx.saved_tensors
        needs_parameters = ctx.needs_input_grad[2]
        g_parameters = parameters.new_zeros(1, len(parameters) if needs_parameters else 0)
        g_inputs, g_start = inputs.new_zeros(inputs.shape), start.new_empty(start.shape)
        arguments = native.views(parameters[None], inputs, start, upstream, g_parameters, g_inputs, g_start)
        native.kernel().transfer(ctx.by.plan, ctx.back, *arguments, True, torch.get_num_threads())
        return None, g_inputs, g_parameters[0] if needs_parameters else None, g_start, None


def _torch_gradients(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    """The same gradients by complex matrices in torch, as a graph that can be differentiated again."""
    circuit: Circuit = ctx.by.circuit
    size = float(2**circuit.qubits)

    def vectors(inputs: Tensor, parameters: Tensor, start: Tensor) -> Tensor:
        lowered = lower(circuit, inputs.dtype, inputs.device)
        matrices = lowered.matrices(inputs, parameters)
        part = ctx.by.events(lowered.pieces)
        effects = operators_of(start, circuit.qubits) if len(start) else None
        if effects is None:
            return pauli_vectors(push_forward(circuit, inputs, part, matrices), circuit.qubits)
        if ctx.back:
            pulled = pull_back(effects, part, matrices, circuit.qubits)
            return pauli_vectors(pulled / size, circuit.qubits)
        return pauli_vectors(push(effects / size, part, matrices), circuit.qubits)

    return native.differentiable(vectors, ctx.saved_tensors, upstream)


def rows_of(reading: Measurement) -> int:
    """How many rows are read."""
    return len(reading.diagonals) + len(reading.words)


@lru_cache(maxsize=64)
def pauli_rows(reading: Measurement, dtype: torch.dtype) -> Tensor:
    """The rows of a measurement as Pauli vectors ``(rows, 4**qubits)`` of a real ``dtype``."""
    size = 4**reading.qubits
    matrix = np.zeros((rows_of(reading), size))
    spread = reading.diagonals.reshape(-1, *[2] * reading.qubits)
    for axis in range(1, reading.qubits + 1):  # tr(diag Z...) / 2**n is a Walsh transform
        spread = (
            np.stack([spread.take(0, axis) + spread.take(1, axis), spread.take(0, axis) - spread.take(1, axis)], axis)
            / 2
        )
    diagonal = np.arange(2**reading.qubits)
    place = sum(3 * (diagonal >> k & 1) << (2 * k) for k in range(reading.qubits))
    matrix[: len(reading.diagonals), place] = spread.reshape(-1, 2**reading.qubits)
    for row, word_sum in enumerate(reading.words, len(reading.diagonals)):
        for c, word in word_sum.terms:
            index = sum(LETTERS.index(p) << (2 * (reading.qubits - 1 - q)) for q, p in word)
            matrix[row, index] += c
    return torch.as_tensor(matrix, dtype=dtype)


def state_vectors(circuit: Circuit, inputs: Tensor) -> Tensor | None:
    """Pauli vectors ``(batch, 4**qubits)`` of loaded amplitudes; None for |0...0>."""
    if not circuit.amplitudes:
        return None
    amplitudes = initial_amplitudes(circuit, inputs)
    state = torch.nn.functional.pad(amplitudes, (0, 2**circuit.qubits - circuit.amplitudes))
    density = (state[:, :, None] * state[:, None, :]).to(
        torch.complex64 if inputs.dtype == torch.float32 else torch.complex128
    )
    return pauli_vectors(density, circuit.qubits)


def pauli_vectors(operators: Tensor, qubits: int) -> Tensor:
    """``tr(P_w X)`` for operators ``(batch, D, D)``, real, ``(batch, 4**qubits)``."""
    batch = len(operators)
    letters = np.stack([PAULI[letter] for letter in LETTERS])
    change = torch.as_tensor(letters.transpose(0, 2, 1).reshape(4, 4)).to(operators)
    tensor = operators.reshape(batch, *[2] * (2 * qubits))
    # row bit and column bit of a qubit side by side: its 2x2 block becomes one index of four letters
    order = [axis for q in range(qubits) for axis in (1 + q, 1 + qubits + q)]
    tensor = tensor.permute(0, *order).reshape(batch, *[4] * qubits)
    for axis in range(1, qubits + 1):
        tensor = torch.tensordot(tensor, change, dims=([axis], [1])).movedim(-1, axis)
    return tensor.reshape(batch, -1).real


def operators_of(vectors: Tensor, qubits: int) -> Tensor:
    """``sum_w v_w P_w`` as matrices ``(batch, D, D)`` from Pauli vectors ``(batch, 4**qubits)``."""
    batch = len(vectors)
    dtype = torch.complex64 if vectors.dtype == torch.float32 else torch.complex128
    letters = np.stack([PAULI[letter] for letter in LETTERS]).reshape(4, 4)
    change = torch.as_tensor(letters).to(dtype)
    tensor = vectors.to(dtype).reshape(batch, *[4] * qubits)
    for axis in range(1, qubits + 1):
        tensor = torch.tensordot(tensor, change, dims=([axis], [0])).movedim(-1, axis)
    tensor = tensor.reshape(batch, *[2] * (2 * qubits))
    order = [1 + 2 * q for q in range(qubits)] + [2 + 2 * q for q in range(qubits)]
    return tensor.permute(0, *order).reshape(batch, 2**qubits, 2**qubits)
