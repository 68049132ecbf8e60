"""The certificates by name: one line each.

``threat`` lists the threats a method speaks about, ``model`` what it is confined to, ``claim`` what its
radius is: exact, complete (decided up to a tolerance), bound (true, perhaps far too small), or sampled (true
with the stated confidence). ``about`` is the classifier spoken of: the model, or one made of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.certify.amplitude import AmplitudeBox, AmplitudeLinf, ExactAmplitude
from robustq.certify.auto import Auto
from robustq.certify.literature import Depolarising, Guan, Hoelder, HypothesisTesting, SpectralBox
from robustq.certify.null import Vacuous
from robustq.certify.shots import Shots
from robustq.certify.slopes import Branching, Curvature, Lipschitz
from robustq.certify.smoothing import ExactSmoothing, GaussianSmoothing
from robustq.certify.spread import Global
from robustq.certify.state import ExactState
from robustq.certify.verifier import Complete


def _facts(threat: str, model: str, claim: str, about: str = "the model") -> dict[str, str]:
    return {"threat": threat, "model": model, "claim": claim, "about": about}


_STATES = _facts("infidelity, trace-distance", "pure states reach the read-out", "bound")

CERTIFICATES: Mapping[str, Entry] = {
    "vacuous": Entry(Vacuous, "claims nothing", "-", _facts("any", "any", "bound"), null=True),
    "auto": Entry(
        Auto,
        "the strongest that applies: exact, else the best of the bounds",
        "-",
        _facts("any", "any", "the chosen method's"),
    ),
    "exact-state": Entry(
        ExactState,
        "the nearest state of another class",
        "after Guan, Fang & Ying, CAV 2021",
        _facts("infidelity, trace-distance", "pure states reach the read-out", "exact"),
    ),
    "global": Entry(
        Global,
        "margin over eigenvalue gap: every state at once",
        "Guan, Fang & Ying, CAV 2022",
        _facts("infidelity, trace-distance", "pure states reach the read-out", "bound"),
    ),
    "exact-amplitude": Entry(
        ExactAmplitude,
        "the nearest input of another class, the box left out",
        "Polik & Terlaky, SIAM Review 2007 (S-lemma)",
        _facts("l2", "amplitude-encoded", "exact"),
    ),
    "guan": Entry(Guan, "from the probability of one outcome of two", "Guan, Fang & Ying, CAV 2021", _STATES),
    "hypothesis-testing": Entry(
        HypothesisTesting,
        "from the probabilities of two classes",
        "Weber et al., npj Quantum Inf. 7:76, 2021",
        _STATES,
    ),
    "hoelder": Entry(Hoelder, "from the margin over its norm", "after Liu & Wittek, PRA 101, 2020", _STATES),
    "spectral-box": Entry(
        SpectralBox,
        "from the margin and its extreme values",
        "after Fuchs & Caves, 1995 (fidelity under measurement)",
        _STATES,
    ),
    "depolarising": Entry(
        Depolarising,
        "behind a depolarising channel, by differential privacy",
        "Du et al., Phys. Rev. Research 3, 023153, 2021",
        _STATES | {"about": "the model behind that channel"},
    ),
    "exact-smoothing": Entry(
        ExactSmoothing,
        "the model's mean under Gaussian noise, in closed form",
        "Salman et al., NeurIPS 2019",
        _facts("l2, l1, linf", "trigonometric polynomials", "bound", "the smoothed model"),
    ),
    "gaussian-smoothing": Entry(
        GaussianSmoothing,
        "the model's majority under Gaussian noise",
        "Cohen, Rosenfeld & Kolter, ICML 2019",
        _facts("l2, l1, linf", "any", "sampled", "the smoothed model"),
    ),
    "shots": Entry(
        Shots,
        "what finite shots of a two-outcome measurement prove",
        "Guan, Fang & Ying, CAV 2021",
        _facts("infidelity, trace-distance, l2", "pure states or amplitude-encoded", "sampled"),
    ),
    "amplitude-box": Entry(
        AmplitudeBox,
        "the nearest input of another class inside the box, by weak duality",
        "Jeyakumar et al., Math. Programming 2007; Polik & Terlaky, SIAM Review 2007",
        _facts("l2, l1", "amplitude-encoded", "exact; a bound in l1 and in the hard case"),
    ),
    "amplitude-linf": Entry(
        AmplitudeLinf,
        "convex relaxation of every margin; few features are split",
        "Adjiman et al., Computers & Chem. Eng. 1998 (alpha-BB)",
        _facts("linf", "amplitude-encoded", "bound; complete up to 12 features"),
    ),
    "lipschitz": Entry(
        Lipschitz,
        "the largest slope that the gates allow",
        "after Berberich et al., PRR 6 (2024)",
        _facts("linf, l2, l1", "features turn gates", "bound"),
    ),
    "curvature": Entry(
        Curvature,
        "the slope at the input and the largest curvature",
        "Duffin & Schaeffer 1938",
        _facts("linf, l2, l1", "features turn gates", "bound"),
    ),
    "branching": Entry(
        Branching,
        "boxes of inputs, each proved or cut",
        "Land & Doig 1960",
        _facts("linf, l2, l1", "few features turn gates", "complete"),
    ),
    "complete": Entry(
        Complete,
        "branch and bound over the logits as polynomials",
        "after Bunel et al., JMLR 2020",
        _facts("l-inf, l2, l1", "features turn gates, commensurate", "complete"),
    ),
}
