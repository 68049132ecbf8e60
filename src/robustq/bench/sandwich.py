"""Certified, exact and attacked accuracy of one model over a grid of budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq import stats
from robustq.bench.certificates import Compared, Level, Sandwich
from robustq.bench.estimates import Estimate
from robustq.bench.survivors import Survivors
from robustq.certify import certify
from robustq.contracts import Attack, Certificate, Certifier, Classifier, Threat
from robustq.errors import CertificateError, ModelError
from robustq.seeding import torch_generator

Advance = Callable[[str, int, int], None]
POINTS = 12  # budgets of the figure
KNOWN = 0.99  # of the nearest witness's distance: a radius as good as exact


@dataclass(frozen=True, eq=False)
class Question:
    """What is certified: a frozen model (or a view of its states), inputs, labels, and a threat.

    Attributes:
        model: maps ``x`` to logits; float64.
        x: inputs of float64.
        y: labels.
        threat: the threat of a budget.
        largest: the largest budget of interest.
        seed: root of the randomness.
    """

    model: Classifier
    x: Tensor
    y: Tensor
    threat: Callable[[float], Threat]
    largest: float
    seed: int

    @property
    def grid(self) -> list[float]:
        """The budgets of the figure, ``largest`` the last."""
        return [self.largest * (k + 1) / POINTS for k in range(POINTS)]

    def certified(self, certifier: Certifier, advance: Advance | None = None) -> Certificate:
        """The certificate of every input."""
        told = None if advance is None else lambda done, of: advance("certifying", done, of)
        stream = torch_generator(self.seed, "certify", str(certifier))
        return certify(
            certifier, self.model, self.x, self.y, self.threat(self.largest), generator=stream, advance=told
        )

    def attacked(self, attack: Attack, advance: Advance | None = None) -> list[Tensor]:
        """Who survives at each budget."""
        standing, curve = Survivors.all_of(self.x, self.y), []
        for k, eps in enumerate(self.grid):
            stream = torch_generator(self.seed, "certify", "attack", repr(eps))
            standing.attack(attack, self.model, self.threat(eps), stream)
            curve.append(standing.alive.clone())
            if advance is not None:
                advance("attacking", k + 1, len(self.grid))
        return curve


def levels(found: Certificate, grid: Sequence[float], survived: Sequence[Tensor] | None) -> list[Level]:
    """The accuracies at rising budgets.

    Raises:
        CertificateError: if an input is certified at a budget at which the attack flipped it.
    """
    for eps, alive in zip(grid, survived or [], strict=False):
        refuted = found.certified(eps) & ~alive
        if bool(refuted.any()):
            raise CertificateError(
                f"expected no attack to succeed on certified inputs, got {int(refuted.sum())} flipped at "
                f"eps {eps:g}: the certificate is wrong"
            )
    return [
        Level(
            eps=eps,
            certified=_share(found.certified(eps)),
            possible=_share(~found.refuted(eps) & (True if survived is None else survived[k])),
            attacked=None if survived is None else _share(survived[k]),
        )
        for k, eps in enumerate(grid)
    ]


def _share(flags: Tensor) -> Estimate:
    return Estimate.of(stats.proportion(flags.double().numpy()))


def sandwich_of(
    question: Question,
    found: Certificate,
    survived: Sequence[Tensor] | None,
    others: Sequence[Compared],
    about: Mapping[str, Any],
) -> Sandwich:
    """The record of what was found; ``about`` names title, model, threat, method, confidence, ..."""
    known = found.correct & (found.lower >= KNOWN * found.upper)
    right = found.lower[found.correct]
    return Sandwich(
        **about,
        inputs=len(question.x),
        abstained=int((found.label < 0).sum()),
        clean=_share(found.correct),
        levels=levels(found, question.grid, survived),
        exact=int(known.sum()),
        correct=int(found.correct.sum()),
        median_radius=float(right.median()) if len(right) else 0.0,
        tightness=[round(t, 6) for t in tightness(found).tolist()],
        seconds=found.seconds / max(1, len(question.x)),
        preparation=found.preparation,
        compared=list(others),
    )


def tightness(found: Certificate) -> Tensor:
    """Certified radius over the distance of the nearest witness, of correct inputs that have one."""
    known = found.correct & torch.isfinite(found.upper) & (found.upper > 0)
    return (found.lower / found.upper)[known]


def compared(
    question: Question, main: Certificate, name: str, certifier: Certifier, advance: Advance | None = None
) -> Compared:
    """Another method on the same inputs: its radii as shares of the main method's."""
    told = None if advance is None else lambda _, done, of: advance(f"comparing {name}", done, of)
    try:
        found = question.certified(certifier, told)
    except (CertificateError, ModelError) as failure:
        why = str(failure).removeprefix(f"{name}: ")
        return Compared(method=name, certified=0, median=0, quartiles=(0, 0), seconds=0, refused=why)
    right = main.correct & torch.isfinite(main.lower) & (main.lower > 0)
    shares = (found.lower.clamp(max=question.largest) / main.lower.clamp(max=question.largest))[right]
    ranks = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    low, middle, high = torch.quantile(shares, ranks).tolist() if len(shares) else (0.0,) * 3
    return Compared(
        method=name,
        certified=float(found.certified(question.largest / 2).double().mean()),
        median=middle,
        quartiles=(low, high),
        seconds=found.seconds / max(1, len(question.x)),
    )
