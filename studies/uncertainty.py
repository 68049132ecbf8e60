"""What a quantum classifier's doubt is worth: calibration, detection of attacks, abstention.

    python -m studies.uncertainty

trains the models, prints the tables. Needs the data folder named by ``ROBUSTQ_DATA_DIR``; takes about twenty
minutes on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from robustq.attacks import PGD, run_attack
from robustq.attacks.nearest.deepfool import DeepFool
from robustq.contracts import Attack, Predictive, QuantumClassifier, Threat
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
    errors_removed,
    expected_calibration_error,
    false_alarms,
    mean,
    negative_log_likelihood,
)
from robustq.threats import L2, Linf
from robustq.uncertainty import (
    SCORES,
    Ensemble,
    Laplace,
    MeanField,
    Method,
    Point,
    Scaling,
    Swag,
    Trainer,
    mixture,
)
from studies.published_attacks import Data, markdown

PIXELS, SEEDS = 64, (10, 11, 12, 13, 14)
Table = list[dict[str, str]]
Array = NDArray[np.float64]
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


def mnist_four(train: int) -> Data:
    """Zeros to threes at 8 x 8, grey levels in [0, 1], all test images."""
    raw = load("mnist").only(("0", "1", "2", "3"))
    prepared = prepare(raw, features=PIXELS, train_size=train)
    return Data(*prepared.tensors("train"), *prepared.tensors("test"))


def images(seed: int, epochs: int) -> Trainer:
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


def over_seeds(
    statistic: Callable[[Array, NDArray[np.int64]], float],
    found: Sequence[Array],
    labels: NDArray[np.int64],
) -> Interval:
    """A statistic's mean over seeds, resampled over seeds and inputs."""

    def average(seeds: NDArray[np.int64], inputs: NDArray[np.int64]) -> float:
        return float(np.mean([statistic(found[s][inputs], labels[inputs]) for s in seeds]))

    draws = numpy_generator(0, "bootstrap")
    return bootstrap(average, len(found), len(labels), draws, resamples=200)


def told(found: Interval, scale: float = 1.0, digits: int = 4) -> str:
    """A value and its interval."""
    value, low, high = (scale * part for part in (found.value, found.low, found.high))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def calibration(seeds: Sequence[int] = SEEDS, train: int = 600, epochs: int = 60) -> Table:
    """Every method on the same images and starts; a line a method."""
    data, lines = mnist_four(train), []
    labels = data.y_test.numpy()
    for name, method in METHODS.items():
        found = []
        for seed in seeds:
            draws = torch_generator(seed, "fit")
            model = method.fit(images(seed, epochs), data.x, data.y, generator=draws)
            found.append(chances(model, data.x_test))
        error = over_seeds(expected_calibration_error, found, labels)
        each = " ".join(f"{expected_calibration_error(p, labels):.4f}" for p in found)
        right = np.mean([(p.argmax(1) == labels).mean() for p in found])
        sure = np.mean([p.max(1).mean() for p in found])
        lost = np.mean([negative_log_likelihood(p, labels).mean() for p in found])
        equal = np.mean([adaptive_calibration_error(p, labels) for p in found])
        lines.append(
            {"method": name, "ECE": told(error), "each seed": each, "adaptive": f"{equal:.4f}",
             "accuracy": f"{100 * right:.2f}", "confidence": f"{100 * sure:.2f}", "NLL": f"{lost:.4f}"}
        )  # fmt: skip
    return lines


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


THREATS: Mapping[str, tuple[Attack, Threat]] = {
    "PGD, linf 0.1": (PGD(steps=40, restarts=1), Linf(0.1, box=(0.0, 1.0))),
    "PGD, linf 0.3": (PGD(steps=40, restarts=1), Linf(0.3, box=(0.0, 1.0))),
    "DeepFool, l2 2": (DeepFool(), L2(2.0, box=(0.0, 1.0))),
}


