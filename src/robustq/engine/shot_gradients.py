"""Unbiased gradients under finite shots: all parameter shifts of a whole batch in one call.

The expectation is a trigonometric polynomial in the angle of every elementary gate, whatever
noise stands around it, so its derivative is a fixed combination of expectations at shifted angles:
two for a gate with one frequency, ``2 R`` for ``R`` equally spaced ones (Wierichs, Izaac, Wang, Lin,
"General parameter-shift rules for quantum gradients", Quantum 6, 677 (2022), the rule for equidistant
frequencies). Each angle gets an input slot of its own, samples and shifts share the batch axis, and
the chain rule carries the derivatives from angles to inputs and parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq.circuits.angles import Angle, x
from robustq.circuits.circuit import Circuit, Operation
from robustq.circuits.gates import gate
from robustq.circuits.observables import Observable, PauliSum, Projector
from robustq.engine import measurement as m
from robustq.engine.expectations import _checked, expectations, settings
from robustq.engine.slots import Polynomials, slot_vector
from robustq.errors import CircuitError
from robustq.noise.model import NoiseModel

RealArray = NDArray[np.float64]

AMPLITUDES = 2**24  # held at once, over all shifted circuits of a chunk
SLOTS = {"inputs": "x", "parameters": "theta"}


@dataclass(frozen=True)
class ShotGradient:
    """Expectations and their derivatives, estimated from shots.

    Standard errors are estimated from the same shots: zero without shots, NaN for a single shot.

    Attributes:
        values: ``(batch, observables)``.
        inputs: derivatives ``(batch, observables, circuit.inputs)``, or None if not wanted.
        parameters: derivatives ``(batch, observables, circuit.parameters)``, or None.
        values_error: standard error of each value.
        inputs_error: standard error of each derivative, or None.
        parameters_error: standard error of each derivative, or None.
        circuits: different circuits run: samples x (1 + shifts) x measurement settings.
        shots: shots in all; 0 for exact derivatives.
    """

    values: Tensor
    inputs: Tensor | None
    parameters: Tensor | None
    values_error: Tensor
    inputs_error: Tensor | None
    parameters_error: Tensor | None
    circuits: int
    shots: int


@cache
def shift_rule(name: str) -> tuple[tuple[float, float], ...]:
    """``(shift, weight)`` pairs with ``f'(t) = sum weight * f(t + shift)`` for a one-angle gate.

    Raises:
        CircuitError: if the gate has not one angle, or its frequencies no common spacing.

    >>> [(round(shift, 3), round(weight, 3)) for shift, weight in shift_rule("ry")]
    [(1.571, 0.5), (-1.571, -0.5)]
    >>> len(shift_rule("crx"))
    4
    """
    base, count = _frequencies(name)
    # the rule for equidistant frequencies: 2R shifts, each weighted by 1 / sin^2 of half of it
    points = [(2 * k - 1) * math.pi / (2 * count) for k in range(1, 2 * count + 1)]
    return tuple(
        ((math.remainder(point, 2 * math.pi)) / base, base * (-1) ** k / (4 * count * math.sin(point / 2) ** 2))
        for k, point in enumerate(points)
    )


def _frequencies(name: str) -> tuple[float, int]:
    """The spacing of the gaps of a gate's generator, and the largest gap as its multiple."""
    row = gate(name)
    if row.parameters != 1:
        raise CircuitError(f"gate {name!r}: expected one angle to shift, got {row.parameters}")
    levels = np.linalg.eigvalsh(row.generator_matrix)
    gaps = np.abs(levels[:, None] - levels[None]).ravel()
    gaps = gaps[gaps > 1e-9]
    base = float(gaps.min())
    multiples = gaps / base
    if not np.allclose(multiples, multiples.round(), atol=1e-9):
        distinct = sorted({round(float(gap), 6) for gap in gaps})
        raise CircuitError(f"gate {name!r}: expected equally spaced frequencies, got {distinct}")
    return base, int(multiples.max().round())


