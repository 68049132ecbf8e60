"""The threats that a specification can name."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.threats.l2 import L2
from robustq.threats.linf import Linf

THREATS: Mapping[str, Entry] = {
    "linf": Entry(Linf, "every feature moves by at most eps", "Goodfellow et al., ICLR 2015"),
    "l2": Entry(L2, "the input moves by at most eps in length", "Szegedy et al., ICLR 2014"),
}
