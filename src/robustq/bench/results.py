"""The schema of ``results.json``: every number with its interval and what it was computed from.

The file holds no time stamp and no duration, so the same specification and seed give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from robustq.audit import Evidence, judge
from robustq.bench.estimates import Estimate, Record, StudyRecord
from robustq.bench.mitigation_table import MitigationRow
from robustq.bench.records import read_record
from robustq.bench.uncertainty_table import Uncertainty

SCHEMA: Literal["robustq-results-1"] = "robustq-results-1"


class RobustPoint(Record):
    """The attack at one budget."""

    eps: float
    robust: Estimate = Field(description="correct and not flipped")
    success: Estimate = Field(description="attack success rate: flipped among correct")
    robust_to_noise: Estimate = Field(description="same, against random noise of this size")
    queries: int = Field(description="forward passes of one input, summed over seeds")
    gradients: int = Field(description="input gradients of one input, summed over seeds")
    circuits: int = Field(description="circuits a device would run for them (parameter shift)")


class NoisePoint(Record):
    """The model at one noise level."""

    level: float
    exact: Estimate = Field(description="accuracy from exact noisy expectations")
    shots: Estimate = Field(description="accuracy from finite shots of them")


class DevicePoint(Record):
    """The two attacks on the calibrated device at one budget."""

    eps: float
    robust: Estimate = Field(description="correct on the device and flipped there by neither attack")
    informed: Estimate = Field(description="same, against the attacker who knows the device's noise")
    transfer: Estimate = Field(description="same, against examples made on the noise-free model")
    success: Estimate = Field(description="flipped by either among those correct on the device")
    queries: int = Field(description="forward passes of one input, both attacks, summed over seeds")
    gradients: int = Field(description="input gradients of one input, likewise")
    circuits: int = Field(description="circuits a device would run for them (parameter shift)")


class DriftPoint(Record):
    """Clean accuracy on the drifted device, the circuit fitted before the drift."""

    scenario: str
    exact: Estimate
    shots: Estimate


class OnDevice(Record):
    """One entrant on the calibrated device."""

    exact: Estimate = Field(description="clean accuracy from exact noisy expectations")
    shots: Estimate = Field(description="clean accuracy from finite shots of them")
    robust: list[DevicePoint]
    drift: list[DriftPoint]
    evidence: Evidence | None = Field(None, description="as below, for the model on the device")


class CertifiedPoint(Record):
    """What is proved at one budget; the exact robust accuracy lies between the two."""

    eps: float
    certified: Estimate = Field(description="correct, and proved to stay so")
    possible: Estimate = Field(description="correct, and no change that alters the answer is known")


class Certified(Record):
    """What is proved about one entrant."""

    method: str
    confidence: float = Field(description="of each claim; 1 for a proof")
    points: list[CertifiedPoint]
    tightness: list[int] = Field(
        description="certified radius over that of the nearest witness, of correct "
        "inputs, all seeds: counts in ten equal bins from 0 to 1"
    )
    median_radius: float = Field(description="of certified radii, correct inputs, all seeds")

    def at(self, eps: float) -> CertifiedPoint:
        """One budget of the grid."""
        return next(p for p in self.points if p.eps == eps)


class DeviceRecord(Record):
    """The calibration snapshot, and the quantum model's circuit fitted to it."""

    name: str
    date: str
    source: str
    sha256: str = Field(description="of the snapshot's canonical JSON")
    qubits: int = Field(description="qubits of the device")
    layout: list[int] = Field(description="the physical qubits in use")
    swaps: int = Field(description="SWAPs inserted")
    gates: int = Field(description="after routing")
    two_qubit_gates: int = Field(description="after routing, SWAPs included")
    depth: int = Field(description="after routing")


class ReliabilityBin(Record):
    """One bar of the reliability diagram, over all seeds."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


class EpochPoint(Record):
    """One epoch of the first seed's training."""

    number: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None


