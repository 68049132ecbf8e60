"""The defences that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.contracts import Attack, Threat
from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.lipschitz_margin import LipschitzMargin
from robustq.defences.plain import Plain


def _lipschitz_margin(attack: Attack, threat: Threat, *, weight: float = 1.0) -> LipschitzMargin:
    """A specification gives every defence an inner attack; this one needs none."""
    return LipschitzMargin(threat, weight)


DEFENCES: Mapping[str, Entry] = {
    "none": Entry(Plain, "ordinary training", "-", {"cost": "1x"}, null=True),
    "adversarial-training": Entry(AdversarialTraining, "train on PGD inputs", "Madry et al., ICLR 2018",
                                  {"cost": "about 1 + steps times the training", "inner": "attack"}),
    "lipschitz-margin": Entry(_lipschitz_margin, "train for margins that a bound certifies",
                              "Tsuzuku, Sato & Sugiyama, NeurIPS 2018",
                              {"cost": "about 1x", "model": "features turn gates"}),
}  # fmt: skip
