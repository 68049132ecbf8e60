"""From the raw outcomes of the units to results with intervals."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq import stats
from robustq.audit import Evidence
from robustq.bench import results as r
from robustq.bench.audited import evidence
from robustq.bench.certified import contradicted, radii, witnessed
from robustq.bench.cost import attack_circuits, training_circuits
from robustq.bench.entrants import Entrant, entrants
from robustq.bench.estimates import Estimate
from robustq.bench.mitigation_table import mitigation_rows
from robustq.bench.outside import outsiders
from robustq.bench.spec import Spec
from robustq.bench.stages import bits
from robustq.bench.uncertainty_table import Plan, Uncertainty, answers_of, uncertainty_of
from robustq.bench.unit import read_stage
from robustq.bench.verdict import caveats, verdict
from robustq.contracts import SAME
from robustq.data import Dataset
from robustq.engine import native
from robustq.outsiders import is_outside, provenance
from robustq.seeding import numpy_generator

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What all seeds of one entrant produced; tables are ``(seeds, inputs)``."""

    entrant: Entrant
    train: list[dict[str, Any]]
    correct: Table
    probabilities: Table  # (seeds, inputs, classes)
    curve: list[dict[str, Any]]
    noise: list[dict[str, Any]]
    device: list[dict[str, Any]]
    mitigation: list[dict[str, Any]]
    drawn: list[dict[str, Any]]
    audit: dict[str, Any] | None
    certified: list[dict[str, Any]]
    examples: list[dict[str, Any]]


def unit_folder(run: Path, entrant: Entrant, seed: int) -> Path:
    """Where one unit keeps its files."""
    return run / "units" / f"{entrant.key}-{seed}"


def summarise(run: Path, spec: Spec, data: Dataset) -> r.Results:
    """The results of a run whose units are all done."""
    gathered = [_gather(run, spec, entrant) for entrant in entrants(spec)]
    rows = [_row(o, spec, data) for o in gathered]
    counts = np.bincount(data.y_test, minlength=len(data.classes))
    partial: dict[str, Any] = {
        "title": spec.title or _title(gathered[0].entrant, data),
        "versions": versions(*outsiders(spec)),
        "spec": spec.model_dump(),
        "spec_sha256": spec.content_id,
        "data": dict(data.record),
        "classes": list(data.classes),
        "features": list(data.features),
        "image_shape": list(data.image_shape) if data.image_shape else None,
        "majority": round(float(counts.max() / counts.sum()), 6),
        "reference_eps": spec.threat.reference,
        "threat": str(spec.threat.build(spec.threat.reference)),
        "attack": str(spec.attack.build()),
        "shots": spec.noise.shots,
        "confidence": spec.confidence,
        "entrants": rows,
        "comparisons": _comparisons(gathered, spec),
        "examples": _examples(gathered),
        "circuit_svg": gathered[0].train[0]["circuit_svg"],
        "device": _device_record(gathered[0]),
    }
    found = r.Results(**partial, verdict=verdict(partial, rows), caveats=caveats(spec, data, rows, partial))
    return found.judged()


def _title(entrant: Entrant, data: Dataset) -> str:
    """What is assessed, when the specification gives no title."""
    few = f", {' vs '.join(data.classes)}" if len(data.classes) <= 4 else ""
    return f"{entrant.label} on {data.name}{few}"


def _gather(run: Path, spec: Spec, entrant: Entrant) -> Outcomes:
    folders = [unit_folder(run, entrant, seed) for seed in range(spec.seeds)]

    def read(name: str) -> list[dict[str, Any]]:
        found = [read_stage(f / name) for f in folders if (f / name).exists()]
        return [content for content in found if content is not None]

    cleans, attacks = read("clean.json"), read("attack.json")
    return Outcomes(
        entrant,
        read("train.json"),
        np.array([bits(c["correct"]) for c in cleans]),
        np.array([c["probabilities"] for c in cleans]),
        [_merge_level([a["curve"][k] for a in attacks]) for k in range(len(spec.threat.eps))],
        read("noise.json"),
        read("device.json"),
        read("mitigation.json"),
        read("drawn.json"),
        read_stage(folders[0] / "audit.json"),
        read("certified.json"),
        attacks[0]["examples"],
    )


def _merge_level(levels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "eps": levels[0]["eps"],
        "robust": np.array([bits(level["robust"]) for level in levels]),
        "robust_to_noise": np.array([bits(level["robust_to_noise"]) for level in levels]),
        "queries": sum(level["queries"] for level in levels),
        "gradients": sum(level["gradients"] for level in levels),
    }


