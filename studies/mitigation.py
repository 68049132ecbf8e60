"""What error mitigation removes, against theory, and what that changes for trained classifiers.

    python -m studies.mitigation

First random four-qubit circuits on three bundled devices: for every technique the error of ``<Z>`` with infinitely
many shots, and the factor by which theory says that it shrinks, computed in another way. Then trained classifiers:
errors, clean and robust accuracy with and without. Prints the tables and writes them into docs/mitigation.md. Some
minutes on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from perf.markers import inject
from rich.console import Console

from robustq import bench, engine
from robustq.atomic import write_atomically
from robustq.bench.entrants import Entrant, build, fit_stream
from robustq.bench.estimates import Estimate
from robustq.bench.mitigation import mitigate
from robustq.bench.mitigation_table import MitigationRow, MitigationStage, mitigation_rows
from robustq.circuits import Circuit, op, z
from robustq.circuits.circuit import Operation
from robustq.engine.transfer import operators_of
from robustq.mitigation import CDR, PEC, ZNE, Problem, ReadoutInversion, Run, Stack, Technique, VirtualDistillation
from robustq.mitigation.catalogue import USUAL
from robustq.mitigation.cdr import line
from robustq.mitigation.near_clifford import TrainingCircuits, training_circuits
from robustq.mitigation.pec import cost, signed_circuits
from robustq.mitigation.readout import perfect_readout
from robustq.models import QuantumNet, fit
from robustq.noise import Channel, Device, NoiseModel, mapped
from robustq.report.words import gain
from robustq.seeding import numpy_generator, torch_generator
from robustq.stats import Interval, bootstrap, difference
from studies.published_attacks import markdown, shown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "mitigation.md"
DEVICES = ("manila", "guadalupe", "melbourne")
CIRCUITS, QUBITS, LAYERS = 20, 4, 5
SIGNED = 5_000  # random circuits that cancel one circuit's noise, one shot each
FOLDS = 8  # of near-Clifford circuits, each predicted from the others
STEP = 0.02  # of the noise's strength, for derivatives
ONE, TWO = ("rx", "ry", "rz", "h", "sx", "t"), ("cx", "cz", "rzz")
INVERTED = ReadoutInversion()
Array = NDArray[np.float64]
Four = tuple[Array, Array, Array, Array]  # before, after; the same as theory has them


@dataclass(frozen=True)
class Errors:
    """Errors of expectations before and after, measured and as theory has them; any shape, first axis circuits."""

    before: Array
    after: Array
    theory_before: Array
    theory_after: Array

    def agreement(self) -> Interval:
        """Measured over predicted factor, with a bootstrap over circuits."""
        stream = numpy_generator(0, "bootstrap")
        return bootstrap(lambda _, rows: self._ratio(rows), 1, len(self.before), stream)

    def _ratio(self, rows: NDArray[np.int64]) -> float:
        measured = rms(self.before[rows]) / rms(self.after[rows])
        return measured * rms(self.theory_after[rows]) / rms(self.theory_before[rows])


def rms(values: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def random_circuit(rng: np.random.Generator) -> Circuit:
    """Layers of a random gate a qubit, then of two-qubit gates on random neighbours."""
    operations: list[Operation] = []
    for _ in range(LAYERS):
        operations += [_gate(rng, ONE, q) for q in range(QUBITS)]
        operations += [_gate(rng, TWO, q, q + 1) for q in range(QUBITS - 1) if rng.random() < 0.5]
    return Circuit.of(QUBITS, operations)


def _gate(rng: np.random.Generator, names: Sequence[str], *qubits: int) -> Operation:
    name = names[int(rng.integers(len(names)))]
    angles = [rng.uniform(-math.pi, math.pi)] if name.startswith("r") else []
    return op(name, *qubits, angles=angles)


def problems(name: str) -> list[Problem]:
    """Random circuits fitted to a device, Z of every qubit read, exact expectations."""
    device, rng = Device.bundled(name), numpy_generator(0, "circuits", name)
    found = []
    for k in range(CIRCUITS):
        made = mapped(random_circuit(rng), [z(q) for q in range(QUBITS)], device)
        blank, none = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
        stream = torch_generator(0, "learn", name, k)
        found.append(Problem(Run.of(made), none, blank, stream, fit=made, device=device))
    return found


def error(problem: Problem, run: Run) -> Array:
    """What a run is away from the ideal values, ``(observables,)``."""
    ideal = problem.run.ideal(problem.inputs, problem.parameters)
    away: Array = (run.values(problem.inputs, problem.parameters) - ideal)[0].numpy()
    return away


def left(problem: Problem, technique: Technique) -> Array:
    """The same of a technique's estimate."""
    ideal = problem.run.ideal(problem.inputs, problem.parameters)
    plan = technique.plan(problem)
    away: Array = (plan.values(problem.inputs, problem.parameters) - ideal)[0].numpy()
    return away


