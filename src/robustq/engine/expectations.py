"""One entry point: the expectations of a circuit's observables, for a batch of inputs."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.observables import Observable
from robustq.engine import measurement as m
from robustq.engine import native, noisy, transfer
from robustq.engine.lowering import Key
from robustq.engine.statevector import evolve
from robustq.errors import CircuitError, DataError, unknown_name
from robustq.noise.model import NoiseModel

METHODS = ("auto", "native", "statevector", "density", "heisenberg")


def expectations(
    circuit: Circuit,
    observables: Sequence[Observable],
    *,
    inputs: Tensor | None = None,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
    shots: int | None = None,
    generator: torch.Generator | None = None,
    method: str = "auto",
) -> Tensor:
    """Expectations ``<O_k>`` of shape ``(batch, observables)``.

    Differentiable in ``inputs`` and ``parameters`` unless ``shots`` is given, in which case the
    values are drawn from the exact outcome distribution with ``generator`` and carry no gradient.

    Args:
        circuit: what to run.
        observables: what to read; Pauli sums or projectors.
        inputs: features ``(batch, circuit.inputs)``, float32 or float64; may be left out for a
            circuit that takes none (batch of one).
        parameters: trainable angles ``(circuit.parameters,)`` in radians, same dtype.
        noise: channels after gates and read-out error, simulated exactly.
        shots: shots in every measurement setting; None for exact expectations.
        generator: where the shots come from; required with ``shots``.
        method: ``"auto"``; ``"native"`` (the C++ kernel); or in torch ``"statevector"`` (without
            channels), ``"density"`` (forwards), ``"heisenberg"`` (effective observables, then what is
            left forwards).

    Raises:
        RobustQError: on wrong shapes, dtypes, values or too little memory.

    >>> from robustq.circuits import encodings, z
    >>> inputs = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    >>> expectations(encodings.angle(1), [z(0)], inputs=inputs).round(decimals=6).flatten().tolist()
    [1.0, 0.0, -1.0]
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    inputs, parameters = _checked(circuit, inputs, parameters)
    if shots is not None and generator is None:
        raise CircuitError("expected a generator with shots, got none")
    if not len(inputs):
        return inputs.new_zeros(0, len(observables))
    check_memory(circuit.qubits, len(inputs), 1)
    model = noise or NoiseModel()
    plan = (m.exact if shots is None else m.outcomes)(
        m.as_tuple(observables), circuit.qubits, model.readouts_of(circuit.qubits)
    )
    rows = _rows(circuit, plan, inputs, parameters, model, method)
    if shots is not None and generator is not None:
        rows = m.sample_rows(rows, plan, shots, generator)
    return m.combine(rows, plan)


def settings(circuit: Circuit, observables: Sequence[Observable]) -> int:
    """How many different circuits a device runs to read the observables of one input.

    >>> from robustq.circuits import encodings, pauli, z
    >>> settings(encodings.angle(2), [z(0), z(1), pauli("X", 0)])
    2
    """
    del circuit  # a device reads any state in the same settings
    return m.settings(m.as_tuple(observables))


def _rows(
    circuit: Circuit, plan: m.Measurement, inputs: Tensor, parameters: Tensor, noise: NoiseModel, method: str
) -> Tensor:
    if method == "auto":
        fits = native.available() and inputs.device.type == "cpu"
        fits = fits and circuit.qubits <= native.WIDEST
        if noise.has_channels:
            method = "native" if fits and transfer.fits(circuit) else "heisenberg"
        else:
            method = "native" if fits else "statevector"
    if method == "native":
        return _native_rows(circuit, plan, inputs, parameters, noise)
    if method == "statevector":
        if noise.has_channels:
            raise CircuitError("method 'statevector': expected no channels, got a noise model")
        return m.pure_rows(evolve(circuit, inputs, parameters), plan)
    listed, matrices = noisy.program(circuit, inputs, parameters, noise)
    prefix, suffix = (listed, []) if method == "density" else noisy.split(listed)
    check_memory(circuit.qubits, len(plan.combine), 2)
    dtype = torch.complex64 if inputs.dtype == torch.float32 else torch.complex128
    operators = torch.as_tensor(plan.matrices()).to(dtype).to(inputs.device)
    effective = noisy.pull_back(operators, suffix, matrices, circuit.qubits)
    return effective_rows(circuit, inputs, prefix, matrices, effective, force=method == "density")


