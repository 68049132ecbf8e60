"""Shots that carry a sign: what single runs drawn from a quasi-probability add up to.

Every shot runs another random circuit and its outcome, +1 or -1, is multiplied by ``cost * sign``. Whatever the
circuits, such an outcome is ``+cost`` or ``-cost`` and its mean is the ideal one, so that its distribution is
known without drawing a single circuit: ``+cost`` with probability ``(1 + mean / cost) / 2``. Different Pauli words
are drawn independently of each other, which on a device they are not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from robustq.circuits import Observable
from robustq.circuits.observables import PauliSum, Word
from robustq.errors import CircuitError


def signed_means(
    exact: Callable[[tuple[Observable, ...]], Tensor],
    observables: tuple[Observable, ...],
    cost: float,
    shots: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Estimates ``(batch, observables)`` from signed shots, each observable a sum over its Pauli words.

    Args:
        exact: the ideal expectations of Pauli words, ``(batch, words)``.
        observables: what is estimated.
        cost: what every outcome is multiplied by, at least 1.
        shots: for each word, all of them in shared circuits.
        generator: where outcomes come from.
    """
    if generator is None or shots < 1:
        raise CircuitError(f"expected shots >= 1 and a generator, got {shots} and {generator}")
    sums = [as_pauli_sum(o) for o in observables]
    words = sorted({word for total in sums for _, word in total.terms if word})
    means = exact(tuple(PauliSum(((1.0, word),)) for word in words)).double().cpu()
    # a shot is +-cost, so that its sign carries mean / cost
    ups = ((1 + means / cost) / 2).clamp(0, 1)
    drawn = torch.binomial(torch.full_like(ups, float(shots)), ups, generator=generator)
    seen = cost * (2 * drawn / shots - 1)
    mix = torch.tensor([[dict_of(total).get(word, 0.0) for total in sums] for word in words])
    constant = torch.tensor([dict_of(total).get((), 0.0) for total in sums])
    return seen @ mix.to(seen) + constant.to(seen)


def dict_of(total: PauliSum) -> dict[Word, float]:
    """Coefficient of each word.

    >>> from robustq.circuits import z
    >>> dict_of(z(0) + 0.5 * z(0))
    {((0, 'Z'),): 1.5}
    """
    coefficients: dict[Word, float] = {}
    for c, word in total.terms:
        coefficients[word] = coefficients.get(word, 0.0) + c
    return coefficients


def as_pauli_sum(observable: Observable) -> PauliSum:
    """The observable as a sum of Pauli words; a diagonal one by a Walsh-Hadamard transform.

    >>> from robustq.circuits import Projector
    >>> str(as_pauli_sum(Projector(("0",), (1,))))
    '0.5*I + 0.5*Z1'
    """
    if isinstance(observable, PauliSum):
        return observable
    on = observable.qubits
    register = max(on) + 1 if on else 1
    full = observable.diagonal(register)
    if full is None:
        raise CircuitError(f"expected a Pauli sum or a diagonal observable, got {type(observable).__name__}")
    others = tuple(q for q in range(register) if q not in on)
    table = full.reshape([2] * register).transpose(*on, *others).reshape(2 ** len(on), -1)[:, 0]
    terms: list[tuple[float, Word]] = []
    for number in range(2 ** len(on)):
        chosen = [q for k, q in enumerate(on) if number >> (len(on) - 1 - k) & 1]
        signs = np.array([(-1) ** bin(number & basis).count("1") for basis in range(2 ** len(on))])
        coefficient = float(signs @ table) / len(table)
        if abs(coefficient) > 1e-15:
            terms.append((coefficient, tuple((q, "Z") for q in chosen)))
    return PauliSum(tuple(terms))