class EntrantResult(Record):
    """One row of the report card."""

    key: str
    label: str
    family: str
    defended: bool
    matched: bool
    parameters: int
    device: dict[str, int] = Field(description="qubits, depth, gates, ...; empty if classical")
    training_circuits: int = Field(description="circuits x settings to train on a device, all seeds")
    accuracy: Estimate
    accuracy_by_seed: list[float]
    robust: list[RobustPoint]
    calibration_error: Estimate = Field(description="expected calibration error, 10 bins")
    brier: Estimate
    reliability: list[ReliabilityBin]
    noise: dict[str, list[NoisePoint]] = Field(description="gate_error and readout_error sweeps")
    noise_resilience: Estimate | None = Field(
        description="accuracy under gate noise with shots, averaged over the sweep, over clean; may pass 1"
    )
    history: list[EpochPoint]
    on_device: OnDevice | None = Field(
        None, description="on the calibrated device; none if classical or no device was named"
    )

    evidence: Evidence | None = Field(
        None, description="what the audit measured on the first seed; see the audit's page"
    )
    certified: Certified | None = Field(
        None, description="what is proved; none if classical, or if no certificate applies"
    )
    uncertainty: Uncertainty | None = Field(
        None, description="abstaining, conformal sets, and where the doubt comes from"
    )
    uncertified: str = Field("", description="why nothing is proved, if it was tried")
    mitigation: list[MitigationRow] = Field(
        default_factory=list, description="techniques on the calibrated device; the first does nothing"
    )

    def at(self, eps: float) -> RobustPoint:
        """Robustness at one budget of the grid."""
        return next(p for p in self.robust if p.eps == eps)

    def on_device_at(self, eps: float) -> DevicePoint:
        """Robustness on the device at one budget of the grid."""
        points = self.on_device.robust if self.on_device else []
        return next(p for p in points if p.eps == eps)


class Example(Record):
    """A flipped input the model was sure of."""

    entrant: str
    row: int
    label: int
    predicted: int
    confidence_before: float
    confidence_after: float
    x: list[float]
    x_adv: list[float]


class Comparison(Record):
    """Quantum minus another entrant on the same inputs, intervals corrected for their number."""

    entrant: str
    accuracy: Estimate
    robust: Estimate


class Verdict(Record):
    """The headline in words."""

    level: str = Field(description="robust, fragile, broken or useless")
    headline: str
    sentences: list[str]


class Caveat(Record):
    """What a reader must know before using a number."""

    id: str
    text: str


class RaisedFlag(Record):
    """Something the audit found that makes a number suspect."""

    subject: str = Field(description="the entrant's label, and the device if it is about that")
    id: str = Field(description="a name in `robustq list audits`")
    level: str = Field(description="red: a number is not to be trusted; amber: look again")
    message: str


class Results(StudyRecord):
    """The whole of ``results.json``."""

    command: ClassVar[str] = "assess"
    schema_version: Literal["robustq-results-1"] = SCHEMA
    classes: list[str]
    features: list[str]
    image_shape: list[int] | None
    majority: float = Field(description="accuracy of always answering the commonest test class")
    reference_eps: float
    attack: str
    shots: int
    entrants: list[EntrantResult]
    comparisons: list[Comparison]
    examples: list[Example]
    verdict: Verdict
    caveats: list[Caveat]
    circuit_svg: str = Field(description="the quantum model's circuit, drawn")
    device: DeviceRecord | None = Field(None, description="the calibrated device, if one was named")
    flags: list[RaisedFlag] = Field(
        default_factory=list, description="what the evidence raises, in the order of the entrants"
    )

    def entrant(self, key: str) -> EntrantResult:
        """The row with this key."""
        return next(e for e in self.entrants if e.key == key)

    def at_reference(self, key: str) -> RobustPoint:
        """An entrant's robustness at the reference eps."""
        return self.entrant(key).at(self.reference_eps)

    def audited(self) -> dict[str, Evidence]:
        """The evidence against each subject: entrants by label, and again on the device."""
        found: dict[str, Evidence] = {}
        for row in self.entrants:
            if row.evidence is not None:
                found[row.label] = row.evidence
            if self.device and row.on_device and row.on_device.evidence is not None:
                found[f"{row.label} on {self.device.name}"] = row.on_device.evidence
        return found

    def judged(self) -> Results:
        """The same with the flags that its evidence raises."""
        flags = [
            RaisedFlag(subject=subject, id=flag.id, level=flag.level, message=flag.message)
            for subject, evidence in self.audited().items()
            for flag in judge(evidence)
        ]
        return self.model_copy(update={"flags": flags})


def read_results(run: Path) -> Results:
    """The checked results of a finished assessment (see :func:`robustq.bench.records.read_record`)."""
    return read_record(run, Results)
