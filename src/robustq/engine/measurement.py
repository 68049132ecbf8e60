"""What is read at the end of a circuit: rows of outcomes, and how observables combine them.

A *row* is something whose mean the simulators compute: a diagonal (an outcome, or a sum of
outcomes) or a Pauli word that has to be rotated first. Every observable is a linear combination
of rows. Exact expectations use one row per observable; finite shots use one row per joint
outcome, so that observables read in the same setting stay correlated as they are on a device.
Read-out error acts on rows, before anything is simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq.circuits.observables import Observable, PauliSum, Word
from robustq.errors import CircuitError
from robustq.noise.model import Readout

RealArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
Readouts = tuple[Readout, ...]  # one a qubit


OUTCOME_BYTES = 2**30  # the largest table of joint outcomes that shots may need


@dataclass(frozen=True, eq=False)
class Measurement:
    """Rows to simulate and their combination into observables.

    Attributes:
        qubits: width of the register.
        diagonals: diagonal rows after read-out error, ``(rows, 2**qubits)``.
        words: the remaining rows, each a Pauli sum after read-out error.
        combine: ``(rows, observables)``, diagonal rows first.
        constant: what is added to each observable, ``(observables,)``.
    """

    qubits: int
    diagonals: RealArray
    words: tuple[PauliSum, ...]
    combine: RealArray
    constant: RealArray

    @cached_property
    def is_plain(self) -> bool:
        """Whether the rows are the observables, in order."""
        square = self.combine.shape[0] == self.combine.shape[1]
        return square and bool((self.combine == np.eye(len(self.combine))).all() and not self.constant.any())

    @property
    def norms(self) -> RealArray:
        """Upper bounds on the operator norms of the observables, ``(observables,)``."""
        rows = [float(np.abs(row).max()) for row in self.diagonals]
        rows += [sum(abs(c) for c, _ in word.terms) for word in self.words]
        bounds: RealArray = np.array(rows) @ np.abs(self.combine) + np.abs(self.constant)
        return bounds

    def matrices(self) -> ComplexArray:
        """Every row as a matrix, ``(rows, 2**qubits, 2**qubits)``."""
        diagonal = [np.diag(row).astype(complex) for row in self.diagonals]
        return np.array(diagonal + [word.matrix(self.qubits) for word in self.words])


@lru_cache(maxsize=256)
def exact(observables: tuple[Observable, ...], qubits: int, readouts: Readouts) -> Measurement:
    """One diagonal row per diagonal observable; one row per other observable."""
    diagonals = [(k, o.diagonal(qubits)) for k, o in enumerate(observables)]
    flat = [(k, d) for k, d in diagonals if d is not None]
    rest = [k for k, d in diagonals if d is None]
    combine = np.zeros((len(observables), len(observables)))
    for row, k in enumerate([k for k, _ in flat] + rest):
        combine[row, k] = 1.0
    return Measurement(
        qubits,
        _smear(np.array([d for _, d in flat]).reshape(-1, 2**qubits), readouts),
        tuple(_smear_words(_words(observables[k]), readouts) for k in rest),
        combine,
        np.zeros(len(observables)),
    )


@lru_cache(maxsize=256)
def outcomes(observables: tuple[Observable, ...], qubits: int, readouts: Readouts) -> Measurement:
    """One row per joint outcome of the diagonal observables, one per other distinct Pauli word.

    An observable that mixes diagonal and other words is read word by word, all of them in settings of
    their own, except for the identity, which needs no shots.
    """
    diagonals = [o.diagonal(qubits) for o in observables]
    flat = [k for k, d in enumerate(diagonals) if d is not None]
    rows, blocks = np.zeros((0, 2**qubits)), [np.zeros((0, len(observables)))]
    if flat:
        stacked = np.array([d for d in diagonals if d is not None])
        # basis states that all observables read alike are one outcome: far fewer than 2**qubits draws
        values, group = np.unique(stacked, axis=1, return_inverse=True)
        needed = values.shape[1] * 2**qubits * 8
        if needed > OUTCOME_BYTES:
            raise CircuitError(
                f"shots: expected at most {OUTCOME_BYTES // (8 * 2**qubits)} different joint "
                f"outcomes on {qubits} qubits, got {values.shape[1]}; read fewer observables at once"
            )
        rows = (np.arange(values.shape[1])[:, None] == group.ravel()[None]).astype(float)
        block = np.zeros((len(rows), len(observables)))
        block[:, flat] = values.T
        blocks.append(block)
    constant = np.zeros(len(observables))
    weights: dict[Word, RealArray] = {}
    for k, diagonal in enumerate(diagonals):
        for c, word in _words(observables[k]).terms if diagonal is None else ():
            if word:
                weights.setdefault(word, np.zeros(len(observables)))[k] += c
            else:
                constant[k] += c
    words = tuple(_smear_words(PauliSum(((1.0, word),)), readouts) for word in weights)
    combined = np.concatenate([*blocks, *(row[None] for row in weights.values())])
    return Measurement(qubits, _smear(rows, readouts), words, combined, constant)


def settings(observables: tuple[Observable, ...]) -> int:
    """Different circuits on a device: one for all diagonal observables, one a distinct other word."""
    rest = [o for o in observables if not o.is_diagonal]
    words = {word for o in rest for _, word in _words(o).terms if word}
    return bool(len(rest) < len(observables)) + len(words)


def _words(observable: Observable) -> PauliSum:
    if not isinstance(observable, PauliSum):
        raise CircuitError(f"expected a Pauli sum or a diagonal observable, got {type(observable).__name__}")
    return observable


def _smear(diagonals: RealArray, readouts: Readouts) -> RealArray:
    """Pull diagonal rows back through the read-out confusion of every qubit."""
    if not len(diagonals):
        return diagonals
    rows, size = diagonals.shape
    tensor = diagonals.reshape(rows, *[2] * len(readouts))
    for axis, readout in enumerate(readouts, start=1):
        if readout != Readout():
            confusion = np.array(readout.confusion)  # [observed, prepared]
            tensor = np.moveaxis(np.tensordot(tensor, confusion, axes=(axis, 0)), -1, axis)
    return tensor.reshape(rows, size)


def _smear_words(observable: PauliSum, readouts: Readouts) -> PauliSum:
    """Every letter ``P`` becomes ``a P + b``, because it is read as a Z after a rotation."""
    if max(observable.qubits, default=0) >= len(readouts):
        raise CircuitError(f"expected an observable on qubits 0..{len(readouts) - 1}, got {observable.qubits}")
    if all(readout == Readout() for readout in readouts):
        return observable
    a = [1 - readout.p01 - readout.p10 for readout in readouts]
    b = [readout.p10 - readout.p01 for readout in readouts]
    terms: list[tuple[float, Word]] = []
    for c, word in observable.terms:
        for keep in product((True, False), repeat=len(word)):
            pairs = zip(word, keep, strict=True)
            factor = c * float(np.prod([a[q] if stays else b[q] for (q, _), stays in pairs]))
            if factor:
                terms.append((factor, tuple(w for w, stays in zip(word, keep, strict=True) if stays)))
    return PauliSum(tuple(terms))


def pure_rows(state: Tensor, measurement: Measurement) -> Tensor:
    """Means of the rows ``(batch, rows)`` in pure states ``(batch, 2**qubits)``."""
    probability = state.real**2 + state.imag**2
    diagonals = torch.as_tensor(measurement.diagonals).to(probability)
    columns = [probability @ diagonals.T]
    columns += [_pauli_mean(state, word, measurement.qubits)[:, None] for word in measurement.words]
    return torch.cat(columns, dim=1)


def _pauli_mean(state: Tensor, observable: PauliSum, qubits: int) -> Tensor:
    total = torch.zeros(len(state), dtype=state.real.dtype, device=state.device)
    for c, word in observable.terms:
        index, phase = pauli_action(word, qubits)
        moved = state[:, torch.as_tensor(index, device=state.device)]
        total = total + c * (state.conj() * torch.as_tensor(phase).to(state) * moved).sum(1).real
    return total


@lru_cache(maxsize=1024)
def pauli_action(word: Word, qubits: int) -> tuple[NDArray[np.int64], ComplexArray]:
    """``(P psi)[b] = phase[b] * psi[index[b]]``."""
    basis = np.arange(2**qubits)
    index, phase = basis.copy(), np.ones(2**qubits, dtype=complex)
    for q, letter in word:
        place = qubits - 1 - q
        sign = 1 - 2 * (basis >> place & 1)
        if letter in "XY":
            index = index ^ (1 << place)
        if letter == "Y":
            # Y|b> = i (-1)^b |1 - b>, read at the target
            phase = phase * (-1j * sign)
        elif letter == "Z":
            phase = phase * sign
    return index, phase


def operator_rows(rho: Tensor, operators: Tensor) -> Tensor:
    """``tr(M_r rho)`` as ``(batch, rows)`` for densities and operators ``(., D, D)``."""
    # tr(M rho) = sum_ij M_ji rho_ij: one matrix product for all rows
    flat = operators.transpose(1, 2).reshape(len(operators), -1)
    means: Tensor = (rho.reshape(len(rho), -1) @ flat.T).real
    return means


def quadratic_rows(state: Tensor, operators: Tensor) -> Tensor:
    """``<psi|M_r|psi>`` as ``(batch, rows)`` for pure states ``(batch, D)``."""
    size = state.shape[1]
    stacked = operators.transpose(1, 2).reshape(-1, size, size).transpose(0, 1).reshape(size, -1)
    image = (state @ stacked).reshape(len(state), len(operators), size)
    return (image * state.conj()[:, None]).sum(2).real


def real_quadratic_rows(state: Tensor, operators: Tensor) -> Tensor:
    """:func:`quadratic_rows` for real states and symmetric operators: a quarter of the arithmetic."""
    rows, size, _ = operators.shape
    image = (state @ operators.permute(1, 0, 2).reshape(size, -1)).reshape(len(state), rows, size)
    return (image * state[:, None]).sum(2)


def sample_rows(means: Tensor, measurement: Measurement, shots: int, generator: torch.Generator) -> Tensor:
    """Estimates of the rows from ``shots`` shots in every setting, ``(batch, rows)``.

    The joint outcomes of the diagonal setting are drawn as an exact multinomial (a chain of
    binomials); each Pauli word is a setting of its own and a binomial.
    """
    if shots < 1:
        raise CircuitError(f"expected shots >= 1, got {shots}")
    groups = len(measurement.diagonals)
    chances = means.detach().double().cpu()
    outcome = chances[:, :groups].clamp(0, 1)
    drawn = [_multinomial(outcome / outcome.sum(1, keepdim=True), shots, generator) / shots]
    ups = ((1 + chances[:, groups:]) / 2).clamp(0, 1)
    total = torch.full_like(ups, float(shots))
    drawn.append(2 * torch.binomial(total, ups, generator=generator) / shots - 1)
    return torch.cat(drawn, dim=1).to(means)


def _multinomial(chances: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Counts ``(batch, outcomes)`` by conditional binomials."""
    left = torch.full((len(chances),), float(shots), dtype=torch.float64)
    rest = torch.ones(len(chances), dtype=torch.float64)
    counts = torch.zeros_like(chances)
    for k in range(chances.shape[1]):
        last = k == chances.shape[1] - 1
        # the last outcome takes what is left, so that counts add up to the shots exactly
        ratio = torch.ones_like(rest) if last else chances[:, k] / rest.clamp_min(1e-300)
        counts[:, k] = torch.binomial(left, ratio.clamp(0, 1), generator=generator)
        left = left - counts[:, k]
        rest = (rest - chances[:, k]).clamp_min(0)
    return counts


def combine(rows: Tensor, measurement: Measurement) -> Tensor:
    """Observables ``(batch, observables)`` from rows ``(batch, rows)``."""
    if measurement.is_plain:
        return rows
    constant = torch.as_tensor(measurement.constant).to(rows)
    return rows @ torch.as_tensor(measurement.combine).to(rows) + constant


def as_tuple(observables: Sequence[Observable]) -> tuple[Observable, ...]:
    """The observables as a hashable tuple, at least one."""
    if not observables:
        raise CircuitError("expected at least one observable, got none")
    return tuple(observables)
