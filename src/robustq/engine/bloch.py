"""Frozen product encodings: scores multilinear in the qubits' Bloch vectors.

Where the encoder leaves every qubit on its own, ``rho(x) = prod_q (1 + r_q(x) . sigma) / 2`` and a score is
``f_k(x) = sum_w C_k[w] prod_q r_q[w_q]`` over Pauli words ``w``, whatever the depth and the noise behind the
encoder. The words are split between the two halves of the register, so that a batch costs one matrix product.
Letters that an encoder never reaches (Y for RY rotations) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.engine import native
from robustq.engine.lowering import lower
from robustq.engine.schedule import schedule
from robustq.engine.statevector import product
from robustq.trigonometric import Trigonometric, amplification, interpolated

WIDEST = 12  # qubits: 4**12 coefficients a class before letters are left out
LETTERS = "IXYZ"


def is_product(circuit: Circuit) -> bool:
    """Whether the circuit leaves every qubit on its own.

    >>> from robustq.circuits import encodings
    >>> is_product(encodings.dense_angle(4)), is_product(encodings.iqp(4))
    (True, False)
    """
    return not circuit.amplitudes and all(len(o.qubits) == 1 for o in circuit.operations)


@lru_cache(maxsize=256)
def reached(circuit: Circuit) -> tuple[str, ...]:
    """For each qubit the letters of its Bloch vector that are not zero for all inputs and parameters.

    They are analytic in both, so eight random inputs decide.
    """
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.uniform(-3, 3, (8, circuit.inputs)))
    theta = torch.as_tensor(rng.uniform(-3, 3, circuit.parameters))
    largest = vectors(circuit, x, theta).abs().amax(0)
    return tuple("".join(p for p, v in zip(LETTERS, row, strict=True) if v > 1e-12) for row in largest.tolist())


def vectors(circuit: Circuit, inputs: Tensor, parameters: Tensor) -> Tensor:
    """Bloch vectors ``(1, X, Y, Z)`` of every qubit, ``(batch, qubits, 4)``, in torch."""
    lowered = lower(circuit, inputs.dtype, inputs.device)
    matrices = lowered.matrices(inputs, parameters)
    qubits = []
    for qubit in range(circuit.qubits):
        refs = [
            ref
            for refs, o in zip(lowered.pieces, circuit.operations, strict=True)
            if o.qubits == (qubit,)
            for ref in refs
        ]
        column = inputs.new_tensor([[1, 0]]).to(
            torch.complex64 if inputs.dtype == torch.float32 else torch.complex128
        )
        if refs:
            column = product(refs, matrices)[:, :, 0]
        # r = (2 Re a* b, 2 Im a* b, |a|^2 - |b|^2) of the state a|0> + b|1>
        cross = 2 * column[:, 0].conj() * column[:, 1]
        weight = column.real**2 + column.imag**2
        parts = [weight.sum(1), cross.real, cross.imag, weight[:, 0] - weight[:, 1]]
        qubits.append(torch.stack(parts, dim=1).expand(len(inputs), 4))
    return torch.stack(qubits, dim=1)


def _features_on(circuit: Circuit, qubit: int) -> list[int]:
    """The features that turn gates on a qubit, ascending."""
    return sorted(
        {
            slot.number
            for o in circuit.operations
            if qubit in o.qubits
            for angle in o.angles
            for slot in angle.slots
            if slot.kind == "x"
        }
    )


class BlochForm:
    """Scores ``(batch, classes)`` of a product encoding.

    Args:
        circuit: the encoder, one-qubit gates only.
        parameters: trainable angles of the encoder, fixed.
        coefficients: ``(classes, 4**qubits)``, the weights of the Pauli words.
    """

    def __init__(self, circuit: Circuit, parameters: Tensor, coefficients: Tensor) -> None:
        self.circuit, self.letters = circuit, reached(circuit)
        self._parameters = parameters.detach()
        tensor = coefficients.reshape(-1, *[4] * circuit.qubits)
        for axis, letters in enumerate(self.letters, 1):
            places = torch.tensor([LETTERS.index(p) for p in letters], device=tensor.device)
            # letters the encoder never reaches have zero Bloch components: their coefficients cannot matter
            tensor = tensor.index_select(axis, places)
        self.tensor = tensor
        # two halves: 4^(n/2) features each and one matrix product, instead of 4^n products a sample
        self.split = (circuit.qubits + 1) // 2
        steps = schedule(circuit) if native.available() and tensor.device.type == "cpu" else None
        # the kernel reads the opening only; a pass after it would be another gate on some qubit
        opened = steps is not None and not steps.steps and len(steps.opening) > 0
        permuted = any(gate(o.gate).permutes or o.gate == "y" for o in circuit.operations)
        self._native = _NativeBloch(self) if opened and not permuted else None

    def __call__(self, x: Tensor) -> Tensor:
        """Scores of features ``(batch, circuit.inputs)`` in the dtype of the coefficients."""
        if self._native is not None:
            scores: Tensor = _Scores.apply(self._native, x)  # type: ignore[no-untyped-call]
            return scores
        return self.in_torch(x)

    def in_torch(self, x: Tensor) -> Tensor:
        """The same by tensor operations, on any device and to any order of derivative."""
        bloch = vectors(self.circuit, x, self._parameters)
        left = self._features(bloch, 0, self.split)
        right = self._features(bloch, self.split, self.circuit.qubits)
        classes = len(self.tensor)
        matrix = self.tensor.reshape(classes, left.shape[1], -1)
        image = left @ matrix.transpose(0, 1).reshape(left.shape[1], -1)
        return (image.reshape(len(x), classes, -1) * right[:, None]).sum(2)

    def trigonometric(self, frequencies: Tensor, degrees: Sequence[int], rounding: float) -> Trigonometric | None:
        """The scores as polynomials, qubit by qubit; None unless each feature stays on one qubit."""
        places = [_features_on(self.circuit, q) for q in range(self.circuit.qubits)]
        order = [f for on in places for f in on]
        # a feature on two qubits multiplies two polynomials of one angle: not an outer product any more
        if len(set(order)) < len(order):
            return None
        tensor = self.tensor.double()
        for qubit, on in enumerate(places):
            values = self._letters_at(qubit, on, frequencies, degrees)
            tensor = torch.tensordot(tensor, values, dims=([1], [values.ndim - 1]))
        idle = [f for f in range(len(degrees)) if f not in order]
        tensor = tensor.reshape(*tensor.shape, *[1] * len(idle))
        home = [(order + idle).index(f) + 1 for f in range(len(degrees))]
        tensor = tensor.permute(0, *home).contiguous()
        return Trigonometric(tensor, frequencies, amplification(degrees) * rounding)

    def _letters_at(self, qubit: int, on: Sequence[int], frequencies: Tensor, degrees: Sequence[int]) -> Tensor:
        """Coefficients of a qubit's Bloch vector in its features, ``(2 d + 1, ..., letters)``."""
        columns = [LETTERS.index(p) for p in self.letters[qubit]]

        def vector(x: Tensor) -> Tensor:
            full = torch.zeros(len(x), len(degrees), dtype=torch.float64)
            full[:, list(on)] = x
            return vectors(self.circuit, full, self._parameters.double())[:, qubit, columns]

        own = torch.tensor(list(on), dtype=torch.long)
        polynomial = interpolated(vector, frequencies[own], [degrees[f] for f in on], 0.0)
        return polynomial.coefficients.movedim(0, -1)

    def _features(self, bloch: Tensor, low: int, high: int) -> Tensor:
        grown = bloch.new_ones(len(bloch), 1)
        for qubit in range(low, high):
            factor = bloch[:, qubit, [LETTERS.index(p) for p in self.letters[qubit]]]
            grown = (grown[:, :, None] * factor[:, None, :]).flatten(1)
        return grown


