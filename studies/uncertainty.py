"""What a quantum classifier's doubt is worth: calibration, detection of attacks, abstention.

    python -m studies.uncertainty [--part calibration] [--part abstention] ...

trains the models, prints the tables and writes them into docs/uncertainty.md. ``EXPLORED`` is what was looked at
while methods were chosen, so its figures are too good, and are printed only; ``CONFIRMED`` was fixed before it was
run, on digits or seeds that nobody had looked at. Needs the data folder named by ``ROBUSTQ_DATA_DIR``; takes about
fifteen minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from perf.markers import inject
from rich.console import Console
from torch import Tensor, nn

from robustq.atomic import write_atomically
from robustq.attacks import PGD, run_attack
from robustq.attacks.nearest.deepfool import DeepFool
from robustq.contracts import Attack, Predictive, QuantumClassifier, Search, Threat
from robustq.data import load, prepare
from robustq.defences.detection.mahalanobis import class_gaussians
from robustq.models import Training
from robustq.models.catalogue import qnn, reuploading
from robustq.models.training import hold_back
from robustq.seeding import numpy_generator, torch_generator
from robustq.stats import (
    Interval,
    adaptive_calibration_error,
    auroc_interval,
    bootstrap,
    brier,
    errors_removed,
    expected_calibration_error,
    mean,
    negative_log_likelihood,
)
from robustq.threats import L2, Linf
from robustq.uncertainty import SCORES, Ensemble, Laplace, MeanField, Method, Point, Scaling, Swag, Trainer, mixture
from studies.published_attacks import Data, markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "uncertainty.md"
PIXELS, TRAIN, EPOCHS = 64, 600, 60
Table = list[dict[str, str]]
Array = NDArray[np.float64]
Digits = tuple[str, str, str, str]
# No method holds rows back from training but those that scale.
METHODS: Mapping[str, Method] = {
    "point": Point(),
    "temperature scaling": Scaling(),
    "ensemble of 5": Ensemble(5),
    "ensemble of 5, temperature": Scaling(of=Ensemble(5)),
    "Laplace": Laplace(),
    "last-layer Laplace": Laplace(last_layer=True),
    "SWAG": Swag(snapshots=10),
    "mean field": MeanField(),
    "mean field, tempered 0.1": MeanField(temper=0.1),
}
THREATS: Mapping[str, tuple[Attack, Threat]] = {
    "PGD, linf 0.1": (PGD(steps=40, restarts=1), Linf(0.1, box=(0.0, 1.0))),
    "DeepFool, l2 2": (DeepFool(), L2(2.0, box=(0.0, 1.0))),
}


@dataclass(frozen=True)
class Plan:
    """All that a run could choose.

    Attributes:
        status: what the run may be used for.
        digits: the classes of each set of images.
        methods: names in ``METHODS``.
        calibration: seeds of the models whose calibration is measured.
        detection: seeds of the ensembles that are attacked, on the first set of images.
        abstention: seeds of the ensembles that may abstain.
        alarms: false alarms, as shares of benign held-back rows, at which connections are called attacks;
            None for even odds.
        scores: of abstention.
    """

    status: str
    digits: tuple[Digits, ...]
    methods: tuple[str, ...]
    calibration: tuple[int, ...]
    detection: tuple[int, ...]
    abstention: tuple[int, ...]
    alarms: tuple[float | None, ...]
    scores: tuple[str, ...]


EXPLORED = Plan(
    "explored",
    digits=(("0", "1", "2", "3"),),
    methods=tuple(METHODS),
    calibration=(10, 11, 12, 13, 14),
    detection=(10,),
    abstention=(10, 11, 12, 13, 14),
    alarms=(None, 0.05, 0.1, 0.15),
    scores=("confidence", "mutual-information", "energy", "Mahalanobis"),
)
CONFIRMED = Plan(
    "confirmed",
    digits=(("4", "5", "6", "7"), ("6", "7", "8", "9")),
    methods=("point", "temperature scaling", "ensemble of 5", "mean field, tempered 0.1"),
    calibration=(20, 21, 22, 23, 24),
    detection=(20, 21, 22),
    abstention=tuple(range(20, 30)),
    alarms=(0.1,),
    scores=("energy", "confidence", "mutual-information", "Mahalanobis"),
)

FAMILIES = {"dos": 1, "probe": 2, "r2l": 3}  # labels; of the fourth, u2r, there are 11 rows to train on
VALIDATION, FRESH = (40, 41), (tuple(range(30, 35)), tuple(range(35, 40)))
CANDIDATES = (
    *EXPLORED.scores,
    "neighbours",
    "energy + Mahalanobis",
    "energy + neighbours",
    "confidence + neighbours",
)


def mnist_four(digits: Digits, train: int = TRAIN) -> Data:
    """Four digits at 8 x 8, grey levels in [0, 1], all their test images."""
    prepared = prepare(load("mnist").only(digits), features=PIXELS, train_size=train)
    return Data(*prepared.tensors("train"), *prepared.tensors("test"))


def images(seed: int, epochs: int = EPOCHS) -> Trainer:
    """Six qubits loaded with the pixels, ten entangling layers, Z of one qubit a class."""

    def build(k: int) -> nn.Module:
        start = torch_generator(seed, "init", k)
        return qnn(PIXELS, 4, generator=start, encoding="amplitude", layers=10)

    plan = Training(epochs, batch_size=64, lr=0.02, validation=0.0, patience=0)
    return Trainer(build, plan)


def chances(model: nn.Module, x: Tensor) -> Array:
    """Probabilities ``(rows, classes)``, exact."""
    assert isinstance(model, QuantumClassifier)
    with torch.no_grad():
        found: Array = model.freeze(uses=len(x))(x).double().softmax(1).numpy()
    return found


Statistic = Callable[[Array, NDArray[np.int64]], float]


def over_seeds(statistic: Statistic, found: Sequence[Array], labels: NDArray[np.int64]) -> Interval:
    """A statistic's mean over seeds, resampled over seeds and inputs."""

    def average(seeds: NDArray[np.int64], inputs: NDArray[np.int64]) -> float:
        return float(np.mean([statistic(found[s][inputs], labels[inputs]) for s in seeds]))

    return bootstrap(average, len(found), len(labels), numpy_generator(0, "bootstrap"))


