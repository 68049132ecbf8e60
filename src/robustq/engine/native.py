"""The native kernel, where it was built: the batch as the SIMD lane, adjoint gradients in one sweep.

The Python side flattens a scheduled circuit into a plan once and hands inputs and parameters to C++.
One backward sweep undoes the circuit pass by pass, so memory does not grow with depth. Second
derivatives take the pure-torch path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.engine import measurement as m
from robustq.engine.lowering import lower
from robustq.engine.primitives import Phase, Turn
from robustq.engine.schedule import schedule
from robustq.engine.slots import slot_positions
from robustq.engine.statevector import initial_amplitudes, run_program

try:
    import _robustq_kernel as _kernel
except ImportError:
    _kernel = None


SWITCH = "ROBUSTQ_NATIVE"
WIDEST = 24  # qubits
LANES = 8  # samples that take up room at least, however small the batch
KEPT_BYTES = 2**28  # of final states, so that the way back need not run the circuit again


def _share_threads() -> None:
    """Let the kernel work with the OpenMP threads that torch has already, if it brought its own runtime."""
    folder = Path(torch.__file__).parent
    for place in (folder / "lib", folder.parent / "torch.libs"):
        if any(_kernel.adopt_threads(str(path)) for path in sorted(place.glob("libgomp*"))):
            return


if _kernel is not None:
    _share_threads()


def available() -> bool:
    """Whether the kernel was built and is not switched off (``ROBUSTQ_NATIVE=0``)."""
    return _kernel is not None and os.environ.get(SWITCH, "1") != "0"


def kernel() -> Any:
    """The compiled module; only where :func:`available`."""
    return _kernel


def description() -> str:
    """What evaluates pure circuits here, in words."""
    if available():
        return f"native kernel ({_kernel.variant()})"
    return f"pure torch ({'the kernel was not built' if _kernel is None else f'{SWITCH}=0'})"


def rows(circuit: Circuit, reading: m.Measurement, inputs: Tensor, parameters: Tensor) -> Tensor:
    """Means of the rows ``(batch, rows)``, as :func:`measurement.pure_rows` of the final states."""
    start = initial_amplitudes(circuit, inputs)
    result: Tensor = _Rows.apply(circuit, reading, inputs, parameters, start)  # type: ignore[no-untyped-call]
    return result


@lru_cache(maxsize=256)
def plan(circuit: Circuit) -> Any:
    """The schedule flattened for the kernel."""
    steps = schedule(circuit)
    flat = Flat(circuit)
    flat.add(steps.opening)
    opening = len(flat.factors)
    for step in steps.steps:
        first, table = len(flat.factors), flat.table(step.places)
        flat.add(step.factors)
        count = len(flat.factors) - first
        flat.steps.append([int(not step.turns), int(step.batched), table, first, count])
    last = flat.table(steps.places)
    return _kernel.Plan(
        circuit.qubits,
        circuit.parameters,
        circuit.inputs,
        *flat.angles(),
        opening,
        np.array(flat.steps, np.int32).reshape(-1, 5),
        np.stack(flat.tables),
        last,
    )


class Flat:
    """The tables of one plan while they are being filled."""

    def __init__(self, circuit: Circuit) -> None:
        self._parameters, self._top = circuit.parameters, circuit.qubits - 1
        self.monomials: list[tuple[int, int]] = []
        self.coefficients: list[float] = []
        self.factors: list[list[int]] = []
        self.steps: list[list[int]] = []
        self.tables: list[np.ndarray] = []

    def angles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Monomials, their coefficients, and factors, as the kernel takes them."""
        return (
            np.array(self.monomials, np.int32).reshape(-1, 2),
            np.array(self.coefficients, float),
            np.array(self.factors, np.int32).reshape(-1, 6),
        )

    def table(self, places: np.ndarray) -> int:
        """The number of a table of places; steps that follow one another often share it."""
        if not self.tables or not np.array_equal(self.tables[-1], places):
            self.tables.append(places)
        return len(self.tables) - 1

    def add(self, factors: Iterable[Turn | Phase]) -> None:
        """Append factors and the monomials of their angles."""
        for factor in factors:
            first = len(self.monomials)
            for monomial, coefficient in factor.angle.terms:
                self.monomials.append(slot_positions(monomial, self._parameters))
                self.coefficients.append(coefficient)
            turns = isinstance(factor, Turn)
            on = (factor.qubit,) if isinstance(factor, Turn) else factor.qubits
            # qubit 0 is the most significant bit; -1 says that there is no second qubit
            places = [self._top - q for q in on] + [-1]
            count = len(self.monomials) - first
            self.factors.append([first, count, places[0], places[1], int(factor.angle.has_inputs), int(not turns)])


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
        np.array(rows, np.int32),
        places,
        np.ascontiguousarray(phase.real),
        np.ascontiguousarray(phase.imag),
    )


