"""The radius of a circuit with few features, by branch and bound on their boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.slopes.curvature import above, tangent
from robustq.certify.slopes.margins import Margins
from robustq.certify.slopes.turns import ROUNDING, Turning, dual_order, turning, units_of
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.threats import L1, L2, Linf
from robustq.threats.box import clip

WIDTH = 512  # boxes at a time
PULLED = 8  # witnesses of one round that are moved towards the input
GRID = 64  # points on the way, twice


@dataclass(frozen=True)
class Branching:
    """Boxes of inputs, the nearest first, each proved by its centre or cut in two.

    A box is done with once the bound of :class:`Curvature` at its centre holds all over it (branch and
    bound: Land & Doig, Econometrica 28, 1960; for networks Bunel et al., JMLR 21, 2020). The nearest box that
    is left is the certified radius, the nearest input of another class that was met the upper one. Complete
    in principle; the boxes it takes grow exponentially with the features, so it is for few, turned any
    number of times.

    Args:
        budget: boxes an input, at most; what is undecided then stays a bracket.
        tolerance: width of the bracket, as a share of the radius, at which the search ends.
        features: how many may move, at most.
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(Branching())
    branching, 20000 boxes
    """

    budget: int = 20_000
    tolerance: float = 1e-3
    features: int = 4
    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        if self.budget < 1 or self.features < 1:
            raise CertificateError(
                f"branching: expected budget and features >= 1, got {self.budget} and {self.features}"
            )
        if not 0 <= self.tolerance < 1 or not self.slack >= 0:
            raise CertificateError(
                f"branching: expected tolerance in [0, 1) and slack >= 0, got {self.tolerance} and {self.slack}"
            )

    def __str__(self) -> str:
        return f"branching, {self.budget} boxes"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> BranchingProver:
        """The angles of the gates and the ranges of the margins.

        Raises:
            CertificateError: unless the features turn gates, few enough of them may move, and the
                threat is l-inf, l2 or l1.
        """
        dual_order(threat, "branching")
        assert isinstance(threat, Linf | L2 | L1)
        turns = turning(model, "branching")
        directions = turns.angles.linear if turns.front is None else turns.front[0]
        moving = directions.shape[1] - len(set(threat.frozen))
        if moving > self.features:
            raise CertificateError(f"branching: expected at most {self.features} features that move, got {moving}")
        return BranchingProver(self, model, threat, turns, Margins.of(turns.forms))


@dataclass(frozen=True, eq=False)
class BranchingProver:
    """:class:`Branching` for one model and one threat."""

    certifier: Branching
    model: Classifier
    threat: Linf | L2 | L1
    turning: Turning
    margins: Margins

    def prove(self, x: Tensor) -> Bounds:
        """Brackets of inputs ``(batch, features)``, up to the threat's ``eps``."""
        label = self.model(x).argmax(1)
        lower, upper = x.new_zeros(len(x)), x.new_full((len(x),), math.inf)
        witness = x.clone()
        for row in range(len(x)):
            search = _Search(self, x[row : row + 1], label[row : row + 1])
            lower[row], upper[row], witness[row] = search.run()
        return Bounds(label=label, lower=lower, upper=upper, witness=witness)

    def proved(self, low: Tensor, high: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Which boxes hold no other answer than ``label``, and which of their centres do.

        Corners are ``(batch, features)``, the answers ``(batch,)`` of bool.
        """
        centre = (low + high) / 2
        half = torch.maximum(high - centre, centre - low)
        here = tangent(self.model, self.margins, centre, label)
        turn = self.turning.around(centre, half, 1.0)
        slopes = (here.slopes.abs() * half[:, None]).sum(-1)
        goals = self.margins.goals(label, self.certifier.slack)
        least = above(turn, here.shares, slopes, torch.ones_like(slopes))
        return (least >= goals).all(1), self.model(centre).argmax(1) != label


class _Search:
    """The open boxes of one input."""

    def __init__(self, prover: BranchingProver, x: Tensor, label: Tensor) -> None:
        self.prover, self.x, self.label, self.threat = prover, x, label, prover.threat
        self.eps = self.threat.eps * (1 + ROUNDING)
        units = units_of(self.threat, x)
        self.low = clip(x - self.eps * units, self.threat.box)
        self.high = clip(x + self.eps * units, self.threat.box)
        self.near = self._distance(self.low, self.high)
        self.best, self.witness = math.inf, x[0]
        each = torch.eye(x.shape[1], dtype=x.dtype)
        turn = prover.turning.around(x.expand_as(each), each, 1.0)
        self.influence = turn.swing(torch.ones_like(x.T))[:, 0]

    def run(self) -> tuple[float, float, Tensor]:
        """Lower and upper radius, and the witness of the latter."""
        left = self.prover.certifier.budget
        while left > 0 and len(self.near) and not self._closed():
            order = self.near.argsort()
            first, rest = order[: min(WIDTH, left)], order[min(WIDTH, left) :]
            left -= len(first)
            low, high = self._undecided(self.low[first], self.high[first])
            self._keep(rest, *self._halves(low, high))
        return self._lower(), self.best, self.witness

    def _lower(self) -> float:
        if not len(self.near):
            whole = self.best == math.inf and bool(self.threat.covers_box(self.x))
            return math.inf if whole else min(self.best * (1 - ROUNDING), self.threat.eps)
        return min(float(self.near.min()) * (1 - ROUNDING), self.threat.eps)

    def _closed(self) -> bool:
        share = 1 - self.prover.certifier.tolerance
        return float(self.near.min()) >= share * self.best

    def _undecided(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The boxes among these that are not proved; other answers at their centres are noted."""
        proved, flipped = self.prover.proved(low, high, self.label.expand(len(low)))
        if bool(flipped.any()):
            self._note((low + high)[flipped] / 2)
        return low[~proved], high[~proved]

    def _note(self, witnesses: Tensor) -> None:
        """Pull the nearest witnesses towards the input and remember the nearest of them."""
        nearest = self.threat.distance(witnesses, self.x.expand_as(witnesses)).argsort()[:PULLED]
        near, far = self.x.expand(len(nearest), -1), witnesses[nearest]
        for _ in range(2):
            near, far = self._first(near, far)
        sizes = self.threat.distance(far, self.x.expand_as(far))
        if float(sizes.min()) < self.best:
            self.best, self.witness = float(sizes.min()), far[int(sizes.argmin())]

    def _first(self, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """Of a grid from ``near`` to ``far``, the last points before and behind the first flip."""
        share = torch.linspace(0, 1, GRID + 1, dtype=near.dtype)[:, None, None]
        points = near + share * (far - near)
        points[-1] = far
        flips = self.prover.model(points.flatten(0, 1)).argmax(1) != self.label
        flips = flips.reshape(GRID + 1, -1)
        flips[0], flips[-1] = False, True
        first, each = flips.int().argmax(0), torch.arange(len(near))
        return points[first - 1, each], points[first, each]

    def _halves(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Every box cut in two along the feature that turns the gates most."""
        axis = ((high - low) * self.influence).argmax(1, keepdim=True)
        middle = (low + high) / 2
        cut = torch.zeros_like(low, dtype=torch.bool).scatter(1, axis, True)
        return (torch.cat([low, torch.where(cut, middle, low)]), torch.cat([torch.where(cut, middle, high), high]))

    def _keep(self, old: Tensor, low: Tensor, high: Tensor) -> None:
        """Go on with the boxes ``old`` and the new ones that are near enough to matter."""
        self.near = torch.cat([self.near[old], self._distance(low, high)])
        self.low, self.high = torch.cat([self.low[old], low]), torch.cat([self.high[old], high])
        close = (self.near <= self.eps) & (self.near < self.best)
        self.near, self.low, self.high = self.near[close], self.low[close], self.high[close]

    def _distance(self, low: Tensor, high: Tensor) -> Tensor:
        """From the input to each box, ``(batch,)``."""
        x = self.x.expand_as(low)
        return self.threat.distance(torch.minimum(torch.maximum(x, low), high), x)
