"""From the raw outcomes of the units to results with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from robustq import stats
from robustq.audit import Evidence
from robustq.bench import results as r
from robustq.bench.cost import attack_circuits, training_circuits
from robustq.bench.device import DeviceStage
from robustq.bench.entrants import Entrant
from robustq.bench.estimates import Estimate, share
from robustq.bench.evidence import AuditStage
from robustq.bench.measurement import NoiseStage, ShotStage
from robustq.bench.mitigation_table import MitigationStage, mitigation_rows
from robustq.bench.outcomes import Outcomes, majority
from robustq.bench.proofs import contradicted, reason, witnessed
from robustq.bench.records import heading
from robustq.bench.spec import AssessmentSpecification
from robustq.bench.stages import table
from robustq.bench.studies.assess.verdict import caveats, verdict
from robustq.bench.uncertainty_table import Answers, Settings, Uncertainty, uncertainty_of
from robustq.data import Dataset
from robustq.seeding import numpy_generator


def summarise(run: Path, spec: AssessmentSpecification, data: Dataset, entrants: Sequence[Entrant]) -> r.Results:
    """The results of a run whose units are all done."""
    every = [Outcomes.of(run, entrant, spec) for entrant in entrants]
    quantum, rows = every[0], [_row(o, spec, data) for o in every]
    device = quantum.stages(DeviceStage)
    partial: dict[str, Any] = {
        **heading(spec, data, quantum.entrant.label),
        "classes": list(data.classes),
        "features": list(data.features),
        "image_shape": list(data.image_shape) if data.image_shape else None,
        "majority": majority(data),
        "reference_eps": spec.threat.reference,
        "attack": str(spec.attack.build()),
        "shots": spec.noise.shots,
        "entrants": rows,
        "comparisons": _comparisons(every, spec),
        "examples": _examples(every),
        "circuit_svg": quantum.training[0].circuit_svg,
        "device": device[0].record if device else None,
    }
    results = r.Results(**partial, verdict=verdict(partial, rows), caveats=caveats(spec, data, rows, partial))
    return results.judged()


def _row(o: Outcomes, spec: AssessmentSpecification, data: Dataset) -> r.EntrantResult:
    first, audit = o.training[0], AuditStage.read(o.folders[0])
    noise, mitigation = o.stages(NoiseStage), o.stages(MitigationStage)
    shown = ("qubits", "depth", "gates", "two_qubit_gates", "settings", "input_shifts")
    return r.EntrantResult(
        **o.figures(spec, data),
        label=o.entrant.label,
        defended=o.entrant.defended,
        matched=o.entrant.matched,
        device={key: first.facts[key] for key in shown if key in first.facts},
        training_circuits=sum(training_circuits(t.facts, spec.defence, o.entrant.defended) for t in o.training),
        robust=[_point(o, eps) for eps in spec.threat.eps],
        brier=_brier(o, data),
        reliability=_reliability(o, data),
        noise={key: _sweep(noise, key, o.confidence) for key in ("gate_error", "readout_error")} if noise else {},
        history=[
            r.EpochPoint(number=n, loss=a, validation_loss=b, validation_accuracy=c)
            for n, a, b, c in first.history or []
        ],
        on_device=_on_device(o, o.stages(DeviceStage), audit),
        evidence=_evidence(o, audit, spec.threat.reference),
        mitigation=mitigation_rows(mitigation, o.confidence) if mitigation else [],
        uncertainty=_uncertainty(o, spec, data),
    )


def _uncertainty(o: Outcomes, spec: AssessmentSpecification, data: Dataset) -> Uncertainty:
    wanted, shots = spec.uncertainty, o.stages(ShotStage)
    settings = Settings(wanted.alpha, wanted.share, wanted.repeats, spec.confidence, tuple(data.classes))
    noisy = [seed.noisy for seed in shots if seed.noisy is not None]
    answers = Answers(
        data.y_test,
        o.probabilities,
        np.array([seed.draws for seed in shots], float) if shots else None,
        np.array(noisy, float) if noisy else None,
    )
    return uncertainty_of(answers, settings, numpy_generator(spec.seed, o.entrant.key, "uncertainty"))


def _evidence(o: Outcomes, audit: AuditStage | None, eps: float) -> Evidence | None:
    """What the audit measured, and whether the attack refutes what was proved."""
    evidence = audit.evidence() if audit else None
    if evidence is None or not o.proofs or reason(o.proofs):
        return evidence
    return replace(
        evidence, certified=contradicted(o.proofs, o.robust), witnessed=witnessed(o.proofs, o.robust[eps], eps)
    )


def _point(o: Outcomes, eps: float) -> r.RobustPoint:
    known = o.point(eps)
    return r.RobustPoint(**known, circuits=attack_circuits(o.training[0].facts, known["queries"], known["gradients"]))


def _brier(o: Outcomes, data: Dataset) -> Estimate:
    scores = np.array([stats.brier(p, data.y_test) for p in o.probabilities])
    return Estimate.of(stats.mean(scores, o.confidence, bounds=(0.0, 2.0)))


def _reliability(o: Outcomes, data: Dataset) -> list[r.ReliabilityBin]:
    """Bins over all seeds together."""
    seeds, inputs, classes = o.probabilities.shape
    flat = o.probabilities.reshape(seeds * inputs, classes)
    return [
        r.ReliabilityBin(**asdict(bar) | {"confidence": round(bar.confidence, 6), "accuracy": round(bar.accuracy, 6)})
        for bar in stats.reliability(flat, np.tile(data.y_test, seeds))
    ]


def _exact_and_shots(seeds: Sequence[Any], confidence: float) -> dict[str, Estimate]:
    """Accuracy from exact expectations and from shots, of what stores the correctness of both."""
    return {key: share(table(getattr(one, key) for one in seeds), confidence) for key in ("exact", "shots")}


def _sweep(noise: list[NoiseStage], kind: str, confidence: float) -> list[r.NoisePoint]:
    levels = zip(*(getattr(seed, kind) for seed in noise), strict=True)
    return [r.NoisePoint(level=seeds[0].level, **_exact_and_shots(seeds, confidence)) for seeds in levels]


def _on_device(o: Outcomes, device: list[DeviceStage], audit: AuditStage | None) -> r.OnDevice | None:
    if not device:
        return None
    drifts = zip(*(seed.drift for seed in device), strict=True)
    return r.OnDevice(
        **_exact_and_shots(device, o.confidence),
        robust=[_device_point(o, device, place) for place in range(len(device[0].informed))],
        drift=[r.DriftPoint(scenario=seeds[0].scenario, **_exact_and_shots(seeds, o.confidence)) for seeds in drifts],
        evidence=audit.evidence(on_device=True) if audit else None,
    )


def _device_point(o: Outcomes, device: list[DeviceStage], place: int) -> r.DevicePoint:
    """Robust is what neither attack flips, input by input."""
    informed, transfer = ([getattr(seed, kind)[place] for seed in device] for kind in ("informed", "transfer"))
    known, unknown = (table(level.robust for level in levels) for levels in (informed, transfer))
    correct, robust = table(seed.exact for seed in device), known * unknown
    queries = sum(level.queries for level in informed + transfer)
    gradients = sum(level.gradients for level in informed + transfer)
    return r.DevicePoint(
        eps=informed[0].eps,
        robust=share(robust, o.confidence),
        informed=share(known, o.confidence),
        transfer=share(unknown, o.confidence),
        success=Estimate.of(stats.ratio(correct - robust, correct, o.confidence)),
        queries=queries,
        gradients=gradients,
        circuits=attack_circuits(o.training[0].facts, queries, gradients),
    )


def _comparisons(every: list[Outcomes], spec: AssessmentSpecification) -> list[r.Comparison]:
    """Paired differences, quantum minus each other entrant; Bonferroni over all of them."""
    quantum, others, eps = every[0], every[1:], spec.threat.reference
    confidence = 1 - (1 - spec.confidence) / max(1, 2 * len(others))
    return [
        r.Comparison(
            entrant=o.entrant.key,
            accuracy=Estimate.of(stats.difference(quantum.correct, o.correct, confidence)),
            robust=Estimate.of(stats.difference(quantum.robust[eps], o.robust[eps], confidence)),
        )
        for o in others
    ]


def _examples(every: list[Outcomes]) -> list[r.Example]:
    """The worst examples of the quantum entrants, first seed."""
    return [
        r.Example(entrant=o.entrant.key, **example.model_dump())
        for o in every
        if o.entrant.key.startswith("quantum")
        for example in o.attacks[0].examples
    ]
