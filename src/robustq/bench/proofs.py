"""What is proved about a trained model: raw radii per input, and what they say of the attack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from robustq.audit import Count, Pair
from robustq.bench.estimates import share
from robustq.bench.results import Certified, CertifiedPoint
from robustq.bench.spec import Specification
from robustq.bench.stages import Stage, Table, pack, table
from robustq.certify import Auto, certify
from robustq.contracts import SAME, Certifier, QuantumClassifier
from robustq.data import Dataset
from robustq.errors import CertificateError, ModelError
from robustq.seeding import torch_generator

SLACK = 1e-5  # relative: the attack computes in float32, the certificate in float64


class ProofStage(Stage):
    """Certified radius and nearest witness of every test input (None: infinite); or why there are ``none``."""

    file: ClassVar[str] = "certified.json"
    none: str = ""
    method: str = ""
    confidence: float = 1.0
    correct: str = ""
    lower: list[float | None] = Field(default_factory=list)
    upper: list[float | None] = Field(default_factory=list)


def prove(
    certifier: Certifier, model: QuantumClassifier, data: Dataset, spec: Specification, seed: int
) -> ProofStage:
    """Certified radius and nearest witness of every test input, up to the largest eps of the grid.

    Where nothing applies, the reason is stored in the place of the radii.
    """
    x, y = data.tensors("test")
    threat = spec.threat.build(spec.threat.eps[-1])
    stream = torch_generator(spec.seed, seed, "certificate")
    try:
        if isinstance(certifier, Auto):
            certifier = certifier.choose(model.freeze(), threat, stream)
        found = certify(certifier, model, x, y, threat, generator=stream)
    except (CertificateError, ModelError) as failure:
        return ProofStage(none=str(failure))
    return ProofStage(
        method=str(certifier),
        confidence=found.confidence,
        correct=pack(found.correct),
        lower=[_finite(r) for r in found.lower.tolist()],
        upper=[_finite(r) for r in found.upper.tolist()],
    )


def _finite(radius: float) -> float | None:
    """None stands for infinity, which JSON does not have."""
    return None if math.isinf(radius) else radius


def reason(stored: Sequence[ProofStage]) -> str:
    """Why nothing is proved, if it was tried and there is a seed without."""
    return next((seed.none for seed in stored if seed.none), "")


def radii(stored: Sequence[ProofStage], key: str) -> Table:
    """``lower`` or ``upper`` of every seed and input, ``(seeds, inputs)``; wrong inputs have zero."""
    values = [[math.inf if r is None else r for r in getattr(seed, key)] for seed in stored]
    correct = table(seed.correct for seed in stored) > 0
    return np.where(correct, np.array(values, dtype=np.float64), 0.0)


def certified(stored: Sequence[ProofStage], curve: Mapping[float, Table], confidence: float) -> Certified | None:
    """What is proved at every eps; None where something could not be.

    Args:
        stored: of every seed.
        curve: who survives the attack at each eps, ``(seeds, inputs)``.
        confidence: of the intervals.
    """
    if not stored or reason(stored):
        return None
    lower, upper = radii(stored, "lower"), radii(stored, "upper")
    points = [
        CertifiedPoint(
            eps=eps,
            certified=share((lower >= eps).astype(float), confidence),
            possible=share((upper > eps * (1 + SAME)) * robust, confidence),
        )
        for eps, robust in curve.items()
    ]
    known = (upper > 0) & np.isfinite(upper)
    tightness, _ = np.histogram(lower[known] / upper[known], bins=10, range=(0.0, 1.0))
    right = lower[upper > 0]
    return Certified(
        method=stored[0].method,
        confidence=stored[0].confidence,
        points=points,
        tightness=tightness.tolist(),
        median_radius=round(float(np.median(right)), 9) if len(right) else 0.0,
    )


def contradicted(stored: Sequence[ProofStage], curve: Mapping[float, Table]) -> Count:
    """Inputs that the attack flipped at an eps at which they are certified; none, if all is right."""
    lower = radii(stored, "lower")
    flipped = [(lower >= eps * (1 + SLACK)) & (robust == 0) for eps, robust in curve.items()]
    return Count(int(np.any(flipped, axis=0).sum()), int((lower > 0).sum()))


def witnessed(stored: Sequence[ProofStage], robust: Table, eps: float) -> Pair | None:
    """What the attack and what the certificate's witnesses flip at one budget; None without witnesses.

    ``robust`` is who survives the attack there.
    """
    upper = radii(stored, "upper")
    if not np.isfinite(upper[upper > 0]).any():
        return None
    attack = (upper > 0) & (robust == 0)
    shown = (upper > 0) & (upper <= eps * (1 + SAME))
    alone, other, both = (int(f.sum()) for f in (attack & ~shown, shown & ~attack, attack & shown))
    return Pair(alone, other, both, int((upper > 0).sum()))
