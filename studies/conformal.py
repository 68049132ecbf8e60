"""Conformal sets of small quantum models over many splits: with exact answers, with shots, on a device, under attack.

    python -m studies.conformal

repeats calibration and test on random halves of rows that the models were not trained on, with fresh shots each time,
prints coverage and size of the sets, and writes the tables into docs/conformal.md. About ten minutes on one
core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from perf.markers import inject
from rich.console import Console
from torch import Tensor

from robustq.atomic import write_atomically
from robustq.attacks import PGD, run_attack
from robustq.certify import Complete, Curvature, Lipschitz
from robustq.data import RawData, prepare
from robustq.data.bundled import breast_cancer, iris
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import qnn
from robustq.models.training import hold_back
from robustq.noise import Device
from robustq.seeding import numpy_generator, torch_generator
from robustq.stats import at_least, mean
from robustq.threats import Linf
from robustq.uncertainty.conformal import (
    GROUPS,
    Adaptive,
    Certified,
    Conformal,
    LeastAmbiguous,
    LogitMargin,
    RegularisedAdaptive,
    Score,
    ShotAnswers,
    calibrate,
    robust_calibrate,
    robust_sets,
)
from robustq.uncertainty.conformal.split import by_group, place
from studies.published_attacks import markdown, shown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "conformal.md"
ALPHA, SHOTS, REPETITIONS = 0.1, 100, 1000
BUDGETS = (0.02, 0.05, 0.1)
BOX = (0.0, 1.0)
TOLERANCE = 0.01  # of inflated thresholds, in logits
SCORES: Sequence[Score] = (LeastAmbiguous(), Adaptive(), RegularisedAdaptive(k_reg=1, penalty=0.1))
DATA: Mapping[str, Callable[[], RawData]] = {"breast-cancer": breast_cancer, "iris": iris}
CLASSES = {"breast-cancer": 2, "iris": 3}
Rows = NDArray[np.float64]  # (repetitions, rows, classes)


@dataclass(frozen=True, eq=False)
class Pool:
    """A model and the rows it was not trained on, ``(rows, 4)`` of float64."""

    name: str
    model: QuantumNet
    x: Tensor
    y: NDArray[np.int64]

    def splits(self, count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Random halves, for calibration and test."""
        generator = numpy_generator(0, "splits", self.name)
        for _ in range(count):
            order = generator.permutation(len(self.y))
            yield order[: len(order) // 2], order[len(order) // 2 :]


@lru_cache
def pool(name: str) -> Pool:
    """Four qubits, two strongly entangling layers, trained on a third of the rows."""
    data = prepare(DATA[name](), features=4)
    parts = data.tensors("train"), data.tensors("test")
    x, y = (torch.cat([one[k] for one in parts]) for k in range(2))
    rest, known = hold_back(y, 1 / 3, torch_generator(0, "rows"))
    model = qnn(4, CLASSES[name], generator=torch_generator(0, "init"), layers=2)
    stream = torch_generator(0, "train")
    fit(model, x[known], y[known], generator=stream, training=Training(epochs=30))
    return Pool(name, model.double().requires_grad_(False), x[rest].double(), y[rest].numpy())


def device() -> Device:
    """The calibrated five-qubit device whose noise is used."""
    return Device.bundled("manila")


ANSWERS: Mapping[str, Callable[[QuantumNet], ShotAnswers]] = {
    "exact": lambda model: ShotAnswers(model, None),
    "100 shots": lambda model: ShotAnswers(model, SHOTS),
    "100 shots, manila": lambda model: ShotAnswers(model, SHOTS, device()),
}


def answers(name: str, how: str, count: int = REPETITIONS) -> Rows:
    """Probabilities with shots drawn anew for every repetition."""
    own, asked = pool(name), ANSWERS[how](pool(name).model)
    if asked.shots is None:
        return np.broadcast_to(asked.probabilities(own.x), (count, len(own.y), CLASSES[name]))
    many = own.x.repeat(count, 1)
    found = asked.probabilities(many, torch_generator(0, "shots", how))
    return found.reshape(count, len(own.y), -1)


def votes(name: str, count: int = REPETITIONS) -> Rows:
    """Histograms of what single shots answered, drawn anew for every repetition."""
    own = pool(name)
    asked, stream = ShotAnswers(own.model, SHOTS), torch_generator(0, "votes")
    return np.stack([asked.votes(own.x, stream) for _ in range(count)])


@dataclass(frozen=True)
class Outcome:
    """What repetitions gave: coverage and size of each, and whether its first test row was covered."""

    coverage: Sequence[float]
    size: Sequence[float]
    first: Sequence[bool]

    def cells(self) -> dict[str, str]:
        """Mean over the repetitions with its interval; chance of so many missed first rows, if alpha were true."""
        found, missed = mean(self.coverage), len(self.first) - sum(self.first)
        return {
            "coverage": f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]",
            "first row": f"{sum(self.first)} of {len(self.first)}",
            "p": f"{at_least(missed, len(self.first), ALPHA):.2g}",
            "size": f"{mean(self.size).value:.3f}",
        }


