"""The l2 radius of a model whose features are loaded as amplitudes and must stay in a box."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.certify.amplitude.exact import amplitude_forms
from robustq.certify.amplitude.margin import Pair, QuadraticMargin, nearest_class
from robustq.certify.amplitude.quadratic import BoxQuadratic, Minimum, minimise
from robustq.certify.amplitude.relaxation import least_shift, relaxed
from robustq.certify.requirements import check_slack
from robustq.certify.witness import just_beyond
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.quadric import FORM_ERROR, Cones, NearestFlip
from robustq.threats import L1, L2
from robustq.threats.box import inside

ROUNDS = 24  # multipliers tried, at most
STEPS = 240  # of descent at each multiplier
CLOSE = 1e-5  # relative gap of lower and upper radius at which the search ends
SHARP = 1e-9  # relative gap of value and bound at which the descent ends
GROWTH = 4.0  # of the multiplier, as long as it is too small
FAR = 1e6  # multiplier, in units of its place in the interval, behind which the dual is not convex
LARGE = 1e6  # first multiplier, in units of the form, where the margin does not even slope
TILT = 0.01  # of a start aside, in the hard case


@dataclass(frozen=True)
class AmplitudeBox:
    """The nearest input of another class inside the box, and the proof of how near one can be.

    Weak duality with the box kept: as long as ``I + t V`` is convex, ``min |z - x|^2 + t z^T V z`` over the
    box is found, and is at most the radius squared. Where the minimiser reaches the cone, the radius is
    exact (S-lemma: Polik & Terlaky, SIAM Review 2007; with boxes: Jeyakumar, Rubinov & Wu, Math.
    Programming 2007). Where it does not (the hard case) the multipliers of the box help, and a gap may be left.
    Of an l1 threat the l2 radius is a lower bound.

    Args:
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(AmplitudeBox())
    amplitude box
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "amplitude-box")

    def __str__(self) -> str:
        return "amplitude box"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> BoxProver:
        """One quadratic form a class.

        Raises:
            CertificateError: unless the threat is l2 or l1 and the model a quadratic form.
        """
        if isinstance(threat, L1):  # no change is longer in l2 than in l1
            threat = L2(threat.eps, threat.box, threat.scale, threat.frozen)
        if not isinstance(threat, L2):
            raise CertificateError(f"amplitude-box: expected an l2 or l1 threat, got {threat}")
        return BoxProver(model, Cones(amplitude_forms(model, "amplitude-box")), threat, self.slack)


