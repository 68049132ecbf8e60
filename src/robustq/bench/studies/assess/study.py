"""The assessment: train, attack, disturb and audit every entrant over all seeds."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from robustq.atomic import write_atomically
from robustq.bench.device import DeviceStage, Quantum, check_fits, on_device
from robustq.bench.entrants import Entrant, defence_of, entrants, try_out
from robustq.bench.evidence import AuditStage, audit
from robustq.bench.measurement import (
    AttackStage,
    CleanStage,
    NoiseStage,
    ShotStage,
    answers,
    attacked,
    drawn,
    noise_sweep,
)
from robustq.bench.mitigation import mitigate
from robustq.bench.mitigation_table import MitigationStage
from robustq.bench.outside import packages
from robustq.bench.proofs import ProofStage, prove
from robustq.bench.results import Results
from robustq.bench.spec import AssessmentSpecification, Spec, completed
from robustq.bench.studies.assess.summary import summarise
from robustq.bench.study import perform, plain, understood
from robustq.bench.training import trained
from robustq.contracts import QuantumClassifier
from robustq.data import Dataset
from robustq.defences.saved import load, save
from robustq.runs import Compute, Progress, Unit, Workspace

MEASURE = "robustq.bench.studies.assess.study:measure"
PUBLISHED = {"quantum": "model", "quantum-defended": "model-defended"}  # entrants whose first seed's model is copied


def assess(
    spec: Spec,
    run: Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> Results:
    """Assess a model in the folder ``run`` and return the results (see :func:`robustq.bench.study.perform`).

    Args:
        spec: what to assess.
        run: the run folder.
        workers: processes.
        progress: told after every unit.
        compute: with what else than processes on this machine, and over which store.
    """
    return perform(Assessment.of(spec), run, workers, progress, compute)


@dataclass(frozen=True, eq=False)
class Assessment:
    """A specification completed by its data."""

    spec: AssessmentSpecification
    data: Dataset
    kind: type[Results] = Results

    @staticmethod
    def of(spec: Spec) -> Assessment:
        """With every choice that depends on the data written out."""
        raw = spec.raw()
        own = completed(spec, raw).of(AssessmentSpecification)
        return Assessment(own, own.dataset(raw))

    @cached_property
    def entrants(self) -> list[Entrant]:
        """Everyone who takes part."""
        return entrants(self.spec)

    @property
    def total(self) -> int:
        """Every entrant over all seeds."""
        return self.spec.seeds * len(self.entrants)

    def check(self) -> None:
        """Build every model once and run it; a device has to be large enough."""
        for entrant in self.entrants:
            check_fits(try_out(entrant, self.spec, self.data), self.spec.noise.calibrated())

    def rounds(self, run: Path) -> list[list[Unit]]:
        """One round: no entrant depends on another."""
        content = plain(self.spec)
        return [[e.unit(MEASURE, content, seed) for seed in range(self.spec.seeds) for e in self.entrants]]

    def record(self, run: Path) -> Results:
        """The results."""
        return summarise(run, self.spec, self.data, self.entrants)

    def publish(self, run: Path, seconds: float) -> None:
        """The quantum models of the first seed in ``model/`` and ``model-defended/``, and the wall time."""
        for entrant in self.entrants:
            if entrant.key in PUBLISHED:
                source = run / entrant.folder(0)
                content = json.loads((source / "model.json").read_bytes())
                metadata = content["metadata"] | {"spec": self.spec.model_dump()}
                save(load(source, allow=packages(self.spec)), run / PUBLISHED[entrant.key], metadata=metadata)
        path = run / "timing.json"  # kept out of the results, so that they can be compared byte for byte
        sessions = json.loads(path.read_bytes())["sessions"] if path.exists() else []
        sessions.append({"seconds": round(seconds, 2), "cpus": os.cpu_count(), "platform": sys.platform})
        write_atomically(path, (json.dumps({"sessions": sessions}) + "\n").encode())


def measure(workspace: Workspace, *, spec: dict[str, Any], entrant: dict[str, Any], seed: int) -> None:
    """Train one entrant for one seed and measure it, stage by stage; a stage whose file is whole is not redone."""
    asked, data = understood(AssessmentSpecification, spec)
    who, folder = Entrant(**entrant), workspace.folder
    model = trained(who, asked, defence_of(who, asked.defence, asked), data, seed, folder)
    CleanStage.once(folder, lambda: answers(model, data))
    attack = AttackStage.once(folder, lambda: attacked(model, data, asked, seed))
    if isinstance(model, QuantumClassifier):
        _measure_quantum(model, asked, data, seed, folder)
    if seed == 0:  # the checks look for mistakes of the method, which every seed would share
        AuditStage.once(folder, lambda: audit(model, data, asked, who, attack.examples))


def _measure_quantum(
    model: QuantumClassifier, spec: AssessmentSpecification, data: Dataset, seed: int, folder: Path
) -> None:
    """What only a model with a circuit has: noise, shots, perhaps certificates, a device and mitigation there."""
    device = spec.noise.calibrated() if isinstance(model, Quantum) else None
    fit = model.fitted(device) if device is not None and isinstance(model, Quantum) else None
    NoiseStage.once(folder, lambda: noise_sweep(model, data, spec, seed))
    ShotStage.once(folder, lambda: drawn(model, fit, data, spec, seed, spec.uncertainty.draws))
    certifier = spec.certificate.build()
    if certifier is not None:
        ProofStage.once(folder, lambda: prove(certifier, model, data, spec, seed))
    if device is not None and isinstance(model, Quantum):
        DeviceStage.once(folder, lambda: on_device(model, device, data, spec, seed))
        if spec.mitigation.names != []:
            MitigationStage.once(folder, lambda: mitigate(model, device, data, spec, spec.mitigation, seed))
