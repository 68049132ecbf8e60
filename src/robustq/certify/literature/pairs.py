"""What the bounds of the literature share: two classes at a time, and what is known of their read-outs.

A bound knows a few numbers of a state (its logits) and of the forms ``M_k`` (extreme eigenvalues), nothing
else. It gives, for the row's own class and each other one, a trace distance ``T`` within which that class
cannot draw level; an infidelity is ``T**2``, the states being pure. The radius is the least over the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Bounds
from robustq.quadric import FORM_ERROR
from robustq.states import StateView
from robustq.threats import Fidelity, TraceDistance

# A trace distance for each row and class, ``(batch, classes)``, from logits of that shape and labels.
Distances = Callable[[Tensor, Tensor], Tensor]


def rounding_of(forms: Tensor) -> float:
    """By how much a difference of two logits, or an eigenvalue of one of two forms, may be wrong.

    >>> rounding_of(torch.eye(2).expand(2, 2, 2)) < 1e-11
    True
    """
    largest = float(forms.abs().sum(2).max())  # row sums: no eigenvalue is larger
    sums = 16 * forms.shape[-1] * torch.finfo(torch.float64).eps
    return max((2 * FORM_ERROR + sums) * largest, torch.finfo(torch.float64).tiny)


@dataclass(frozen=True, eq=False)
class MarginBox:
    """Between which values the margins ``<M_A - M_k> - slack`` of all states lie.

    Rounding widens the box and lowers the margins.

    Attributes:
        low: the least margin any state has, ``(classes, classes)``, own class first.
        high: the greatest.
        lowered: what is taken from a margin of the logits.
    """

    low: Tensor
    high: Tensor
    lowered: float

    @staticmethod
    def of(view: StateView, slack: float) -> MarginBox:
        """The extreme eigenvalues of every difference of two forms."""
        forms = view.frozen.state_forms()
        error = rounding_of(forms)
        high = torch.zeros(forms.shape[:1] * 2, dtype=torch.float64, device=forms.device)
        for k in range(len(forms)):
            for other in range(k):
                values = torch.linalg.eigvalsh(forms[k] - forms[other])
                high[k, other], high[other, k] = values[-1], -values[0]
        return MarginBox(-high.mT - slack - error, high - slack + error, slack + error)

    @property
    def radius(self) -> Tensor:
        """The operator norm of each margin, ``(classes, classes)``."""
        return torch.maximum(-self.low, self.high)

    def margins(self, logits: Tensor, label: Tensor) -> Tensor:
        """How far each class lies behind the row's own, at least, ``(batch, classes)``."""
        return logits.gather(1, label[:, None]) - logits - self.lowered


def two_level(margin: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Trace distance from a state of such a margin to the nearest of none, if only a box is known.

    The worst case is a two-level system with the levels ``low`` and ``high``. Any other measurement can
    be coarse-grained to those two outcomes, and no measurement tells two states apart better than
    their fidelity does: ``sqrt F <= sqrt(p c) + sqrt((1 - p)(1 - c))``, with ``p`` and ``c`` the weights
    of the upper level here and at margin zero. Written without a difference of numbers that are close.

    >>> one = torch.ones(1).double()  # a state on the upper of two levels: half of it must go
    >>> round(float(two_level(one, -one, one) ** 2), 6)
    0.5
    """
    up = ((margin - low) * high).clamp_min(0).sqrt()
    down = (-low * (high - margin)).clamp_min(0).sqrt()
    distance = margin / (up + down)
    return distance.masked_fill(margin <= 0, 0.0).masked_fill((low > 0) & (margin > 0), torch.inf)


@dataclass(frozen=True, eq=False)
class PairProver:
    """The least of a bound's distances over the other classes; no witness."""

    model: StateView
    threat: Fidelity | TraceDistance
    distances: Distances

    def prove(self, states: Tensor) -> Bounds:
        """Radii of states ``(batch, dimension, 2)``, as infidelity or trace distance."""
        logits = self.model(states)
        label = logits.argmax(1)
        each = self.distances(logits, label).scatter(1, label[:, None], torch.inf)
        nearest = each.amin(1) * (1 - FORM_ERROR)
        nearest = nearest.masked_fill(nearest > 1, torch.inf)  # no two states are further apart
        lower = nearest**2 if isinstance(self.threat, Fidelity) else nearest
        return Bounds(label=label, lower=lower, upper=torch.full_like(lower, torch.inf))
