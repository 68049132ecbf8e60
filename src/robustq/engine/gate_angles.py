"""How the features of an input turn the gates of a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from robustq.circuits.angles import Angle
from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.contracts import GateAngles
from robustq.engine.slots import Polynomials, slot_vector
from robustq.errors import ModelError
from robustq.trigonometric import check_size, common_frequency


def gate_angles(circuit: Circuit, parameters: Tensor) -> GateAngles:
    """The angles that depend on the input, as polynomials of it, differentiable in the parameters.

    Raises:
        ModelError: if features are loaded as amplitudes.

    >>> from robustq.circuits import encodings
    >>> gate_angles(encodings.angle(2), torch.zeros(0)).linear
    tensor([[3.1416, 0.0000],
            [0.0000, 3.1416]])
    """
    if circuit.amplitudes:
        raise ModelError("expected features that turn gates, got features loaded as amplitudes")
    turned = _turned(circuit)
    polynomials = Polynomials.of([angle for angle, _ in turned], circuit.parameters)
    at_zero = slot_vector(parameters.new_zeros(1, circuit.inputs), parameters)
    first = 1 + circuit.parameters  # the place of feature 0
    quadratic = parameters.new_zeros(len(turned), circuit.inputs, circuit.inputs)
    for left, right, owner, coefficient in zip(
        polynomials.left, polynomials.right, polynomials.owner, polynomials.coefficient, strict=True
    ):
        # products with a parameter are linear in the features; only pairs of features bend the angle
        if min(left, right) >= first:
            quadratic[owner, left - first, right - first] += coefficient
    return GateAngles(
        constant=polynomials.values(at_zero)[0],
        linear=polynomials.jacobian(at_zero)[0, :, first:],
        quadratic=quadratic,
        spread=parameters.new_tensor([max(sizes) for _, sizes in turned]),
    )


def frequencies(circuit: Circuit, parameters: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """For each feature its lowest frequency, in float64, and its degree (zero if it turns no gate).

    Raises:
        ModelError: if features are multiplied, if a feature's frequencies have no common multiple, or
            if there are too many combinations of them.

    >>> from robustq.circuits import encodings
    >>> frequencies(encodings.angle(2), torch.zeros(0))
    (tensor([3.1416, 3.1416], dtype=torch.float64), (1, 1))
    """
    angles = gate_angles(circuit, parameters.double())
    if bool(angles.quadratic.any()):
        raise ModelError("expected angles affine in the features, got products of features")
    sizes = [steps for _, steps in _turned(circuit)]
    pairs = [common_frequency(_uses(column, sizes)) for column in angles.linear.abs().unbind(1)]
    check_size([degree for _, degree in pairs])
    lowest = torch.tensor([base for base, _ in pairs], dtype=torch.float64)
    return lowest, tuple(degree for _, degree in pairs)


def _uses(column: Tensor, sizes: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """For every gate that a feature turns, the frequencies it adds, ascending."""
    return [
        tuple(weight * size for size in steps)
        for weight, steps in zip(column.tolist(), sizes, strict=True)
        if weight > 0
    ]


@lru_cache(maxsize=256)
def _turned(circuit: Circuit) -> tuple[tuple[Angle, tuple[float, ...]], ...]:
    """Every angle with inputs, and the differences between the eigenvalues of its generator."""
    turned = []
    for operation in circuit.operations:
        row = gate(operation.gate)
        names = [(name, place) for name, place in row.parts] or [(operation.gate, 0)]
        turned += [
            (operation.angles[place], _differences(name))
            for name, place in names
            if operation.angles and operation.angles[place].has_inputs
        ]
    return tuple(turned)


@lru_cache
def _differences(name: str) -> tuple[float, ...]:
    """The frequencies of a gate: 1 for a rotation; 1/2 and 1 for a controlled one."""
    values = np.linalg.eigvalsh(gate(name).generator_matrix)
    # rounded, so that equal gaps are one frequency
    apart = np.abs(values[:, None] - values[None, :]).round(12)
    return tuple(sorted(float(v) for v in np.unique(apart) if v > 0))
