"""The certificates by name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

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
from robustq.contracts import Certifier
from robustq.threats.catalogue import Distance

STATES: tuple[Distance, ...] = ("infidelity", "trace-distance")
PURE = "pure states reach the read-out"


@dataclass(frozen=True)
class CertificateEntry(Entry[Certifier]):
    """One method of proof.

    Attributes:
        norms: the threats it speaks about; None for any.
        model: what models it is confined to; None for any.
        claim: what its radius is: exact, complete (decided up to a tolerance), bound (true, perhaps far too
            small), or sampled (true with the stated confidence).
        but: where the claim is another.
        about: the classifier spoken of: the model, or one made of it.
    """

    _: KW_ONLY
    norms: tuple[Distance, ...] | None = None
    model: str | None = None
    claim: Literal["exact", "complete", "bound", "sampled", "the chosen method's"] = "bound"
    but: str = ""
    about: Literal["the model", "the smoothed model", "the model behind that channel"] = "the model"

    outside: ClassVar[tuple[Any, ...]] = (Certifier,)

    @property
    def is_own(self) -> bool:
        """Whether it is about the model itself."""
        return self.about == "the model"


CERTIFICATES: Mapping[str, CertificateEntry] = {
    "vacuous": CertificateEntry(Vacuous, "claims nothing", "-", claim="bound", null=True),
    "auto": CertificateEntry(
        Auto, "the strongest that applies: exact, else the best of the bounds", "-", claim="the chosen method's"
    ),
    "exact-state": CertificateEntry(
        ExactState,
        "the nearest state of another class",
        "after Guan, Fang & Ying, CAV 2021",
        norms=STATES,
        model=PURE,
        claim="exact",
    ),
    "global": CertificateEntry(
        Global,
        "margin over eigenvalue gap: every state at once",
        "Guan, Fang & Ying, CAV 2022",
        norms=STATES,
        model=PURE,
        claim="bound",
    ),
    "exact-amplitude": CertificateEntry(
        ExactAmplitude,
        "the nearest input of another class, the box left out",
        "Polik & Terlaky, SIAM Review 2007 (S-lemma)",
        norms=("l2",),
        model="amplitude-encoded",
        claim="exact",
    ),
    "guan": CertificateEntry(
        Guan,
        "from the probability of one outcome of two",
        "Guan, Fang & Ying, CAV 2021",
        norms=STATES,
        model=PURE,
        claim="bound",
    ),
    "hypothesis-testing": CertificateEntry(
        HypothesisTesting,
        "from the probabilities of two classes",
        "Weber et al., npj Quantum Inf. 7:76, 2021",
        norms=STATES,
        model=PURE,
        claim="bound",
    ),
    "hoelder": CertificateEntry(
        Hoelder,
        "from the margin over its norm",
        "after Liu & Wittek, PRA 101, 2020",
        norms=STATES,
        model=PURE,
        claim="bound",
    ),
    "spectral-box": CertificateEntry(
        SpectralBox,
        "from the margin and its extreme values",
        "after Fuchs & Caves, 1995 (fidelity under measurement)",
        norms=STATES,
        model=PURE,
        claim="bound",
    ),
    "depolarising": CertificateEntry(
        Depolarising,
        "behind a depolarising channel, by differential privacy",
        "Du et al., Phys. Rev. Research 3, 023153, 2021",
        norms=STATES,
        model=PURE,
        claim="bound",
        about="the model behind that channel",
    ),
    "exact-smoothing": CertificateEntry(
        ExactSmoothing,
        "the model's mean under Gaussian noise, in closed form",
        "Salman et al., NeurIPS 2019",
        norms=("l2", "l1", "linf"),
        model="trigonometric polynomials",
        claim="bound",
        about="the smoothed model",
    ),
    "gaussian-smoothing": CertificateEntry(
        GaussianSmoothing,
        "the model's majority under Gaussian noise",
        "Cohen, Rosenfeld & Kolter, ICML 2019",
        norms=("l2", "l1", "linf"),
        claim="sampled",
        about="the smoothed model",
    ),
    "shots": CertificateEntry(
        Shots,
        "what finite shots of a two-outcome measurement prove",
        "Guan, Fang & Ying, CAV 2021",
        norms=("infidelity", "trace-distance", "l2"),
        model="pure states or amplitude-encoded",
        claim="sampled",
    ),
    "amplitude-box": CertificateEntry(
        AmplitudeBox,
        "the nearest input of another class inside the box, by weak duality",
        "Jeyakumar et al., Math. Programming 2007; Polik & Terlaky, SIAM Review 2007",
        norms=("l2", "l1"),
        model="amplitude-encoded",
        claim="exact",
        but="a bound in l1 and in the hard case",
    ),
    "amplitude-linf": CertificateEntry(
        AmplitudeLinf,
        "convex relaxation of every margin; few features are split",
        "Adjiman et al., Computers & Chem. Eng. 1998 (alpha-BB)",
        norms=("linf",),
        model="amplitude-encoded",
        claim="bound",
        but="complete up to 12 features",
    ),
    "lipschitz": CertificateEntry(
        Lipschitz,
        "the largest slope that the gates allow",
        "after Berberich et al., PRR 6 (2024)",
        norms=("linf", "l2", "l1"),
        model="features turn gates",
        claim="bound",
    ),
    "curvature": CertificateEntry(
        Curvature,
        "the slope at the input and the largest curvature",
        "Duffin & Schaeffer 1938",
        norms=("linf", "l2", "l1"),
        model="features turn gates",
        claim="bound",
    ),
    "branching": CertificateEntry(
        Branching,
        "boxes of inputs, each proved or cut",
        "Land & Doig 1960",
        norms=("linf", "l2", "l1"),
        model="few features turn gates",
        claim="complete",
    ),
    "complete": CertificateEntry(
        Complete,
        "branch and bound over the logits as polynomials",
        "after Bunel et al., JMLR 2020",
        norms=("linf", "l2", "l1"),
        model="features turn gates, commensurate",
        claim="complete",
    ),
}