def _row(o: Outcomes, spec: Spec, data: Dataset) -> r.EntrantResult:
    device = {
        key: o.train[0][key]
        for key in ("qubits", "depth", "gates", "two_qubit_gates", "settings", "input_shifts")
        if key in o.train[0]
    }
    sweeps = {key: _sweep(o, key, spec) for key in ("gate_error", "readout_error")} if o.noise else {}
    return r.EntrantResult(
        key=o.entrant.key,
        label=o.entrant.label,
        family=o.entrant.family,
        defended=o.entrant.defended,
        matched=o.entrant.matched,
        parameters=o.train[0]["parameters"],
        device=device,
        training_circuits=sum(training_circuits(t, spec, o.entrant.defended) for t in o.train),
        accuracy=proportion_of(o.correct, spec),
        accuracy_by_seed=[round(float(v), 6) for v in o.correct.mean(1)],
        robust=[_point(o, level, spec) for level in o.curve],
        calibration_error=calibration_of(o, spec, data),
        brier=_brier(o, spec, data),
        reliability=_reliability(o, data),
        noise=sweeps,
        noise_resilience=resilience_of(o, spec) if o.noise else None,
        history=[
            r.EpochPoint(number=n, loss=a, validation_loss=b, validation_accuracy=c)
            for n, a, b, c in o.train[0].get("history", [])
        ],
        on_device=_on_device(o, spec) if o.device else None,
        evidence=_evidence(o, spec.threat.reference),
        certified=certified_of(o, spec),
        mitigation=mitigation_rows(o.mitigation, spec.confidence) if o.mitigation else [],
        uncertainty=_uncertainty(o, spec, data),
        uncertified=next((seed["none"] for seed in o.certified if "none" in seed), ""),
    )


def _uncertainty(o: Outcomes, spec: Spec, data: Dataset) -> Uncertainty:
    asked = spec.uncertainty
    plan = Plan(asked.alpha, asked.share, asked.repeats, spec.confidence, tuple(data.classes))
    answers = answers_of(data.y_test, o.probabilities, o.drawn)
    return uncertainty_of(answers, plan, numpy_generator(spec.seed, o.entrant.key, "uncertainty"))


def _proved(o: Outcomes) -> bool:
    return bool(o.certified) and not any("none" in seed for seed in o.certified)


def _evidence(o: Outcomes, eps: float) -> Evidence | None:
    """What the audit measured, and whether the attack refutes what was proved."""
    found = evidence(o.audit, "model")
    if found is None or not _proved(o):
        return found
    return replace(
        found, certified=contradicted(o.certified, o.curve), witnessed=witnessed(o.certified, o.curve, eps)
    )


def certified_of(o: Outcomes, spec: Spec) -> r.Certified | None:
    """What is proved at every eps; None where something could not be."""
    if not _proved(o):
        return None
    lower, upper = radii(o.certified, "lower"), radii(o.certified, "upper")
    points = [
        r.CertifiedPoint(
            eps=level["eps"],
            certified=proportion_of((lower >= level["eps"]).astype(float), spec),
            possible=proportion_of((upper > level["eps"] * (1 + SAME)) * level["robust"], spec),
        )
        for level in o.curve
    ]
    known = (upper > 0) & np.isfinite(upper)
    tightness, _ = np.histogram(lower[known] / upper[known], bins=10, range=(0.0, 1.0))
    right = lower[upper > 0]
    return r.Certified(
        method=o.certified[0]["method"],
        confidence=o.certified[0]["confidence"],
        points=points,
        tightness=tightness.tolist(),
        median_radius=round(float(np.median(right)), 9) if len(right) else 0.0,
    )


def proportion_of(table: Table, spec: Spec) -> Estimate:
    """A share over seeds and inputs, with the specification's confidence."""
    return Estimate.of(stats.proportion(table, spec.confidence))


def _point(o: Outcomes, level: dict[str, Any], spec: Spec) -> r.RobustPoint:
    robust = level["robust"] * o.correct
    flipped = o.correct - robust
    return r.RobustPoint(
        eps=level["eps"],
        robust=proportion_of(robust, spec),
        success=Estimate.of(stats.ratio(flipped, o.correct, spec.confidence)),
        robust_to_noise=proportion_of(level["robust_to_noise"] * o.correct, spec),
        queries=level["queries"],
        gradients=level["gradients"],
        circuits=attack_circuits(o.train[0], level["queries"], level["gradients"]),
    )


