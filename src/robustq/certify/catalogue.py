"""The certificates by name: one line each.

``threat`` lists the threats a method speaks about, ``model`` what it is confined to, ``claim`` what its
radius is: exact, complete (decided at the given budgets), bound (true, perhaps far too small), or sampled.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.amplitude_box import AmplitudeBox
from robustq.certify.amplitude_linf import AmplitudeLinf
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
    "amplitude-box": Entry(AmplitudeBox, "the nearest input of another class inside the box, by weak duality",
                           "Jeyakumar et al., Math. Programming 2007; Polik & Terlaky, SIAM Review 2007",
                           _facts("l2", "amplitude-encoded", "exact, a bound in the hard case")),
    "amplitude-linf": Entry(AmplitudeLinf, "convex relaxation of every margin; few features are split",
                            "Adjiman et al., Computers & Chem. Eng. 1998 (alpha-BB)",
                            _facts("linf", "amplitude-encoded", "bound; complete up to 12 features")),
}  # fmt: skip
