"""The attacks that a specification can name: one line each.

``threat`` lists the norms an attack is meant for, ``knowledge`` the least the adversary must see,
``cost`` what it asks for each input; ``model``, where present, what it is confined to.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from robustq.catalogue import Entry


def _facts(threat: str, knowledge: str, cost: str, **more: str) -> Mapping[str, str]:
    return {"threat": threat, "knowledge": knowledge, "cost": cost, **more}


ATTACKS: Mapping[str, Entry] = {
    "identity": Entry(Identity, "leaves the input as it is", "-", _facts("any", "none", "0"), null=True),
    "uniform-noise": Entry(
        UniformNoise, "strongest of a few random points", "-", _facts("any", "scores", "tries forwards"), null=True
    ),
    "quantum-auto": Entry(
        QuantumAutoAttack,
        "parameter-free ensemble, worst case of its members",
        "after Croce & Hein, ICML 2020",
        _facts("any", "any", "about 1,000 gradients and 1,000 forwards for survivors"),
    ),
    "fgsm": Entry(
        FGSM, "one full-size gradient step", "Goodfellow et al., ICLR 2015", _facts("any", "white-box", "1 gradient")
    ),
    "pgd": Entry(
        PGD,
        "projected steepest ascent with restarts",
        "Madry et al., ICLR 2018",
        _facts("any", "white-box", "steps x restarts gradients"),
    ),
    "mim": Entry(
        MIM, "steepest ascent with momentum", "Dong et al., CVPR 2018", _facts("any", "white-box", "steps gradients")
    ),
    "apgd": Entry(
        APGD,
        "momentum ascent with steps that shorten by themselves",
        "Croce & Hein, ICML 2020",
        _facts("any", "white-box", "steps x restarts gradients"),
    ),
    "eot": Entry(
        EOT,
        "PGD on the mean of several random answers",
        "Athalye et al., ICML 2018",
        _facts("any", "white-box", "samples x steps gradients"),
    ),
    "carlini-wagner": Entry(
        CarliniWagner,
        "shortest change by Adam, hinge weighted by a binary search",
        "Carlini & Wagner, S&P 2017",
        _facts("l2", "white-box", "steps x searches gradients"),
    ),
    "ddn": Entry(
        DDN,
        "shortest change by a walk on a breathing sphere",
        "Rony et al., CVPR 2019",
        _facts("l2", "white-box", "steps gradients"),
    ),
    "deepfool": Entry(
        DeepFool,
        "short change by steps onto the nearest linearised boundary",
        "Moosavi-Dezfooli et al., CVPR 2016",
        _facts("l2, linf", "white-box", "at most steps x classes gradients"),
    ),
    "fab": Entry(
        FAB,
        "shortest change by a walk along the linearised boundary",
        "Croce & Hein, ICML 2020",
        _facts("l1, l2, linf", "white-box", "steps x restarts x classes gradients"),
    ),
    "fmn": Entry(
        FMN,
        "shortest change inside a ball that closes in",
        "Pintor et al., NeurIPS 2021",
        _facts("l0, l1, l2, linf", "white-box", "steps gradients"),
    ),
    "exact-l2": Entry(
        ExactL2,
        "the optimum in closed form, where the box does not bind",
        "Polik & Terlaky, SIAM Review 2007 (S-lemma)",
        _facts("l2", "white-box", "0", model="amplitude-encoded"),
    ),
    "square": Entry(
        Square,
        "random search in blocks of features",
        "Andriushchenko et al., ECCV 2020",
        _facts("linf, l2, l1", "scores", "queries forwards"),
    ),
    "spsa": Entry(
        SPSA,
        "steepest ascent on an estimated gradient",
        "Uesato et al., ICML 2018; Ilyas et al., ICML 2018",
        _facts("any", "scores", "2 x steps x directions forwards"),
    ),
    "hopskipjump": Entry(
        HopSkipJump,
        "a walk along the decision boundary",
        "Chen et al., S&P 2020",
        _facts("linf, l2, l1", "labels", "about 450 forwards; x answers"),
    ),
    "transfer": Entry(
        Transfer,
        "a white-box attack on a surrogate trained on answers",
        "Papernot et al., Asia CCS 2017",
        _facts("any", "labels", "queries forwards"),
    ),
    "universal": Entry(
        Universal,
        "one perturbation for all inputs",
        "Moosavi-Dezfooli et al., CVPR 2017; Shafahi et al., AAAI 2020",
        _facts("linf, l2, l1", "white-box", "steps x restarts gradients"),
    ),
}
