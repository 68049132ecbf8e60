"""A share of the training rows may be changed, or as many added: the threat to a data set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.errors import ThreatError
from robustq.threats.ball import column
from robustq.threats.box import Box, check_box, clip, describe, inside

Rows = tuple[Tensor, Tensor]  # inputs (rows, *features) and int64 labels (rows,)


@dataclass(frozen=True)
class Poisoning:
    """At most a share ``budget`` of the training rows is another, or is new.

    The other threats move one input; this one moves a data set, so its candidates are pairs ``(x, y)`` and
    its answers single numbers. There is no steepest direction: labels have no gradient.

    Args:
        budget: rows changed and added, as a share of the clean rows; rounded down to whole rows.
        labels: whether labels may change.
        features: ``(low, high)`` that changed inputs must stay in; None if inputs may not change.

    Rows may be added (after the clean ones) only where both labels and features are the adversary's.
    The clean labels name the classes: no label beyond the largest of them is allowed.

    >>> print(Poisoning(0.2))
    poisoning of at most 20 % of the rows: labels
    >>> x, y = torch.zeros(4, 1), torch.tensor([0, 1, 0, 1])
    >>> Poisoning(0.25).project((x, 1 - y), (x, y))[1].tolist()
    [1, 1, 0, 1]
    """

    budget: float
    labels: bool = True
    features: Box | None = None

    def __post_init__(self) -> None:
        if isinstance(self.budget, bool) or not isinstance(self.budget, int | float):
            raise ThreatError(f"poisoning: expected the budget as a number, got {self.budget!r}")
        if not 0 <= self.budget <= 1:
            raise ThreatError(f"poisoning: expected a budget in [0, 1], got {self.budget}")
        if not self.labels and self.features is None:
            raise ThreatError("poisoning: expected labels or features that may change, got neither")
        check_box(self.features)
        finite = all(bool(torch.isfinite(torch.as_tensor(bound)).all()) for bound in self.features or ())
        if not self.labels and not finite:
            raise ThreatError(f"poisoning: expected a finite box to draw inputs from, got {self.features}")

    @property
    def eps(self) -> float:
        """The budget."""
        return self.budget

    @property
    def may_add(self) -> bool:
        """Whether new rows are allowed."""
        return self.labels and self.features is not None

    def allowed(self, rows: int) -> int:
        """How many of so many rows may be changed or added.

        >>> Poisoning(0.3).allowed(10)
        3
        """
        return int(self.budget * rows + 1e-9)  # 0.3 * 10 is a rounding short of 3

    def touched(self, candidate: Rows, clean: Rows) -> int:
        """How many rows of ``clean`` differ, plus how many there are beyond them."""
        changed = _moved(candidate, clean) | _relabelled(candidate, clean)
        return int(changed.sum()) + len(candidate[1]) - len(clean[1])

    def distance(self, candidate: Rows, clean: Rows) -> float:
        """Rows changed and added, as a share of the clean rows."""
        return self.touched(candidate, clean) / max(1, len(clean[1]))

    def contains(self, candidate: Rows, clean: Rows) -> bool:
        """Whether the adversary may turn ``clean`` into ``candidate``."""
        (x, y), rows = candidate, len(clean[1])
        if len(x) != len(y) or len(y) < rows or x.shape[1:] != clean[0].shape[1:]:
            return False
        moved, added = _moved(candidate, clean), len(y) > rows
        if (added and not self.may_add) or (bool(moved.any()) and self.features is None):
            return False
        if bool(_relabelled(candidate, clean).any()) and not self.labels:
            return False
        new = torch.cat([x[:rows][moved], x[rows:]])
        possible = bool(((y >= 0) & (y <= _last(clean))).all()) and bool(inside(new, self.features).all())
        return possible and self.touched(candidate, clean) <= self.allowed(rows)

    def project(self, candidate: Rows, clean: Rows) -> Rows:
        """What is not allowed taken back, then the largest changes kept.

        A new label outranks any move of the input; inputs rank by their Euclidean move, equals in
        their order, and added rows come last.
        """
        (x, y), (cx, cy), rows = clean, candidate, len(clean[1])
        features = clip(cx[:rows], self.features) if self.features is not None else x
        features = torch.where(column(_moved(candidate, clean), x), features, x)
        labels = cy[:rows].clamp(0, _last(clean)) if self.labels else y
        size = (features - x).flatten(1).norm(dim=1) + torch.where(labels != y, torch.inf, 0.0)
        order = size.argsort(descending=True, stable=True)[: self.allowed(rows)]
        changed = torch.zeros(rows, dtype=torch.bool, device=y.device)
        changed[order] = size[order] > 0
        head = torch.where(column(changed, x), features, x), torch.where(changed, labels, y)
        left = self.allowed(rows) - int(changed.sum()) if self.may_add else 0
        new = clip(cx[rows : rows + left], self.features), cy[rows : rows + left]
        return torch.cat([head[0], new[0]]), torch.cat([head[1], new[1].clamp(0, _last(clean))])

    def sample(self, clean: Rows, generator: torch.Generator) -> Rows:
        """As many random rows as allowed, each with another label drawn at random.

        Where labels may not change, with inputs drawn from the box instead.
        """
        (x, y), rows = clean, len(clean[1])
        order = torch.randperm(rows, generator=generator)[: self.allowed(rows)].to(y.device)
        x, y = x.clone(), y.clone()
        if self.labels:
            step = torch.randint(1, max(2, _last(clean) + 1), (len(order),), generator=generator)
            y[order] = (y[order] + step.to(y.device)) % (_last(clean) + 1)
        else:
            low, high = (torch.as_tensor(bound, dtype=x.dtype) for bound in self.features or (0, 1))
            drawn = torch.rand((len(order), *x.shape[1:]), generator=generator, dtype=x.dtype)
            x[order] = clip((low + (high - low) * drawn).to(x.device), self.features)
        return x, y

    def __str__(self) -> str:
        what = ["labels"] if self.labels else []
        what += [f"inputs{describe(self.features)}"] if self.features is not None else []
        return f"poisoning of at most {100 * self.budget:g} % of the rows: {' and '.join(what)}"


def _last(clean: Rows) -> int:
    """The largest label."""
    return int(clean[1].max()) if len(clean[1]) else 0


def _moved(candidate: Rows, clean: Rows) -> Tensor:
    """Whether the input of each clean row differs, ``(rows,)``."""
    return (candidate[0][: len(clean[0])] != clean[0]).flatten(1).any(1)


def _relabelled(candidate: Rows, clean: Rows) -> Tensor:
    """Whether the label of each clean row differs, ``(rows,)``."""
    return candidate[1][: len(clean[1])] != clean[1]