def judged(found: Sequence[tuple[NDArray[np.bool_], NDArray[np.int64]]]) -> Outcome:
    """Sets and labels of the test rows of each repetition, summed up."""
    covered = [sets[np.arange(len(y)), y] for sets, y in found]
    return Outcome(
        [float(row.mean()) for row in covered],
        [float(sets.sum(1).mean()) for sets, _ in found],
        [bool(row[0]) for row in covered],
    )


def repeated(name: str, known: Rows, asked: Rows, score: Score, groups: str = "none") -> Outcome:
    """Calibrated on some answers, asked with others, over random splits."""
    own, generator, found = pool(name), numpy_generator(0, "draws", score.name), []
    for (a, b), before, after in zip(own.splits(len(known)), known, asked, strict=True):
        made = calibrate(before[a], own.y[a], alpha=ALPHA, score=score, groups=groups, generator=generator)
        found.append((made.sets(after[b], generator), own.y[b]))
    return judged(found)


def clean_lines() -> Iterator[dict[str, str]]:
    """Calibration and test alike."""
    for name in DATA:
        for how in ANSWERS:
            rows = answers(name, how)
            for score in SCORES:
                for groups in GROUPS:
                    facts = {"data": name, "answers": how, "score": score.name, "groups": groups}
                    yield facts | repeated(name, rows, rows, score, groups).cells()


def naive_lines() -> Iterator[dict[str, str]]:
    """Calibrated on exact probabilities, asked as a device answers."""
    for name in DATA:
        known = answers(name, "exact")
        for how in list(ANSWERS)[1:]:
            for score in SCORES[:2]:
                facts = {"data": name, "calibrated on": "exact", "asked with": how}
                facts["score"] = score.name
                yield facts | repeated(name, known, answers(name, how), score).cells()


