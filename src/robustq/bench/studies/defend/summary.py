"""From the raw outcomes of defended models to the rows of the defence table, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robustq import stats
from robustq.attacks import QuantumAutoAttack
from robustq.bench.defence_table import DefenceTable, DefendedPoint, DefendedRow, Gain
from robustq.bench.entrants import Entrant
from robustq.bench.estimates import Estimate, share
from robustq.bench.outcomes import Outcomes, majority
from robustq.bench.records import heading
from robustq.bench.spec import DefenceSpecification
from robustq.bench.stages import Table, table
from robustq.catalogue import resolve
from robustq.data import Dataset
from robustq.defences.catalogue import DEFENCES


def summarise(
    run: Path, spec: DefenceSpecification, data: Dataset, labelled: Sequence[tuple[Entrant, str]]
) -> DefenceTable:
    """The table of a run whose units are all done, entrants with what it calls them."""
    every = [Outcomes.of(run, entrant, spec) for entrant, _ in labelled]
    bare, gains = every[0], [None, *(_gain(o, every[0], spec, len(every) - 1) for o in every[1:])]
    rows = [_row(o, label, spec, data, gain) for o, (_, label), gain in zip(every, labelled, gains, strict=True)]
    eps = spec.threat.reference
    return DefenceTable(
        **heading(spec, data, f"Defences of {bare.entrant.label}"),
        majority=majority(data),
        reference_eps=eps,
        usual_attack=str(spec.attack.build()),
        adaptive_attack=str(QuantumAutoAttack()),
        shots=spec.noise.shots,
        inputs=len(data.x_test),
        seeds=spec.seeds,
        rows=rows,
        sentences=sentences(rows, eps),
    )


def _row(o: Outcomes, label: str, spec: DefenceSpecification, data: Dataset, gain: Gain | None) -> DefendedRow:
    steps, rejected = _steps(o.entrant, spec), [seed.rejected for seed in o.clean if seed.rejected is not None]
    return DefendedRow(
        **o.figures(spec, data),
        label=label,
        steps=steps,
        layers=list(dict.fromkeys(resolve("defence", name, DEFENCES).layer for name in steps)),
        qubits=o.training[0].qubits,
        two_qubit_gates=o.training[0].two_qubit_gates,
        randomised=o.clean[0].randomised,
        twins=o.clean[0].twins,
        rejected=share(table(rejected), spec.confidence) if rejected else None,
        points=[_point(o, eps) for eps in spec.threat.eps],
        gain=gain,
    )


def _steps(entrant: Entrant, spec: DefenceSpecification) -> list[str]:
    if entrant.recipe is not None:
        return [step.name for step in spec.recipes[entrant.recipe].all_steps]
    return [spec.defence.name] if entrant.defended else []


def _point(o: Outcomes, eps: float) -> DefendedPoint:
    alone = {name: share(o.survivors(eps, name), o.confidence) for name in ("usual", "transfer", "adaptive")}
    return DefendedPoint(**o.point(eps), **alone)


def _gain(o: Outcomes, bare: Outcomes, spec: DefenceSpecification, others: int) -> Gain:
    """Paired differences to the undefended model; Bonferroni over all rows and three figures each."""
    confidence, eps = 1 - (1 - spec.confidence) / max(1, 3 * others), spec.threat.reference

    def gain(mine: Table, its: Table) -> Estimate:
        return Estimate.of(stats.difference(mine, its, confidence))

    clean, robust = gain(o.correct, bare.correct), gain(o.robust[eps], bare.robust[eps])
    usual = gain(o.survivors(eps, "usual"), bare.survivors(eps, "usual"))
    return Gain(
        clean=clean,
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
