"""How far apart the logits of two classes can be, whatever the state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from robustq.circuits import Observable


def ranges(observables: Sequence[Observable], qubits: int, mix: Tensor) -> Tensor:
    """Largest minus smallest value of each difference of two logits ``mix @ expectations``.

    Exact for observables that are diagonal in the basis; for others each expectation may lie anywhere in
    its own range, which is no less. Noise can only narrow it.

    Args:
        observables: what is read.
        qubits: width of the register.
        mix: ``(classes, observables)``; the result is differentiable in it.

    Returns:
        ``(classes, classes)``.

    >>> from robustq.circuits import per_qubit_z
    >>> ranges(per_qubit_z(2, 2), 2, torch.eye(2))
    tensor([[0., 4.],
            [4., 0.]])
    """
    apart = mix[:, None] - mix
    if all(observable.is_diagonal for observable in observables):
        values = apart @ _diagonals(tuple(observables), qubits).to(mix)
        return values.amax(-1) - values.amin(-1)
    return apart.abs() @ _widths(tuple(observables), qubits).to(mix)


@lru_cache(maxsize=32)
def _diagonals(observables: tuple[Observable, ...], qubits: int) -> Tensor:
    return torch.as_tensor(np.stack([np.asarray(o.diagonal(qubits)) for o in observables]))


@lru_cache(maxsize=32)
def _widths(observables: tuple[Observable, ...], qubits: int) -> Tensor:
    return torch.tensor([float(np.ptp(np.linalg.eigvalsh(o.matrix(qubits)))) for o in observables])
