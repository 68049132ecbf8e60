"""The native kernel, where it was built: the batch as the SIMD lane, adjoint gradients in one sweep.

The Python side flattens a lowered circuit into a plan once, evaluates the angles (a few tensor
operations, differentiable as always) and hands tiles of samples to C++. One backward sweep re-runs the
circuit and undoes it gate by gate, so memory does not grow with depth. Second derivatives
take the pure-torch path.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.engine import measurement as m
from robustq.engine.lowering import Bank, Gather, Key, Layer, Program, Ref, lower
from robustq.engine.statevector import initial_amplitudes, run_program

try:
    import _robustq_kernel as _kernel
except ImportError:
    _kernel = None

SWITCH = "ROBUSTQ_NATIVE"


def available() -> bool:
    """Whether the kernel was built and is not switched off (``ROBUSTQ_NATIVE=0``)."""
    return _kernel is not None and os.environ.get(SWITCH, "1") != "0"


def description() -> str:
    """What evaluates pure circuits here, in words."""
    if available():
        return f"native kernel ({_kernel.variant()})"
    return f"pure torch ({'the kernel was not built' if _kernel is None else f'{SWITCH}=0'})"


@dataclass(frozen=True, eq=False)
class _Plan:
    """A program flattened for the kernel; ``keys`` say whose angles fill which columns."""

    program: Program
    compiled: Any
    keys: dict[bool, list[Key]]

    def angles(self, batched: bool, slots: Tensor) -> Tensor:
        """The columns ``(batch or 1, angles)`` of the shared or of the batched gates."""
        parts = [self.program.banks[key].angles(slots) for key in self.keys[batched]]
        return torch.cat(parts, dim=1) if parts else slots.new_zeros(len(slots), 0)


def rows(circuit: Circuit, reading: m.Measurement, inputs: Tensor, parameters: Tensor) -> Tensor:
    """Means of the rows ``(batch, rows)``, as :func:`measurement.pure_rows` of the final states."""
    plan = _plan(circuit, inputs.dtype, inputs.device)
    shared_slots = torch.cat([parameters.new_ones(1), parameters])[None]
    shared = plan.angles(False, shared_slots)
    slots = torch.cat([shared_slots.expand(len(inputs), -1), inputs], dim=1)
    batched = plan.angles(True, slots)
    start = initial_amplitudes(circuit, inputs)
    result: Tensor = _Rows.apply(circuit, plan, reading, shared, batched, start)  # type: ignore[no-untyped-call]
    return result


@lru_cache(maxsize=256)
def _plan(circuit: Circuit, dtype: torch.dtype, device: torch.device) -> _Plan:
    program = lower(circuit, dtype, device)
    keys = {flag: [key for key in program.banks if key[0] == flag] for flag in (False, True)}
    offset: dict[Key, int] = {}
    for flag in (False, True):
        widths = np.cumsum([0, *(len(program.banks[key].eigenvalues) for key in keys[flag])])
        offset |= dict(zip(keys[flag], widths.tolist(), strict=False))
    flat = _Flat(circuit, program, offset)
    counts = [sum(len(program.banks[key].eigenvalues) for key in keys[f]) for f in (False, True)]
    compiled = _kernel.Plan(circuit.qubits, *counts, *flat.arrays())
    return _Plan(program, compiled, keys)


class _Flat:
    """The tables of one plan while they are being filled."""

    def __init__(self, circuit: Circuit, program: Program, offset: dict[Key, int]) -> None:
        self._offset, self._top = offset, circuit.qubits - 1
        self._names = {
            ref: part
            for refs, o in zip(program.pieces, circuit.operations, strict=True)
            for ref, part in zip(refs, _part_names(o.gate), strict=True)
        }
        self.instructions: list[list[int]] = []
        self.elements: list[list[int]] = []
        self.generators: list[list[float]] = []
        self.spectra: list[np.ndarray] = []
        self.indices: list[np.ndarray] = []
        for step in program.steps:
            if isinstance(step, Layer):
                for qubit, refs in step.runs:
                    self._instruction(0, [qubit], refs)
            elif isinstance(step, Gather):
                size = len(step.index)
                self.instructions.append([2, 0, 0, size * len(self.indices), size])
                self.indices.append(step.index.cpu().numpy())
            else:
                self._instruction(1, list(step.qubits), (step.ref,))

    def _instruction(self, code: int, qubits: list[int], refs: tuple[Ref, ...]) -> None:
        places = [self._top - q for q in qubits] + [0]
        self.instructions.append([code, places[0], places[1], len(self.elements), len(refs)])
        for ref in refs:
            self._element(ref)

    def _element(self, ref: Ref) -> None:
        row = gate(self._names[ref])
        column = self._offset[ref.key] + ref.row
        one = row.qubits == 1
        self.elements.append([int(ref.key[0]), column, -1 if one else len(self.spectra)])
        self.generators.append([row.generator.get(p, 0.0) if one else 0.0 for p in "IXYZ"])
        if not one:
            values, vectors = np.linalg.eigh(row.generator_matrix)
            g = row.generator_matrix
            parts = [values, vectors.real, vectors.imag, g.real, g.imag]
            self.spectra.append(np.concatenate([part.ravel() for part in parts]))

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Instructions, elements, generators, spectra and indices as the kernel takes them."""
        return (
            np.array(self.instructions, np.int32).reshape(-1, 5),
            np.array(self.elements, np.int32).reshape(-1, 3),
            np.array(self.generators, float).reshape(-1, 4),
            np.array(self.spectra, float).reshape(-1, 68),
            np.concatenate([np.zeros(0), *self.indices]).astype(np.int32),
        )