def apart(
    statistic: Statistic, found: Sequence[Array], other: Sequence[Array], labels: NDArray[np.int64]
) -> Interval:
    """The mean difference of two methods, paired by seed and input."""

    def both(pair: Array, asked: NDArray[np.int64]) -> float:
        # Intervals are cut at zero, so the difference is measured from minus one.
        return 1 + statistic(pair[:, 0], asked) - statistic(pair[:, 1], asked)

    pairs = [np.stack(two, 1) for two in zip(found, other, strict=True)]
    one = over_seeds(both, pairs, labels)
    return replace(one, value=one.value - 1, low=one.low - 1, high=one.high - 1)


def told(found: Interval, scale: float = 1.0, digits: int = 4) -> str:
    """A value and its interval."""
    value, low, high = (scale * part for part in (found.value, found.low, found.high))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def calibration(plan: Plan) -> Iterator[tuple[str, Table]]:
    """Every method on the same images and starts; a line a method, a table a set of images."""
    for digits in plan.digits:
        data, lines, point = mnist_four(digits), [], None
        for name in plan.methods:
            found = [answers(METHODS[name], data, seed) for seed in plan.calibration]
            point = found if point is None else point
            lines.append({"method": name} | quality(found, point, data.y_test.numpy()))
        seeds = f"seeds {plan.calibration[0]} to {plan.calibration[-1]}"
        yield f"Calibration, digits {', '.join(digits)}, {seeds} ({plan.status})", lines


def answers(method: Method, data: Data, seed: int) -> Array:
    """Probabilities of the test images, ``(rows, classes)``."""
    draws = torch_generator(seed, "fit")
    return chances(method.fit(images(seed), data.x, data.y, generator=draws), data.x_test)


