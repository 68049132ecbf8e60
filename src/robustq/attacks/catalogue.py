"""The attacks that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.attacks.fgsm import FGSM
from robustq.attacks.null import Identity, UniformNoise
from robustq.attacks.pgd import PGD
from robustq.catalogue import Entry

ATTACKS: Mapping[str, Entry] = {
    "identity": Entry(Identity, "leaves the input as it is", "-", {"knowledge": "none", "cost": "0"}, null=True),
    "uniform-noise": Entry(UniformNoise, "strongest of a few random points", "-",
                           {"knowledge": "scores", "cost": "tries forwards"}, null=True),
    "fgsm": Entry(FGSM, "one full-size gradient step", "Goodfellow et al., ICLR 2015",
                  {"knowledge": "white-box", "cost": "1 gradient"}),
    "pgd": Entry(PGD, "projected steepest ascent with restarts", "Madry et al., ICLR 2018",
                 {"knowledge": "white-box", "cost": "steps x restarts gradients"}),
}  # fmt: skip
