"""Pure states: the whole batch evolves as one tensor ``(batch, 2**qubits)``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.engine.lowering import Block, Gather, Key, Layer, Program, Ref, Step, lower
from robustq.errors import DataError

BLOCK = 4  # qubits a Kronecker block: 16 x 16 keeps the product small and the matmul busy


def evolve(circuit: Circuit, inputs: Tensor, parameters: Tensor) -> Tensor:
    """Final states ``(batch, 2**qubits)`` for inputs ``(batch, F)`` and parameters ``(P,)``."""
    program = lower(circuit, inputs.dtype, inputs.device)
    matrices = program.matrices(inputs, parameters)
    return run_program(circuit, program, matrices, initial_amplitudes(circuit, inputs))


def run_program(circuit: Circuit, program: Program, matrices: dict[Key, Tensor], amplitudes: Tensor) -> Tensor:
    """Final states of a lowered circuit from leading amplitudes ``(batch, A)``; none is |0...0>."""
    steps = program.steps
    if steps and isinstance(steps[0], Layer) and not circuit.amplitudes:
        state = _product_state(steps[0], matrices, circuit.qubits, len(amplitudes))
        return _run(steps[1:], state, matrices, circuit.qubits)
    return _run(steps, _padded(circuit, amplitudes), matrices, circuit.qubits)


def unitary(circuit: Circuit, parameters: Tensor) -> Tensor:
    """The matrix ``(D, D)`` of a circuit without inputs: all basis states evolved as one batch."""
    blank = parameters.new_zeros(1, circuit.inputs)
    dtype = torch.complex64 if parameters.dtype == torch.float32 else torch.complex128
    basis = torch.eye(2**circuit.qubits, dtype=dtype, device=parameters.device)
    program = lower(circuit, parameters.dtype, parameters.device)
    matrices = program.matrices(blank, parameters)
    return _run(program.steps, basis, matrices, circuit.qubits).T


def _run(steps: Sequence[Step], state: Tensor, matrices: dict[Key, Tensor], qubits: int) -> Tensor:
    for step in steps:
        state = _apply(step, state, matrices, qubits)
    return state


def _product_state(layer: Layer, matrices: dict[Key, Tensor], qubits: int, batch: int) -> Tensor:
    """A first layer on |0...0>: the Kronecker product of each qubit's first column."""
    columns = dict(zip((q for q, _ in layer.runs), _run_products(layer, matrices), strict=True))
    any_matrix = next(iter(columns.values()))
    zero = any_matrix.new_tensor([1, 0])[None]
    state = any_matrix.new_ones(1, 1)
    for q in range(qubits):
        column = columns[q][:, :, 0] if q in columns else zero
        grown = state[:, :, None] * column[:, None, :]
        state = grown.reshape(len(grown), -1)
    return state.expand(batch, -1)


def initial_state(circuit: Circuit, inputs: Tensor) -> Tensor:
    """|0...0>, or the normalised leading features padded with zeros, ``(batch, 2**qubits)``."""
    return _padded(circuit, initial_amplitudes(circuit, inputs))


def initial_amplitudes(circuit: Circuit, inputs: Tensor) -> Tensor:
    """The leading features normalised, ``(batch, circuit.amplitudes)``; may have no columns."""
    loaded = inputs[:, : circuit.amplitudes]
    if not circuit.amplitudes:
        return loaded
    norm = torch.linalg.vector_norm(loaded, dim=1, keepdim=True)
    if bool((norm == 0).any()):
        raise DataError("amplitude encoding: expected non-zero vectors, got an all-zero input")
    normalised: Tensor = loaded / norm
    return normalised


def _padded(circuit: Circuit, amplitudes: Tensor) -> Tensor:
    dtype = torch.complex64 if amplitudes.dtype == torch.float32 else torch.complex128
    size = 2**circuit.qubits
    if circuit.amplitudes:
        return torch.nn.functional.pad(amplitudes, (0, size - circuit.amplitudes)).to(dtype)
    state = torch.zeros(len(amplitudes), size, dtype=dtype, device=amplitudes.device)
    state[:, 0] = 1
    return state