def vote_lines() -> Iterator[dict[str, str]]:
    """From histograms of measured outcomes alone."""
    for name in DATA:
        rows = votes(name, REPETITIONS // 2)
        yield {"data": name, "score": "lac"} | repeated(name, rows, rows, LeastAmbiguous()).cells()


def attacked_lines() -> Iterator[dict[str, str]]:
    """Every budget, with and without an attack, by plain sets and by both robust ones."""
    for name in DATA:
        for eps in BUDGETS:
            yield from attacked(name, eps, "none")
        yield from attacked(name, BUDGETS[1], "class")


def certifier_lines() -> Iterator[dict[str, str]]:
    """The same attacked inputs, by certifiers of which the last proves all that is true."""
    for name in DATA:
        front, made = field(name, BUDGETS[1]), []
        for a, _ in pool(name).splits(REPETITIONS):
            made.append(front.plain(a, "none"))
        for certifier in (Lipschitz(), Curvature(), Complete(decide_only=True)):
            other = replace(front, ball=replace(front.ball, certifier=certifier), known={})
            facts = {"data": name, "eps": f"{BUDGETS[1]:g}", "certifier": str(certifier)}
            yield facts | other.over(made, "attacked", other.by_proof)


def attacked(name: str, eps: float, groups: str) -> Iterator[dict[str, str]]:
    """One budget: margin PGD on the true label, which is the attack on its score."""
    front = field(name, eps)
    plain, inflated = [], []
    for a, _ in pool(name).splits(REPETITIONS):
        plain.append(front.plain(a, groups))
        inflated.append(front.inflated(a, groups))
    facts = {"data": name, "eps": f"{eps:g}", "groups": groups}
    for which in front.inputs:
        at = facts | {"inputs": which}
        yield at | {"sets": "plain"} | front.over(plain, which, front.by_logits)
        yield at | {"sets": "proved at test"} | front.over(plain, which, front.by_proof)
        yield at | {"sets": "proved at calibration"} | front.over(inflated, which, front.by_logits)


@dataclass(eq=False)
class Field:
    """A pool under attack, with what every repetition asks again remembered."""

    own: Pool
    ball: Certified
    inputs: Mapping[str, Tensor]
    known: dict[tuple[str, float], NDArray[np.bool_]]

    @cached_property
    def logits(self) -> Mapping[str, NDArray[np.float64]]:
        """Of clean and of attacked inputs."""
        return {which: self.ball.logits(x).numpy() for which, x in self.inputs.items()}

    @cached_property
    def worst(self) -> NDArray[np.float64]:
        """The most that each clean row's score can become: the inflated threshold of that row alone."""
        found = []
        for x, y in zip(torch.split(self.inputs["clean"], 1), self.own.y, strict=True):
            alone = robust_calibrate(self.ball, x, [y], alpha=0.5, tolerance=TOLERANCE)
            found.append(alone.thresholds[0])
        return np.array(found)

    def plain(self, rows: NDArray[np.int64], groups: str) -> Conformal:
        """Calibrated on clean rows."""
        known, y = self.logits["clean"][rows], self.own.y[rows]
        return calibrate(known, y, alpha=ALPHA, score=LogitMargin(), groups=groups)

    def inflated(self, rows: NDArray[np.int64], groups: str) -> Conformal:
        """What ``robust_calibrate`` gives of these rows: the quantile of their worst scores."""
        worst, y = self.worst[rows], self.own.y[rows]

        def threshold(part: NDArray[np.int64]) -> float:
            return float(np.sort(worst[part])[place(len(part), ALPHA) - 1])

        found = by_group(groups, y, CLASSES[self.own.name], threshold)
        return replace(self.plain(rows, groups), thresholds=found)

    def by_logits(self, made: Conformal, which: str) -> NDArray[np.bool_]:
        """Plain sets of all rows."""
        return made.sets(self.logits[which])

    def by_proof(self, made: Conformal, which: str) -> NDArray[np.bool_]:
        """Robust sets of all rows; whether they hold a label depends on its own threshold only."""
        columns = []
        for label, tau in enumerate(made.thresholds):
            if (which, tau) not in self.known:
                common = replace(made, thresholds=(tau,) * len(made.thresholds))
                self.known[which, tau] = robust_sets(common, self.ball, self.inputs[which])
            columns.append(self.known[which, tau][:, label])
        return np.stack(columns, 1)

    def over(
        self, made: Sequence[Conformal], which: str, sets: Callable[[Conformal, str], NDArray[np.bool_]]
    ) -> dict[str, str]:
        """Coverage and size of the test rows of all splits."""
        tests = zip(made, self.own.splits(len(made)), strict=True)
        return judged([(sets(one, which)[b], self.own.y[b]) for one, (_, b) in tests]).cells()


@lru_cache
def field(name: str, eps: float) -> Field:
    """A pool and the inputs that PGD makes of it."""
    own, threat, stream = pool(name), Linf(eps, BOX), torch_generator(0, "attack", repr(eps))
    ball = Certified(own.model, threat, Complete(decide_only=True), stream)
    y = torch.from_numpy(own.y)
    moved = run_attack(PGD(40, 3), own.model, own.x, y, threat, generator=stream).x_adv
    return Field(own, ball, {"clean": own.x, "attacked": moved}, {})


TABLES: Mapping[str, Callable[[], Iterator[dict[str, str]]]] = {
    f"Calibration and test alike, {REPETITIONS} repetitions": clean_lines,
    "Calibrated on exact probabilities, asked with shots": naive_lines,
    f"Histograms of {SHOTS} measured outcomes, {REPETITIONS // 2} repetitions": vote_lines,
    f"Under attack, l-inf, exact answers, {REPETITIONS} repetitions": attacked_lines,
    "Attacked inputs, by certifier": certifier_lines,
}


def main() -> None:
    """Print every table and write them into the page."""
    torch.set_num_threads(1)
    console, parts = Console(width=150), []
    for title, lines in TABLES.items():
        found = list(lines())
        console.print(shown(title, found))
        parts.append(markdown(title, found))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join(parts), "conformal")
    write_atomically(PAGE, page.encode())


if __name__ == "__main__":
    main()
