"""The l-infinity radius of a model whose features are loaded as amplitudes, with a box or without."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from robustq.certify.amplitude.branching import decide
from robustq.certify.amplitude.exact import amplitude_forms
from robustq.certify.amplitude.margin import Pair, QuadraticMargin, nearest_class
from robustq.certify.amplitude.quadratic import clear, minimise
from robustq.certify.amplitude.relaxation import Shift, least_shift, relaxed, unrelaxed
from robustq.certify.requirements import check_slack
from robustq.certify.witness import just_beyond
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.quadric import NearestFlip
from robustq.threats import Linf

BUDGETS = 16  # tried for the largest that the relaxation proves
RETREAT = 0.005  # first share of the way back from a budget that is not proved, fourfold each time
SHARP = 1e-4  # relative width of the bracket at which the search for it ends
STEPS = 240  # of descent for one budget
SHRINKINGS = 16  # of the box around a witness
DESCENT = 16  # steps for a witness in each of them
FEW = 12  # features, up to which boxes are split
CLOSE = 1e-3  # relative gap that splitting leaves
TRIALS = 16  # budgets decided by splitting


@dataclass(frozen=True)
class AmplitudeLinf:
    """The largest budget at which a convex relaxation of every margin stays positive, and a witness near it.

    The margin is a quadratic form; over the box of a budget it is bounded from below by a convex one
    (alpha-BB: Adjiman et al., Computers & Chem. Eng. 1998). With few features the box is split until the
    radius is known; with many the gap stays, and the witness says how large it is.

    Args:
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).
        nodes: boxes looked at for one input, one class and one budget; 0 never splits.

    >>> print(AmplitudeLinf())
    amplitude l-inf, 2000 nodes
    """

    slack: float = 0.0
    nodes: int = 2000

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "amplitude-linf")
        if self.nodes < 0:
            raise CertificateError(f"amplitude-linf: expected nodes >= 0, got {self.nodes}")

    def __str__(self) -> str:
        return f"amplitude l-inf, {self.nodes} nodes"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> LinfProver:
        """One quadratic form a class.

        Raises:
            CertificateError: unless the threat is linf and the model a quadratic form.
        """
        if not isinstance(threat, Linf):
            raise CertificateError(f"amplitude-linf: expected an linf threat, got {threat}")
        return LinfProver(self, model, amplitude_forms(model, "amplitude-linf"), threat)


@dataclass(frozen=True, eq=False)
class LinfProver:
    """:class:`AmplitudeLinf` for one model."""

    certifier: AmplitudeLinf
    model: Classifier
    forms: Tensor
    threat: Linf
    shifts: dict[Pair, Shift] = field(default_factory=dict)

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``, up to the threat's budget."""
        label = self.model(x).argmax(1)
        slack = self.certifier.slack
        nearest = nearest_class(self.forms, x, label, self.threat, slack, self._reached)
        witness = just_beyond(self.model, x, nearest.point, label, box=self.threat.box)
        return Bounds(label=label, lower=nearest.proved, upper=nearest.distance, witness=witness)

    def _reached(self, pair: Pair, margin: QuadraticMargin, cap: Tensor) -> NearestFlip:
        """A change that takes one margin to zero, and the budget below which none does."""
        if pair not in self.shifts:
            self.shifts[pair] = least_shift(margin.form)
        search = _Search(margin, self.shifts[pair], cap.clamp(max=self.threat.eps))
        search.shrink(-margin.linear)
        search.relax()
        if margin.linear.shape[1] <= FEW and self.certifier.nodes:
            search.split(self.certifier.nodes)
        return NearestFlip(search.point, search.distance, search.proved)


