"""The threats to an input that a specification can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from robustq.catalogue import Entry
from robustq.threats.ball import Ball
from robustq.threats.l0 import L0
from robustq.threats.l1 import L1
from robustq.threats.l2 import L2
from robustq.threats.linf import Linf

# The keys of the catalogue, for entries of other families to speak of.
Norm = Literal["linf", "l2", "l1", "l0"]
Distance = Literal[Norm, "infidelity", "trace-distance"]  # of inputs, or of the states that encode them

THREATS: Mapping[str, Entry[Ball]] = {
    "linf": Entry(Linf, "every feature moves by at most eps", "Goodfellow et al., ICLR 2015"),
    "l2": Entry(L2, "the input moves by at most eps in length", "Szegedy et al., ICLR 2014"),
    "l1": Entry(L1, "the changes add up to at most eps", "Chen et al. (EAD), AAAI 2018"),
    "l0": Entry(L0, "at most eps features change, anywhere in the box", "Papernot et al., EuroS&P 2016"),
}