def apply_matrix(tensor: Tensor, matrix: Tensor, axes: Sequence[int]) -> Tensor:
    """Apply ``matrix`` ``(batch or 1, d, d)`` to the binary ``axes`` of ``(batch, 2**n)``.

    Axis 0 is the most significant bit; ``d = 2**len(axes)``.
    """
    batch, size = tensor.shape
    n = size.bit_length() - 1
    width = len(axes)
    first = axes[0]
    # neighbours in order need no transposed copy of the state
    if list(axes) == list(range(first, first + width)):
        view = tensor.reshape(batch, 2**first, 2**width, -1)
        return (matrix[:, None] @ view).reshape(batch, size)
    view = tensor.reshape(batch, *[2] * n)
    source = [axis + 1 for axis in axes]
    moved = view.movedim(source, list(range(1, width + 1)))
    result = matrix @ moved.reshape(batch, 2**width, -1)
    return result.reshape(moved.shape).movedim(list(range(1, width + 1)), source).reshape(batch, size)


def _apply(step: Step, state: Tensor, matrices: dict[Key, Tensor], qubits: int) -> Tensor:
    if isinstance(step, Gather):
        return state[:, step.index]
    if isinstance(step, Block):
        return apply_matrix(state, lookup(step.ref, matrices), step.qubits)
    return _apply_layer(step, state, matrices, qubits)


def lookup(ref: Ref, matrices: dict[Key, Tensor]) -> Tensor:
    """The matrix ``(batch or 1, d, d)`` of one elementary gate."""
    return matrices[ref.key][:, ref.row]


def product(refs: Sequence[Ref], matrices: dict[Key, Tensor]) -> Tensor:
    """The product of elementary gates in order of application, ``(batch or 1, d, d)``."""
    total = lookup(refs[0], matrices)
    for ref in refs[1:]:
        total = lookup(ref, matrices) @ total
    return total


def _apply_layer(layer: Layer, state: Tensor, matrices: dict[Key, Tensor], qubits: int) -> Tensor:
    factors = dict(zip((q for q, _ in layer.runs), _run_products(layer, matrices), strict=True))
    for start in range(0, qubits, BLOCK):
        members = [q for q in range(start, min(start + BLOCK, qubits)) if q in factors]
        if not members:
            continue
        low, high = members[0], members[-1]
        block = factors[low]
        identity = torch.eye(2, dtype=state.dtype, device=state.device)[None]
        for q in range(low + 1, high + 1):
            block = _kron(block, factors.get(q, identity))
        state = apply_matrix(state, block, range(low, high + 1))
    return state


def _run_products(layer: Layer, matrices: dict[Key, Tensor]) -> list[Tensor]:
    """Each run's product; runs of equal kind are multiplied together in one batched matmul."""
    shapes = [tuple(ref.key for ref in refs) for _, refs in layer.runs]
    # unequal runs cannot be stacked; the usual layer of equal rotations can
    if len(set(shapes)) > 1:
        return [product(refs, matrices) for _, refs in layer.runs]
    total: Tensor | None = None
    for position, key in enumerate(shapes[0]):
        rows = [refs[position].row for _, refs in layer.runs]
        factor = matrices[key][:, rows]
        total = factor if total is None else factor @ total
    assert total is not None
    return list(total.unbind(1))


def _kron(a: Tensor, b: Tensor) -> Tensor:
    """Batched Kronecker product of ``(B or 1, p, p)`` and ``(B or 1, q, q)``."""
    mixed = a[:, :, None, :, None] * b[:, None, :, None, :]
    return mixed.reshape(len(mixed), a.shape[1] * b.shape[1], -1)