def under(problem: Problem, noise: NoiseModel) -> Problem:
    """The same circuit under other noise."""
    return replace(problem, run=replace(problem.run, noise=noise), fit=None)


def readout(problem: Problem) -> Four:
    """Inverted read-out must leave what a device that reads perfectly leaves."""
    before, noise = error(problem, problem.run), perfect_readout(problem.run.noise)
    perfect = error(problem, under(problem, noise).run)
    return before, left(problem, INVERTED), before, perfect


def zne(problem: Problem) -> Four:
    """Richardson at 1 and 3 leaves ``-3/2 E''(0)`` of ``E'(0) + E''(0)/2``, ``E`` over the channels' strength."""
    first, second = derivatives(lambda noise: error(problem, under(problem, noise).run), problem.run.noise)
    extrapolated = left(problem, Stack(INVERTED, ZNE()))
    return left(problem, INVERTED), extrapolated, first + second / 2, 1.5 * second


def zne_scaled(problem: Problem) -> Four:
    """The same line through channels that are three times as strong, where folding runs three times the gates."""
    noise = problem.run.noise
    once, thrice = (error(problem, under(problem, scaled(noise, s)).run) for s in (1, 3))
    before, after, *_ = zne(problem)
    return before, after, once, 1.5 * once - 0.5 * thrice


def derivatives(errors: Callable[[NoiseModel], Array], noise: NoiseModel) -> tuple[Array, Array]:
    """First and second derivative of errors by the noise's strength, at none."""
    zero, one, two = (errors(scaled(noise, s * STEP)) for s in (0, 1, 2))
    return (4 * one - two - 3 * zero) / (2 * STEP), (two - 2 * one + zero) / STEP**2


def scaled(noise: NoiseModel, scale: float) -> NoiseModel:
    """Relaxation for ``scale`` times as long, other channels ``scale`` times in a row; perfect read-out."""
    rules = tuple(replace(r, channel=_scaled(r.channel, scale)) for r in noise.rules)
    return replace(perfect_readout(noise), rules=rules)


def _scaled(channel: Channel, scale: float) -> Channel:
    if channel.name == "thermal-relaxation":
        t1, t2, time, excited = channel.values
        assert isinstance(time, float)
        return Channel(channel.name, t1, t2, time * scale, excited)
    if channel.name == "zz-crosstalk":
        return Channel(channel.name, channel.p * scale)
    if channel.name.startswith("depolarising"):
        return Channel(channel.name, 1 - (1 - channel.p) ** scale)
    raise ValueError(f"expected a channel of a bundled device, got {channel}")


def cdr(problem: Problem) -> Four:
    """What a line of the ideal value cannot take of the noise's first and second order."""
    before, after, *_ = cdr_held_out(problem)
    ideal = problem.run.ideal(problem.inputs, problem.parameters)[0].numpy()
    known = near_clifford(problem, perfect_readout(problem.run.noise)).ideal.numpy()

    def errors(noise: NoiseModel) -> Array:
        found = near_clifford(problem, noise)
        asked = error(problem, under(problem, noise).run)
        return np.vstack([(found.noisy - found.ideal).numpy(), asked])

    first, second = derivatives(errors, problem.run.noise)
    away = first + second / 2
    noisy = np.vstack([known, ideal]) + away
    rest = [_off_the_line(noisy[:, k], known[:, k]) - ideal[k] for k in range(len(ideal))]
    return before, after, away[-1], np.array(rest)


