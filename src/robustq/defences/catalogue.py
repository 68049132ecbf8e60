"""The defences that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.plain import Plain

DEFENCES: Mapping[str, Entry] = {
    "none": Entry(Plain, "ordinary training", "-", {"cost": "1x"}, null=True),
    "adversarial-training": Entry(AdversarialTraining, "train on PGD inputs", "Madry et al., ICLR 2018",
                                  {"cost": "about 1 + steps times the training"}),
}  # fmt: skip
