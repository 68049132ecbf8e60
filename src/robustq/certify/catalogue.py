"""The certificates by name: one line each.

``threat`` lists the threats a method speaks about, ``model`` what it is confined to, ``claim`` what its
radius is: exact, complete (decided at the given budgets), bound (true, perhaps far too small), or sampled.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.branching import Branching
from robustq.certify.curvature import Curvature
from robustq.certify.lipschitz import Lipschitz
from robustq.certify.null import Vacuous
from robustq.certify.state import ExactState


def _facts(threat: str, model: str, claim: str) -> Mapping[str, str]:
    return {"threat": threat, "model": model, "claim": claim}


CERTIFICATES: Mapping[str, Entry] = {
    "vacuous": Entry(Vacuous, "claims nothing", "-", _facts("any", "any", "bound"), null=True),
    "exact-state": Entry(ExactState, "the nearest state of another class", "after Guan, Fang & Ying, CAV 2021",
                         _facts("infidelity, trace-distance", "pure states reach the read-out", "exact")),
    "exact-amplitude": Entry(ExactAmplitude, "the nearest input of another class, the box left out",
                             "Polik & Terlaky, SIAM Review 2007 (S-lemma)",
                             _facts("l2", "amplitude-encoded", "exact")),
    "lipschitz": Entry(Lipschitz, "the largest slope that the gates allow", "after Berberich et al., PRR 6 (2024)",
                       _facts("linf, l2, l1", "features turn gates", "bound")),
    "curvature": Entry(Curvature, "the slope at the input and the largest curvature", "Duffin & Schaeffer 1938",
                       _facts("linf, l2, l1", "features turn gates", "bound")),
    "branching": Entry(Branching, "boxes of inputs, each proved or cut", "Land & Doig 1960",
                       _facts("linf, l2, l1", "few features turn gates", "complete")),
}  # fmt: skip