def _off_the_line(noisy: Array, ideal: Array) -> float:
    """The last noisy value on the line that fits the others best; the mean where these are all alike."""
    if np.ptp(noisy[:-1]) < 1e-6:
        return float(noisy[-1] - noisy[:-1].mean() + ideal.mean())
    return float(np.polyval(np.polyfit(noisy[:-1], ideal, 1), noisy[-1]))


def near_clifford(problem: Problem, noise: NoiseModel) -> TrainingCircuits:
    """The circuits that regression learns from, the same ones at every call, under some noise."""
    stream = torch.Generator()
    stream.set_state(problem.generator.get_state())
    return training_circuits(replace(under(problem, noise), generator=stream), CDR().circuits, CDR().kept)


def cdr_held_out(problem: Problem) -> Four:
    """The line's residual on near-Clifford circuits that it was not fitted on: what a device itself could tell."""
    found = near_clifford(problem, perfect_readout(problem.run.noise))
    stream = torch.Generator()
    stream.set_state(problem.generator.get_state())
    learned = left(replace(problem, generator=stream), Stack(INVERTED, CDR()))
    return left(problem, INVERTED), learned, (found.noisy - found.ideal).numpy(), held_out(found)


def held_out(found: TrainingCircuits) -> Array:
    """Errors of the line on each fold of the training circuits, fitted on the others."""
    residual = torch.empty_like(found.ideal)
    for k in range(FOLDS):
        out = torch.arange(len(found.ideal)) % FOLDS == k
        slope, start = line(TrainingCircuits(found.angles[~out], found.noisy[~out], found.ideal[~out]))
        residual[out] = slope * found.noisy[out] + start - found.ideal[out]
    return residual.numpy()


def distilled(problem: Problem) -> Four:
    """``sum l_i^2 <O>_i / sum l_i^2`` over eigenvalues and eigenvectors of the state."""
    quiet = under(problem, perfect_readout(problem.run.noise))
    before, run = error(quiet, quiet.run), quiet.run
    state = engine.pauli_states(run.circuit, inputs=quiet.inputs, parameters=quiet.parameters, noise=run.noise)
    rho = operators_of(state, QUBITS)[0].numpy() / 2**QUBITS
    values, vectors = np.linalg.eigh(rho)
    means = np.array(
        [np.einsum("bi,bc,ci->i", vectors.conj(), o.matrix(QUBITS), vectors).real for o in run.observables]
    )
    ideal = run.ideal(quiet.inputs, quiet.parameters)[0].numpy()
    spectrum = means @ values**2 / (values**2).sum() - ideal
    return before, left(quiet, VirtualDistillation()), before, spectrum


def distilled_without_crosstalk(problem: Problem) -> Four:
    """The same where no error is coherent."""
    noise = problem.run.noise
    rules = tuple(r for r in noise.rules if r.channel.name != "zz-crosstalk")
    return distilled(under(problem, replace(noise, rules=rules)))


FACTORS: Mapping[tuple[str, str], Callable[[Problem], Four]] = {
    ("read-out inversion", "a perfect read-out"): readout,
    ("ZNE, Richardson at 1, 3", "second order"): zne,
    ("ZNE, Richardson at 1, 3", "channels thrice as strong"): zne_scaled,
    ("CDR, 64 circuits", "second order"): cdr,
    ("CDR, 64 circuits", "held-out training circuits"): cdr_held_out,
    ("virtual distillation", "spectrum of the state"): distilled,
    ("virtual distillation, no ZZ", "spectrum of the state"): distilled_without_crosstalk,
}


