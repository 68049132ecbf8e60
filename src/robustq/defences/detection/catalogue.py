"""The detectors that an option can name."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.defences.detection.detector import Maker
from robustq.defences.detection.disagreement import Disagreement
from robustq.defences.detection.isolation import IsolationForest
from robustq.defences.detection.kernel_density import KernelDensity
from robustq.defences.detection.mahalanobis import Mahalanobis
from robustq.defences.detection.neighbours import Neighbours
from robustq.defences.detection.noise_response import NoiseResponse
from robustq.defences.detection.prototypes import Prototypes
from robustq.defences.detection.shot_variance import ShotVariance
from robustq.defences.detection.squeezing import Squeezing
from robustq.defences.detection.support import Support
from robustq.errors import SpecError, unknown_name

KINDS = (
    Mahalanobis,
    Neighbours,
    KernelDensity,
    IsolationForest,
    Disagreement,
    NoiseResponse,
    ShotVariance,
    Prototypes,
    Squeezing,
    Support,
)
DETECTORS: Mapping[str, Maker] = {kind.kind: kind.fitted for kind in KINDS}


def makers(names: str) -> list[Maker]:
    """What fits the detectors of a list like ``"mahalanobis,disagreement"``.

    Raises:
        SpecError: on an unknown name, one named twice, or none.

    >>> len(makers("mahalanobis, disagreement"))
    2
    """
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in DETECTORS:
            raise unknown_name("detector", name, DETECTORS)
    if not listed or len(set(listed)) != len(listed):
        raise SpecError(f"expected detectors, each named once, got {names!r}")
    return [DETECTORS[name] for name in listed]
