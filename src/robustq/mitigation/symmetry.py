"""Symmetry verification: what left the sector in which the ideal state lives is taken out.

Bonet-Monroig, Sagastizabal, Singh & O'Brien, PRA 98, 062339 (2018); McArdle, Yuan & Benjamin, PRL 122, 180501 (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch  # noqa: F401 - for the examples
from torch import Tensor

from robustq.circuits import Observable, pauli
from robustq.circuits.observables import PauliSum, Word
from robustq.errors import CircuitError, DataError
from robustq.mitigation.plan import Plan, Problem, Run
from robustq.mitigation.signed_shots import as_pauli_sum, dict_of

EXACT = 1e-6  # by how much the ideal state may miss its sector


@dataclass(frozen=True)
class SymmetryVerification:
    """``<O + S O> / <1 + S>`` for a Pauli word ``S`` that the ideal state obeys.

    What the projector onto the sector would give, from means that a device reads without projecting. Exact for errors
    that all leave the sector; it cannot see those that do not.

    Args:
        letters: the word, one letter a qubit of the circuit's register (``ZZZZ`` is parity).
        sector: +1 or -1, the word's value in the ideal state.

    >>> print(SymmetryVerification("ZZ", -1))
    symmetry ZZ = -1
    """

    letters: str
    sector: int = 1

    def __post_init__(self) -> None:
        if self.sector not in (1, -1) or not set(self.letters) & set("XYZ"):
            raise DataError(
                f"symmetry: expected a Pauli word and a sector of +1 or -1, got {self.letters!r}, {self.sector}"
            )

    def __str__(self) -> str:
        return f"symmetry {self.letters} = {self.sector:+d}"

    def plan(self, problem: Problem) -> Plan:
        """One run that reads the observables, their products with the word, and the word.

        Raises:
            CircuitError: unless the ideal states obey the symmetry and every observable commutes with it.
        """
        run = problem.run
        if len(self.letters) != run.circuit.qubits or run.read is not None or run.cost > 1:
            raise CircuitError(
                f"symmetry: expected a letter for each of {run.circuit.qubits} qubits and observables that are "
                f"read as they are, got {self.letters!r}"
            )
        word = pauli(self.letters, *range(run.circuit.qubits))
        self._check(run, word, problem)
        products = tuple(times(word, as_pauli_sum(o)) for o in run.observables)
        wider: tuple[Observable, ...] = (*run.observables, *products, word)
        return Plan((replace(run, read=wider),), partial(verified, self.sector), linear=False)

    def _check(self, run: Run, word: PauliSum, problem: Problem) -> None:
        ideal = replace(run, observables=(word,)).ideal(problem.inputs, problem.parameters)
        worst = float((1 - self.sector * ideal).max())
        if worst > EXACT:
            raise CircuitError(
                f"symmetry {self.letters} = {self.sector:+d}: expected ideal states that obey it, got one whose "
                f"mean is {self.sector * (1 - worst):.3g}"
            )


def verified(sector: int, parts: Sequence[Tensor]) -> Tensor:
    """``(O + s S O) / (1 + s S)`` from columns ``O``, ``S O`` and, last, ``S``.

    >>> verified(1, [torch.tensor([[0.5, 0.7, 0.5]])])
    tensor([[0.8000]])
    """
    (seen,) = parts
    count = (seen.shape[1] - 1) // 2
    plain, signed = seen[:, :count], sector * seen[:, count : 2 * count]
    inside = (1 + sector * seen[:, -1:]).clamp_min(1e-3)
    return ((plain + signed) / inside).clamp(-1, 1)


def times(word: PauliSum, observable: PauliSum) -> PauliSum:
    """The product of a Pauli word and an observable that commutes with it, as a sum of words.

    Raises:
        CircuitError: if they do not commute.

    >>> from robustq.circuits import z
    >>> str(times(pauli("ZZ", 0, 1), z(0)))
    '1*Z1'
    """
    ((_, letters),) = word.terms
    terms: list[tuple[float, Word]] = []
    for other, c in dict_of(observable).items():
        phase, product = _product(dict(letters), dict(other))
        if abs(phase.imag) > 0.5:
            raise CircuitError(f"symmetry: expected observables that commute with {word}, got {observable}")
        terms.append((c * phase.real, product))
    return PauliSum(tuple(terms))


_CYCLE = {("X", "Y"): "Z", ("Y", "Z"): "X", ("Z", "X"): "Y"}


def _product(first: dict[int, str], second: dict[int, str]) -> tuple[complex, Word]:
    phase, left = 1 + 0j, dict(first)
    for q, letter in second.items():
        own = left.pop(q, None)
        if own is None:
            left[q] = letter
        elif own != letter:
            forwards = (own, letter) in _CYCLE
            phase *= 1j if forwards else -1j
            left[q] = _CYCLE[own, letter] if forwards else _CYCLE[letter, own]
    return phase, tuple(sorted(left.items()))