class _Rows(torch.autograd.Function):
    """Rows from inputs, parameters and amplitudes, with the adjoint method as derivative."""

    @staticmethod
    def forward(
        ctx: Any, circuit: Circuit, reading: m.Measurement, inputs: Tensor, parameters: Tensor, start: Tensor
    ) -> Tensor:
        ctx.circuit, ctx.reading = circuit, reading
        ctx.save_for_backward(inputs, parameters, start)
        out = inputs.new_empty(len(inputs), len(reading.diagonals) + len(reading.words))
        ctx.kept = inputs.new_empty(1, _kept_numbers(circuit, inputs) if any(ctx.needs_input_grad) else 0)
        arguments = views(parameters[None], inputs, start, ctx.kept, out)
        _kernel.forward(plan(circuit), _reading(reading), *arguments, torch.get_num_threads())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (upstream,) = gradients
        if torch.is_grad_enabled():  # somebody wants second derivatives
            return (None, None, *_torch_gradients(ctx, upstream))
        inputs, parameters, start = ctx.saved_tensors
        needs_parameters = ctx.needs_input_grad[3]
        g_parameters = parameters.new_empty(1, len(parameters) if needs_parameters else 0)
        g_inputs, g_start = inputs.new_zeros(inputs.shape), start.new_empty(start.shape)
        arguments = views(parameters[None], inputs, start, ctx.kept, upstream, g_parameters, g_inputs, g_start)
        arguments = [plan(ctx.circuit), _reading(ctx.reading), *arguments]
        _kernel.backward(*arguments, torch.get_num_threads())
        return None, None, g_inputs, g_parameters[0] if needs_parameters else None, g_start


def views(*tensors: Tensor) -> list[np.ndarray]:
    """The tensors as contiguous arrays; NumPy's are handed over faster than torch's."""
    return [t.detach().contiguous().resolve_neg().numpy() for t in tensors]


def _kept_numbers(circuit: Circuit, inputs: Tensor) -> int:
    """Numbers needed to keep every final state for the way back; 0 where running again is wiser."""
    # whole cache lines of samples, real and imaginary parts apart
    lanes = 64 // inputs.element_size()
    needed = -(-len(inputs) // lanes) * lanes * 2 * 2**circuit.qubits
    return needed if needed * inputs.element_size() <= KEPT_BYTES else 0


def _torch_gradients(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    """The same gradients by the pure-torch path, as a graph that can be differentiated again."""

    def means(inputs: Tensor, parameters: Tensor, start: Tensor) -> Tensor:
        program = lower(ctx.circuit, inputs.dtype, inputs.device)
        states = run_program(ctx.circuit, program, program.matrices(inputs, parameters), start)
        return m.pure_rows(states, ctx.reading)

    return differentiable(means, ctx.saved_tensors, upstream)


def differentiable(
    function: Callable[..., Tensor], saved: Sequence[Tensor], upstream: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of ``function`` in each of ``saved`` alone, as a graph.

    One saved tensor may be made from another (amplitudes from inputs). Views of them keep that way
    apart: autograd goes it anyway, once the gradients are handed back.
    """
    # a view is a node of its own: grad() stops there and does not add the path through the inputs
    alone = [t.view_as(t) for t in saved]
    leaves = [t for t in alone if t.requires_grad]
    gradients = iter(torch.autograd.grad(function(*alone), leaves, upstream, create_graph=True, allow_unused=True))
    return tuple(next(gradients) if t.requires_grad else None for t in alone)
