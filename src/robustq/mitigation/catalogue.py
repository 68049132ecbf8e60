"""The techniques of mitigation that a specification can name: one line each.

Names joined by ``+`` are stacked: ``readout+zne`` inverts read-out error, then extrapolates. ``needs`` says what a
technique must know or have: *calibration* (the noise's numbers), *durations*, *training* (circuits run to learn),
*copies*.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from inspect import signature
from typing import Any

from robustq.catalogue import Entry, resolve
from robustq.errors import SpecError
from robustq.mitigation.cdr import CDR
from robustq.mitigation.correction.technique import PartialCorrection
from robustq.mitigation.distillation import VirtualDistillation
from robustq.mitigation.learned import Learned
from robustq.mitigation.pec import PEC
from robustq.mitigation.plan import Technique, Unmitigated
from robustq.mitigation.readout import ReadoutHistogram, ReadoutInversion
from robustq.mitigation.stack import Stack
from robustq.mitigation.symmetry import SymmetryVerification
from robustq.mitigation.waiting import Decoupling, Idle
from robustq.mitigation.zne import ZNE

MITIGATIONS: Mapping[str, Entry] = {
    "none": Entry(Unmitigated, "what the device gives", "-", {"needs": "-"}, null=True),
    "readout": Entry(
        ReadoutInversion,
        "observables whose read-out error cancels",
        "Bravyi et al., PRA 103, 042605 (2021)",
        {"needs": "read-out calibration"},
    ),
    "readout-m3": Entry(
        partial(ReadoutHistogram, "m3"),
        "histograms inverted within what was seen",
        "Nation et al., PRX Quantum 2, 040326 (2021)",
        {"needs": "read-out calibration"},
    ),
    "readout-least-squares": Entry(
        partial(ReadoutHistogram, "least-squares"),
        "the nearest distribution",
        "Maciejewski et al., Quantum 4, 257 (2020)",
        {"needs": "read-out calibration"},
    ),
    "zne": Entry(
        ZNE, "longer circuits, extrapolated to no noise", "Giurgica-Tiron et al., IEEE QCE 2020", {"needs": "-"}
    ),
    "zne-exponential": Entry(
        partial(ZNE, (1.0, 2.0, 3.0), fit="exponential"),
        "the same along an exponential",
        "Endo, Benjamin & Li, PRX 8, 031027 (2018)",
        {"needs": "-"},
    ),
    "pec": Entry(
        PEC,
        "inverse channels, drawn with signs",
        "Temme, Bravyi & Gambetta, PRL 119, 180509 (2017)",
        {"needs": "full calibration"},
    ),
    "cdr": Entry(
        CDR, "a line fitted on near-Clifford circuits", "Czarnik et al., Quantum 5, 592 (2021)", {"needs": "training"}
    ),
    "virtual-distillation": Entry(
        VirtualDistillation,
        "two copies, read as the state's square",
        "Huggins et al., PRX 11, 041036 (2021)",
        {"needs": "copies"},
    ),
    "forest": Entry(
        partial(Learned, "forest"),
        "errors predicted by a random forest",
        "Liao et al., Nat. Mach. Intell. 6, 1478 (2024)",
        {"needs": "training"},
    ),
    "mlp": Entry(
        partial(Learned, "mlp"),
        "errors predicted by a perceptron",
        "Liao et al., Nat. Mach. Intell. 6, 1478 (2024)",
        {"needs": "training"},
    ),
    "regression": Entry(
        partial(Learned, "linear"),
        "errors predicted by least squares",
        "Liao et al., Nat. Mach. Intell. 6, 1478 (2024)",
        {"needs": "training"},
    ),
    "symmetry": Entry(
        SymmetryVerification,
        "what left the symmetry's sector is taken out",
        "Bonet-Monroig et al., PRA 98, 062339 (2018)",
        {"needs": "a symmetry"},
    ),
    "idle": Entry(
        Idle, "waits modelled, nothing done in them: what decoupling is compared with", "-", {"needs": "durations"}
    ),
    "decoupling": Entry(
        Decoupling,
        "pulses in modelled waits; compare with idle, not with none",
        "Viola, Knill & Lloyd, PRL 82, 2417 (1999)",
        {"needs": "durations"},
    ),
    "partial-correction": Entry(
        PartialCorrection,
        "two-qubit Clifford gates error-corrected, at a rate given",
        "Kang et al., arXiv:2507.18954",
        {"needs": "a logical rate, patches"},
    ),
}

USUAL = ("readout", "readout+zne", "readout+cdr", "readout+forest", "readout+pec", "virtual-distillation")


def build(name: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> Technique:
    """The technique of a name, or of several joined by ``+``.

    Args:
        name: in ``MITIGATIONS``.
        options: for each single name, what its builder takes.

    Raises:
        SpecError: on an unknown name, an option that is missing, or an order that cannot be.

    >>> print(build("readout+zne", {"zne": {"scales": [1.0, 2.0]}}))
    read-out inversion + zne, local, richardson at 1, 2
    """
    first, _, rest = name.partition("+")
    given = dict((options or {}).get(first, {}))
    entry = resolve("mitigation", first, MITIGATIONS)
    wanted = signature(entry.make).parameters.values()
    missing = [p.name for p in wanted if p.default is p.empty and p.name not in given]
    if missing:
        raise SpecError(f"mitigation {first!r}: expected the option {missing[0]!r}, got none")
    technique: Technique = entry.make(**given)
    return Stack(technique, build(rest, options)) if rest else technique