def calibration_of(o: Outcomes, spec: Spec, data: Dataset) -> Estimate:
    """ECE of each seed, averaged; interval by resampling seeds and inputs."""

    def error(seeds: NDArray[np.int64], inputs: NDArray[np.int64]) -> float:
        errors = [
            stats.expected_calibration_error(o.probabilities[seed][inputs], data.y_test[inputs]) for seed in seeds
        ]
        return float(np.mean(errors))

    stream = numpy_generator(spec.seed, o.entrant.key, "bootstrap")
    seeds, inputs = o.correct.shape
    found = stats.bootstrap(error, seeds, inputs, stream, resamples=300, confidence=spec.confidence)
    return Estimate.of(found)


def _brier(o: Outcomes, spec: Spec, data: Dataset) -> Estimate:
    scores = np.array([stats.brier(p, data.y_test) for p in o.probabilities])
    return Estimate.of(stats.mean(scores, spec.confidence, bounds=(0.0, 2.0)))


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


def _levels(o: Outcomes, key: str, column: str, index: int) -> Table:
    return np.array([bits(seed[key][index][column]) for seed in o.noise])


def _sweep(o: Outcomes, key: str, spec: Spec) -> list[r.NoisePoint]:
    return [
        r.NoisePoint(
            level=row["level"],
            exact=proportion_of(_levels(o, key, "exact", k), spec),
            shots=proportion_of(_levels(o, key, "shots", k), spec),
        )
        for k, row in enumerate(o.noise[0][key])
    ]


def resilience_of(o: Outcomes, spec: Spec) -> Estimate:
    """Mean accuracy over the gate-noise sweep (with shots, level zero left out) over clean."""
    count = len(o.noise[0]["gate_error"])
    swept = [_levels(o, "gate_error", "shots", k) for k in range(1, count)] or [o.correct]
    return Estimate.of(stats.relative(np.mean(swept, axis=0), o.correct, spec.confidence))


def _device_record(o: Outcomes) -> r.DeviceRecord | None:
    return r.DeviceRecord(**o.device[0]["record"]) if o.device else None


def _on_device(o: Outcomes, spec: Spec) -> r.OnDevice:
    clean = {key: np.array([bits(seed[key]) for seed in o.device]) for key in ("exact", "shots")}
    drift = [
        r.DriftPoint(
            scenario=row["scenario"],
            exact=proportion_of(_drifted(o, "exact", k), spec),
            shots=proportion_of(_drifted(o, "shots", k), spec),
        )
        for k, row in enumerate(o.device[0]["drift"])
    ]
    return r.OnDevice(
        exact=proportion_of(clean["exact"], spec),
        shots=proportion_of(clean["shots"], spec),
        robust=[_device_point(o, clean["exact"], k, spec) for k in range(len(spec.threat.eps))],
        drift=drift,
        evidence=evidence(o.audit, "device"),
    )


def _drifted(o: Outcomes, column: str, index: int) -> Table:
    return np.array([bits(seed["drift"][index][column]) for seed in o.device])


def _device_point(o: Outcomes, correct: Table, index: int, spec: Spec) -> r.DevicePoint:
    """Robust is what neither attack flips, input by input."""
    informed, transfer = (
        np.array([bits(seed[kind][index]["robust"]) for seed in o.device]) for kind in ("informed", "transfer")
    )
    robust = informed * transfer
    levels = [seed[kind][index] for seed in o.device for kind in ("informed", "transfer")]
    queries, gradients = (sum(level[key] for level in levels) for key in ("queries", "gradients"))
    return r.DevicePoint(
        eps=spec.threat.eps[index],
        robust=proportion_of(robust, spec),
        informed=proportion_of(informed, spec),
        transfer=proportion_of(transfer, spec),
        success=Estimate.of(stats.ratio(correct - robust, correct, spec.confidence)),
        queries=queries,
        gradients=gradients,
        circuits=attack_circuits(o.train[0], queries, gradients),
    )


def _comparisons(gathered: list[Outcomes], spec: Spec) -> list[r.Comparison]:
    """Paired differences, quantum minus each other entrant; Bonferroni over all of them."""
    others = gathered[1:]
    confidence = 1 - (1 - spec.confidence) / max(1, 2 * len(others))
    place = spec.threat.eps.index(spec.threat.reference)

    def robust(o: Outcomes) -> Table:
        table: Table = o.curve[place]["robust"] * o.correct
        return table

    quantum = gathered[0]
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
        r.Example(entrant=o.entrant.key, **example)
        for o in gathered
        if o.entrant.key.startswith("quantum")
        for example in o.examples
    ]


def versions(*named: str) -> dict[str, str]:
    """What the numbers were computed with: the library, and what of ``named`` is from outside it."""
    names = ("robustq", "torch", "numpy", "scipy", "scikit-learn")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "engine": native.description(),
        **{name: provenance(name) for name in named if is_outside(name)},
    }
