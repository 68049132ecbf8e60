"""QuantumAutoAttack: a parameter-free ensemble for any number of classes, shape, box and randomness.

AutoAttack (Croce & Hein, ICML 2020) rebuilt for models with two classes, angles, shots and noise. Members
stand in order of cost and each sees only the inputs that all before it left standing; every input counts
at its worst. The definition is fixed: a change of any member or option is a new version, and the
content hash names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from robustq.attacks.apgd import APGD
from robustq.attacks.exact import ExactL2
from robustq.attacks.hopskipjump import HopSkipJump
from robustq.attacks.nearest.fab import FAB
from robustq.attacks.nearest.fmn import FMN
from robustq.attacks.pgd import PGD
from robustq.attacks.square import Square
from robustq.contracts import Attack, Problem
from robustq.errors import ModelError, ThreatError
from robustq.threats import L0, L1, L2, Linf

VERSION = 1
SAMPLES = 16  # answers averaged at every question to a randomised model


@dataclass(frozen=True)
class Member:
    """One attack of the ensemble and where it applies.

    Attributes:
        attack: what searches.
        norms: the threats it is meant for; empty for any.
        seen: the knowledge of the adversaries that run it.
        classes: the fewest classes it makes sense for.
        forms: whether it needs a model that is a quadratic form of its features.
    """

    attack: Attack
    norms: tuple[type, ...] = ()
    seen: tuple[str, ...] = ("white-box",)
    classes: int = 2
    forms: bool = False


MEMBERS = (
    Member(ExactL2(), norms=(L2,), forms=True),
    Member(PGD(steps=10, restarts=1, loss="margin")),
    Member(APGD(steps=50, loss="margin")),
    Member(APGD(steps=50, restarts=2, loss="cross-entropy")),
    Member(APGD(steps=50, loss="margin", targets=9), classes=3),
    Member(FAB(), norms=(Linf, L2, L1)),
    Member(FMN(), norms=(Linf, L2, L1, L0)),
    Member(APGD(steps=100, restarts=5, loss="margin")),
    Member(Square(queries=1000), norms=(Linf, L2, L1), seen=("white-box", "scores")),
    Member(HopSkipJump(), norms=(Linf, L2, L1), seen=("labels",)),
)


@dataclass(frozen=True)
class QuantumAutoAttack:
    """The whole ensemble; it has no parameters.

    A model that answers differently twice is asked for the mean of ``SAMPLES`` answers (EOT). An
    adversary who sees less runs the members that need no more.

    >>> print(QuantumAutoAttack())  # doctest: +ELLIPSIS
    QuantumAutoAttack v1 (...)
    """

    @property
    def samples(self) -> int:
        """Answers of a randomised model that are averaged at every question."""
        return SAMPLES

    def __str__(self) -> str:
        return f"QuantumAutoAttack v{VERSION} ({content_id()[:8]})"

    def search(self, problem: Problem) -> Tensor:
        """Every member that applies, on the inputs that are still standing.

        Raises:
            ModelError: if a white-box model gives no input gradients; ask for
                ``Access("scores")`` then, and a weaker adversary is what was measured.
            ThreatError: if no member applies, such as l0 for an adversary who sees labels only.
        """
        # no findings: by chance alone, single answers flip inputs that nobody moved
        first, second = (problem.logits(problem.x, keep=False) for _ in range(2))
        fixed = torch.equal(first, second)
        samples, wrong = 1 if fixed else SAMPLES, fixed & (first.argmax(1) != problem.y)
        members = list(self._applicable(problem, first.shape[1]))
        if not members:  # nothing searched would look like robustness
            raise ThreatError(
                f"quantum-auto: expected a threat that a member searches with what the attacker "
                f"sees, got {problem.threat} and an attacker who sees {problem.access}"
            )
        for member in members:
            standing = ~(problem.flipped | wrong)
            if not bool(standing.any()):
                break
            problem.run(member.attack, standing, samples=samples)
        return problem.strongest

    def _applicable(self, problem: Problem, classes: int) -> Iterator[Member]:
        knowledge, threat = problem.access.knowledge, problem.threat
        for member in MEMBERS:
            fits_norm = not member.norms or isinstance(threat, member.norms)
            fits_access = knowledge in member.seen and classes >= member.classes
            if fits_norm and fits_access and _has_forms(problem, member):
                yield member


def _has_forms(problem: Problem, member: Member) -> bool:
    """Whether a member that needs quadratic forms, measured in equal units, has them."""
    if not member.forms:
        return True
    if isinstance(problem.threat, L2) and not problem.threat.is_plain:
        return False
    try:
        problem.forms()
    except ModelError:
        return False
    return True


def content_id() -> str:
    """SHA-256 of the definition: version, members in order, all their options.

    >>> len(content_id())
    64
    """
    members = [
        {
            "attack": type(member.attack).__name__,
            "options": {name: repr(v) for name, v in asdict(member.attack).items()},  # type: ignore[call-overload]
            "norms": [norm.__name__ for norm in member.norms],
            "seen": member.seen,
            "classes": member.classes,
            "forms": member.forms,
        }
        for member in MEMBERS
    ]
    definition = {"version": VERSION, "samples": SAMPLES, "members": members}
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