def _native_rows(
    circuit: Circuit, plan: m.Measurement, inputs: Tensor, parameters: Tensor, noise: NoiseModel
) -> Tensor:
    if not native.available() or inputs.device.type != "cpu":
        raise CircuitError(
            f"method 'native': expected CPU tensors and the kernel, got {inputs.device.type} and "
            f"{native.description()}"
        )
    if noise.has_channels and not transfer.fits(circuit):
        raise CircuitError(
            f"method 'native' with channels: expected at most {transfer.WIDEST} qubits and gates on one or "
            f"two of them, got {circuit.qubits} qubits and gates on up to "
            f"{max(len(o.qubits) for o in circuit.operations)}"
        )
    if noise.has_channels:
        differentiated = torch.is_grad_enabled() and (inputs.requires_grad or parameters.requires_grad)
        copies = transfer.copies(circuit, len(inputs), differentiated=differentiated)
        check_memory(circuit.qubits, copies, 2)
        return transfer.rows(circuit, plan, noise, inputs, parameters)
    check_memory(circuit.qubits, max(len(inputs), native.LANES), 1)
    return native.rows(circuit, plan, inputs, parameters)


def effective_rows(
    circuit: Circuit,
    inputs: Tensor,
    prefix: Sequence[noisy.Event],
    matrices: dict[Key, Tensor],
    effective: Tensor,
    *,
    force: bool = False,
) -> Tensor:
    """Rows ``(batch, rows)`` of effective observables after ``prefix``; ``force`` a density."""
    if force or any(event.channel for event in prefix):
        check_memory(circuit.qubits, len(inputs), 2)
        rho = noisy.push_forward(circuit, inputs, prefix, matrices)
        return m.operator_rows(rho, effective)
    check_memory(circuit.qubits, len(inputs), 1)
    state = noisy.push_pure(circuit, inputs, prefix, matrices)
    return m.quadratic_rows(state, effective)


def _checked(circuit: Circuit, inputs: Tensor | None, parameters: Tensor | None) -> tuple[Tensor, Tensor]:
    if inputs is None:
        dtype = parameters.dtype if parameters is not None else torch.float64
        inputs = torch.zeros(1, 0, dtype=dtype)
    if parameters is None:
        parameters = inputs.new_zeros(0)
    check_inputs(circuit, inputs)
    if parameters.shape != (circuit.parameters,):
        raise CircuitError(f"expected parameters of shape ({circuit.parameters},), got {tuple(parameters.shape)}")
    if parameters.dtype != inputs.dtype:
        raise DataError(f"expected parameters of dtype {inputs.dtype}, got {parameters.dtype}")
    if not is_finite(parameters):
        raise DataError("expected finite parameters, got NaN or infinity")
    return inputs, parameters


def check_inputs(circuit: Circuit, inputs: Tensor) -> None:
    """Refuse inputs whose shape, dtype or values the circuit cannot take."""
    if inputs.ndim != 2 or inputs.shape[1] != circuit.inputs:
        raise DataError(f"expected inputs of shape (batch, {circuit.inputs}), got {tuple(inputs.shape)}")
    if inputs.dtype not in (torch.float32, torch.float64):
        raise DataError(f"expected float32 or float64 inputs, got {inputs.dtype}")
    if not is_finite(inputs):
        raise DataError("expected finite inputs, got NaN or infinity")


def is_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite; a finite sum says so in one pass."""
    return math.isfinite(values.detach().sum().item()) or bool(torch.isfinite(values).all())


def check_memory(qubits: int, copies: int, sides: int) -> None:
    """Refuse a simulation whose states alone would not fit in free memory.

    ``sides`` is 1 for state vectors and 2 for density matrices.
    """
    needed = copies * 2 ** (sides * qubits) * 16 * 3  # input, output and one temporary
    if needed <= 2**30:
        return
    free = _available_memory()
    if needed > free:
        raise CircuitError(
            f"{qubits} qubits x {copies} samples: expected at most {free / 2**30:.1f} GiB of free "
            f"memory, got a need of {needed / 2**30:.1f} GiB; use fewer qubits or a smaller batch"
        )


def _available_memory() -> int:
    """Bytes that can be had without swapping: free pages and what the page cache would give up."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            memory = dict(line.split(":", 1) for line in lines)
        return int(memory["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
