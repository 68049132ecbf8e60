"""The attacks that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from robustq.attacks.apgd import APGD
from robustq.attacks.eot import EOT
from robustq.attacks.exact import ExactL2
from robustq.attacks.fgsm import FGSM
from robustq.attacks.hopskipjump import HopSkipJump
from robustq.attacks.mim import MIM
from robustq.attacks.nearest.carlini_wagner import CarliniWagner
from robustq.attacks.nearest.ddn import DDN
from robustq.attacks.nearest.deepfool import DeepFool
from robustq.attacks.nearest.fab import FAB
from robustq.attacks.nearest.fmn import FMN
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.quantum_auto import QuantumAutoAttack
from robustq.attacks.spsa import SPSA
from robustq.attacks.square import Square
from robustq.attacks.transfer import Transfer
from robustq.attacks.universal import Universal
from robustq.catalogue import UNSTATED, Entry
from robustq.contracts import Attack
from robustq.threats.access import Knowledge
from robustq.threats.catalogue import Norm


@dataclass(frozen=True)
class AttackEntry(Entry[Attack]):
    """One attack.

    Attributes:
        norms: the threats it is meant for; None for any.
        knowledge: the least the adversary must see; None if it makes the most of whatever that is.
        cost: what it asks for each input.
        model: what models it is confined to; None for any.
    """

    _: KW_ONLY
    norms: tuple[Norm, ...] | None = None
    knowledge: Knowledge | None = None
    cost: str = UNSTATED
    model: str | None = None

    outside: ClassVar[tuple[Any, ...]] = (Attack,)

    def is_meant_for(self, threat: str) -> bool:
        """Whether it can search this threat.

        >>> ATTACKS["ddn"].is_meant_for("linf")
        False
        """
        return self.norms is None or threat in self.norms


ATTACKS: Mapping[str, AttackEntry] = {
    "identity": AttackEntry(Identity, "leaves the input as it is", "-", cost="0", null=True),
    "uniform-noise": AttackEntry(
        UniformNoise, "strongest of a few random points", "-", knowledge="scores", cost="tries forwards", null=True
    ),
    "quantum-auto": AttackEntry(
        QuantumAutoAttack,
        "parameter-free ensemble, worst case of its members",
        "after Croce & Hein, ICML 2020",
        cost="about 1,000 gradients and 1,000 forwards for survivors",
    ),
    "fgsm": AttackEntry(
        FGSM, "one full-size gradient step", "Goodfellow et al., ICLR 2015", knowledge="white-box", cost="1 gradient"
    ),
    "pgd": AttackEntry(
        PGD,
        "projected steepest ascent with restarts",
        "Madry et al., ICLR 2018",
        knowledge="white-box",
        cost="steps x restarts gradients",
    ),
    "mim": AttackEntry(
        MIM, "steepest ascent with momentum", "Dong et al., CVPR 2018", knowledge="white-box", cost="steps gradients"
    ),
    "apgd": AttackEntry(
        APGD,
        "momentum ascent with steps that shorten by themselves",
        "Croce & Hein, ICML 2020",
        knowledge="white-box",
        cost="steps x restarts gradients",
    ),
    "eot": AttackEntry(
        EOT,
        "PGD on the mean of several random answers",
        "Athalye et al., ICML 2018",
        knowledge="white-box",
        cost="samples x steps gradients",
    ),
    "carlini-wagner": AttackEntry(
        CarliniWagner,
        "shortest change by Adam, hinge weighted by a binary search",
        "Carlini & Wagner, S&P 2017",
        norms=("l2",),
        knowledge="white-box",
        cost="steps x searches gradients",
    ),
    "ddn": AttackEntry(
        DDN,
        "shortest change by a walk on a breathing sphere",
        "Rony et al., CVPR 2019",
        norms=("l2",),
        knowledge="white-box",
        cost="steps gradients",
    ),
    "deepfool": AttackEntry(
        DeepFool,
        "short change by steps onto the nearest linearised boundary",
        "Moosavi-Dezfooli et al., CVPR 2016",
        norms=("l2", "linf"),
        knowledge="white-box",
        cost="at most steps x classes gradients",
    ),
    "fab": AttackEntry(
        FAB,
        "shortest change by a walk along the linearised boundary",
        "Croce & Hein, ICML 2020",
        norms=("l1", "l2", "linf"),
        knowledge="white-box",
        cost="steps x restarts x classes gradients",
    ),
    "fmn": AttackEntry(
        FMN,
        "shortest change inside a ball that closes in",
        "Pintor et al., NeurIPS 2021",
        norms=("l0", "l1", "l2", "linf"),
        knowledge="white-box",
        cost="steps gradients",
    ),
    "exact-l2": AttackEntry(
        ExactL2,
        "the optimum in closed form, where the box does not bind",
        "Polik & Terlaky, SIAM Review 2007 (S-lemma)",
        norms=("l2",),
        knowledge="white-box",
        cost="0",
        model="amplitude-encoded",
    ),
    "square": AttackEntry(
        Square,
        "random search in blocks of features",
        "Andriushchenko et al., ECCV 2020",
        norms=("linf", "l2", "l1"),
        knowledge="scores",
        cost="queries forwards",
    ),
    "spsa": AttackEntry(
        SPSA,
        "steepest ascent on an estimated gradient",
        "Uesato et al., ICML 2018; Ilyas et al., ICML 2018",
        knowledge="scores",
        cost="2 x steps x directions forwards",
    ),
    "hopskipjump": AttackEntry(
        HopSkipJump,
        "a walk along the decision boundary",
        "Chen et al., S&P 2020",
        norms=("linf", "l2", "l1"),
        knowledge="labels",
        cost="about 450 forwards; x answers",
    ),
    "transfer": AttackEntry(
        Transfer,
        "a white-box attack on a surrogate trained on answers",
        "Papernot et al., Asia CCS 2017",
        knowledge="labels",
        cost="queries forwards",
    ),
    "universal": AttackEntry(
        Universal,
        "one perturbation for all inputs",
        "Moosavi-Dezfooli et al., CVPR 2017; Shafahi et al., AAAI 2020",
        norms=("linf", "l2", "l1"),
        knowledge="white-box",
        cost="steps x restarts gradients",
    ),
}
