"""The certificates by name: one line each.

``threat`` lists the threats a method speaks about, ``model`` what it is confined to, ``claim`` what its
radius is: exact, complete (decided at the given budgets), bound (true, perhaps far too small), or sampled.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.certify.amplitude import ExactAmplitude
from robustq.certify.null import Vacuous
from robustq.certify.state import ExactState
from robustq.certify.verifier import Complete


def _facts(threat: str, model: str, claim: str) -> Mapping[str, str]:
    return {"threat": threat, "model": model, "claim": claim}


CERTIFICATES: Mapping[str, Entry] = {
    "vacuous": Entry(Vacuous, "claims nothing", "-", _facts("any", "any", "bound"), null=True),
    "exact-state": Entry(ExactState, "the nearest state of another class", "after Guan, Fang & Ying, CAV 2021",
                         _facts("infidelity, trace-distance", "pure states reach the read-out", "exact")),
    "exact-amplitude": Entry(ExactAmplitude, "the nearest input of another class, the box left out",
                             "Polik & Terlaky, SIAM Review 2007 (S-lemma)",
                             _facts("l2", "amplitude-encoded", "exact")),
    "complete": Entry(Complete, "branch and bound over the logits as polynomials",
                      "after Bunel et al., JMLR 2020",
                      _facts("l-inf, l2, l1", "features turn gates, commensurate", "complete")),
}  # fmt: skip
