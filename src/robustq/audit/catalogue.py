"""The checks by name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from robustq.audit import checks
from robustq.audit.evidence import Evidence
from robustq.catalogue import Entry, resolve

Level = Literal["red", "amber"]


@dataclass(frozen=True, kw_only=True)
class AuditEntry(Entry[str | None]):
    """One check: how bad a flag of it is, the fields of the evidence it looks at, and what to do if it is raised."""

    level: Level
    evidence: tuple[str, ...]
    advice: str


CHECKLIST = "Carlini et al., arXiv:1902.06705 (2019)"
OBFUSCATED = "Athalye, Carlini, Wagner, ICML 2018"

AUDITS: Mapping[str, AuditEntry] = {
    "nothing": AuditEntry(checks.nothing, "looks at nothing", "-", level="amber", evidence=(), advice="", null=True),
    "vanishing-gradients": AuditEntry(
        checks.vanishing_gradients,
        "inputs where the attack has no gradient to follow",
        OBFUSCATED,
        level="red",
        evidence=("vanished",),
        advice="attack without gradients, or through a smooth surrogate",
    ),
    "barren-plateau": AuditEntry(
        checks.barren_plateau,
        "gradients whose variance falls exponentially with the qubits",
        "McClean et al., Nat. Commun. 9 (2018); Cerezo et al., Nat. Commun. 12 (2021)",
        level="amber",
        evidence=("plateau",),
        advice="local read-outs, fewer layers, small starting angles",
    ),
    "attack-no-better-than-noise": AuditEntry(
        checks.attack_no_better_than_noise,
        "an attack that random noise of the same size equals",
        CHECKLIST,
        level="red",
        evidence=("levels",),
        advice="look for masked gradients; try another loss or a search without gradients",
    ),
    "non-monotone-eps-curve": AuditEntry(
        checks.non_monotone_eps_curve,
        "a larger budget that flips fewer inputs",
        CHECKLIST,
        level="amber",
        evidence=("levels",),
        advice="more steps and restarts, shorter steps",
    ),
    "black-box-beats-white-box": AuditEntry(
        checks.black_box_beats_white_box,
        "answers alone are worth more than gradients",
        OBFUSCATED,
        level="red",
        evidence=("blackbox",),
        advice="quote the black-box figure; find what hides the gradients",
    ),
    "fewer-steps-beat-more": AuditEntry(
        checks.fewer_steps_beat_more,
        "an attack that gets worse by trying longer",
        CHECKLIST,
        level="amber",
        evidence=("steps",),
        advice="shorter steps, or more restarts",
    ),
    "ensemble-beats-attack": AuditEntry(
        checks.ensemble_beats_attack,
        "a stronger attack than the one the figures were made with",
        "Croce & Hein, ICML 2020",
        level="amber",
        evidence=("ensemble",),
        advice="make the figures with quantum-auto",
    ),
    "randomised-without-eot": AuditEntry(
        checks.randomised_without_eot,
        "a random model attacked through single answers",
        OBFUSCATED,
        level="red",
        evidence=("randomised", "averaged"),
        advice="average answers and gradients over the randomness",
    ),
    "noise-free-twin-weaker": AuditEntry(
        checks.noise_free_twin_weaker,
        "the noise hides gradients: the twin without it gives better examples",
        OBFUSCATED,
        level="amber",
        evidence=("twin",),
        advice="quote what survives both attacks; claim no defence by noise",
    ),
    "budget-covers-box": AuditEntry(
        checks.budget_covers_box,
        "a budget as large as the box",
        CHECKLIST,
        level="amber",
        evidence=("boundless",),
        advice="quote an eps at which the true label of the input is still beyond doubt",
    ),
    "budget-overrun": AuditEntry(
        checks.budget_overrun,
        "adversarial inputs outside the threat set",
        CHECKLIST,
        level="red",
        evidence=("overruns",),
        advice="discard the figure; mend the threat's projection",
    ),
    "constant-predictor": AuditEntry(
        checks.constant_predictor,
        "one answer for every input",
        CHECKLIST,
        level="red",
        evidence=("labels", "answers"),
        advice="train again: robustness of a constant means nothing",
    ),
    "below-majority": AuditEntry(
        checks.below_majority,
        "no better than always answering the commonest class",
        CHECKLIST,
        level="red",
        evidence=("labels", "correct"),
        advice="train longer, or take a model that fits the data",
    ),
    "data-leakage": AuditEntry(
        checks.data_leakage,
        "rows that are in more than one part of the data",
        "Kapoor & Narayanan, Patterns 4 (2023)",
        level="red",
        evidence=("shared",),
        advice="keep equal rows together when splitting",
    ),
    "attacked-below-certified": AuditEntry(
        checks.attacked_below_certified,
        "a certificate that an attack refutes",
        "Weber et al., npj Quantum Inf. 7 (2021)",
        level="red",
        evidence=("certified",),
        advice="the certificate is wrong: do not publish it",
    ),
    "witness-beats-attack": AuditEntry(
        checks.witness_beats_attack,
        "an attack that misses what a certificate shows",
        CHECKLIST,
        level="amber",
        evidence=("witnessed",),
        advice="quote the certificate's figures; use a stronger attack",
    ),
    "probabilities-instead-of-logits": AuditEntry(
        checks.probabilities_instead_of_logits,
        "outputs that look like probabilities",
        CHECKLIST,
        level="amber",
        evidence=("normalised",),
        advice="return logits, or attack the margin",
    ),
    "changes-in-eval-mode": AuditEntry(
        checks.changes_in_eval_mode,
        "another answer to the same question",
        CHECKLIST,
        level="red",
        evidence=("differing", "randomised"),
        advice="call eval(), take exact expectations, or declare the randomness",
    ),
}


@dataclass(frozen=True)
class Flag:
    """What a check found.

    Attributes:
        id: the check's name in the catalogue.
        level: ``"red"``, a number is not to be trusted, or ``"amber"``, look again.
        message: what was seen, in numbers.

    >>> Flag("below-majority", "red", "50 of 100").level
    'red'
    """

    id: str
    level: Level
    message: str


def judge(evidence: Evidence) -> tuple[Flag, ...]:
    """Every flag the evidence raises, in the catalogue's order.

    >>> [flag.id for flag in judge(Evidence(labels=(6, 4), answers=(10, 0)))]
    ['constant-predictor']
    """
    messages = ((name, entry, entry.make(evidence)) for name, entry in AUDITS.items())
    return tuple(Flag(name, e.level, message) for name, e, message in messages if message)


def measured(name: str, evidence: Evidence) -> bool:
    """Whether the evidence holds all that a check looks at.

    >>> measured("below-majority", Evidence(labels=(6, 4)))
    False
    """
    needed = resolve("audit", name, AUDITS).evidence
    return all(getattr(evidence, field) is not None for field in needed)