def factor_lines() -> Iterator[dict[str, str]]:
    """Errors before and after, measured and predicted factors, by device and technique."""
    for device in DEVICES:
        asked = problems(device)
        for (name, theory), technique in FACTORS.items():
            columns = zip(*map(technique, asked), strict=True)
            found = Errors(*(np.array(column) for column in columns))
            ratio = found.agreement()
            yield {
                "device": device,
                "technique": name,
                "before": f"{rms(found.before):.4f}",
                "after": f"{rms(found.after):.4f}",
                "factor": f"{rms(found.before) / rms(found.after):.2f}",
                "theory": theory,
                "its factor": f"{rms(found.theory_before) / rms(found.theory_after):.2f}",
                "measured / theory": f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
            }


@dataclass(frozen=True)
class Drawn:
    """One circuit's noise cancelled by drawn circuits, one shot each, ``(observables,)``.

    Attributes:
        bias: of the signed mean, in standard errors.
        plain: that of no cancellation, in the same standard errors.
        variance: of one signed outcome.
        stated: what it should be, the squared cost less the squared mean.
        shot: variance of one plain shot.
        cost: what every outcome was multiplied by.
    """

    bias: Array
    plain: Array
    variance: Array
    stated: Array
    shot: Array
    cost: float


def cancelled(problem: Problem) -> Drawn:
    """Draw circuits with their signs, under the device's channels and a perfect read-out."""
    quiet = under(problem, perfect_readout(problem.run.noise))
    run = quiet.run
    stream = torch_generator(int(problem.generator.initial_seed()), "signed")
    outcomes = signed_circuits(run, quiet.inputs, quiet.parameters, circuits=SIGNED, generator=stream).numpy()
    ideal = run.ideal(quiet.inputs, quiet.parameters)[0].numpy()
    noisy, price = ideal + error(quiet, run), cost(run.circuit, run.noise)
    deviation = outcomes.std(0, ddof=1) / SIGNED**0.5
    return Drawn(
        (outcomes.mean(0) - ideal) / deviation,
        (noisy - ideal) / deviation,
        outcomes.var(0, ddof=1),
        price**2 - ideal**2,
        1 - noisy**2,
        price,
    )


def cancellation_lines() -> Iterator[dict[str, str]]:
    """Bias of cancellation, exact and sampled, and its variance, by device."""
    for device in DEVICES:
        asked = problems(device)
        exact = max(float(np.abs(left(p, Stack(INVERTED, PEC()))).max()) for p in asked)
        found = [cancelled(p) for p in asked]
        bias, plain = (np.array([getattr(d, key) for d in found]) for key in ("bias", "plain"))
        total = {key: float(np.sum([getattr(d, key) for d in found])) for key in ("variance", "stated", "shot")}
        costs = np.array([d.cost for d in found])
        yield {
            "device": device,
            "exact error": f"{exact:.0e}",
            "estimates": str(bias.size),
            "largest bias": f"{np.abs(bias).max():.2f} s.e.",
            "mean square": f"{np.mean(bias**2):.2f}",
            "uncancelled": f"{np.abs(plain).max():.0f} s.e.",
            "cost squared": f"{np.median(costs**2):.1f} ({costs.min() ** 2:.1f} to {costs.max() ** 2:.1f})",
            "variance / a shot's": f"{total['variance'] / total['shot']:.2f}",
            "stated": f"{total['stated'] / total['shot']:.2f}",
        }


@dataclass(frozen=True)
class Classifier:
    """Data, the device that its models run on, and for how long they are trained."""

    data: str
    device: str
    epochs: int

    def spec(self) -> bench.Spec:
        """Small models, every usual technique, waits with and without decoupling."""
        asked = bench.parse(
            {
                "data": {"name": self.data, "features": 4},
                "model": {"options": {"layers": 2}},
                "training": {"epochs": self.epochs},
                "noise": {"device": self.device, "drift": []},
                "mitigation": {"names": [*USUAL, "idle", "decoupling"], "inputs": 100},
                "certificate": {"name": "vacuous"},
                "defence": {"name": "none"},
            }
        )
        return bench.completed(asked, asked.raw())


