"""The techniques of mitigation that a specification can name: one line each.

Names joined by ``+`` are stacked: ``readout+zne`` inverts read-out error, then extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any, ClassVar, Literal

from robustq.catalogue import UNSTATED, Entry, resolve
from robustq.errors import SpecError
from robustq.mitigation.cdr import CDR
from robustq.mitigation.correction.technique import PartialCorrection
from robustq.mitigation.distillation import VirtualDistillation
from robustq.mitigation.idling import Decoupling, Idle
from robustq.mitigation.pec import PEC
from robustq.mitigation.plan import Technique, Unmitigated
from robustq.mitigation.readout import ReadoutHistogram, ReadoutInversion
from robustq.mitigation.regression import Learned
from robustq.mitigation.stack import Stack
from robustq.mitigation.symmetry import SymmetryVerification
from robustq.mitigation.zne import ZNE


@dataclass(frozen=True)
class MitigationEntry(Entry[Technique]):
    """One technique, and what it must know or have.

    *Calibration* is the noise's numbers, *training* circuits run to learn.
    """

    requires: Literal[
        "nothing",
        "read-out calibration",
        "full calibration",
        "durations",
        "training",
        "copies",
        "a symmetry",
        "a logical rate, patches",
        "not stated",
    ] = field(default=UNSTATED, kw_only=True)

    outside: ClassVar[tuple[Any, ...]] = (Technique,)


MITIGATIONS: Mapping[str, MitigationEntry] = {
    "none": MitigationEntry(Unmitigated, "what the device gives", "-", requires="nothing", null=True),
    "readout": MitigationEntry(
        ReadoutInversion,
        "observables whose read-out error cancels",
        "Bravyi et al., PRA 103, 042605 (2021)",
        requires="read-out calibration",
    ),
    "readout-m3": MitigationEntry(
        partial(ReadoutHistogram, "m3"),
        "histograms inverted within what was seen",
        "Nation et al., PRX Quantum 2, 040326 (2021)",
        requires="read-out calibration",
    ),
    "readout-least-squares": MitigationEntry(
        partial(ReadoutHistogram, "least-squares"),
        "the nearest distribution",
        "Maciejewski et al., Quantum 4, 257 (2020)",
        requires="read-out calibration",
    ),
    "zne": MitigationEntry(
        ZNE, "longer circuits, extrapolated to no noise", "Giurgica-Tiron et al., IEEE QCE 2020", requires="nothing"
    ),
    "zne-exponential": MitigationEntry(
        partial(ZNE, (1.0, 2.0, 3.0), fit="exponential"),
        "the same along an exponential",
        "Endo, Benjamin & Li, PRX 8, 031027 (2018)",
        requires="nothing",
    ),
    "pec": MitigationEntry(
        PEC,
        "inverse channels, drawn with signs",
        "Temme, Bravyi & Gambetta, PRL 119, 180509 (2017)",
        requires="full calibration",
    ),
    "cdr": MitigationEntry(
        CDR, "a line fitted on near-Clifford circuits", "Czarnik et al., Quantum 5, 592 (2021)", requires="training"
    ),
    "virtual-distillation": MitigationEntry(
        VirtualDistillation,
        "two copies, read as the state's square",
        "Huggins et al., PRX 11, 041036 (2021)",
        requires="copies",
    ),
    "forest": MitigationEntry(
        partial(Learned, "forest"),
        "errors predicted by a random forest",
        "Liao et al., Nat. Mach. Intell. 6, 1478 (2024)",
        requires="training",
    ),
    "mlp": MitigationEntry(
        partial(Learned, "mlp"),
        "errors predicted by a perceptron",
        "Liao et al., Nat. Mach. Intell. 6, 1478 (2024)",
        requires="training",
    ),
    "regression": MitigationEntry(
        partial(Learned, "linear"),
        "errors predicted by least squares",
        "Liao et al., Nat. Mach. Intell. 6, 1478 (2024)",
        requires="training",
    ),
    "symmetry": MitigationEntry(
        SymmetryVerification,
        "what left the symmetry's sector is taken out",
        "Bonet-Monroig et al., PRA 98, 062339 (2018)",
        requires="a symmetry",
    ),
    "idle": MitigationEntry(
        Idle, "waits modelled, nothing done in them: what decoupling is compared with", "-", requires="durations"
    ),
    "decoupling": MitigationEntry(
        Decoupling,
        "pulses in modelled waits; compare with idle, not with none",
        "Viola, Knill & Lloyd, PRL 82, 2417 (1999)",
        requires="durations",
    ),
    "partial-correction": MitigationEntry(
        PartialCorrection,
        "two-qubit Clifford gates error-corrected, at a rate given",
        "Kang et al., arXiv:2507.18954",
        requires="a logical rate, patches",
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
    chosen = dict((options or {}).get(first, {}))
    entry = resolve("mitigation", first, MITIGATIONS)
    parameters = signature(entry.make).parameters.values()
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in chosen]
    if missing:
        raise SpecError(f"mitigation {first!r}: expected the option {missing[0]!r}, got none")
    technique: Technique = entry.make(**chosen)
    return Stack(technique, build(rest, options)) if rest else technique