@dataclass(frozen=True, eq=False)
class Unfolded:
    """A circuit whose wanted angles are inputs of their own.

    Attributes:
        circuit: takes ``[features, angles]`` and the same parameters; otherwise gate for gate the
            original, so that noise strikes in the same places.
        angles: the wanted angles as functions of the original slots.
        shifts: what to add to the angles, ``(1 + shifts, angles)``; the first row is zero.
        weights: the derivative by each angle from the shifted expectations, ``(angles, 1 + shifts)``.
    """

    circuit: Circuit
    angles: Polynomials
    shifts: RealArray
    weights: RealArray

    def folded(self, inputs: Tensor, parameters: Tensor) -> Tensor:
        """Inputs of every shifted circuit, ``(batch, 1 + shifts, features + angles)``.

        >>> from robustq.circuits import encodings
        >>> unfolded(encodings.angle(2)).folded(torch.zeros(3, 2), torch.zeros(0)).shape
        torch.Size([3, 5, 4])
        """
        angles = self.angles.values(slot_vector(inputs, parameters))
        shifted = angles[:, None] + torch.as_tensor(self.shifts).to(angles)
        features = inputs[:, None].expand(-1, shifted.shape[1], -1)
        return torch.cat([features, shifted], dim=2)


@lru_cache(maxsize=64)
def unfolded(circuit: Circuit, wrt: tuple[str, ...] = ("inputs", "parameters")) -> Unfolded:
    """The circuit with an input slot for every angle that depends on what is wanted.

    Slots follow the original features; an angle of a three-angle gate is shifted by the rule of the
    part that it turns.

    >>> from robustq.circuits import ansaetze, encodings
    >>> circuit = encodings.angle(2).then(ansaetze.strongly_entangling(2, layers=1))
    >>> unfolded(circuit, ("inputs",)).circuit.inputs, unfolded(circuit).circuit.inputs
    (4, 10)
    """
    kinds = {SLOTS[name] for name in wrt}
    operations: list[Operation] = []
    angles: list[Angle] = []
    rules: list[tuple[tuple[float, float], ...]] = []
    for operation in circuit.operations:
        own = list(operation.angles)
        for place, angle in enumerate(operation.angles):
            if kinds & {slot.kind for slot in angle.slots}:
                own[place] = x(circuit.inputs + len(angles))
                angles.append(angle)
                rules.append(shift_rule(_part(operation.gate, place)))
        operations.append(Operation(operation.gate, operation.qubits, tuple(own)))
    rewritten = Circuit(
        circuit.qubits, tuple(operations), circuit.inputs + len(angles), circuit.parameters, circuit.amplitudes
    )
    return Unfolded(rewritten, Polynomials.of(angles, circuit.parameters), *_table(rules))


def _part(name: str, place: int) -> str:
    """The one-angle gate that turns by angle ``place`` of a gate."""
    return {index: part for part, index in gate(name).parts}.get(place, name)


def _table(rules: Sequence[tuple[tuple[float, float], ...]]) -> tuple[RealArray, RealArray]:
    """Shifts ``(1 + T, angles)`` and weights ``(angles, 1 + T)`` of all rules side by side."""
    total = 1 + sum(map(len, rules))
    shifts, weights = np.zeros((total, len(rules))), np.zeros((len(rules), total))
    row = 1
    for angle, rule in enumerate(rules):
        for shift, weight in rule:
            shifts[row, angle], weights[angle, row] = shift, weight
            row += 1
    return shifts, weights


