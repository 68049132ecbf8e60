"""Branch and bound: boxes are halved until each is proved or one of them holds a counterexample."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.certify.verifier.descent import descended, margin
from robustq.certify.verifier.lagrange import Lowest, lowest
from robustq.certify.verifier.nodes import Nodes, halved
from robustq.certify.verifier.region import Region
from robustq.certify.verifier.roots import Roots
from robustq.trigonometric import Trigonometric

ENTRIES = 1 << 19  # control values that are worked on together
SMALLEST = 1e-7  # half widths, in radians, below which nothing is learnt by halving
SPREAD = 1e-3  # what the spread of control values counts beside the gap below them


@dataclass(frozen=True)
class Effort:
    """When to give up.

    Args:
        nodes: boxes that are bounded for an input.
        seconds: wall time for an input, on average over those decided together.
    """

    nodes: int = 20_000
    seconds: float = math.inf


@dataclass(frozen=True, eq=False)
class Decision:
    """What was found out about each input of a batch; neither proved nor refuted is undecided.

    Attributes:
        proved: no change within the region alters the answer, ``(batch,)`` of bool.
        refuted: the witness does.
        witness: a point of the region with a margin below the threshold, ``(batch, features)``; the
            input itself where there is none.
        nodes: boxes that were bounded, ``(batch,)``.
    """

    proved: Tensor
    refuted: Tensor
    witness: Tensor
    nodes: Tensor


def decide(form: Trigonometric, label: Tensor, region: Region, effort: Effort, *, slack: float = 0.0) -> Decision:
    """Whether the answers stay the same all over the region.

    A box is proved when the smallest control value of every margin exceeds the rounding of its making, twice
    ``form.error`` and ``slack``; a point refutes when its margin lies as far below ``slack``. The worst boxes
    are halved first, where their lowest control value lies furthest below any value of the polynomial.

    Args:
        form: the logits as polynomials.
        label: the answers ``(batch,)``.
        region: what may be reached.
        effort: when to give up.
        slack: how far every margin may truly lie lower.

    >>> from robustq.threats import Linf
    >>> form = Trigonometric(torch.tensor([[0, 1.0, 0], [0, -1, 0]]).double(), torch.ones(1).double(), 1e-15)
    >>> x, label = torch.zeros(2, 1).double(), torch.zeros(2).long()
    >>> decision = decide(form, label, Region.around(Linf(9.0), x, torch.tensor([1.57, 1.58])), Effort())
    >>> decision.proved.tolist(), decision.refuted.tolist()
    ([True, False], [False, True])
    """
    search = _Search(form, label, region, effort, slack)
    search.run()
    return search.decision()


class _Search:
    """The open boxes of all inputs, as a stack of batches with the worst on top."""

    def __init__(self, form: Trigonometric, label: Tensor, region: Region, effort: Effort, slack: float) -> None:
        batch = len(label)
        self.form, self.label, self.region, self.effort = form, label, region, effort
        # a margin is the difference of two logits, each off by form.error
        self.threshold, self.doubt = slack, 2 * form.error
        self.until = time.perf_counter() + effort.seconds * batch
        self.roots = Roots(form, label, region, effort.nodes)
        self.stack: list[Nodes] = []
        self.refuted = torch.zeros(batch, dtype=torch.bool)
        self.undecided = torch.zeros(batch, dtype=torch.bool)
        self.descended = torch.zeros(batch, dtype=torch.bool)
        self.witness = region.x.clone()
        self.nodes = torch.zeros(batch, dtype=torch.int64)
        self.width = max(1, ENTRIES // math.prod(self.roots.shape))

    def decision(self) -> Decision:
        """What is known by now."""
        undecided = self.undecided & ~self.refuted
        return Decision(~undecided & ~self.refuted, self.refuted, self.witness, self.nodes)

    def run(self) -> None:
        """Until every box is settled or there is no time left."""
        while self.stack or self.roots.left:
            if time.perf_counter() > self.until:
                for nodes in self.stack:
                    self.undecided[self.roots.row[nodes.job]] = True
                self.undecided[self.roots.rows_unopened()] = True
                return
            waiting = sum(len(nodes) for nodes in self.stack)
            if waiting < self.width and self.roots.left:
                nodes = self.roots.take(self.width, self.refuted | self.undecided)
            else:
                nodes = halved(self._take(), self.roots.frequencies)
            if len(nodes):
                self._settle(nodes)

    def _take(self) -> Nodes:
        """The top of the stack, as much as is worked on together."""
        batches, count = [], 0
        while self.stack and count < self.width:
            batches.append(self.stack.pop())
            count += len(batches[-1])
        nodes = Nodes.join(batches[::-1])
        over = len(nodes) - self.width
        if over > 0:
            self.stack.append(nodes[:over])
            nodes = nodes[over:]
        return nodes

    def _settle(self, nodes: Nodes) -> None:
        """Bound boxes, look for witnesses, and keep what is still open."""
        row = self.roots.row[nodes.job]
        self.nodes += torch.bincount(row, minlength=len(self.nodes))
        region = self.region.rows(row)
        bounds = lowest(nodes, region, self.roots.live, self.roots.frequencies)
        hopeful = ~(bounds.lower > nodes.error + self.doubt + self.threshold)  # nor is NaN a proof
        hopeful &= region.meets(*self._ends(nodes, row))
        nodes, row, bounds = nodes[hopeful], row[hopeful], bounds[hopeful]
        self._look(nodes, row, bounds)
        self._descend(row)
        self.undecided |= self.nodes >= self.effort.nodes
        too_small = (nodes.half * self.roots.frequencies < SMALLEST).all(1)
        self.undecided[row[too_small]] = True
        open_ = ~(self.refuted | self.undecided)[row]
        # the worst last, which is the top of the stack
        order = bounds.lower[open_].argsort(descending=True)
        if len(order):
            undecided = replace(nodes, axis=self._axis(nodes, bounds))[open_][order]
            self.stack.append(undecided)

    def _ends(self, nodes: Nodes, row: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper ends in all features, those included that do not move."""
        low, high = self.region.low[row].clone(), self.region.high[row].clone()
        low[:, self.roots.live] = nodes.centre - nodes.half
        high[:, self.roots.live] = nodes.centre + nodes.half
        return low, high

    def _look(self, nodes: Nodes, row: Tensor, bounds: Lowest) -> None:
        """Ask about the points that belong to the lowest control values."""
        if self.region.is_box:
            low, place = self._corners(nodes)
            promising = low < self.threshold
            offset = 2 * place - 1
        else:
            promising = torch.ones(len(nodes), dtype=torch.bool)
            last = torch.tensor(nodes.values.shape[1:]) - 1
            offset = 2 * self._places(bounds.worst, nodes) / last - 1
        if not bool(promising.any()):
            return
        row = row[promising]
        points = self.region.x[row].clone()
        points[:, self.roots.live] = (nodes.centre + offset * nodes.half)[promising]
        points = self.region.rows(row).into(points)
        self._ask(row, points)

    def _descend(self, row: Tensor) -> None:
        """Once for every input that is not settled by its first boxes."""
        fresh = torch.bincount(row, minlength=len(self.nodes)) > 0
        row = torch.nonzero(fresh & ~self.descended & ~self.refuted)[:, 0]
        if len(row):
            self.descended[row] = True
            region = self.region.rows(row)
            self._ask(row, descended(self.form, self.label[row], region, region.x))

    def _ask(self, row: Tensor, points: Tensor) -> None:
        """Remember the points that the polynomial answers otherwise to."""
        flips = margin(self.form(points), self.label[row]) < self.threshold - self.doubt
        self.refuted[row[flips]] = True
        self.witness[row[flips]] = points[flips]

    def _corners(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """The lowest value at a corner and where it is, as 0 or 1 for each feature."""
        corners = nodes.values
        for axis, count in enumerate(corners.shape[1:], 1):
            # first and last control value along an axis are values of the polynomial
            corners = corners[(slice(None),) * axis + (slice(None, None, count - 1),)]
        low, worst = corners.flatten(1).min(1)
        powers = 2 ** torch.arange(corners.ndim - 2, -1, -1)
        return low, worst[:, None] // powers % 2

    def _places(self, flat: Tensor, nodes: Nodes) -> Tensor:
        """Indices along every axis of flat ones, ``(nodes, features)``."""
        places = torch.unravel_index(flat, nodes.values.shape[1:])
        return torch.stack(places, 1)

    def _axis(self, nodes: Nodes, bounds: Lowest) -> Tensor:
        """Where the lowest control value lies furthest below those of the ends of its axis."""
        shape = nodes.values.shape[1:]
        place, stride, scores = self._places(bounds.worst, nodes), math.prod(shape), []
        for axis, count in enumerate(shape):
            stride //= count
            first = bounds.worst - place[:, axis] * stride
            fibre = bounds.values.gather(1, first[:, None] + stride * torch.arange(count))
            gap = torch.minimum(fibre[:, 0], fibre[:, -1]) - fibre.amin(1)
            spread = fibre.amax(1) - fibre.amin(1)
            scores.append(gap + SPREAD * spread)
        # equal scores go to the widest feature
        tie = torch.finfo(torch.float64).tiny * nodes.half
        return (torch.stack(scores, 1) + bounds.loose + tie).argmax(1)
