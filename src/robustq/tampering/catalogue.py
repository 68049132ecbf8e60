"""The tamperings that a command can name, and the searches that only they need: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry
from robustq.tampering.crosstalk import Crosstalk
from robustq.tampering.encoding import EncodingMismatch, FeatureSwap
from robustq.tampering.greedy import Greedy
from robustq.tampering.insertion import GateInsertion, GateRemoval
from robustq.tampering.null import Untouched
from robustq.tampering.parameters import ParameterDrift
from robustq.tampering.readout import ReadoutTamper
from robustq.tampering.starts import ManyStarts
from robustq.tampering.trojan import CircuitTrojan
from robustq.tampering.unitary import UniversalUnitary

TAMPERINGS: Mapping[str, Entry] = {
    "untouched": Entry(Untouched, "touches nothing", "-", {"touches": "nothing", "search": "many-starts"}, null=True),
    "parameter-drift": Entry(
        ParameterDrift,
        "trained angles are run a little off",
        "related: Berberich et al., PRA 109 (2024), on coherent errors",
        {"touches": "angles", "search": "many-starts"},
    ),
    "gate-insertion": Entry(
        GateInsertion,
        "a few small rotations are added",
        "Roy et al., ISQED 2024",
        {"touches": "circuit", "search": "many-starts"},
    ),
    "gate-removal": Entry(
        GateRemoval,
        "a few gates are left out",
        "related: Roy et al., ISQED 2024",
        {"touches": "circuit", "search": "greedy"},
    ),
    "encoding-mismatch": Entry(
        EncodingMismatch,
        "features are scaled and shifted before the encoder",
        "related: LaRose & Coyle, PRA 102 (2020)",
        {"touches": "encoder", "search": "many-starts"},
    ),
    "feature-swap": Entry(
        FeatureSwap,
        "features reach each other's place in the encoder",
        "related: Chu et al. (QTrojan), ICASSP 2023",
        {"touches": "encoder", "search": "greedy"},
    ),
    "readout-tamper": Entry(
        ReadoutTamper,
        "measured bits are misread on purpose",
        "related: Upadhyay & Ghosh, arXiv 2305.01826",
        {"touches": "read-out", "search": "many-starts"},
    ),
    "circuit-trojan": Entry(
        CircuitTrojan,
        "inserted rotations that a trigger in the input wakes",
        "related: Chu et al. (QTrojan), ICASSP 2023",
        {"touches": "circuit", "search": "pgd"},
    ),
    "crosstalk": Entry(
        Crosstalk,
        "a co-tenant drives ZZ rotations after every layer",
        "Ash-Saki et al., ISLPED 2020",
        {"touches": "circuit", "search": "many-starts"},
    ),
    "universal-unitary": Entry(
        UniversalUnitary,
        "one small unitary on every encoded state",
        "Gong & Deng, NSR 9 (2022)",
        {"touches": "states", "search": "many-starts"},
    ),
}

SEARCHES: Mapping[str, Entry] = {
    "many-starts": Entry(
        ManyStarts,
        "ascents from rest and from the best of random settings",
        "Madry et al., ICLR 2018",
        {"knowledge": "white-box", "cost": "draws forwards, steps x restarts gradients"},
    ),
    "greedy": Entry(
        Greedy,
        "one switch at a time, the best one",
        "Nemhauser et al., Math. Prog. 14 (1978)",
        {"knowledge": "scores", "cost": "switches x rounds forwards"},
    ),
}
