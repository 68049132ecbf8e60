"""The attacks that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.attacks.fgsm import FGSM
from robustq.attacks.hopskipjump import HopSkipJump
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.attacks.spsa import SPSA
from robustq.attacks.square import Square
from robustq.attacks.transfer import Transfer
from robustq.attacks.universal import Universal
from robustq.catalogue import Entry

ATTACKS: Mapping[str, Entry] = {
    "identity": Entry(Identity, "leaves the input as it is", "-",
                      {"threat": "any", "knowledge": "none", "cost": "0"}, null=True),
    "uniform-noise": Entry(UniformNoise, "strongest of a few random points", "-",
                           {"threat": "any", "knowledge": "scores", "cost": "tries forwards"}, null=True),
    "fgsm": Entry(FGSM, "one full-size gradient step", "Goodfellow et al., ICLR 2015",
                  {"threat": "any", "knowledge": "white-box", "cost": "1 gradient"}),
    "pgd": Entry(PGD, "projected steepest ascent with restarts", "Madry et al., ICLR 2018",
                 {"threat": "any", "knowledge": "white-box", "cost": "steps x restarts gradients"}),
    "square": Entry(Square, "random search in blocks of features", "Andriushchenko et al., ECCV 2020",
                    {"threat": "linf, l2, l1", "knowledge": "scores", "cost": "queries forwards"}),
    "spsa": Entry(SPSA, "steepest ascent on an estimated gradient",
                  "Uesato et al., ICML 2018; Ilyas et al., ICML 2018",
                  {"threat": "any", "knowledge": "scores", "cost": "2 x steps x directions forwards"}),
    "hopskipjump": Entry(HopSkipJump, "a walk along the decision boundary", "Chen et al., S&P 2020",
                         {"threat": "linf, l2, l1", "knowledge": "labels",
                          "cost": "about 450 forwards; x answers"}),
    "transfer": Entry(Transfer, "a white-box attack on a surrogate trained on answers",
                      "Papernot et al., Asia CCS 2017",
                      {"threat": "any", "knowledge": "labels or scores", "cost": "queries forwards"}),
    "universal": Entry(Universal, "one perturbation for all inputs",
                       "Moosavi-Dezfooli et al., CVPR 2017; Shafahi et al., AAAI 2020",
                       {"threat": "linf, l2, l1", "knowledge": "white-box",
                        "cost": "steps x restarts gradients"}),
}  # fmt: skip
