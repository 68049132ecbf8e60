"""What is proved about a trained model: raw radii per input, and what they say of the attack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq.audit import Count, Pair
from robustq.bench.spec import Spec
from robustq.bench.stages import bits, pack
from robustq.certify import Auto, certify
from robustq.contracts import SAME, QuantumClassifier
from robustq.data import Dataset
from robustq.errors import CertificateError, ModelError
from robustq.seeding import torch_generator

Table = NDArray[np.float64]

SLACK = 1e-5  # relative: the attack computes in float32, the certificate in float64


def certified(model: QuantumClassifier, data: Dataset, spec: Spec, seed: int) -> dict[str, Any]:
    """Certified radius and nearest witness of every test input, up to the largest eps of the grid.

    Where nothing applies, the reason is stored in the place of the radii.
    """
    x, y = data.tensors("test")
    certifier, threat = spec.certificate.build(), spec.threat.build(spec.threat.eps[-1])
    assert certifier is not None
    stream = torch_generator(spec.seed, seed, "certificate")
    try:
        if isinstance(certifier, Auto):
            certifier = certifier.choose(model.freeze(), threat, stream)
        found = certify(certifier, model, x, y, threat, generator=stream)
    except (CertificateError, ModelError) as failure:
        return {"none": str(failure)}
    return {
        "method": str(certifier),
        "confidence": found.confidence,
        "correct": pack(found.correct),
        "lower": [_finite(r) for r in found.lower.tolist()],
        "upper": [_finite(r) for r in found.upper.tolist()],
    }


def _finite(radius: float) -> float | None:
    """None stands for infinity, which JSON does not have."""
    return None if math.isinf(radius) else radius


def radii(stored: Sequence[Mapping[str, Any]], key: str) -> Table:
    """``lower`` or ``upper`` of every seed and input, ``(seeds, inputs)``; wrong inputs have zero."""
    values = [[math.inf if r is None else r for r in seed[key]] for seed in stored]
    correct = np.array([bits(seed["correct"]) for seed in stored]) > 0
    return np.where(correct, np.array(values, dtype=np.float64), 0.0)


def contradicted(stored: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]]) -> Count:
    """Inputs that the attack flipped at an eps at which they are certified; none, if all is right."""
    lower = radii(stored, "lower")
    flipped = [(lower >= level["eps"] * (1 + SLACK)) & (level["robust"] == 0) for level in curve]
    return Count(int(np.any(flipped, axis=0).sum()), int((lower > 0).sum()))


def witnessed(stored: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]], eps: float) -> Pair | None:
    """What the attack and what the certificate's witnesses flip at one budget; None without witnesses."""
    upper = radii(stored, "upper")
    if not np.isfinite(upper[upper > 0]).any():
        return None
    level = next(level for level in curve if level["eps"] == eps)
    attack = (upper > 0) & (level["robust"] == 0)
    shown = (upper > 0) & (upper <= eps * (1 + SAME))
    alone, other, both = (int(f.sum()) for f in (attack & ~shown, shown & ~attack, attack & shown))
    return Pair(alone, other, both, int((upper > 0).sum()))