def _part_names(name: str) -> list[str]:
    return [part for part, _ in gate(name).parts] or [name]


@lru_cache(maxsize=256)
def _reading(measurement: m.Measurement) -> Any:
    """The rows to read, flattened; cached by the identity of the measurement."""
    rows: list[int] = []
    tables: list[tuple[np.ndarray, np.ndarray]] = []
    for number, word_sum in enumerate(measurement.words):
        for c, word in word_sum.terms:
            index, phase = m.pauli_action(word, measurement.qubits)
            rows.append(len(measurement.diagonals) + number)
            tables.append((index, c * phase))
    size = 2**measurement.qubits
    places = np.array([i for i, _ in tables], np.int32).reshape(-1, size)
    phase = np.array([p for _, p in tables], complex).reshape(-1, size)
    return _kernel.Reading(
        len(measurement.diagonals) + len(measurement.words),
        np.ascontiguousarray(measurement.diagonals).reshape(-1, size),
        np.array(rows, np.int32), places,
        np.ascontiguousarray(phase.real), np.ascontiguousarray(phase.imag),
    )  # fmt: skip


class _Rows(torch.autograd.Function):
    """Rows from angles and amplitudes, with the adjoint method as derivative."""

    @staticmethod
    def forward(
        ctx: Any, circuit: Circuit, plan: _Plan, reading: m.Measurement,
        shared: Tensor, batched: Tensor, start: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.circuit, ctx.plan, ctx.reading = circuit, plan, reading
        ctx.save_for_backward(shared, batched, start)
        count = len(reading.diagonals) + len(reading.words)
        out = shared.new_empty(len(batched), count)
        given = [t.detach().contiguous() for t in (shared, batched, start)]
        _kernel.forward(plan.compiled, _reading(reading), *given, out, torch.get_num_threads())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (upstream,) = gradients
        if torch.is_grad_enabled():  # somebody wants second derivatives
            return (None, None, None, *_torch_gradients(ctx, upstream))
        shared, batched, start = (t.contiguous() for t in ctx.saved_tensors)
        lanes = 64 // shared.element_size()
        tiles = -(-len(batched) // lanes)
        by_tile = torch.zeros(tiles, shared.shape[1], dtype=torch.float64)
        found = (torch.zeros_like(batched), torch.zeros_like(start))
        _kernel.backward(
            ctx.plan.compiled, _reading(ctx.reading), shared, batched, start,
            upstream.contiguous(), by_tile, *found, torch.get_num_threads(),
        )  # fmt: skip
        return None, None, None, by_tile.sum(0, keepdim=True).to(shared.dtype), *found


def _torch_gradients(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    """The same gradients by the pure-torch path, as a graph that can be differentiated again."""
    shared, batched, start = ctx.saved_tensors
    program: Program = ctx.plan.program
    matrices: dict[Key, Tensor] = {}
    for flag, angles in ((False, shared), (True, batched)):
        keys = ctx.plan.keys[flag]
        banks: list[Bank] = [program.banks[key] for key in keys]
        parts = torch.split(angles, [len(bank.eigenvalues) for bank in banks], dim=1)
        matrices |= {k: b.unitaries(p) for k, b, p in zip(keys, banks, parts, strict=True)}
    state = run_program(ctx.circuit, program, matrices, start)
    means = m.pure_rows(state, ctx.reading)
    wanted = [t for t in (shared, batched, start) if t.requires_grad]
    found = iter(torch.autograd.grad(means, wanted, upstream, create_graph=True, allow_unused=True))
    return tuple(next(found) if t.requires_grad else None for t in (shared, batched, start))
