"""The strongest certificate that applies to a model and a threat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.amplitude import AmplitudeBox, AmplitudeLinf
from robustq.certify.slopes import Branching, Curvature, Lipschitz
from robustq.certify.state import ExactState
from robustq.certify.verifier import Complete
from robustq.contracts import Bounds, Certifier, Classifier, FrozenClassifier, Prover, Threat
from robustq.errors import CertificateError, ModelError
from robustq.threats import Linf
from robustq.threats.ball import column

Group = tuple[Certifier, ...]


def groups_for(model: Classifier, threat: Threat, slack: float = 0.0) -> tuple[Group, ...]:
    """Exact before complete before bounds: of the first group that applies all that does is taken."""
    whole = Complete(slack=slack)
    curvature, branching = Curvature(slack=slack), Branching(slack=slack)
    slopes: Group = (branching, curvature, Lipschitz(slack=slack))
    if isinstance(model, FrozenClassifier) and model.front is not None:
        return ((whole, *slopes),)  # the complete verifier is a bound there like others
    exact = ExactState(slack=slack), AmplitudeBox(slack=slack), AmplitudeLinf(slack=slack)
    # boxes fit the l-inf ball; the others they fit badly: there a few boxes, and what else helps
    few = Complete(slack=slack, tolerance=0.02)
    complete: Group = (whole,) if isinstance(threat, Linf) else (few, branching, curvature)
    return (*((one,) for one in exact), complete, slopes)


@dataclass(frozen=True)
class Auto:
    """Chooses by trying: an exact method where there is one, else the best of the bounds, input by input.

    Args:
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).
        groups: what to try, in this order, with a slack of their own; None for what suits model and threat.

    >>> print(Auto())
    auto
    """

    slack: float = 0.0
    groups: tuple[Group, ...] | None = None

    confidence = 1.0

    def __str__(self) -> str:
        return "auto"

    def choose(self, model: Classifier, threat: Threat, generator: torch.Generator) -> Certifier:
        """The method, or several joined.

        Raises:
            CertificateError: if none applies, with what each of them said.
        """
        reasons: list[str] = []
        groups = groups_for(model, threat, self.slack) if self.groups is None else self.groups
        for group in groups:
            fit = [c for c in group if _applies(c, model, threat, generator, reasons)]
            if fit:
                return fit[0] if len(fit) == 1 else Strongest(tuple(fit))
        raise CertificateError("no certificate applies:\n  " + "\n  ".join(dict.fromkeys(reasons)))

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> Prover:
        """The prover of what :meth:`choose` chose."""
        return self.choose(model, threat, generator).prepare(model, threat, generator)


def _applies(
    certifier: Certifier, model: Classifier, threat: Threat, generator: torch.Generator, reasons: list[str]
) -> bool:
    try:
        # preparing is the test: whether a method applies is known to nobody but itself
        certifier.prepare(model, threat, generator)
    except (CertificateError, ModelError) as failure:
        reasons.append(str(failure))
        return False
    return True


@dataclass(frozen=True)
class Strongest:
    """Several certificates of the same model: of each input the largest radius and the nearest witness.

    >>> from robustq.certify.null import Vacuous
    >>> print(Strongest((Vacuous(), Vacuous())))
    best of vacuous and vacuous
    """

    members: tuple[Certifier, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise CertificateError("strongest: expected at least one certificate, got none")

    def __str__(self) -> str:
        names = [str(member) for member in self.members]
        return "best of " + ", ".join(names[:-1]) + " and " + names[-1]

    @property
    def confidence(self) -> float:
        """That all of them hold (union bound)."""
        return max(0.0, 1 - sum(1 - member.confidence for member in self.members))

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> Joined:
        """Every member's prover."""
        return Joined([member.prepare(model, threat, generator) for member in self.members])


@dataclass(frozen=True)
class Joined:
    """The prover of :class:`Strongest`."""

    provers: Sequence[Prover]

    @property
    def model(self) -> Classifier:
        """The classifier that all claims are about."""
        return self.provers[0].model

    def prove(self, x: Tensor) -> Bounds:
        """The best of every member's claims.

        Raises:
            CertificateError: if the members speak of different answers.
        """
        # sound together: lower bounds by their maximum, witnesses by the nearest
        first, *others = (prover.prove(x) for prover in self.provers)
        for other in others:
            first = _stronger(first, other, x)
        return first


def _stronger(one: Bounds, two: Bounds, x: Tensor) -> Bounds:
    if not torch.equal(one.label, two.label):
        raise CertificateError("expected certificates of the same answers, got different labels")
    witness, upper = one.witness, one.upper
    if two.witness is not None:
        held = x if witness is None else witness
        witness = torch.where(column(two.upper < upper, x), two.witness, held)
        upper = torch.minimum(upper, two.upper)
    lower = torch.maximum(one.lower, two.lower)
    return Bounds(label=one.label, lower=lower, upper=upper, witness=witness)