@dataclass(frozen=True, eq=False)
class BoxProver:
    """:class:`AmplitudeBox` for one model."""

    model: Classifier
    cones: Cones
    threat: L2
    slack: float

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``."""
        label = self.model(x).argmax(1)
        nearest, settled = self._without_box(x, label)
        left = (~settled).nonzero()[:, 0]
        boxed = nearest_class(self.cones.forms, x[left], label[left], self.threat, self.slack, reached)
        nearest.proved[left] = torch.maximum(nearest.proved[left], boxed.proved)
        nearest.distance[left], nearest.point[left] = boxed.distance, boxed.point
        witness = just_beyond(self.model, x, nearest.point, label, box=self.threat.box)
        return Bounds(label=label, lower=nearest.proved, upper=nearest.distance, witness=witness)

    def _without_box(self, x: Tensor, label: Tensor) -> tuple[NearestFlip, Tensor]:
        """The closed form, and where the box leaves it as it is, ``(batch,)`` of bool."""
        if not self.threat.is_plain:
            endless = torch.full_like(x[:, 0], torch.inf)
            nothing = torch.zeros_like(endless)
            return NearestFlip(x.clone(), endless, nothing), nothing > 0
        nearest = self.cones.nearest(x, label, self.slack)
        return nearest, inside(nearest.point, self.threat.box)


def reached(pair: Pair, margin: QuadraticMargin, cap: Tensor) -> NearestFlip:
    """The nearest change that takes a margin to zero within the box, and the dual's bound.

    Args:
        pair: which margin it is; not used.
        margin: what is to vanish.
        cap: distances beyond which nothing matters, ``(batch,)``.

    >>> from robustq.certify.amplitude.margin import margin_of
    >>> x, form = torch.tensor([[1.0, 0.2]]).double(), torch.diag(torch.tensor([1.0, -1.0])).double()
    >>> margin = margin_of(form, x, L2(1.0, box=(0.0, 0.5)), 0.0)
    >>> nearest = reached((0, 1, 0.0), margin, torch.tensor([torch.inf]).double())  # to (0.5, 0.5)
    >>> round(float(nearest.distance), 4), round(float(nearest.proved), 4)
    (0.5831, 0.5831)
    """
    search = _Search(margin, cap)
    for _ in range(ROUNDS):
        live = search.live()
        if not len(live):
            break
        search.visit(live)
    search.search_hard_case()
    proved = search.squared.clamp_min(0).sqrt() * (1 - FORM_ERROR)
    return NearestFlip(search.point, search.distance, torch.minimum(proved, search.distance))


class _Search:
    """The multiplier of each row, between one that is too small and one that is too large.

    It is kept as ``u`` with ``t = u / (1 + u max(-v))``, which has room near the end of the interval. Beyond
    ``FAR`` the multiplier passes that end: no bound, but points on the far side.
    """

    def __init__(self, margin: QuadraticMargin, cap: Tensor) -> None:
        self.margin, self.cap = margin, cap
        value, slope = margin.constant, margin.linear.square().sum(1)
        self.downward = (-margin.values[0]).clamp_min(0)
        tiny = torch.finfo(value.dtype).tiny
        # the multiplier that takes the linearised margin to zero
        self.u = value.clamp_min(tiny) / (2 * slope).clamp_min(tiny)
        largest = margin.values.abs().max().clamp_min(1e-30)
        self.u = torch.minimum(self.u, torch.minimum(3 / self.downward.clamp_min(tiny), LARGE / largest))
        self.low, self.low_value = torch.zeros_like(value), value.clone()
        self.high, self.high_value = torch.full_like(value, torch.inf), torch.zeros_like(value)
        self.near, self.last = torch.zeros_like(margin.linear), torch.zeros_like(margin.linear)
        self.far = torch.full_like(margin.linear, torch.nan)
        self.squared = torch.zeros_like(value)
        self.distance = torch.full_like(value, torch.inf).masked_fill(value <= 0, 0)
        self.side = torch.zeros_like(value)  # of the end moved last: one above, minus one below
        self.point = torch.zeros_like(margin.linear)

    def live(self) -> Tensor:
        """The rows whose search goes on, as indices."""
        proved = self.squared.clamp_min(0).sqrt()
        open_ = (self.distance > proved * (1 + CLOSE)) & (proved < self.cap)
        return (open_ & (self.margin.constant > 0)).nonzero()[:, 0]

    def visit(self, rows: Tensor) -> None:
        """One multiplier for each of the rows: its minimum, its bound, its place in the bracket."""
        u = self.u[rows]
        t = u / (1 + u * self.downward)
        beyond = u * self.downward > FAR
        t = torch.where(beyond, t * (u * self.downward / FAR), t)
        here, start = self.margin.rows(rows), self.last[rows]
        # by symmetry the descent may stand on a ridge
        aside = start + TILT * torch.linalg.vector_norm(start, dim=1)[:, None] * self.margin.downward
        aside = torch.minimum(torch.maximum(aside, here.low), here.high)
        minimum = _least(here, t, torch.where(beyond[:, None], aside, start))
        self.last[rows] = minimum.point
        self.squared[rows] = torch.maximum(self.squared[rows], minimum.bound)
        value = here.at(minimum.point)
        self._narrow(rows, value, minimum.point)
        self._cross(rows)
        self._advance(rows)

    def _narrow(self, rows: Tensor, value: Tensor, point: Tensor) -> None:
        """Move one end of each bracket; halve the other's value if it stays twice (Illinois)."""
        over, under = rows[value <= 0], rows[value > 0]
        for mine, other, side in ((over, self.low_value, 1), (under, self.high_value, -1)):
            again = mine[self.side[mine] == side]
            other[again] = other[again] / 2
            self.side[mine] = side
        self.high[over], self.high_value[over] = self.u[over], value[value <= 0]
        self.low[under], self.low_value[under] = self.u[under], value[value > 0]
        self.far[over], self.near[under] = point[value <= 0], point[value > 0]

    def _cross(self, rows: Tensor) -> None:
        """Where the segment between the two ends is level, if that is nearer."""
        rows = rows[torch.isfinite(self.high[rows])]
        edge = self.margin.rows(rows).crossing(self.near[rows], self.far[rows])
        length = torch.linalg.vector_norm(edge, dim=1)
        nearer = length < self.distance[rows]
        self.point[rows[nearer]], self.distance[rows[nearer]] = edge[nearer], length[nearer]

    def _advance(self, rows: Tensor) -> None:
        """The secant's multiplier, or a larger one as long as none is too large."""
        low, high = self.low[rows], self.high[rows]
        share = self.low_value[rows] / (self.low_value[rows] - self.high_value[rows])
        # never onto an end of the bracket, where the secant would stand still
        between = low + share.clamp(0.01, 0.99) * (high - low)
        self.u[rows] = torch.where(torch.isfinite(high), between, GROWTH * self.u[rows])

    def search_hard_case(self) -> None:
        """In the hard case, go on behind the end of the interval: the box's own multipliers make it convex.

        What is nearer than the witness lies in the cube around it, which cuts the box. The dual is concave
        in how far one goes, and its slope is the relaxed margin.
        """
        rows = self.live()
        here, reach = self.margin.rows(rows), self.distance[rows, None]
        low, high = torch.maximum(here.low, -reach), torch.minimum(here.high, reach)
        bounded = torch.isfinite(low).all(1) & torch.isfinite(high).all(1)
        rows, low, high = rows[bounded], low[bounded], high[bounded]
        if not len(rows) or self.downward <= 0:
            return
        # the products (z - low)(z - high) <= 0 stand for the box's own multipliers
        shift = least_shift(self.margin.form)
        convex = relaxed(self.margin.rows(rows), shift, low, high)
        below, above = torch.zeros_like(self.u[rows]), torch.full_like(self.u[rows], torch.inf)
        multiplier, point = 0.1 / self.downward + below, torch.zeros_like(low)
        for _ in range(ROUNDS):
            problem = _beyond(self.margin.rows(rows), convex, multiplier)
            minimum = minimise(problem, point, STEPS, _settled)
            self.squared[rows], point = torch.maximum(self.squared[rows], minimum.bound), minimum.point
            rising = convex.value(point, convex.product(point)) > 0
            below, above = torch.where(rising, multiplier, below), torch.where(rising, above, multiplier)
            multiplier = torch.where(torch.isfinite(above), (below + above) / 2, GROWTH * multiplier)