CLASSIFIERS = (
    Classifier("breast-cancer", "manila", 15),
    Classifier("breast-cancer", "melbourne", 15),
    Classifier("iris", "guadalupe", 80),
)
SEEDS = 10  # fewer leave intervals that say nothing


def raw(asked: Classifier) -> list[MitigationStage]:
    """What each seed's model gave, for every technique."""
    spec, entrant = asked.spec(), Entrant("quantum", "qnn")
    data, device = spec.dataset(), Device.bundled(asked.device)
    x, y = data.tensors("train")
    found = []
    for seed in range(SEEDS):
        model = build(entrant, spec, x.shape[1], len(data.classes), seed)
        fit(model, x, y, generator=fit_stream(entrant, spec, seed), training=spec.training.build())
        model.requires_grad_(False)
        assert isinstance(model, QuantumNet)
        found.append(mitigate(model, device, data, spec, spec.mitigation, seed))
    return found


def classifier_lines(asked: Classifier) -> Iterator[dict[str, str]]:
    """Every technique's errors and accuracies, and their changes against doing nothing or, for pulses, waiting."""
    seeds = raw(asked)
    for row in against_idle(mitigation_rows(seeds, CONFIDENCE), seeds):
        if row.refused:
            yield {"technique": row.name} | dict.fromkeys(COLUMNS, "refused")
        else:
            yield {"technique": row.name} | dict(zip(COLUMNS, cells(row), strict=True))


COLUMNS = ("bias", "error", "variance", "clean, %", "change", "robust, %", "change of it", "significant")
CONFIDENCE = 0.95


def against_idle(rows: Sequence[MitigationRow], seeds: Sequence[MitigationStage]) -> list[MitigationRow]:
    """The rows, decoupling's changes taken against idle waits, at the same corrected confidence."""
    places = {row.name: k for k, row in enumerate(rows)}
    if rows[places["decoupling"]].refused:
        return list(rows)
    tried = sum(not row.refused for row in rows) - 1
    corrected = 1 - (1 - CONFIDENCE) / (2 * tried)

    def change(key: str) -> Estimate:
        now, before = (
            [[float(letter) for letter in getattr(seed.rows[places[name]], key)] for seed in seeds]
            for name in ("decoupling", "idle")
        )
        return Estimate.of(difference(now, before, corrected))

    gains = {"accuracy_gain": change("clean"), "robust_gain": change("robust")}
    return [row.model_copy(update=gains) if row.name == "decoupling" else row for row in rows]


def cells(row: MitigationRow) -> list[str]:
    """A row as the table prints it."""
    assert row.bias is not None
    assert row.error is not None
    assert row.accuracy is not None
    assert row.robust is not None
    gains = ["" if g is None else gain(g) for g in (row.accuracy_gain, row.robust_gain)]
    words = [word for word, yes in zip(("clean", "robust"), row.significant, strict=True) if yes]
    return [
        f"{row.bias.value:.4f}",
        f"{row.error.value:.4f}",
        f"{row.overhead:.2f}",
        f"{100 * row.accuracy.value:.1f}",
        gains[0],
        f"{100 * row.robust.value:.1f}",
        gains[1],
        "" if row.accuracy_gain is None else " and ".join(words) or "no",
    ]


def main() -> None:
    """Print every table and write them into the page."""
    torch.set_num_threads(1)
    console, parts = Console(width=170), []
    tables: dict[str, Callable[[], Iterator[dict[str, str]]]] = {
        f"Errors of `<Z>` and their factors, {CIRCUITS} circuits a device": factor_lines,
        f"Probabilistic error cancellation, {SIGNED} signed circuits an estimate": cancellation_lines,
    }
    for asked in CLASSIFIERS:
        title = f"{asked.data} on {asked.device}, {SEEDS} seeds"
        tables[title] = partial(classifier_lines, asked)
    for title, lines in tables.items():
        found = list(lines())
        console.print(shown(title, found))
        parts.append(markdown(title, found))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join(parts), "mitigation")
    write_atomically(PAGE, page.encode())


if __name__ == "__main__":
    main()
