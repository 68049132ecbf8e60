"""Bits that are misread on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import torch
from torch import Tensor

from robustq.circuits import Observable, PauliSum
from robustq.circuits.observables import Word
from robustq.contracts import CircuitClassifier
from robustq.errors import ModelError
from robustq.tampering.surface import Surface, surface
from robustq.threats import Rates

WIDEST = 10  # qubits of one observable: it has as many words as they have states


@dataclass(frozen=True)
class ReadoutTamper:
    """Each qubit's 0 is read as 1, and its 1 as 0, with probabilities of at most ``p``.

    Comes on top of the read-out error the model has already. The cloud that answers with other counts
    than it measured is that of Upadhyay & Ghosh (2023); they change counts at random.

    Args:
        p: largest probability.
        biased: only zeros are misread, as shots that are lost to one side.
        at_most: how many of these probabilities may differ from zero; None for all.

    >>> ReadoutTamper(0.05).threat(None).eps
    0.05
    """

    p: float = 0.05
    biased: bool = False
    at_most: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ModelError(f"read-out: expected p in [0, 1], got {self.p}")
        self.threat(None)

    def threat(self, model: CircuitClassifier | None) -> Rates:
        """One rate for each kind of mistake of each qubit that is read."""
        return Rates(self.p, at_most=self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model with every observable written in words, all of them measured once."""
        qubits = sorted({q for o in model.observables for q in o.qubits})
        features = model.encoder_inputs(x).detach()
        table = _MisreadTerms.of(model.observables, qubits)
        words = tuple(PauliSum(((1.0, word),)) for word in table.words)
        with torch.no_grad():
            # misreading is linear in the words' means, so that no setting runs the circuit again
            means = model.measured(features, model.angles.detach(), observables=words)

        def logits(settings: Tensor) -> Tensor:
            p01 = settings[: len(qubits)]
            p10 = torch.zeros_like(p01) if self.biased else settings[len(qubits) :]
            return model.read(means @ table.mixing(p01, p10))

        kinds = ("p01",) if self.biased else ("p01", "p10")
        return surface([f"{kind} of qubit {q}" for kind in kinds for q in qubits], features, logits)


@dataclass(frozen=True, eq=False)
class _MisreadTerms:
    """Every observable after misreading: a row for each word it has and each part of it that is kept.

    A letter is read as a Z, so it becomes ``a P + b`` with ``a = 1 - p01 - p10`` and ``b = p10 - p01``.
    """

    words: list[Word]
    observables: int
    coefficient: Tensor  # (rows,)
    kept: Tensor  # (rows, qubits) of bool: the letter stays
    lost: Tensor  # (rows, qubits) of bool: the letter becomes a number
    place: Tensor  # (rows,): word * observables + observable

    @staticmethod
    def of(observables: Sequence[Observable], qubits: Sequence[int]) -> _MisreadTerms:
        words: dict[Word, int] = {}
        rows = [
            (c, word, part, words.setdefault(part, len(words)) * len(observables) + k)
            for k, observable in enumerate(observables)
            for c, word in as_pauli_words(observable).terms
            for part in _parts(word)
        ]
        stays = [[q in dict(part) for q in qubits] for _, _, part, _ in rows]
        lost = [[q in dict(word) and q not in dict(part) for q in qubits] for _, word, part, _ in rows]
        weights = torch.tensor([c for c, *_ in rows], dtype=torch.float64)
        place = torch.tensor([place for *_, place in rows])
        return _MisreadTerms(list(words), len(observables), weights, torch.tensor(stays), torch.tensor(lost), place)

    def mixing(self, p01: Tensor, p10: Tensor) -> Tensor:
        """From words to observables, ``(words, observables)``."""
        a, b = 1 - p01 - p10, p10 - p01
        device = p01.device
        factor = torch.where(self.lost.to(device), b, torch.where(self.kept.to(device), a, 1.0))
        weight = self.coefficient.to(p01) * factor.prod(1)
        flat = p01.new_zeros(len(self.words) * self.observables)
        return flat.index_add(0, self.place.to(device), weight).reshape(-1, self.observables)


def as_pauli_words(observable: Observable) -> PauliSum:
    """An observable as a sum of Pauli words; what is diagonal by its Walsh-Hadamard transform.

    Raises:
        ModelError: if it is neither a Pauli sum nor diagonal, or is on too many qubits.

    >>> from robustq.circuits import Projector
    >>> str(as_pauli_words(Projector(("1",), (0,))))
    '0.5*I + -0.5*Z0'
    """
    if isinstance(observable, PauliSum):
        return observable
    qubits = observable.qubits
    if not observable.is_diagonal or len(qubits) > WIDEST:
        raise ModelError(
            f"expected a Pauli sum, or a diagonal observable on at most {WIDEST} qubits, got {observable}"
        )
    register = max(qubits) + 1
    values = np.asarray(observable.diagonal(register)).reshape([2] * register)
    values = values[tuple(slice(None) if q in qubits else 0 for q in range(register))]
    for axis in range(len(qubits)):
        zero, one = np.moveaxis(values, axis, 0)
        values = np.stack([(zero + one) / 2, (zero - one) / 2], axis)
    words = ((float(c), place) for place, c in np.ndenumerate(values) if c)
    return PauliSum(
        tuple((c, tuple((q, "Z") for q, bit in zip(qubits, place, strict=True) if bit)) for c, place in words)
    )


def _parts(word: Word) -> Iterator[Word]:
    """Every part of a word, from none of it to all."""
    return chain.from_iterable(combinations(word, size) for size in range(len(word) + 1))
