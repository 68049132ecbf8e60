"""From the raw outcomes of the units to results with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robustq import stats
from robustq.audit import Evidence
from robustq.bench import results as r
from robustq.bench.cost import attack_circuits, training_circuits
from robustq.bench.device import DeviceStage
from robustq.bench.entrants import Entrant
from robustq.bench.estimates import Estimate, expected_calibration_error, share
from robustq.bench.evidence import AuditStage
from robustq.bench.measurement import AttackStage, CleanStage, NoiseStage, ShotStage, resilience
from robustq.bench.mitigation_table import MitigationStage, mitigation_rows
from robustq.bench.proofs import ProofStage, certified, contradicted, reason, witnessed
from robustq.bench.records import heading
from robustq.bench.spec import AssessmentSpecification
from robustq.bench.stages import Table, of_every_seed, table
from robustq.bench.studies.assess.verdict import caveats, verdict
from robustq.bench.training import TrainingStage
from robustq.bench.uncertainty_table import Answers, Settings, Uncertainty, uncertainty_of
from robustq.data import Dataset
from robustq.seeding import numpy_generator


@dataclass(frozen=True)
class Outcomes:
    """What all seeds of one entrant produced; tables are ``(seeds, inputs)``."""

    entrant: Entrant
    training: list[TrainingStage]
    clean: list[CleanStage]
    attacks: list[AttackStage]
    noise: list[NoiseStage]
    shots: list[ShotStage]
    proofs: list[ProofStage]
    device: list[DeviceStage]
    mitigation: list[MitigationStage]
    audit: AuditStage | None

    @staticmethod
    def of(run: Path, entrant: Entrant, seeds: int) -> Outcomes:
        """From the files of its units."""
        folders = [run / entrant.folder(seed) for seed in range(seeds)]
        return Outcomes(
            entrant,
            of_every_seed(TrainingStage, folders),
            of_every_seed(CleanStage, folders),
            of_every_seed(AttackStage, folders),
            of_every_seed(NoiseStage, folders),
            of_every_seed(ShotStage, folders),
            of_every_seed(ProofStage, folders),
            of_every_seed(DeviceStage, folders),
            of_every_seed(MitigationStage, folders),
            AuditStage.read(folders[0]),
        )

    @cached_property
    def correct(self) -> Table:
        """Clean inputs classified correctly."""
        return table(seed.correct for seed in self.clean)

    @cached_property
    def probabilities(self) -> Table:
        """Of clean inputs, ``(seeds, inputs, classes)``."""
        return np.array([seed.probabilities for seed in self.clean])

    @cached_property
    def robust(self) -> dict[float, Table]:
        """Who survives the attack, by eps."""
        return self._survivors("robust")

    @cached_property
    def robust_to_noise(self) -> dict[float, Table]:
        """Who survives random noise of the same size, by eps."""
        return self._survivors("robust_to_noise")

    def _survivors(self, name: str) -> dict[float, Table]:
        levels = zip(*(seed.curve for seed in self.attacks), strict=True)
        return {seeds[0].eps: table(getattr(level, name) for level in seeds) for seeds in levels}


def summarise(run: Path, spec: AssessmentSpecification, data: Dataset, entrants: Sequence[Entrant]) -> r.Results:
    """The results of a run whose units are all done."""
    gathered = [Outcomes.of(run, entrant, spec.seeds) for entrant in entrants]
    quantum, rows = gathered[0], [_row(o, spec, data) for o in gathered]
    counts = np.bincount(data.y_test, minlength=len(data.classes))
    partial: dict[str, Any] = {
        **heading(spec, data, quantum.entrant.label),
        "classes": list(data.classes),
        "features": list(data.features),
        "image_shape": list(data.image_shape) if data.image_shape else None,
        "majority": round(float(counts.max() / counts.sum()), 6),
        "reference_eps": spec.threat.reference,
        "attack": str(spec.attack.build()),
        "shots": spec.noise.shots,
        "entrants": rows,
        "comparisons": _comparisons(gathered, spec),
        "examples": _examples(gathered),
        "circuit_svg": quantum.training[0].circuit_svg,
        "device": quantum.device[0].record if quantum.device else None,
    }
    found = r.Results(**partial, verdict=verdict(partial, rows), caveats=caveats(spec, data, rows, partial))
    return found.judged()


def _row(o: Outcomes, spec: AssessmentSpecification, data: Dataset) -> r.EntrantResult:
    first, confidence = o.training[0], spec.confidence
    shown = ("qubits", "depth", "gates", "two_qubit_gates", "settings", "input_shifts")
    return r.EntrantResult(
        key=o.entrant.key,
        label=o.entrant.label,
        family=o.entrant.family,
        defended=o.entrant.defended,
        matched=o.entrant.matched,
        parameters=first.parameters,
        device={key: first.facts[key] for key in shown if key in first.facts},
        training_circuits=sum(training_circuits(t.facts, spec.defence, o.entrant.defended) for t in o.training),
        accuracy=share(o.correct, confidence),
        accuracy_by_seed=[round(float(v), 6) for v in o.correct.mean(1)],
        robust=[_point(o, place, confidence) for place in range(len(spec.threat.eps))],
        calibration_error=expected_calibration_error(
            o.probabilities, data.y_test, numpy_generator(spec.seed, o.entrant.key, "bootstrap"), confidence
        ),
        brier=_brier(o, data, confidence),
        reliability=_reliability(o, data),
        noise={key: _sweep(o, key, confidence) for key in ("gate_error", "readout_error")} if o.noise else {},
        noise_resilience=resilience(o.noise, o.correct, confidence) if o.noise else None,
        history=[
            r.EpochPoint(number=n, loss=a, validation_loss=b, validation_accuracy=c)
            for n, a, b, c in first.history or []
        ],
        on_device=_on_device(o, confidence) if o.device else None,
        evidence=_evidence(o, spec.threat.reference),
        certified=certified(o.proofs, o.robust, confidence),
        mitigation=mitigation_rows(o.mitigation, confidence) if o.mitigation else [],
        uncertainty=_uncertainty(o, spec, data),
        uncertified=reason(o.proofs),
    )


def _uncertainty(o: Outcomes, spec: AssessmentSpecification, data: Dataset) -> Uncertainty:
    asked = spec.uncertainty
    settings = Settings(asked.alpha, asked.share, asked.repeats, spec.confidence, tuple(data.classes))
    noisy = [seed.noisy for seed in o.shots if seed.noisy is not None]
    answers = Answers(
        data.y_test,
        o.probabilities,
        np.array([seed.draws for seed in o.shots], float) if o.shots else None,
        np.array(noisy, float) if noisy else None,
    )
    return uncertainty_of(answers, settings, numpy_generator(spec.seed, o.entrant.key, "uncertainty"))


def _evidence(o: Outcomes, eps: float) -> Evidence | None:
    """What the audit measured, and whether the attack refutes what was proved."""
    evidence = o.audit.evidence() if o.audit else None
    if evidence is None or not o.proofs or reason(o.proofs):
        return evidence
    return replace(
        evidence, certified=contradicted(o.proofs, o.robust), witnessed=witnessed(o.proofs, o.robust[eps], eps)
    )


def _point(o: Outcomes, place: int, confidence: float) -> r.RobustPoint:
    levels = [seed.curve[place] for seed in o.attacks]
    eps, queries, gradients = levels[0].eps, sum(v.queries for v in levels), sum(v.gradients for v in levels)
    robust = o.robust[eps] * o.correct
    return r.RobustPoint(
        eps=eps,
        robust=share(robust, confidence),
        success=Estimate.of(stats.ratio(o.correct - robust, o.correct, confidence)),
        robust_to_noise=share(o.robust_to_noise[eps] * o.correct, confidence),
        queries=queries,
        gradients=gradients,
        circuits=attack_circuits(o.training[0].facts, queries, gradients),
    )


def _brier(o: Outcomes, data: Dataset, confidence: float) -> Estimate:
    scores = np.array([stats.brier(p, data.y_test) for p in o.probabilities])
    return Estimate.of(stats.mean(scores, confidence, bounds=(0.0, 2.0)))


def _reliability(o: Outcomes, data: Dataset) -> list[r.ReliabilityBin]:
    """Bins over all seeds together."""
    seeds, inputs, classes = o.probabilities.shape
    flat = o.probabilities.reshape(seeds * inputs, classes)
    bars = stats.reliability(flat, np.tile(data.y_test, seeds))
    return [
        r.ReliabilityBin(
            low=b.low, high=b.high, count=b.count, confidence=round(b.confidence, 6), accuracy=round(b.accuracy, 6)
        )
        for b in bars
    ]


def _sweep(o: Outcomes, kind: str, confidence: float) -> list[r.NoisePoint]:
    levels = zip(*(getattr(seed, kind) for seed in o.noise), strict=True)
    return [
        r.NoisePoint(
            level=seeds[0].level,
            exact=share(table(level.exact for level in seeds), confidence),
            shots=share(table(level.shots for level in seeds), confidence),
        )
        for seeds in levels
    ]


def _on_device(o: Outcomes, confidence: float) -> r.OnDevice:
    exact = table(seed.exact for seed in o.device)
    drifts = zip(*(seed.drift for seed in o.device), strict=True)
    return r.OnDevice(
        exact=share(exact, confidence),
        shots=share(table(seed.shots for seed in o.device), confidence),
        robust=[_device_point(o, exact, place, confidence) for place in range(len(o.device[0].informed))],
        drift=[
            r.DriftPoint(
                scenario=seeds[0].scenario,
                exact=share(table(seed.exact for seed in seeds), confidence),
                shots=share(table(seed.shots for seed in seeds), confidence),
            )
            for seeds in drifts
        ],
        evidence=o.audit.evidence(on_device=True) if o.audit else None,
    )


def _device_point(o: Outcomes, correct: Table, place: int, confidence: float) -> r.DevicePoint:
    """Robust is what neither attack flips, input by input."""
    informed, transfer = ([getattr(seed, kind)[place] for seed in o.device] for kind in ("informed", "transfer"))
    known, unknown = (table(level.robust for level in levels) for levels in (informed, transfer))
    robust = known * unknown
    queries = sum(level.queries for level in informed + transfer)
    gradients = sum(level.gradients for level in informed + transfer)
    return r.DevicePoint(
        eps=informed[0].eps,
        robust=share(robust, confidence),
        informed=share(known, confidence),
        transfer=share(unknown, confidence),
        success=Estimate.of(stats.ratio(correct - robust, correct, confidence)),
        queries=queries,
        gradients=gradients,
        circuits=attack_circuits(o.training[0].facts, queries, gradients),
    )


def _comparisons(gathered: list[Outcomes], spec: AssessmentSpecification) -> list[r.Comparison]:
    """Paired differences, quantum minus each other entrant; Bonferroni over all of them."""
    quantum, others = gathered[0], gathered[1:]
    confidence = 1 - (1 - spec.confidence) / max(1, 2 * len(others))

    def robust(o: Outcomes) -> Table:
        return o.robust[spec.threat.reference] * o.correct

    return [
        r.Comparison(
            entrant=o.entrant.key,
            accuracy=Estimate.of(stats.difference(quantum.correct, o.correct, confidence)),
            robust=Estimate.of(stats.difference(robust(quantum), robust(o), confidence)),
        )
        for o in others
    ]


def _examples(gathered: list[Outcomes]) -> list[r.Example]:
    """The worst examples of the quantum entrants, first seed."""
    return [
        r.Example(entrant=o.entrant.key, **example.model_dump())
        for o in gathered
        if o.entrant.key.startswith("quantum")
        for example in o.attacks[0].examples
    ]