class _Search:
    """The largest proved budget and the nearest witness of each row, for one margin."""

    def __init__(self, margin: QuadraticMargin, shift: Shift, most: Tensor) -> None:
        self.margin, self.shift, self.most = margin, shift, most
        level = margin.constant <= 0
        self.proved = torch.zeros_like(most)
        self.distance = torch.full_like(most, torch.inf).masked_fill(level, 0)
        self.point = torch.zeros_like(margin.linear)

    def box(self, rows: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """What may change within budgets ``(rows,)``, a rounding more than less."""
        size = size[:, None] * (1 + 8 * torch.finfo(size.dtype).eps)
        low, high = self.margin.low[rows], self.margin.high[rows]
        return torch.maximum(low, -size), torch.minimum(high, size)

    def shrink(self, towards: Tensor, rows: Tensor | None = None) -> None:
        """Descend in the box of the nearest witness, and take the point where its way leaves the class.

        Args:
            towards: where to start; its signs choose the corner.
            rows: indices; all by default.
        """
        live = torch.arange(len(self.most)).to(self.most.device) if rows is None else rows
        live = live[self.distance[live] > 0]
        start = torch.where(towards > 0, self.margin.high, self.margin.low)
        for _ in range(SHRINKINGS):
            if not len(live):
                break
            size = torch.minimum(self.distance[live], self.most[live])
            low, high = self.box(live, size)
            at = torch.minimum(torch.maximum(start[live], low), high)
            here = self.margin.rows(live)
            minimum = minimise(unrelaxed(here, low, high), at, DESCENT, _never)
            start[live] = minimum.point
            live = live[self._kept(live, minimum.point, size)]

    def _kept(self, rows: Tensor, point: Tensor, size: Tensor) -> Tensor:
        """Note the points that are witnesses; which of them are clearly nearer than ``size``."""
        here = self.margin.rows(rows)
        edge = here.crossing(torch.zeros_like(point), point)
        length = edge.abs().amax(1)
        nearer = (here.at(point) <= 0) & (length < self.distance[rows])
        self.point[rows[nearer]], self.distance[rows[nearer]] = edge[nearer], length[nearer]
        return nearer & (length < size * (1 - 1e-6))

    def relax(self) -> None:
        """The largest budget at which the relaxation is positive: back from the witness, then between."""
        top = torch.minimum(self.distance, self.most)
        least, last = RETREAT * top, torch.zeros_like(self.point)
        live, size, full = (top > 0).nonzero()[:, 0], top.clone(), top.clone()
        for _ in range(BUDGETS):
            if not len(live):
                break
            low, high = self.box(live, size[live])
            at = torch.minimum(torch.maximum(last[live], low), high)
            problem = relaxed(self.margin.rows(live), self.shift, low, high)
            minimum = minimise(problem, at, STEPS, clear)
            last[live], positive = minimum.point, minimum.bound > 0
            self.proved[live[positive]] = size[live[positive]]
            top[live[~positive]] = size[live[~positive]]
            live = live[self.proved[live] < top[live] * (1 - SHARP)]
            middle = (self.proved[live] + top[live]) / 2
            # fourfold steps back from the witness until something is proved, bisection from then on
            size[live] = torch.maximum(middle, full[live] - least[live])
            size[live] = torch.where(self.proved[live] > 0, middle, size[live])
            least = 4 * least
        self.shrink(last)

    def split(self, nodes: int) -> None:
        """Decide budgets by branch and bound, first just below the witness, then between."""
        top = torch.minimum(self.distance * (1 - CLOSE), self.most)
        size = top.clone()  # just below the witness: a proof there ends the search
        for _ in range(TRIALS):
            live = (self.proved < top * (1 - CLOSE)).nonzero()[:, 0]
            if not len(live):
                break
            here, budget = self.margin.rows(live), size[live]
            decision = decide(here, self.shift, *self.box(live, budget), nodes)
            self.proved[live[decision.positive]] = budget[decision.positive]
            refuted = live[decision.refuted]
            self._kept(refuted, decision.point[decision.refuted], budget[decision.refuted])
            self._polish(refuted)
            top[live[~decision.positive]] = budget[~decision.positive]
            top = torch.minimum(top, self.distance * (1 - CLOSE))
            size = (self.proved + top) / 2
            size[refuted] = top[refuted]

    def _polish(self, rows: Tensor) -> None:
        if len(rows):
            self.shrink(self.point, rows)


def _never(value: Tensor, bound: Tensor) -> Tensor:
    return torch.zeros_like(value, dtype=torch.bool)
