"""Zero-noise extrapolation: run at more noise, extrapolate to none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from robustq.errors import SpecError, unknown_name
from robustq.mitigation.extrapolation import check_scales, coefficients, exponential
from robustq.mitigation.folding import FOLDINGS, reached
from robustq.mitigation.plan import Plan, Problem

FITS = ("linear", "richardson", "exponential")


@dataclass(frozen=True)
class ZNE:
    """Zero-noise extrapolation by folding (Temme et al. 2017; Giurgica-Tiron et al. 2020).

    Read-out error does not grow with the gates: invert it first (:class:`ReadoutInversion`), or it stays.

    Args:
        scales: how much longer the folded circuits are.
        folding: ``global`` or ``local``.
        fit: ``linear`` (least squares), ``richardson`` (the polynomial through all points) or
            ``exponential``, which is not linear in what is read.

    >>> print(ZNE())
    zne, local, richardson at 1, 3
    """

    scales: Sequence[float] = (1.0, 3.0)
    folding: str = "local"
    fit: str = "richardson"

    def __post_init__(self) -> None:
        if self.folding not in FOLDINGS:
            raise unknown_name("folding", self.folding, FOLDINGS)
        if self.fit not in FITS:
            raise unknown_name("fit", self.fit, FITS)
        check_scales(self.scales)
        object.__setattr__(self, "scales", tuple(self.scales))

    def __str__(self) -> str:
        at = ", ".join(f"{scale:g}" for scale in self.scales)
        return f"zne, {self.folding}, {self.fit} at {at}"

    def plan(self, problem: Problem) -> Plan:
        """One run a scale."""
        run = problem.run
        # extrapolated from what folding reached, not from what was asked for
        scales = [reached(run.circuit, scale) for scale in self.scales]
        if len(set(scales)) != len(scales):
            raise SpecError(
                f"zne: expected scales that folding {len(run.circuit.operations)} gates can tell apart, "
                f"got {self.scales}"
            )
        fold = FOLDINGS[self.folding]
        runs = tuple(replace(run, circuit=fold(run.circuit, scale)) for scale in self.scales)
        if self.fit == "exponential":
            return Plan(runs, partial(exponential, scales=scales), linear=False)
        degree = 1 if self.fit == "linear" else len(scales) - 1
        weights = torch.as_tensor(coefficients(scales, degree))
        return Plan(runs, partial(weighted, weights))


def weighted(weights: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """The sum of what was read with these weights.

    >>> weighted(torch.tensor([1.5, -0.5]), [torch.ones(1, 1), torch.zeros(1, 1)])
    tensor([[1.5000]])
    """
    stacked = torch.stack(list(parts))
    return torch.einsum("r,r...->...", weights.to(stacked), stacked)
