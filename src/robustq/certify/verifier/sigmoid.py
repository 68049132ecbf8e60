"""Hybrids: what reaches the circuit behind ``sigmoid(W x + b)`` lies in a box, and the box is decided."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.certify.verifier.radius import bracketed
from robustq.certify.verifier.region import Norm, Region
from robustq.certify.verifier.search import Decision, Effort, decide
from robustq.contracts import Bounds, Classifier
from robustq.threats import L1, L2
from robustq.threats.box import bounds
from robustq.trigonometric import Trigonometric

ROUND = 2.0**-48  # outwards: what the model's own rounding may do to a sum and to its sigmoid


@dataclass(frozen=True, eq=False)
class SquashedProver:
    """Sound, not complete: not every point of the box is reached, so that nothing is ever refuted."""

    model: Classifier
    front: tuple[Tensor, Tensor]
    form: Trigonometric
    threat: Norm
    eps: float
    tolerance: float
    effort: Effort
    slack: float

    def prove(self, x: Tensor) -> Bounds:
        """Proved radii of inputs ``(batch, features)``; an infinite upper bound."""
        label = self.model(x).argmax(1)

        def at(rows: Tensor, radii: Tensor) -> tuple[Decision, Tensor]:
            box = sigmoid_box(self.threat, *self.front, x[rows], radii)
            decision = decide(self.form, label[rows], box, self.effort, slack=self.slack)
            # a point of the box need not be the image of any input: it refutes nothing
            none = torch.zeros_like(decision.refuted)
            claim = replace(decision, refuted=none, witness=x[rows])
            return claim, torch.full_like(radii, math.inf)

        width = self.tolerance * self.eps
        bracket = bracketed(at, x, self.eps, width, decide_only=self.tolerance >= 1)
        return Bounds(label=label, lower=bracket.lower, upper=bracket.upper)


def sigmoid_box(threat: Norm, weight: Tensor, bias: Tensor, x: Tensor, eps: Tensor) -> Region:
    """Boxes around ``sigmoid(W x' + b)`` for all ``x'`` of the balls around the inputs.

    A sum moves by at most ``eps`` times the dual norm of its weights, and by no more than the box allows.

    >>> from robustq.threats import Linf
    >>> one = torch.ones(1, 1).double()
    >>> box = sigmoid_box(Linf(1.0), one, one[0] * 0, one * 0, one[0])
    >>> [round(float(v), 4) for v in (box.low, box.high)]
    [0.2689, 0.7311]
    """
    units = threat.units(x)
    scaled = weight if units is None else weight * units
    order = 2 if isinstance(threat, L2) else math.inf if isinstance(threat, L1) else 1
    reach = eps[:, None] * torch.linalg.vector_norm(scaled, ord=order, dim=1)
    up = down = reach
    if threat.box is not None:
        least, most = bounds(threat.box, x)
        rise, fall = (most - x).clamp_min(0), (x - least).clamp_min(0)
        if units is not None:
            rise, fall = (torch.where(units > 0, part, 0) for part in (rise, fall))
        plus, minus = weight.clamp_min(0).T, (-weight).clamp_min(0).T
        # interval arithmetic over the box, beside Hoelder over the ball
        up, down = (torch.minimum(up, rise @ plus + fall @ minus), torch.minimum(down, fall @ plus + rise @ minus))
    centre = x @ weight.T + bias
    error = ROUND * (1 + x.abs() @ weight.abs().T + bias.abs() + reach)
    low = torch.sigmoid(centre - down - error) - ROUND
    high = torch.sigmoid(centre + up + error) + ROUND
    return Region(torch.sigmoid(centre), low, high, None, eps)