def quality(found: Sequence[Array], point: Sequence[Array], labels: NDArray[np.int64]) -> dict[str, str]:
    """One line: what the probabilities are worth, beside those of the point model."""
    less = apart(expected_calibration_error, found, point, labels)

    def average(statistic: Statistic) -> float:
        return float(np.mean([statistic(p, labels) for p in found]))

    return {
        "ECE": told(over_seeds(expected_calibration_error, found, labels)),
        "less the point model's": "" if found is point else told(less),
        "each seed": " ".join(f"{expected_calibration_error(p, labels):.4f}" for p in found),
        "adaptive ECE": f"{average(adaptive_calibration_error):.4f}",
        "accuracy": f"{average(lambda p, y: 100 * float((p.argmax(1) == y).mean())):.2f}",
        "NLL": f"{average(lambda p, y: float(negative_log_likelihood(p, y).mean())):.4f}",
        "Brier": f"{average(lambda p, y: float(brier(p, y).mean())):.4f}",
    }


Doubt = Callable[[Tensor, Tensor], Tensor]  # of inputs and the members' logits, ``(batch,)``


@dataclass(frozen=True, eq=False)
class Alarmed:
    """A posterior that does not answer where it doubts: what an adaptive adversary has to get past.

    Implements :class:`robustq.contracts.RejectingClassifier`. Of a wrong answer the margin that attacks raise is
    how far the doubt lies below the level, so they go on until it is as low as they can make it.
    """

    model: Predictive
    doubt: Doubt
    level: float
    width: float

    rejects = True

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes + 1)``, the alarm's last."""
        members = self.model.members(x)
        logits = mixture(members)
        alarm = logits.amax(1) + (self.doubt(x, members) - self.level) / self.width
        return torch.cat([logits, alarm[:, None]], 1)


def distance(data: Data) -> Doubt:
    """Mahalanobis distance of the input to the class that is answered."""
    means, precision = class_gaussians(data.x, data.y, 4)

    def doubt(x: Tensor, members: Tensor) -> Tensor:
        apart = x.double() - means[members.mean(0).argmax(1)]
        return ((apart @ precision) * apart).sum(1).to(x.dtype)

    return doubt


def doubts(data: Data) -> dict[str, Doubt]:
    """What is tried as a detector."""

    def of(name: str) -> Doubt:
        return lambda x, members: SCORES[name](members)

    named = {name: of(name) for name in ("confidence", "mutual-information", "energy")}
    return {**named, "Mahalanobis": distance(data)}


@dataclass(frozen=True, eq=False)
class From:
    """PGD that starts where another attack ended, which counts as found."""

    start: Tensor
    steps: int = 60

    def search(self, problem: Search) -> Tensor:
        """Steepest ascent, projected after every step."""
        threat, candidate = problem.threat, self.start
        for _ in range(self.steps):
            step = 2.5 / self.steps * threat.eps * threat.steepest(problem.gradient(candidate))
            candidate = threat.project(candidate + step, problem.x)
        problem.loss(candidate)
        return candidate


@dataclass(frozen=True, eq=False)
class Watched:
    """An ensemble, a score of doubt, and clean inputs ``x`` with labels ``y``."""

    model: Predictive
    doubt: Doubt
    x: Tensor
    y: Tensor

    def asked(self, x: Tensor) -> tuple[Array, NDArray[np.bool_]]:
        """Doubt of each input and whether it is answered wrongly, ``(rows,)`` each."""
        with torch.no_grad():
            members = self.model.members(x)
            wrong = mixture(members).argmax(1) != self.y
            return self.doubt(x, members).double().numpy(), wrong.numpy()

    def pressed(self, threat: Threat, blind: Tensor) -> tuple[Array, NDArray[np.bool_]]:
        """The best that an adversary who knows the score finds: wrong with the least doubt.

        Of each image: the blind attack's input, and PGD on model and alarm together, from the clean and from the
        blind input, the alarm at the median of clean doubts and at their 95 % quantile.
        """
        clean, _ = self.asked(self.x)
        found = [self.asked(blind)]
        for place in (0.5, 0.95):
            level, width = float(np.quantile(clean, place)), float(clean.std())
            guarded = Alarmed(self.model, self.doubt, level, width)
            for attack in (PGD(steps=60, restarts=1), From(blind)):
                draws = torch_generator(0, "adaptive")
                ended = run_attack(attack, guarded, self.x, self.y, threat, generator=draws)
                found.append(self.asked(ended.x_adv))
        least = np.min([np.where(wrong, doubt, np.inf) for doubt, wrong in found], 0)
        return least, np.isfinite(least)


