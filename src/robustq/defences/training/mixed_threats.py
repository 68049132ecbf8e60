"""Several threats at once: what withstands one norm need not withstand another.

Tramer & Boneh, NeurIPS 2019 ("max" and "avg"); Maini, Wong & Kolter, ICML 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import Attack, Step, Threat
from robustq.defences.training.inner import worst_inputs
from robustq.errors import SpecError, unknown_name
from robustq.options import check_not_negative
from robustq.threats import L1, L2, Linf
from robustq.threats.ball import Ball
from robustq.threats.catalogue import THREATS

BALLS = {"linf": Linf, "l2": L2, "l1": L1}
MODES = ("max", "mean")


@dataclass(frozen=True)
class MixedThreats:
    """Cross-entropy at the worst of several threats' attacked inputs, or its mean over them.

    The threat given says box, units and frozen features. Another norm's budget makes a ball of equal
    volume in the features that may move, unless a budget is given here.

    Args:
        attack: the inner search, run once for each threat.
        threat: one of the threats; l-inf, l2 or l1.
        norms: their norms, separated by commas.
        mode: ``"max"``, the largest loss of each input, or ``"mean"``.
        linf: budget of the l-inf threat; None for equal volume.
        l2: the same for l2.
        l1: the same for l1.

    >>> from robustq.attacks import PGD
    >>> mixed = MixedThreats(PGD(steps=5, restarts=1), Linf(0.1))
    >>> [str(threat) for threat in mixed.threats(2)]  # a disc as large as a square of side 0.2
    ['l-inf eps=0.1', 'l2 eps=0.112838']
    """

    attack: Attack
    threat: Threat
    norms: str = "linf,l2"
    mode: str = "max"
    linf: float | None = None
    l2: float | None = None
    l1: float | None = None

    def __post_init__(self) -> None:
        for norm in self.names:
            if norm not in BALLS:
                raise unknown_name("norm", norm, BALLS)
        if len(set(self.names)) != len(self.names):
            raise SpecError(f"mixed threats: expected different norms, got {self.norms!r}")
        if self.mode not in MODES:
            raise unknown_name("mode of mixed threats", self.mode, MODES)
        if type(self.threat) not in BALLS.values():
            raise SpecError(f"mixed threats: expected an l-inf, l2 or l1 threat, got {self.threat}")
        sizes = {norm: eps for norm in BALLS if (eps := getattr(self, norm)) is not None}
        check_not_negative("mixed threats", **sizes)
        if idle := set(sizes) - set(self.names):
            raise SpecError(f"mixed threats: expected budgets of {self.norms}, got one of {', '.join(sorted(idle))}")

    @property
    def names(self) -> tuple[str, ...]:
        """The norms."""
        return tuple(norm.strip() for norm in self.norms.split(","))

    def threats(self, features: int) -> tuple[Threat, ...]:
        """The threats to inputs of so many features."""
        assert isinstance(self.threat, Ball)
        return tuple(self._threat(norm, features - len(self.threat.frozen)) for norm in self.names)

    def _threat(self, norm: str, features: int) -> Threat:
        base: Any = self.threat
        eps = getattr(self, norm)
        if eps is None:
            own = next(name for name, ball in BALLS.items() if type(base) is ball)
            eps = base.eps if norm == own else base.eps * relative_size(own, norm, features)
        threat: Threat = THREATS[norm].make(eps, base.box, base.scale, base.frozen)
        return threat

    def losses(self, model: Any, step: Step) -> Tensor:
        """The largest cross-entropy of each input, or the mean, over the threats."""
        losses = [
            cross_entropy(model(worst_inputs(self.attack, model, step, threat)), step.y, reduction="none")
            for threat in self.threats(step.x[0].numel())
        ]
        stacked = torch.stack(losses)
        return stacked.amax(0) if self.mode == "max" else stacked.mean(0)


def relative_size(norm: str, other: str, features: int) -> float:
    """Radius of the ball of the ``other`` norm that has the volume of the unit ball of ``norm``.

    >>> round(relative_size("l2", "linf", 2), 6), round((3.141592653589793 / 4) ** 0.5, 6)
    (0.886227, 0.886227)
    """
    ratio = log_volume(norm, features) - log_volume(other, features)
    return math.exp(ratio / max(features, 1))


def log_volume(norm: str, features: int) -> float:
    """Logarithm of the volume of a unit ball: ``2^d``, ``pi^(d/2) / Gamma(d/2 + 1)``, ``2^d / d!``.

    >>> round(math.exp(log_volume("l2", 3)), 6) == round(4 / 3 * math.pi, 6)
    True
    """
    if norm == "l2":
        return features / 2 * math.log(math.pi) - math.lgamma(features / 2 + 1)
    return features * math.log(2) - (math.lgamma(features + 1) if norm == "l1" else 0.0)
