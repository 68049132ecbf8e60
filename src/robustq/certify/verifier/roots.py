"""The boxes a search begins with: one margin a rival, cut where control values would be loose."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustq.certify.verifier.enclosure import WIDEST
from robustq.certify.verifier.nodes import Nodes, rooted
from robustq.certify.verifier.region import Region
from robustq.trigonometric import Trigonometric, basis


class Roots:
    """Boxes made as they are asked for; a job is the margin of one input over one rival.

    Args:
        form: the logits.
        label: the answers ``(batch,)``.
        region: what may be reached.
        most: boxes a job, at most: where there are more, nothing can be proved within the budget.

    >>> from robustq.threats import Linf
    >>> form = Trigonometric(torch.tensor([[0, 1.0, 0], [0, -1, 0]]).double(), torch.ones(1).double(), 0.0)
    >>> here = Region.around(Linf(2.5), torch.zeros(1, 1).double(), torch.tensor([2.5]))
    >>> len(Roots(form, torch.tensor([0]), here, 100).take(9, torch.tensor([False])))
    3
    """

    def __init__(self, form: Trigonometric, label: Tensor, region: Region, most: int) -> None:
        classes = len(form.coefficients)
        self.form, self.label, self.region = form, label, region
        others = torch.arange(classes - 1).repeat(len(label), 1)
        self.rival = (others + (others >= label[:, None])).flatten()
        self.row = torch.arange(len(label)).repeat_interleave(classes - 1)
        turned = torch.tensor([degree > 0 for degree in form.degrees])
        moves = (region.high > region.low).any(0)
        self.live = torch.nonzero(turned & moves)[:, 0]
        if not len(self.live) and bool(turned.any()):  # a box that is a point, but needs a feature
            self.live = torch.nonzero(turned)[:1, 0]
        self.shape = tuple(2 * form.degrees[k] + 1 for k in self.live.tolist())
        self.frequencies = form.frequencies[self.live].double()
        self.centre, self.half = self._boxes()
        self.pieces = (self.half * self.frequencies / WIDEST).ceil().clamp(1, 2**20).long()
        # in floating point, and capped: the product of many features overflows int64
        many = self.pieces.double().prod(1).clamp(max=most + 1).long()
        self.ends = many.repeat_interleave(classes - 1).cumsum(0)
        # features that are held turn by angles with errors of their own
        fastest = form.frequencies * torch.tensor(form.degrees)
        turns = 1 + (region.x * fastest).abs().sum(1).max() if len(label) else 1
        self.sizes = form.coefficients.abs().flatten(1).sum(1) * turns
        self.begun = 0

    @property
    def left(self) -> bool:
        """Whether there are more."""
        return self.begun < self._total

    @property
    def _total(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def rows_unopened(self) -> Tensor:
        """Inputs of which a box was not asked for, once for each rival."""
        return self.row[self.ends > self.begun]

    def take(self, count: int, settled: Tensor) -> Nodes:
        """The next so many boxes, those of settled inputs ``(batch,)`` left out."""
        numbers = torch.arange(self.begun, min(self.begun + count, self._total))
        self.begun += len(numbers)
        job = torch.searchsorted(self.ends, numbers, right=True)
        starts = torch.cat([self.ends.new_zeros(1), self.ends[:-1]])
        undecided = ~settled[self.row[job]]
        return self._nodes(job[undecided], (numbers - starts[job])[undecided])

    def _nodes(self, job: Tensor, piece: Tensor) -> Nodes:
        row = self.row[job]
        pieces, half = self.pieces[row], self.half[row]
        # the number of a box, written in the mixed radix of the pieces per feature
        offset = torch.zeros_like(half)
        for axis in range(len(self.live)):
            count = pieces[:, axis]
            offset[:, axis] = (2 * (piece % count) + 1) / count - 1
            piece = piece // count
        centre = self.centre[row] + offset * half
        sizes = self.sizes[self.label[row]] + self.sizes[self.rival[job]]
        return rooted(job, centre, half / pieces, self._margins(job), self.frequencies, sizes)

    def _margins(self, job: Tensor) -> Tensor:
        """Coefficients in the features that move, ``(jobs, 2 d_1 + 1, ...)``."""
        row = self.row[job]
        coefficients = self.form.coefficients
        values = coefficients[self.label[row]] - coefficients[self.rival[job]]
        held = [k for k in range(len(self.form.degrees)) if k not in self.live.tolist()]
        for done, feature in enumerate(held):
            axis = feature - done + 1
            angle = self.region.x[row, feature] * self.form.frequencies[feature]
            letters = basis(angle, self.form.degrees[feature])
            shape = values.shape
            before, after = math.prod(shape[1:axis]), math.prod(shape[axis + 1 :])
            flat = values.reshape(len(job), before, shape[axis], after)
            values = torch.einsum("nbca,nc->nba", flat, letters)
            values = values.reshape(*shape[:axis], *shape[axis + 1 :])
        return values

    def _boxes(self) -> tuple[Tensor, Tensor]:
        """Centres and half widths; what lies more than a period away is there once more, nearer."""
        period = 2 * math.pi / self.frequencies.clamp_min(1e-300)
        x = self.region.x[:, self.live]
        low = torch.maximum(self.region.low[:, self.live], x - period * (1 + 1e-12))
        high = torch.minimum(self.region.high[:, self.live], x + period * (1 + 1e-12))
        # a rounding wider, so that both ends stay inside
        return (low + high) / 2, (high - low) / 2 * (1 + 2.0**-50)