@dataclass(frozen=True)
class Seen:
    """What a detector saw of one attack: AUROC against images answered wrongly, and shares of all images."""

    area: Interval
    wrong: float
    missed: float  # answered wrongly, no alarm at 5 % false alarms

    @classmethod
    def of(cls, clean: Array, doubt: Array, wrong: NDArray[np.bool_]) -> Seen:
        """From the doubts of clean and attacked images."""
        silent = wrong & (doubt <= np.quantile(clean, 0.95))
        return cls(auroc_interval(clean, doubt[wrong]), float(wrong.mean()), float(silent.mean()))


def detection(plan: Plan, rows: int = 200) -> Iterator[tuple[str, Table]]:
    """AUROC of clean images against attacked ones, of an adversary who does not know the score and one who does."""
    data, seen = mnist_four(plan.digits[0]), dict[tuple[str, str], list[tuple[Seen, Seen]]]()
    every = slice(None, None, len(data.x_test) // rows)
    x, y = data.x_test[every], data.y_test[every]
    for seed in plan.detection:
        draws = torch_generator(seed, "fit")
        model = Ensemble(5).fit(images(seed), data.x, data.y, generator=draws)
        for title, (attack, threat) in THREATS.items():
            draws = torch_generator(seed, title)
            ended = run_attack(attack, model, x, y, threat, generator=draws)
            blind = ended.nearest if isinstance(attack, DeepFool) else ended.x_adv
            for name, doubt in doubts(data).items():
                watched = Watched(model.freeze(), doubt, x, y)
                clean, _ = watched.asked(x)
                both = watched.asked(blind), watched.pressed(threat, blind)
                unaware, aware = (Seen.of(clean, *found) for found in both)
                seen.setdefault((title, name), []).append((unaware, aware))
    where = f"digits {', '.join(plan.digits[0])}, seeds {', '.join(map(str, plan.detection))}"
    yield f"Detection, {where} ({plan.status})", [detected(*key, f) for key, f in seen.items()]


def detected(attack: str, score: str, found: Sequence[tuple[Seen, Seen]]) -> dict[str, str]:
    """One line: means over seeds, and the span of the seeds' intervals."""
    line = {"attack": attack, "score": score}
    for who, seen in zip(("", "adaptive "), zip(*found, strict=True), strict=True):
        low, high = min(s.area.low for s in seen), max(s.area.high for s in seen)
        wrong, missed = (100 * np.mean([getattr(s, k) for s in seen]) for k in ("wrong", "missed"))
        line[f"{who}AUROC"] = f"{np.mean([s.area.value for s in seen]):.3f} [{low:.3f}, {high:.3f}]"
        line[f"{who}wrong"] = f"{wrong:.0f} %"
        line[f"{who}wrong, no alarm"] = f"{missed:.0f} %"
    return line


def connections(seed: int) -> Trainer:
    """Sixteen principal components, re-uploaded ten times into four qubits."""

    def build(k: int) -> nn.Module:
        start = torch_generator(seed, "init", k)
        return reuploading(16, 2, generator=start, qubits=4, layers=10)

    return Trainer(build, Training(10, batch_size=64, lr=0.02, validation=0.1, patience=0))


@lru_cache
def intrusions(train: int = 6000) -> Data:
    """NSL-KDD: a subset of the official training part, all of the official test part."""
    prepared = prepare(load("nsl-kdd"), features=16, train_size=train)
    return Data(*prepared.tensors("train"), *prepared.tensors("test"))


def abstention(plan: Plan) -> Iterator[tuple[str, Table]]:
    """NSL-KDD's official test set: errors removed by not answering the least sure tenth.

    The level of the alarm is the one that lets so many false alarms happen on training rows held back.
    """
    outcomes: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in plan.abstention:
        for key, pair in withheld(intrusions(), plan, seed):
            outcomes.setdefault(key, []).append(pair)
    title = f"Abstaining on NSL-KDD, seeds {plan.abstention[0]} to {plan.abstention[-1]}"
    yield f"{title} ({plan.status})", [removed(*key, found) for key, found in outcomes.items()]


@dataclass(frozen=True, eq=False)
class Answered:
    """Rows as an ensemble answers them: members' logits, and logarithmic distances to each class ``(rows, 2)``."""

    members: Tensor
    apart: Mapping[str, Array]

    @property
    def answer(self) -> NDArray[np.int64]:
        """The class answered, ``(rows,)``."""
        found: NDArray[np.int64] = mixture(self.members).argmax(1).numpy()
        return found

    def doubt(self, name: str) -> Array:
        """A score of the logits, or the distance to the class that is answered."""
        if name in SCORES:
            found: Array = SCORES[name](self.members).double().numpy()
            return found
        return self.apart[name][np.arange(len(self.answer)), self.answer]


def combined(name: str, known: Answered, asked: Answered) -> Array:
    """One score, or the sum of several that are standardised on ``known`` rows."""
    if "+" not in name:
        return asked.doubt(name)
    total = np.zeros(len(asked.answer))
    for part in name.split(" + "):
        old = known.doubt(part)
        total += (asked.doubt(part) - old.mean()) / old.std()
    return total


def withheld(
    data: Data, plan: Plan, seed: int, size: int = 3
) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """Error rate and share of the errors removed, of every alarm and score."""
    draws = torch_generator(seed, "fit")
    kept, held = hold_back(data.y, 0.2, draws)
    trainer = connections(seed)
    model = Ensemble(size).fit(trainer, data.x[kept], data.y[kept], generator=draws).freeze()
    y, found, apart = data.y[held], [], []
    for x in (data.x[held], data.x_test):
        with torch.no_grad():
            found.append(model.members(x))
        apart.append(distances(data, kept, x))
    lead = mixture(found[0])[y == 0].diff(dim=1)[:, 0].double().numpy()
    for rate in plan.alarms:
        level = 0.0 if rate is None else float(np.quantile(lead, 1 - rate))
        shift = torch.tensor([0.0, level])
        known, asked = (Answered(m - shift, far) for m, far in zip(found, apart, strict=True))
        wrong = asked.answer != data.y_test.numpy()
        for name in plan.scores:
            gone = errors_removed(combined(name, known, asked), wrong, 0.1)
            yield (alarm_named(rate), name), (float(wrong.mean()), gone)


Outcome = tuple[str, str, str, float, float]  # family, alarm, score, error rate, share removed


def left_out(plan: Plan) -> Iterator[Outcome]:
    """Training rows alone: a family of attacks left out of training stands for those of the test part.

    Judged on a fifth of the other rows and on all of the family's.
    """
    data = prepare(load("nsl-kdd-5"), features=16, train_size=6000)
    x, kinds = data.tensors("train")
    y = kinds.clamp_max(1)
    for seed in VALIDATION:
        for name, label in FAMILIES.items():
            known, new = (kinds != label).nonzero()[:, 0], (kinds == label).nonzero()[:, 0]
            kept, held = hold_back(y[known], 0.2, torch_generator(seed, "family", name))
            judged = torch.cat([known[held], new])
            rows = Data(x[known[kept]], y[known[kept]], x[judged], y[judged])
            for (alarm, score), pair in withheld(rows, plan, seed):
                yield (name, alarm, score, *pair)


def chosen() -> Iterator[tuple[str, Table]]:
    """What the explored alarms and scores do where a family was left out, and the best of them on new seeds."""
    found, lines = list(left_out(replace(EXPLORED, scores=CANDIDATES))), []
    for alarm, score in dict.fromkeys((one[1], one[2]) for one in found):
        mine = [one for one in found if one[1:3] == (alarm, score)]
        each = {n: 100 * float(np.mean([one[4] for one in mine if one[0] == n])) for n in FAMILIES}
        error = 100 * float(np.mean([one[3] for one in mine]))
        line = {"alarm": alarm, "score": score, "error": f"{error:.1f}"}
        average = float(np.mean(list(each.values())))
        lines.append((average, line | {k: f"{v:.1f}" for k, v in (each | {"mean": average}).items()}))
    lines.sort(key=lambda pair: -pair[0])
    yield "Errors removed where a family of attacks was left out of training", [t for _, t in lines]
    best = lines[0][1]
    rates = [rate for rate in EXPLORED.alarms if alarm_named(rate) == best["alarm"]]
    plan = replace(CONFIRMED, alarms=tuple(rates), scores=(best["score"],))
    for seeds in FRESH:
        status = "confirmed, chosen on training rows"
        yield from abstention(replace(plan, abstention=seeds, status=status))


def alarm_named(rate: float | None) -> str:
    """What an alarm is called in the tables."""
    return "even odds" if rate is None else f"{100 * rate:.0f} % false alarms"


def distances(data: Data, kept: Tensor, x: Tensor) -> dict[str, Array]:
    """Logarithms of Mahalanobis' distance, and of that to the fifth nearest row trained on; ``(rows, 2)`` each."""
    from sklearn.covariance import LedoitWolf
    from sklearn.neighbors import NearestNeighbors

    asked, gaussian, fifth = x.double().numpy(), [], []
    for c in (0, 1):
        gaussian.append(LedoitWolf().fit(data.x[data.y == c].double().numpy()).mahalanobis(asked))
        near = NearestNeighbors(n_neighbors=5).fit(data.x[kept][data.y[kept] == c].double().numpy())
        fifth.append(near.kneighbors(asked)[0][:, -1])
    pairs = {"Mahalanobis": gaussian, "neighbours": fifth}
    return {name: np.log(np.stack(far, 1) + 1e-12) for name, far in pairs.items()}


def removed(level: str, score: str, found: list[tuple[float, float]]) -> dict[str, str]:
    """One line: error rate, share of the errors removed with its interval over seeds, the most there is."""
    errors, gone = (np.array(part) for part in zip(*found, strict=True))
    return {
        "alarm": level,
        "score": score,
        "error": f"{100 * errors.mean():.1f}",
        "removed": told(mean(gone[:, None], bounds=(0, 1)), 100, 1),
        "each seed": " ".join(f"{100 * g:.1f}" for g in gone),
        "most possible": f"{100 * np.minimum(1, 0.1 / errors).mean():.1f}",
    }


Tables = Iterator[tuple[str, Table]]
PARTS: Mapping[str, Callable[[], Tables]] = {
    "calibration": lambda: calibration(replace(CONFIRMED, digits=CONFIRMED.digits[:1])),
    "calibration-again": lambda: calibration(replace(CONFIRMED, digits=CONFIRMED.digits[1:])),
    "abstention": lambda: abstention(CONFIRMED),
    "choice": chosen,
    "detection": lambda: detection(CONFIRMED),
}
PRINTED: Mapping[str, Callable[[], Tables]] = {  # no page shows these
    "calibration-explored": lambda: calibration(EXPLORED),
    "abstention-explored": lambda: abstention(EXPLORED),
    "detection-explored": lambda: detection(EXPLORED),
}


def main() -> None:
    """Measure, print, and write the tables of ``PARTS`` into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=[*PARTS, *PRINTED], help="PARTS if absent")
    torch.set_num_threads(1)
    for part in parser.parse_args().part or PARTS:
        tables = []
        for title, lines in {**PARTS, **PRINTED}[part]():
            tables.append(markdown(title, lines))
            Console().print(tables[-1], markup=False, soft_wrap=True)
        if part in PARTS:
            text = "\n\n".join(tables)
            page = inject(PAGE.read_text(encoding="utf-8"), text, f"uncertainty-{part}")
            write_atomically(PAGE, page.encode())


if __name__ == "__main__":
    main()