def _beyond(margin: QuadraticMargin, convex: BoxQuadratic, further: Tensor) -> BoxQuadratic:
    """``|d|^2 + end q(d) + further p(d)``: the interval's end, and the convex relaxation ``p`` of ``q``."""
    largest = margin.values.abs().max()
    # a little short of -1 / lowest eigenvalue, so that I + end V stays positive under rounding
    end = (1 - FORM_ERROR) / -margin.values[0]
    rounding = FORM_ERROR * (1 + (end + further) * largest)
    return replace(
        convex,
        diagonal=1 + further[:, None] * convex.diagonal,
        weight=end + further,
        linear=end * margin.linear + further[:, None] * convex.linear,
        constant=end * margin.constant + further * convex.constant,
        lowest=further * convex.lowest - rounding,
        highest=1 + end * largest + further * convex.highest + rounding,
    )


def _least(margin: QuadraticMargin, t: Tensor, start: Tensor) -> Minimum:
    """``min |d|^2 + t q(d)`` over the box, for one multiplier a row."""
    rounding = FORM_ERROR * (1 + t * margin.values.abs().max())
    problem = BoxQuadratic(
        form=margin.form,
        diagonal=torch.ones_like(margin.linear),
        weight=t,
        linear=t[:, None] * margin.linear,
        constant=t * margin.constant,
        low=margin.low,
        high=margin.high,
        lowest=1 + t * margin.values[0] - rounding,
        highest=(1 + t * margin.values.abs().max()) + rounding,
    )
    return minimise(problem, start, STEPS, _settled)


def _settled(value: Tensor, bound: Tensor) -> Tensor:
    return value - bound <= SHARP * value.abs()
