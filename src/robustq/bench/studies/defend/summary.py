"""From the raw outcomes of defended models to the rows of the defence table, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from robustq import stats
from robustq.attacks import QuantumAutoAttack
from robustq.bench.defence_table import DefenceTable, DefendedPoint, DefendedRow, Gain
from robustq.bench.entrants import Entrant
from robustq.bench.estimates import Estimate, expected_calibration_error, share
from robustq.bench.measurement import CleanStage, NoiseStage, resilience
from robustq.bench.proofs import ProofStage, certified, reason
from robustq.bench.records import heading
from robustq.bench.spec import DefenceSpecification
from robustq.bench.stages import Table, of_every_seed, table
from robustq.bench.studies.defend.attacks import AttackStage
from robustq.bench.training import TrainingStage
from robustq.catalogue import resolve
from robustq.data import Dataset
from robustq.defences.catalogue import DEFENCES
from robustq.seeding import numpy_generator


@dataclass(frozen=True, eq=False)
class DefendedModels:
    """What all seeds of one row produced, and what the table calls it."""

    label: str
    entrant: Entrant
    training: list[TrainingStage]
    clean: list[CleanStage]
    attacks: list[AttackStage]
    noise: list[NoiseStage]
    proofs: list[ProofStage]

    @staticmethod
    def of(run: Path, entrant: Entrant, label: str, seeds: int) -> DefendedModels:
        """From the files of its units."""
        folders = [run / entrant.folder(seed) for seed in range(seeds)]
        return DefendedModels(
            label,
            entrant,
            of_every_seed(TrainingStage, folders),
            of_every_seed(CleanStage, folders),
            of_every_seed(AttackStage, folders),
            of_every_seed(NoiseStage, folders),
            of_every_seed(ProofStage, folders),
        )

    @cached_property
    def correct(self) -> Table:
        """Clean inputs classified correctly, ``(seeds, inputs)``."""
        return table(seed.correct for seed in self.clean)

    def alive(self, place: int, name: str) -> Table:
        """Who survives an attack (or, ``robust``, all of them) at one budget, ``(seeds, inputs)``."""
        # of a model that answers at random two majorities may differ
        return table(getattr(seed.curve[place], name) for seed in self.attacks) * self.correct


def summarise(
    run: Path, spec: DefenceSpecification, data: Dataset, everyone: Sequence[tuple[Entrant, str]]
) -> DefenceTable:
    """The table of a run whose units are all done."""
    gathered = [DefendedModels.of(run, entrant, label, spec.seeds) for entrant, label in everyone]
    rows = [_row(models, gathered[0], spec, data, len(gathered) - 1) for models in gathered]
    counts = np.bincount(data.y_test, minlength=len(data.classes))
    eps = spec.threat.reference
    return DefenceTable(
        **heading(spec, data, f"Defences of {gathered[0].entrant.label}"),
        majority=round(float(counts.max() / counts.sum()), 6),
        reference_eps=eps,
        usual_attack=str(spec.attack.build()),
        adaptive_attack=str(QuantumAutoAttack()),
        shots=spec.noise.shots,
        inputs=len(data.x_test),
        seeds=spec.seeds,
        rows=rows,
        sentences=sentences(rows, eps),
    )


def _row(
    models: DefendedModels, first: DefendedModels, spec: DefenceSpecification, data: Dataset, others: int
) -> DefendedRow:
    entrant, confidence, grid = models.entrant, spec.confidence, spec.threat.eps
    steps, rejected = _steps(entrant, spec), [seed.rejected for seed in models.clean if seed.rejected is not None]
    probabilities = np.array([seed.probabilities for seed in models.clean])
    stream = numpy_generator(spec.seed, entrant.key, "bootstrap")
    robust = {eps: models.alive(place, "robust") for place, eps in enumerate(grid)}
    return DefendedRow(
        key=entrant.key,
        label=models.label,
        family=entrant.family,
        steps=steps,
        layers=list(dict.fromkeys(resolve("defence", name, DEFENCES).layer for name in steps)),
        parameters=models.training[0].parameters,
        qubits=models.training[0].qubits,
        two_qubit_gates=models.training[0].two_qubit_gates,
        randomised=models.clean[0].randomised,
        twins=models.clean[0].twins,
        accuracy=share(models.correct, confidence),
        accuracy_by_seed=[round(float(v), 6) for v in models.correct.mean(1)],
        rejected=share(table(rejected), confidence) if rejected else None,
        points=[_point(models, place, eps, confidence) for place, eps in enumerate(grid)],
        certified=certified(models.proofs, robust, confidence),
        uncertified=reason(models.proofs),
        calibration_error=expected_calibration_error(probabilities, data.y_test, stream, confidence),
        noise_resilience=resilience(models.noise, models.correct, confidence) if models.noise else None,
        gain=None if models is first else _gain(models, first, spec, others),
    )


def _steps(entrant: Entrant, spec: DefenceSpecification) -> list[str]:
    if entrant.recipe is not None:
        return [step.name for step in spec.recipes[entrant.recipe].all_steps]
    return [spec.defence.name] if entrant.defended else []


def _point(models: DefendedModels, place: int, eps: float, confidence: float) -> DefendedPoint:
    correct, robust = models.correct, models.alive(place, "robust")
    levels = [seed.curve[place] for seed in models.attacks]
    return DefendedPoint(
        eps=eps,
        robust=share(robust, confidence),
        usual=share(models.alive(place, "usual"), confidence),
        transfer=share(models.alive(place, "transfer"), confidence),
        adaptive=share(models.alive(place, "adaptive"), confidence),
        success=Estimate.of(stats.ratio(correct - robust, correct, confidence)),
        robust_to_noise=share(models.alive(place, "noise"), confidence),
        queries=sum(level.queries for level in levels),
        gradients=sum(level.gradients for level in levels),
    )


def _gain(models: DefendedModels, first: DefendedModels, spec: DefenceSpecification, others: int) -> Gain:
    """Paired differences to the undefended model; Bonferroni over all rows and three figures each."""
    confidence = 1 - (1 - spec.confidence) / max(1, 3 * others)
    place = spec.threat.eps.index(spec.threat.reference)

    def difference(of: str) -> Estimate:
        return Estimate.of(stats.difference(models.alive(place, of), first.alive(place, of), confidence))

    clean = stats.difference(models.correct, first.correct, confidence)
    robust, usual = difference("robust"), difference("usual")
    return Gain(
        clean=Estimate.of(clean),
        robust=robust,
        usual=usual,
        survives=robust.low > 0,
        only_usual=usual.low > 0 and not robust.low > 0,
    )


def sentences(rows: Sequence[DefendedRow], eps: float) -> list[str]:
    """The best defence, those that only seem to work, and the classical models beside them."""
    first, recipes = rows[0], [row for row in rows[1:] if row.family != "classical"]
    told = [
        f"Without defence {percent(first.at(eps).robust)} of the inputs are right and stay right at "
        f"eps = {eps:g} (clean accuracy {percent(first.accuracy)})."
    ]
    lasting = [row for row in recipes if row.gain and row.gain.survives]
    if lasting:
        told.append(_best(max(lasting, key=lambda row: row.at(eps).robust.value), eps))
    elif recipes:
        told.append("No defence raises that beyond chance.")
    seeming = [row.label for row in recipes if row.gain and row.gain.only_usual]
    if seeming:
        told.append(
            "Only under the usual attack, not under attacks that know the defence, do these raise it: "
            f"{', '.join(seeming)}."
        )
    classical = [row for row in rows if row.family == "classical"]
    if classical:
        best = max(classical, key=lambda row: row.at(eps).robust.value)
        told.append(
            f"The most robust classical model, {best.label}, keeps {percent(best.at(eps).robust)} "
            f"(clean {percent(best.accuracy)})."
        )
    return told


def _best(row: DefendedRow, eps: float) -> str:
    assert row.gain is not None
    up, cost = row.gain.robust, row.gain.clean
    return (
        f"The best defence, {row.label}, raises it to {percent(row.at(eps).robust)} "
        f"({100 * up.value:+.1f} points, corrected interval {100 * up.low:+.1f} to {100 * up.high:+.1f}) "
        f"and changes clean accuracy by {100 * cost.value:+.1f} points "
        f"({100 * cost.low:+.1f} to {100 * cost.high:+.1f})."
    )


def percent(estimate: Estimate) -> str:
    """A share in percent.

    >>> percent(Estimate(value=0.5, low=0.4, high=0.6, inputs=1, seeds=1))
    '50.0 %'
    """
    return f"{100 * estimate.value:.1f} %"
