"""Quantum kernels of a batch with itself or another, as one matrix product."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.circuits.observables import pauli
from robustq.engine import noisy
from robustq.engine.expectations import _checked, check_memory, expectations
from robustq.engine.shot_gradients import check_shots
from robustq.engine.statevector import evolve
from robustq.errors import CircuitError
from robustq.noise.model import NoiseModel

AMPLITUDES = 2**17  # simulated at once: what caches hold
ENTRIES = 2**22  # of the kernel made at once


def fidelity_kernel(
    circuit: Circuit,
    a: Tensor,
    b: Tensor | None = None,
    *,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
    shots: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """``|<psi(a)|psi(b)>|^2``, or ``tr(rho(a) rho(b))`` with noise, ``(len(a), len(b))``.

    (Havlicek et al., "Supervised learning with quantum-enhanced feature spaces", Nature 567, 209
    (2019).) Differentiable in the data and the parameters unless ``shots`` is given.

    With shots, every entry is measured as a device would: without noise by running the circuit and
    then its inverse, where the entry is the probability of reading all zeros; with noise by
    a SWAP test on two copies, which succeeds with probability ``(1 + entry) / 2``, because a noisy
    circuit has no inverse. Both are unbiased; SWAP-test estimates can be negative. Only channels
    act on the states, so read-out error plays no part.

    Args:
        circuit: the feature map.
        a: features ``(len(a), circuit.inputs)``, float32 or float64.
        b: other features ``(len(b), circuit.inputs)``; None for the symmetric kernel of ``a``,
            whose entries are measured once for both halves.
        parameters: trainable angles ``(circuit.parameters,)`` in radians, same dtype.
        noise: channels after gates.
        shots: shots for each entry; None for exact values.
        generator: where the shots come from; required with ``shots``.

    Raises:
        RobustQError: on wrong shapes, dtypes or values, or too little memory.

    >>> from robustq.circuits import encodings
    >>> a = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    >>> fidelity_kernel(encodings.angle(1), a).round(decimals=6).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    check_shots(shots, generator)
    if noise is not None and not any(noise.after(o) for o in circuit.operations):
        noise = None  # read-out error alone leaves states pure
    if not len(a) or (b is not None and not len(b)):
        return a.new_zeros(len(a), len(a if b is None else b))
    left = _vectors(circuit, a, parameters, noise)
    right = left if b is None else _vectors(circuit, b, parameters, noise)
    overlap = _products(left, right, squared=noise is None)
    if b is None:
        # the two halves of a matrix product round differently; a kernel is symmetric exactly
        overlap = _symmetrised(overlap)
    if shots is None or generator is None:
        return overlap
    chances = overlap.detach().double()
    if b is None and noise is None:
        chances.fill_diagonal_(1)  # without the rounding that would cost a shot now and then
    sampled = _sampled(chances if noise is None else (1 + chances) / 2, shots, generator)
    kernel = (sampled if noise is None else 2 * sampled - 1).to(overlap)
    return _from_upper_triangle(kernel) if b is None else kernel


def projected_kernel(
    circuit: Circuit,
    a: Tensor,
    b: Tensor | None = None,
    *,
    gamma: float,
    parameters: Tensor | None = None,
    noise: NoiseModel | None = None,
    shots: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """``exp(-gamma sum_k |rho_k(a) - rho_k(b)|_F^2)`` over one-qubit marginals ``rho_k``.

    (Huang et al., "Power of data in quantum machine learning", Nat. Commun. 12, 2631 (2021),
    the projected quantum kernel.) The marginals come from the Pauli expectations of every qubit, so
    noise and read-out error act as they do there. Differentiable unless ``shots`` is given; then
    distances are biased upwards by the shots' variance, except that of a point to itself.

    Args:
        circuit: the feature map.
        a: features ``(len(a), circuit.inputs)``, float32 or float64.
        b: other features ``(len(b), circuit.inputs)``; None for the symmetric kernel of ``a``.
        gamma: inverse width of the Gaussian, at least 0.
        parameters: trainable angles ``(circuit.parameters,)`` in radians, same dtype.
        noise: channels after gates and read-out error.
        shots: shots for each sample and measurement setting; None for exact values.
        generator: where the shots come from; required with ``shots``.

    Raises:
        RobustQError: on wrong shapes, dtypes or values.

    >>> from robustq.circuits import encodings
    >>> a = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    >>> projected_kernel(encodings.angle(1), a, gamma=0.5).round(decimals=4).tolist()
    [[1.0, 0.3679], [0.3679, 1.0]]
    """
    if not gamma >= 0:
        raise CircuitError(f"expected gamma >= 0, got {gamma}")
    check_shots(shots, generator)
    words = [pauli(letter, q) for q in range(circuit.qubits) for letter in "XYZ"]

    def bloch(features: Tensor) -> Tensor:
        return expectations(
            circuit, words, inputs=features, parameters=parameters, noise=noise, shots=shots, generator=generator
        )

    left = bloch(a)
    right = left if b is None else bloch(b)
    # rho = (1 + r.sigma) / 2, so the squared distance of marginals is half that of Bloch vectors.
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * left @ right.T
    squares = (_symmetrised(squares) if b is None else squares).clamp_min(0)
    return torch.exp(-gamma * squares / 2)


def _vectors(circuit: Circuit, features: Tensor, parameters: Tensor | None, noise: NoiseModel | None) -> Tensor:
    """States ``(batch, D)`` or flattened densities ``(batch, D * D)``, real where they can be."""
    features, angles = _checked(circuit, features, parameters)
    sides = 1 if noise is None else 2
    check_memory(circuit.qubits, len(features), sides)
    parts = torch.split(features, max(1, AMPLITUDES // 2 ** (sides * circuit.qubits)))
    if noise is not None:
        return torch.cat([_densities(circuit, part, angles, noise).flatten(1) for part in parts])
    states = torch.cat([evolve(circuit, part, angles) for part in parts])
    real = all(gate(operation.gate).is_real for operation in circuit.operations)
    return states.real if real else states


def _densities(circuit: Circuit, features: Tensor, parameters: Tensor, noise: NoiseModel) -> Tensor:
    """Final density matrices ``(batch, D, D)``."""
    listed, matrices = noisy.program(circuit, features, parameters, noise)
    return noisy.push_forward(circuit, features, listed, matrices)


def _products(left: Tensor, right: Tensor, *, squared: bool) -> Tensor:
    """``|<l|r>|^2`` or ``Re <l|r>`` for all pairs of rows, a band of the kernel at a time."""
    bands = []
    for band in torch.split(left, max(1, ENTRIES // max(1, len(right)))):
        inner = band @ right.mH
        bands.append((inner * inner.conj() if squared else inner).real)
    return torch.cat(bands)


def _sampled(chances: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Relative frequencies of events with these probabilities."""
    total = torch.full_like(chances, float(shots)).cpu()
    counts = torch.binomial(total, chances.clamp(0, 1).cpu(), generator=generator)
    return counts.to(chances.device) / shots


def _symmetrised(square: Tensor) -> Tensor:
    """What is symmetric up to rounding, made so exactly."""
    return (square + square.T) / 2


def _from_upper_triangle(square: Tensor) -> Tensor:
    """The upper triangle on both sides."""
    return square.triu() + square.triu(1).T