class Task(Protocol):
    """Circuits that can be read with shots."""

    @property
    def circuit(self) -> Circuit:
        """The circuit whose derivatives are wanted."""
        ...

    @property
    def observables(self) -> tuple[Observable, ...]:
        """What is read."""
        ...

    @property
    def shots(self) -> int | None:
        """For every circuit and setting; None for exact values."""
        ...

    @property
    def chunk(self) -> int:
        """How many circuits to hold at once."""
        ...

    def read(self, circuit: Circuit, inputs: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Means and the variances of these means, each ``(batch, observables)``."""
        ...


@dataclass(frozen=True)
class _ObservablesTask:
    """What to read, how noisily, how often; and how many circuits to hold at once."""

    circuit: Circuit
    observables: tuple[Observable, ...]
    noise: NoiseModel | None
    shots: int | None
    generator: torch.Generator | None
    chunk: int

    def read(self, circuit: Circuit, inputs: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Means and the variances of these means, each ``(batch, observables)``."""
        rows, reading = self.observables, None
        if self.shots is not None:
            reading = m.outcomes(self.observables, circuit.qubits, NoiseModel().readouts_of(circuit.qubits))
            rows = row_observables(self.observables, circuit.qubits)
        # an empty first part, so that an empty batch has a shape too
        parts = [inputs.new_zeros(0, len(rows))]
        for part in torch.split(inputs, self.chunk):
            parts.append(
                expectations(
                    circuit,
                    rows,
                    inputs=part,
                    parameters=parameters,
                    noise=self.noise,
                    shots=self.shots,
                    generator=self.generator,
                )
            )
        means = torch.cat(parts)
        if reading is None or self.shots is None:
            return means, torch.zeros_like(means)
        # from the same shots, hence the unbiased n - 1; 0 / 0 is the honest answer to a single shot
        return m.combine(means, reading), _spread(means, reading) / (self.shots - 1)


class _WordInOwnSetting(PauliSum):
    """A Pauli word read in a setting of its own, even if it is diagonal."""

    @property
    def is_diagonal(self) -> bool:
        return False

    def diagonal(self, qubits: int) -> None:
        return None


@lru_cache(maxsize=64)
def row_observables(observables: tuple[Observable, ...], qubits: int) -> tuple[Observable, ...]:
    """The rows that shots are drawn for, as observables: their frequencies carry the variance."""
    reading = m.outcomes(observables, qubits, NoiseModel().readouts_of(qubits))
    register = tuple(range(qubits))
    groups = [
        Projector(tuple(format(b, f"0{qubits}b") for b in np.flatnonzero(row)), register) for row in reading.diagonals
    ]
    return (*groups, *(_WordInOwnSetting(word.terms) for word in reading.words))


def _spread(rows: Tensor, reading: m.Measurement) -> Tensor:
    """Variance of one shot of each observable, ``(batch, observables)``, from sampled rows.

    The joint outcomes of the diagonal setting are one draw; every other word is one of its own.
    """
    groups = len(reading.diagonals)
    combine = torch.as_tensor(reading.combine).to(rows)
    chances, values = rows[:, :groups], combine[:groups]
    # Var = E v^2 - (E v)^2 of one joint outcome; a Pauli word on its own has 1 - mean^2
    joint = chances @ values**2 - (chances @ values) ** 2
    return joint.clamp_min(0) + (1 - rows[:, groups:] ** 2) @ combine[groups:] ** 2


def shot_gradient(
    circuit: Circuit,
    observables: Sequence[Observable],
    *,
    inputs: Tensor | None = None,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
    shots: int | None,
    generator: torch.Generator | None = None,
    wrt: Sequence[str] = ("inputs",),
    chunk: int | None = None,
) -> ShotGradient:
    """Unbiased estimates of the expectations' derivatives, each circuit read with ``shots`` shots.

    Only gates whose angle depends on what is wanted are shifted. Channels and read-out error
    leave the rule exact: what is estimated is the gradient of the noisy expectation.

    Args:
        circuit: what to run.
        observables: what to read.
        inputs: features ``(batch, circuit.inputs)``, float32 or float64.
        parameters: trainable angles ``(circuit.parameters,)`` in radians, same dtype.
        noise: channels after gates and read-out error.
        shots: shots for every circuit and measurement setting; None for the exact derivatives.
        generator: where the shots come from; required with ``shots``.
        wrt: ``"inputs"``, ``"parameters"`` or both.
        chunk: how many shifted circuits to simulate at once; None for what takes about 256 MiB.
            With shots, a different chunk draws different numbers.

    Raises:
        CircuitError: derivatives with respect to amplitude-encoded inputs, which have no shift
            rule; names in ``wrt`` that mean nothing.
        RobustQError: on wrong shapes, dtypes or values.

    >>> from robustq.circuits import encodings, z
    >>> slope = shot_gradient(
    ...     encodings.angle(1), [z(0)], inputs=torch.tensor([[0.25]]), shots=100_000,
    ...     generator=torch.Generator().manual_seed(0))
    >>> bool((slope.inputs + torch.pi * 0.5**0.5).abs() < 4 * slope.inputs_error), slope.circuits, slope.shots
    (True, 3, 300000)
    """
    wrt = wanted(circuit, wrt)
    inputs, parameters = _checked(circuit, inputs, parameters)
    task = _task(circuit, observables, noise, shots, generator, chunk)
    return _shifted(task, inputs.detach(), parameters.detach(), wrt)


def wanted(circuit: Circuit, wrt: Sequence[str]) -> tuple[str, ...]:
    """The names in ``wrt``, checked and sorted; CircuitError for gradients that no shift rule gives."""
    names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    if not names or set(names) - set(SLOTS):
        raise CircuitError(f"expected wrt to hold 'inputs', 'parameters' or both, got {wrt!r}")
    if "inputs" in names and circuit.amplitudes:
        raise CircuitError(
            "expected inputs that are angles, got amplitude-encoded ones, which have no shift "
            "rule; use wrt=('parameters',) or exact gradients"
        )
    return tuple(sorted(set(names)))


def _task(
    circuit: Circuit,
    observables: Sequence[Observable],
    noise: NoiseModel | None,
    shots: int | None,
    generator: torch.Generator | None,
    chunk: int | None,
) -> _ObservablesTask:
    sides = 1 if noise is None else 2
    size = max(1, AMPLITUDES // 2 ** (sides * circuit.qubits)) if chunk is None else chunk
    if size < 1:
        raise CircuitError(f"expected chunk >= 1, got {chunk}")
    check_shots(shots, generator)
    return _ObservablesTask(circuit, m.as_tuple(observables), noise, shots, generator, size)


def check_shots(shots: int | None, generator: torch.Generator | None) -> None:
    """Refuse fewer shots than one, and shots without a generator."""
    if shots is not None and (shots < 1 or generator is None):
        raise CircuitError(f"expected shots >= 1 and a generator, got {shots} and {generator}")


def _shifted(task: Task, inputs: Tensor, parameters: Tensor, wrt: tuple[str, ...]) -> ShotGradient:
    """Samples in groups that fill a chunk, so that neither circuits nor Jacobians pile up."""
    plan = unfolded(task.circuit, wrt)
    group = max(1, task.chunk // len(plan.shifts))
    parts = [_group(task, plan, part, parameters) for part in torch.split(inputs, group)]
    values, values_error, slopes, slopes_error = (torch.cat(c) for c in zip(*parts, strict=True))
    edge = 1 + task.circuit.parameters  # slots are [1, theta, x]
    by_x, by_theta = "inputs" in wrt, "parameters" in wrt
    circuits = len(inputs) * len(plan.shifts) * settings(task.circuit, task.observables)
    return ShotGradient(
        values,
        slopes[..., edge:] if by_x else None,
        slopes[..., 1:edge] if by_theta else None,
        values_error,
        slopes_error[..., edge:] if by_x else None,
        slopes_error[..., 1:edge] if by_theta else None,
        circuits,
        circuits * (task.shots or 0),
    )


def _group(task: Task, plan: Unfolded, inputs: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values, derivatives by every slot, and the standard errors of both, for some samples."""
    folded = plan.folded(inputs, parameters)
    flat = task.read(plan.circuit, folded.flatten(0, 1), parameters)
    shape = (len(inputs), len(plan.shifts), len(task.observables))
    means, variances = (part.reshape(shape) for part in flat)
    # means of all shifted circuits at once: f'(angle) = sum over shifts, then the chain rule to the slots
    weights = torch.as_tensor(plan.weights).to(means)
    jacobian = plan.angles.jacobian(slot_vector(inputs, parameters))
    slopes = torch.einsum("kt,bto,bks->bos", weights, means, jacobian)
    # Every shifted circuit has shots of its own, so variances add.
    spread = torch.einsum("kt,bto,bks->bos", weights**2, variances, jacobian**2)
    return means[:, 0], variances[:, 0].sqrt(), slopes, spread.sqrt()


def shot_expectations(
    circuit: Circuit,
    observables: Sequence[Observable],
    *,
    inputs: Tensor | None = None,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
    shots: int,
    generator: torch.Generator,
    chunk: int | None = None,
) -> Tensor:
    """Sampled expectations ``(batch, observables)`` that losses can be differentiated through.

    The backward pass runs the folded shift rule with fresh shots from the same generator, for
    whichever of inputs and parameters require gradients, and is deterministic given the generator.
    It is unbiased for losses linear in the expectations; elsewhere the loss's own slope is taken at
    sampled values, and the gradient is that slope's mean times the true derivative. There are no
    second derivatives.

    Args:
        circuit: what to run.
        observables: what to read.
        inputs: features ``(batch, circuit.inputs)``, float32 or float64.
        parameters: trainable angles ``(circuit.parameters,)`` in radians, same dtype.
        noise: channels after gates and read-out error.
        shots: shots for every circuit and measurement setting.
        generator: where the shots come from, forwards and backwards.
        chunk: as in :func:`shot_gradient`.

    Raises:
        CircuitError: inputs that require gradients in an amplitude-encoded circuit.
        RobustQError: on wrong shapes, dtypes or values.

    >>> from robustq.circuits import encodings, z
    >>> x = torch.tensor([[0.5]], requires_grad=True)
    >>> generator = torch.Generator().manual_seed(0)
    >>> shot_expectations(
    ...     encodings.angle(1), [z(0)], inputs=x, shots=100_000, generator=generator
    ... ).sum().backward()
    >>> bool((x.grad + torch.pi).abs() < 0.05)
    True
    """
    inputs, parameters = _checked(circuit, inputs, parameters)
    if inputs.requires_grad and torch.is_grad_enabled():
        wanted(circuit, ("inputs",))
    task = _task(circuit, observables, noise, shots, generator, chunk)
    sampled: Tensor = SampledExpectations.apply(task, inputs, parameters)  # type: ignore[no-untyped-call]
    return sampled


class SampledExpectations(torch.autograd.Function):
    """Sampled expectations with the sampled shift rule as derivative."""

    @staticmethod
    def forward(ctx: Any, task: Task, inputs: Tensor, parameters: Tensor) -> Tensor:
        """Sampled expectations."""
        ctx.task = task
        ctx.save_for_backward(inputs, parameters)
        return task.read(task.circuit, inputs, parameters)[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        """By the shift rule, with fresh shots."""
        flags = zip(SLOTS, ctx.needs_input_grad[1:], strict=True)
        wrt = tuple(name for name, needed in flags if needed)
        inputs, parameters = ctx.saved_tensors
        gradient = _shifted(ctx.task, inputs, parameters, wrt)
        by_x = by_theta = None
        if gradient.inputs is not None:
            by_x = torch.einsum("bo,bof->bf", upstream, gradient.inputs)
        if gradient.parameters is not None:
            by_theta = torch.einsum("bo,bop->p", upstream, gradient.parameters)
        return None, by_x, by_theta
