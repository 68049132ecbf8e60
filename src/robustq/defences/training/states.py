"""Adversarial training in state space: the adversary moves the encoded state itself.

Liu & Wittek, PRA 101, 062331 (2020); Lu, Duan & Deng, Phys. Rev. Research 2, 033212 (2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from robustq.contracts import Step
from robustq.defences.pullback import PulledBack
from robustq.options import check_shares


@dataclass(frozen=True)
class StateTraining:
    """Cross-entropy at the worst state within an infidelity of the encoded one.

    Every adversary on the input is one on the state, but not the other way round: this withstands whatever
    stands between the classifier and its state. No gradient search is needed: the state that raises one mean
    most is ``(mu - V)^-1 psi`` with ``V`` the effective observable and ``mu`` the root of one equation. With
    two classes that is exact; with more, the worst of the wrong classes' states is improved a few times
    by the same step for the loss's linearisation, which never falls as the cross-entropy is convex.
    A step diagonalises matrices of side ``2**qubits``: up to eight qubits or so.

    Args:
        infidelity: ``1 - |<psi|phi>|^2`` at most.
        weight: share of the moved state's loss, in [0, 1].

    >>> StateTraining(0.05).weight
    1.0
    """

    infidelity: float = 0.05
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_shares("state training", infidelity=self.infidelity, weight=self.weight)

    def losses(self, model: Any, step: Step) -> Tensor:
        """``weight * CE(moved state) + (1 - weight) * CE(clean state)``.

        Raises:
            ModelError: unless the model is a circuit, or a hybrid, whose encoded state is pure.
        """
        view = PulledBack.of(model, step.x)
        clean = view.states
        with torch.no_grad():
            worst = worst_states(view.forms(), clean.to(torch.complex128), step.y, self.infidelity)
        losses = cross_entropy(view.logits(carried(worst.to(clean.dtype), clean)), step.y, reduction="none")
        if self.weight < 1:
            plain = cross_entropy(view.logits(clean), step.y, reduction="none")
            losses = self.weight * losses + (1 - self.weight) * plain
        return losses


def carried(worst: Tensor, clean: Tensor) -> Tensor:
    """The worst states as functions of clean ones that still depend on trained angles.

    On the arc from ``clean``, at the same infidelity for any angles: then the gradient is that of the
    maximum (envelope theorem), also where trained gates stand between the encoding ones.
    """
    along = _overlap(clean.detach(), worst)
    across = worst - along * clean.detach()
    orthogonal = across - _overlap(clean, across) * clean
    length = torch.linalg.vector_norm(orthogonal, dim=1, keepdim=True)
    tiny = torch.finfo(length.dtype).tiny
    turned = torch.linalg.vector_norm(across, dim=1, keepdim=True) / length.clamp_min(tiny)
    moved: Tensor = along * clean + turned * orthogonal
    return moved


def worst_states(forms: Tensor, states: Tensor, y: Tensor, infidelity: float) -> Tensor:
    """Unit states of the largest cross-entropy within an infidelity of the given ones.

    Args:
        forms: Hermitian, complex128 ``(classes, dimension, dimension)``; logits are their means.
        states: complex128 unit vectors ``(batch, dimension)``.
        y: labels ``(batch,)``.
        infidelity: in [0, 1].

    >>> z = torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.complex128)
    >>> psi = torch.tensor([[1.0, 0.0]], dtype=torch.complex128)
    >>> worst_states(torch.stack([z, -z]), psi, torch.tensor([0]), 0.25).abs().square()
    tensor([[0.7500, 0.2500]], dtype=torch.float64)
    """
    best, classes = states, len(forms)
    highest = torch.full_like(states[:, 0].real, -torch.inf)
    values, vectors = torch.linalg.eigh(forms[None] - forms[:, None])  # of each label's rivals
    # the best state against each rival alone, then a few linearised steps on the true loss
    for further in range(1, classes):
        pairs = y, (y + further) % classes
        moved = furthest(values[pairs], vectors[pairs], states, infidelity)
        loss = cross_entropy(_means(forms, moved), y, reduction="none")
        better = loss > highest
        best, highest = torch.where(better[:, None], moved, best), torch.maximum(highest, loss)
    for _ in range(IMPROVED if classes > 2 else 0):
        slopes = _means(forms, best).softmax(1) - one_hot(y, classes)
        mixed = torch.einsum("bk,kij->bij", slopes.to(forms), forms)
        values, vectors = torch.linalg.eigh(mixed)
        best = furthest(values, vectors, states, infidelity)
    return best


def furthest(values: Tensor, vectors: Tensor, states: Tensor, infidelity: float) -> Tensor:
    """Unit states within an infidelity with the largest mean of a Hermitian form each.

    Stationary states are ``(mu - V)^-1 psi``; the infidelity falls as ``mu`` grows above the largest
    eigenvalue, so that bisection finds it. Where ``psi`` has no part in the largest eigenspace (the hard case) a
    tiny one is added.

    Args:
        values: eigenvalues, ascending, float64 ``(batch, dimension)``.
        vectors: eigenvectors in columns, complex128 ``(batch, dimension, dimension)``.
        states: complex128 unit vectors ``(batch, dimension)``.
        infidelity: in [0, 1].

    >>> form = torch.diag(torch.tensor([1.0, -1.0])).to(torch.complex128)[None]
    >>> psi = torch.tensor([[0.0, 1.0]], dtype=torch.complex128)
    >>> furthest(*torch.linalg.eigh(form), psi, 1.0).abs().square().round(decimals=6)
    tensor([[1., 0.]], dtype=torch.float64)
    """
    spread = values[:, -1:] - values[:, :1]
    flat = spread <= 1e-12 * values.abs().amax(1, keepdim=True)
    gaps = (values[:, -1:] - values) / torch.where(flat, 1.0, spread)
    parts = (states[:, None] @ vectors.conj())[:, 0]
    # the hard case of the trust-region problem
    absent = torch.where(gaps < 1e-9, parts, 0).abs().square().sum(1) < TINY**2
    parts[:, -1] += torch.where(absent, TINY, 0.0)
    weights = parts.abs().square()
    least = (1 - infidelity) * weights.sum(1)
    # bisection of log mu: the root may lie anywhere between the gaps' rounding and far above them
    low = torch.full_like(spread, math.log(1e-14))
    high = torch.full_like(spread, math.log(1e9))
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        resolvent = 1 / (middle.exp() + gaps)
        shares = weights * resolvent
        near = (shares.sum(1) ** 2 >= least * (shares * resolvent).sum(1))[:, None]
        low, high = torch.where(near, low, middle), torch.where(near, middle, high)
    moved = (vectors @ (parts / (high.exp() + gaps))[:, :, None])[:, :, 0]
    moved = moved / torch.linalg.vector_norm(moved, dim=1, keepdim=True)
    return torch.where(flat | (infidelity == 0), states, moved)


def _means(forms: Tensor, states: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of unit states."""
    means: Tensor = torch.einsum("bi,kij,bj->bk", states.conj(), forms, states).real
    return means


IMPROVED = 3  # times, with three classes or more
TINY = 1e-9  # a part of a state that counts as none
ROUNDS = 50  # halvings of the logarithm of mu


def _overlap(left: Tensor, right: Tensor) -> Tensor:
    """``<left|right>`` of each row, ``(batch, 1)``."""
    overlap: Tensor = (left.conj() * right).sum(1, keepdim=True)
    return overlap