class _NativeBloch:
    """A form's tables as the kernel takes them."""

    def __init__(self, form: BlochForm) -> None:
        self.form = form
        self.plan = native.plan(form.circuit)
        self.parameters = form._parameters[None]
        left = math.prod(len(letters) for letters in form.letters[: form.split])
        self.classes = len(form.tensor)
        matrix = form.tensor.reshape(self.classes, left, -1).permute(1, 0, 2).reshape(left, -1)
        wide = native.kernel().panel()
        self.table, self.transposed = _panels(matrix, wide), _panels(matrix.T, wide)
        self.images = len(self.table) * wide
        self.letters = np.zeros((form.circuit.qubits, 5), np.int32)
        for q, letters in enumerate(form.letters):
            self.letters[q, : len(letters) + 1] = [len(letters), *(LETTERS.index(p) for p in letters)]
        flat = (self.table.flatten(1), self.transposed.flatten(1), self.parameters)
        self._fixed = native.views(*flat)

    def run(self, x: Tensor, partial: Tensor, scores: Tensor, slopes: Tensor, *, back: bool) -> None:
        """Fill ``scores``, or, with ``back``, ``slopes`` from the derivatives in ``scores``."""
        arguments = [*self._fixed, *native.views(x, partial, scores, slopes)]
        threads = torch.get_num_threads()
        native.kernel().bloch(self.plan, self.letters, self.form.split, *arguments, back, threads)


def _panels(matrix: Tensor, wide: int) -> Tensor:
    """Columns in groups of ``wide``, ``(groups, rows, wide)``, padded with zeros."""
    short = -matrix.shape[1] % wide
    padded = torch.nn.functional.pad(matrix, (0, short))
    return padded.reshape(len(matrix), -1, wide).transpose(0, 1).contiguous()


class _Scores(torch.autograd.Function):
    """The kernel's scores and their derivative in the input; second derivatives go through torch."""

    @staticmethod
    def forward(ctx: Any, compiled: _NativeBloch, x: Tensor) -> Tensor:
        # the kernel works on cache lines of 64 bytes, one sample a lane; the last one may be padded
        tiles = -(-len(x) // (64 // x.element_size()))
        ctx.compiled, ctx.partial = compiled, x.new_empty(tiles, compiled.images * 64 // x.element_size())
        ctx.save_for_backward(x)
        scores = x.new_empty(len(x), compiled.classes)
        compiled.run(x, ctx.partial, scores, x.new_empty(0, 0), back=False)
        return scores

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = ctx.compiled.form.in_torch(x)
            return None, torch.autograd.grad(again, x, gradients[0], create_graph=True)[0]
        slopes = torch.zeros(x.shape, dtype=x.dtype)
        ctx.compiled.run(x, ctx.partial, gradients[0], slopes, back=True)
        return None, slopes