def detection(seed: int = 10, rows: int = 200) -> Table:
    """AUROC of clean images against attacked ones, of an adversary who does not know the score and one who does.

    The first attacks the ensemble's answer; the second attacks the ensemble with the score's alarm in place, from
    the median of clean inputs down, and from the clean 95 % quantile; the lower AUROC of the two is shown, with the
    share of images that are answered wrongly, which an alarm in the way makes smaller.
    """
    data = mnist_four(600)
    model = Ensemble(5).fit(
        images(seed, 60), data.x, data.y, generator=torch_generator(seed, "fit")
    )
    frozen = model.freeze()
    x, y = data.x_test[:: len(data.x_test) // rows], data.y_test[:: len(data.y_test) // rows]
    lines = []
    for title, (attack, threat) in THREATS.items():
        blind = run_attack(attack, model, x, y, threat, generator=torch_generator(seed, title))
        unaware = blind.nearest if isinstance(attack, DeepFool) else blind.x_adv
        for name, doubt in doubts(data).items():
            clean = asked(frozen, doubt, x)
            first = judged(frozen, doubt, clean, unaware, y)
            aware = [
                judged(
                    frozen, doubt, clean, pressed(frozen, doubt, clean, place, (x, y), threat), y
                )
                for place in (0.5, 0.95)
            ]
            second = min(aware, key=lambda found: found[0].value)
            lines.append(
                {"attack": title, "score": name, "AUROC": told(first[0], digits=3),
                 "FPR at 95 % TPR": f"{first[1]:.3f}", "wrong": f"{100 * first[2]:.0f} %",
                 "adaptive AUROC": told(second[0], digits=3), "adaptive FPR": f"{second[1]:.3f}",
                 "adaptive, wrong": f"{100 * second[2]:.0f} %"}
            )  # fmt: skip
    return lines


def pressed(
    model: Predictive,
    doubt: Doubt,
    clean: Array,
    place: float,
    rows: tuple[Tensor, Tensor],
    threat: Threat,
) -> Tensor:
    """Inputs that are answered wrongly with as little doubt as the adversary can reach."""
    guarded = Alarmed(model, doubt, float(np.quantile(clean, place)), float(clean.std()))
    draws = torch_generator(0, "adaptive")
    return run_attack(PGD(steps=60, restarts=1), guarded, *rows, threat, generator=draws).x_adv


def asked(model: Predictive, doubt: Doubt, x: Tensor) -> Array:
    """Doubt of each input, ``(rows,)``."""
    with torch.no_grad():
        found: Array = doubt(x, model.members(x)).double().numpy()
    return found


def judged(
    model: Predictive, doubt: Doubt, clean: Array, x: Tensor, y: Tensor
) -> tuple[Interval, float, float]:
    """AUROC and false alarms against the attacked inputs that are answered wrongly, and their share."""
    with torch.no_grad():
        wrong = model(x).argmax(1) != y
    if not bool(wrong.any()):
        return Interval(1.0, 0.0, 1.0, len(x), 1), 0.0, 0.0
    adversarial = asked(model, doubt, x[wrong])
    share = float(wrong.double().mean())
    return auroc_interval(clean, adversarial), false_alarms(clean, adversarial), share


def connections(seed: int) -> Trainer:
    """Sixteen principal components, re-uploaded ten times into four qubits."""

    def build(k: int) -> nn.Module:
        start = torch_generator(seed, "init", k)
        return reuploading(16, 2, generator=start, qubits=4, layers=10)

    return Trainer(build, Training(10, batch_size=64, lr=0.02, validation=0.1, patience=0))


def abstention(seeds: Sequence[int] = SEEDS, train: int = 6000, size: int = 3) -> Table:
    """NSL-KDD's official test set: errors removed by not answering the least sure tenth.

    The level of the alarm is the one that lets so many false alarms happen on training rows held back. Rows of
    the test part that are in the training part too count as they come.
    """
    prepared = prepare(load("nsl-kdd"), features=16, train_size=train)
    data = Data(*prepared.tensors("train"), *prepared.tensors("test"))
    outcomes: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in seeds:
        draws = torch_generator(seed, "fit")
        kept, held = hold_back(data.y, 0.2, draws)
        posterior = Ensemble(size).fit(
            connections(seed), data.x[kept], data.y[kept], generator=draws
        )
        frozen = posterior.freeze()
        with torch.no_grad():
            benign = data.x[held][data.y[held] == 0]
            lead = frozen(benign).diff(dim=1)[:, 0].double().numpy()
            answers = frozen.members(data.x_test)
        levels = {"even": 0.0} | {
            f"{100 * rate:.0f} % false alarms": float(np.quantile(lead, 1 - rate))
            for rate in (0.05, 0.1, 0.15)
        }
        for title, level in levels.items():
            shifted = answers - torch.tensor([0.0, level])
            wrong = (mixture(shifted).argmax(1) != data.y_test).numpy()
            table = {name: score(shifted).double().numpy() for name, score in SCORES.items()}
            table["Mahalanobis"] = nearest(data, mixture(shifted).argmax(1))
            for name, doubt in table.items():
                pair = (float(wrong.mean()), errors_removed(doubt, wrong, 0.1))
                outcomes.setdefault((title, name), []).append(pair)
    return [removed(*key, found) for key, found in outcomes.items()]


def nearest(data: Data, answer: Tensor) -> Array:
    """Squared Mahalanobis distance of each test row to the class answered, under that class's covariance."""
    from sklearn.covariance import LedoitWolf

    x, rows = data.x_test.double().numpy(), []
    for c in (0, 1):
        fitted = LedoitWolf().fit(data.x[data.y == c].double().numpy())
        rows.append(fitted.mahalanobis(x))
    found: Array = np.stack(rows, 1)[np.arange(len(x)), answer.numpy()]
    return found


def removed(level: str, score: str, found: list[tuple[float, float]]) -> dict[str, str]:
    """One line: error rate, share of the errors removed with its interval over seeds, the most there is."""
    errors, gone = (np.array(part) for part in zip(*found, strict=True))
    return {
        "alarm": level, "score": score, "error": f"{100 * errors.mean():.1f}",
        "removed": told(mean(gone[:, None], bounds=(0, 1)), 100, 1),
        "each seed": " ".join(f"{100 * g:.1f}" for g in gone),
        "most possible": f"{100 * np.minimum(1, 0.1 / errors).mean():.1f}",
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    for title, measure in (
        ("Calibration, MNIST 0-3", calibration),
        ("Detection of attacked images", detection),
        ("NSL-KDD: share of the errors gone with the least sure tenth, percent", abstention),
    ):
        Console().print(markdown(title, measure()), markup=False)


if __name__ == "__main__":
    main()
