"""The poisons of training data that a command can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from robustq.catalogue import Entry
from robustq.poisoning.backdoor import Backdoor
from robustq.poisoning.label_flip import LabelFlip
from robustq.poisoning.null import RandomFlip
from robustq.poisoning.quid import Quid
from robustq.poisoning.task import Poison


@dataclass(frozen=True, kw_only=True)
class PoisonEntry(Entry[Poison]):
    """One poison: what its author must know, and what it costs."""

    knowledge: Literal["labels", "training data", "training data, encoder"]
    cost: str


POISONINGS: Mapping[str, PoisonEntry] = {
    "random-flip": PoisonEntry(
        RandomFlip, "random rows get a random other label", "-", knowledge="labels", cost="0", null=True
    ),
    "label-flip": PoisonEntry(
        LabelFlip,
        "the flips that make a retrained surrogate wrong most often",
        "Biggio et al., ACML 2011; Xiao et al., ECAI 2012",
        knowledge="training data",
        cost="one linear retraining a flip",
    ),
    "quid": PoisonEntry(
        Quid,
        "labels whose encoded states are farthest",
        "Kundu & Ghosh, arXiv:2411.14412",
        knowledge="training data, encoder",
        cost="one encoding a row",
    ),
    "backdoor": PoisonEntry(
        Backdoor,
        "a trigger that brings a class of the attacker's choice",
        "Gu et al. (BadNets), arXiv:1708.06733",
        knowledge="training data",
        cost="0",
    ),
}
