"""The attacks that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.attacks.carlini_wagner import CarliniWagner
from robustq.attacks.ddn import DDN
from robustq.attacks.deepfool import DeepFool
from robustq.attacks.fab import FAB
from robustq.attacks.fgsm import FGSM
from robustq.attacks.fmn import FMN
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.catalogue import Entry

ATTACKS: Mapping[str, Entry] = {
    "identity": Entry(Identity, "leaves the input as it is", "-", {"knowledge": "none", "cost": "0"}, null=True),
    "uniform-noise": Entry(UniformNoise, "strongest of a few random points", "-",
                           {"knowledge": "scores", "cost": "tries forwards"}, null=True),
    "fgsm": Entry(FGSM, "one full-size gradient step", "Goodfellow et al., ICLR 2015",
                  {"knowledge": "white-box", "cost": "1 gradient"}),
    "carlini-wagner": Entry(CarliniWagner, "shortest change by Adam, hinge weighted by a binary search",
                            "Carlini & Wagner, S&P 2017",
                            {"threat": "l2", "knowledge": "white-box", "cost": "steps x searches gradients"}),
    "ddn": Entry(DDN, "shortest change by a walk on a breathing sphere", "Rony et al., CVPR 2019",
                 {"threat": "l2", "knowledge": "white-box", "cost": "steps gradients"}),
    "deepfool": Entry(DeepFool, "short change by steps onto the nearest linearised boundary",
                      "Moosavi-Dezfooli et al., CVPR 2016",
                      {"threat": "l2, linf", "knowledge": "white-box",
                       "cost": "at most steps x classes gradients"}),
    "fab": Entry(FAB, "shortest change by a walk along the linearised boundary", "Croce & Hein, ICML 2020",
                 {"threat": "l1, l2, linf", "knowledge": "white-box",
                  "cost": "steps x restarts x classes gradients"}),
    "fmn": Entry(FMN, "shortest change inside a ball that closes in", "Pintor et al., NeurIPS 2021",
                 {"threat": "l0, l1, l2, linf", "knowledge": "white-box", "cost": "steps gradients"}),
    "pgd": Entry(PGD, "projected steepest ascent with restarts", "Madry et al., ICLR 2018",
                 {"knowledge": "white-box", "cost": "steps x restarts gradients"}),
}  # fmt: skip
