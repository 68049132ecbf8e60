"""The optimal l2 perturbation of an amplitude-encoded model, in closed form.

Such a model's logits are quadratic forms of its features, whatever stands behind the encoding, noise
included. The nearest input on the boundary between two classes solves one secular equation
(S-lemma: Polik & Terlaky, "A survey of the S-lemma", SIAM Review 2007); no search can do better.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Problem
from robustq.errors import SpecError, ThreatError
from robustq.quadric import Cones
from robustq.threats import L2
from robustq.threats.ball import column


@dataclass(frozen=True)
class ExactL2:
    """The nearest input of another class, over all classes; exact where the box does not bind.

    Args:
        overshoot: how far to step over the boundary, as a fraction of the distance; None for what the
            dtype can tell apart.

    >>> print(ExactL2())
    exact l2
    """

    overshoot: float | None = None

    def __post_init__(self) -> None:
        if self.overshoot is not None and self.overshoot < 0:
            raise SpecError(f"exact-l2: expected overshoot >= 0, got {self.overshoot}")

    def __str__(self) -> str:
        return "exact l2"

    def search(self, problem: Problem) -> Tensor:
        """One eigendecomposition for every pair of classes met, one root for every input.

        Raises:
            ModelError: if the model is not a quadratic form of its features.
            ThreatError: for another threat than l2 in equal units.
        """
        threat = problem.threat
        if not isinstance(threat, L2) or not threat.is_plain:
            raise ThreatError(f"exact-l2: expected an l2 threat in equal units, got {threat}")
        x = problem.x.double()
        edge = Cones(problem.forms().double()).nearest(x, problem.y).point
        length = torch.linalg.vector_norm(edge - x, dim=1)
        return (x + self._stretch(problem.x.dtype, length, x) * (edge - x)).to(problem.x)

    def _stretch(self, dtype: torch.dtype, distance: Tensor, x: Tensor) -> Tensor:
        """How much further than the boundary, enough for the flip to survive rounding."""
        if self.overshoot is not None:
            return torch.ones_like(x[:, :1]) * (1 + self.overshoot)
        margin = 64 * torch.finfo(dtype).eps * torch.linalg.vector_norm(x, dim=1)
        return column(1 + (margin / distance.clamp_min(1e-12)).clamp(max=0.01), x)


@dataclass(frozen=True)
class ExactState:
    """The nearest state of another class, for :class:`robustq.states.StateView`.

    Guan, Fang & Ying (CAV 2021) pose it as a semidefinite programme; one quadratic constraint needs none.

    Args:
        beyond: how far behind the boundary, as a share of the way.

    >>> print(ExactState())
    exact state
    """

    beyond: float = 1e-6

    def __str__(self) -> str:
        return "exact state"

    def search(self, problem: Problem) -> Tensor:
        """The boundary's nearest state, a little further, and a little further still for float32."""
        states = problem.x.double().flatten(1)
        edge = Cones(problem.forms().double()).nearest(states, problem.y).point
        candidate = problem.x
        for further in (self.beyond, 1e3 * self.beyond):
            moved = edge + further * (edge - states)
            candidate = moved.reshape(problem.x.shape).to(problem.x)
            problem.logits(candidate)
        return candidate
