"""The checks by name: one line each. ``level`` is how bad a flag is, ``evidence`` what it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robustq.audit import checks
from robustq.audit.evidence import Evidence
from robustq.catalogue import Entry, resolve


def _facts(level: str, evidence: str, advice: str) -> Mapping[str, str]:
    return {"level": level, "evidence": evidence, "advice": advice}


CHECKLIST = "Carlini et al., arXiv:1902.06705 (2019)"
OBFUSCATED = "Athalye, Carlini, Wagner, ICML 2018"

AUDITS: Mapping[str, Entry] = {
    "nothing": Entry(checks.nothing, "looks at nothing", "-", _facts("amber", "", ""), null=True),
    "vanishing-gradients": Entry(
        checks.vanishing_gradients,
        "inputs where the attack has no gradient to follow",
        OBFUSCATED,
        _facts("red", "vanished", "attack without gradients, or through a smooth surrogate"),
    ),
    "barren-plateau": Entry(
        checks.barren_plateau,
        "gradients whose variance falls exponentially with the qubits",
        "McClean et al., Nat. Commun. 9 (2018); Cerezo et al., Nat. Commun. 12 (2021)",
        _facts("amber", "plateau", "local read-outs, fewer layers, small starting angles"),
    ),
    "attack-no-better-than-noise": Entry(
        checks.attack_no_better_than_noise,
        "an attack that random noise of the same size equals",
        CHECKLIST,
        _facts("red", "levels", "look for masked gradients; try another loss or a search without gradients"),
    ),
    "non-monotone-eps-curve": Entry(
        checks.non_monotone_eps_curve,
        "a larger budget that flips fewer inputs",
        CHECKLIST,
        _facts("amber", "levels", "more steps and restarts, shorter steps"),
    ),
    "black-box-beats-white-box": Entry(
        checks.black_box_beats_white_box,
        "answers alone are worth more than gradients",
        OBFUSCATED,
        _facts("red", "blackbox", "quote the black-box figure; find what hides the gradients"),
    ),
    "fewer-steps-beat-more": Entry(
        checks.fewer_steps_beat_more,
        "an attack that gets worse by trying longer",
        CHECKLIST,
        _facts("amber", "steps", "shorter steps, or more restarts"),
    ),
    "ensemble-beats-attack": Entry(
        checks.ensemble_beats_attack,
        "a stronger attack than the one the figures were made with",
        "Croce & Hein, ICML 2020",
        _facts("amber", "ensemble", "make the figures with quantum-auto"),
    ),
    "randomised-without-eot": Entry(
        checks.randomised_without_eot,
        "a random model attacked through single answers",
        OBFUSCATED,
        _facts("red", "randomised averaged", "average answers and gradients over the randomness"),
    ),
    "noise-free-twin-weaker": Entry(
        checks.noise_free_twin_weaker,
        "the noise hides gradients: the twin without it gives better examples",
        OBFUSCATED,
        _facts("amber", "twin", "quote what survives both attacks; claim no defence by noise"),
    ),
    "budget-covers-box": Entry(
        checks.budget_covers_box,
        "a budget as large as the box",
        CHECKLIST,
        _facts("amber", "boundless", "quote an eps at which the true label of the input is still beyond doubt"),
    ),
    "budget-overrun": Entry(
        checks.budget_overrun,
        "adversarial inputs outside the threat set",
        CHECKLIST,
        _facts("red", "overruns", "discard the figure; mend the threat's projection"),
    ),
    "constant-predictor": Entry(
        checks.constant_predictor,
        "one answer for every input",
        CHECKLIST,
        _facts("red", "labels answers", "train again: robustness of a constant means nothing"),
    ),
    "below-majority": Entry(
        checks.below_majority,
        "no better than always answering the commonest class",
        CHECKLIST,
        _facts("red", "labels correct", "train longer, or take a model that fits the data"),
    ),
    "data-leakage": Entry(
        checks.data_leakage,
        "rows that are in more than one part of the data",
        "Kapoor & Narayanan, Patterns 4 (2023)",
        _facts("red", "shared", "keep equal rows together when splitting"),
    ),
    "attacked-below-certified": Entry(
        checks.attacked_below_certified,
        "a certificate that an attack refutes",
        "Weber et al., npj Quantum Inf. 7 (2021)",
        _facts("red", "certified", "the certificate is wrong: do not publish it"),
    ),
    "witness-beats-attack": Entry(
        checks.witness_beats_attack,
        "an attack that misses what a certificate shows",
        CHECKLIST,
        _facts("amber", "witnessed", "quote the certificate's figures; use a stronger attack"),
    ),
    "probabilities-instead-of-logits": Entry(
        checks.probabilities_instead_of_logits,
        "outputs that look like probabilities",
        CHECKLIST,
        _facts("amber", "normalised", "return logits, or attack the margin"),
    ),
    "changes-in-eval-mode": Entry(
        checks.changes_in_eval_mode,
        "another answer to the same question",
        CHECKLIST,
        _facts("red", "differing randomised", "call eval(), take exact expectations, or declare the randomness"),
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
    level: str
    message: str


def judge(evidence: Evidence) -> tuple[Flag, ...]:
    """Every flag the evidence raises, in the catalogue's order.

    >>> [flag.id for flag in judge(Evidence(labels=(6, 4), answers=(10, 0)))]
    ['constant-predictor']
    """
    found = ((name, entry, entry.make(evidence)) for name, entry in AUDITS.items())
    return tuple(Flag(name, e.facts["level"], message) for name, e, message in found if message)


def measured(name: str, evidence: Evidence) -> bool:
    """Whether the evidence holds all that a check looks at.

    >>> measured("below-majority", Evidence(labels=(6, 4)))
    False
    """
    needed = resolve("audit", name, AUDITS).facts["evidence"].split()
    return all(getattr(evidence, field) is not None for field in needed)
