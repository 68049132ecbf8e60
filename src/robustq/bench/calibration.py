"""One model calibrated after training: scaled logits, conformal thresholds, and what both are worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from robustq import stats
from robustq.bench.estimates import Estimate, Record
from robustq.bench.results import ReliabilityBin
from robustq.bench.uncertainty_table import Abstention, ClassSets, Settings, abstention_of
from robustq.catalogue import resolve
from robustq.contracts import QuantumClassifier
from robustq.errors import DataError, SpecError, unknown_name
from robustq.models.training import hold_back
from robustq.seeding import numpy_generator, torch_generator
from robustq.uncertainty.conformal import SCORES, Conformal, ShotAnswers, calibrate, evaluate
from robustq.uncertainty.scaling import Scaled, slopes_and_shifts, temperature

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
METHODS = ("none", "temperature", "vector")
LEAST = 10  # judged inputs, below which nothing is said


class Quality(Record):
    """How good probabilities are; lower is better but for accuracy."""

    accuracy: Estimate
    calibration_error: Estimate = Field(description="expected calibration error, 10 bins")
    adaptive_error: Estimate = Field(description="the same over bins of equal size")
    brier: Estimate
    nll: Estimate = Field(description="negative log-likelihood, nats")
    reliability: list[ReliabilityBin]


class JudgedSets(Record):
    """Conformal sets of the inputs that were not calibrated on."""

    score: str
    groups: str
    alpha: float
    calibration: int
    coverage: Estimate
    size: Estimate
    singletons: Estimate
    empty: Estimate
    promise: Estimate = Field(description="where the coverage of such a calibration lies, over its rows (Vovk 2012)")
    by_class: list[ClassSets]


class Calibration(Record):
    """The whole of ``calibration.json``."""

    schema_version: Literal["robustq-calibration-1"] = "robustq-calibration-1"
    title: str
    model: str
    method: str
    slope: list[float] = Field(description="what the logits are multiplied by, one a class")
    shift: list[float] = Field(description="what is added then")
    device: str | None
    shots: int | None
    scaled: int = Field(description="test inputs that the scaling was fitted on")
    calibration: int = Field(description="other test inputs, on which the thresholds were set")
    judged: int = Field(description="the other test inputs, on which everything below is measured")
    confidence: float
    before: Quality
    after: Quality
    abstention: Abstention
    sets: JudgedSets
    versions: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """What ``robustq calibrate`` was asked for.

    Attributes:
        method: one of ``METHODS``.
        score: a name in ``SCORES`` that speaks of probabilities.
        groups: ``none`` or ``class``.
        alpha: share of sets that may miss.
        rows: share of the test inputs to calibrate on.
        share: of the judged inputs that is not answered.
        shots: of each answer; None for exact ones.
        noise: a calibrated device, or None.
        seed: root of all randomness.
        resamples: of the intervals that are made by resampling.
        confidence: of the intervals.
    """

    method: str = "temperature"
    score: str = "lac"
    groups: str = "class"
    alpha: float = 0.1
    rows: float = 0.5
    share: float = 0.1
    shots: int | None = None
    noise: Any = None
    seed: int = 0
    resamples: int = 200
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        if resolve("score", self.score, SCORES).of != "probabilities":
            raise SpecError(f"score: expected one of probabilities, got {self.score!r}")
        if not 0 < self.rows < 1:
            raise SpecError(f"rows: expected a share in (0, 1), got {self.rows}")


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The scaled model, the thresholds, and the parts of the record that were measured."""

    model: Scaled
    conformal: Conformal
    record: dict[str, Any]


def calibrated(model: nn.Module, x: Tensor, y: Tensor, classes: tuple[str, ...], asked: Asked) -> Calibrated:
    """Calibrate on part of labelled inputs that the model was not trained on; judge on the rest.

    Raises:
        DataError: if there are too few inputs for the level or the method, saying how many would do.
    """
    rows = _parts(y, asked)
    answers = {name: _logits(model, x[part], asked, name) for name, part in rows.items()}
    labels = {name: y[part].numpy() for name, part in rows.items()}
    slope, shift = _fitted(answers["scale"], labels["scale"], asked.method)
    draws = numpy_generator(asked.seed, "conformal")
    chances = {name: softmax(slope * logits + shift) for name, logits in answers.items()}
    found = calibrate(
        chances["calibrate"],
        labels["calibrate"],
        alpha=asked.alpha,
        score=SCORES[asked.score].make(),
        groups=asked.groups,
        generator=draws,
    )
    record = _record(answers["judge"], chances["judge"], labels["judge"], found, classes, draws, asked)
    record |= {"slope": _listed(slope), "shift": _listed(shift), "scaled": len(rows["scale"])}
    scaled = Scaled(model, torch.tensor(slope).float(), torch.tensor(shift).float())
    return Calibrated(scaled.eval(), found, record)


def _record(
    logits: Array,
    after: Array,
    labels: Labels,
    found: Conformal,
    classes: tuple[str, ...],
    draws: np.random.Generator,
    asked: Asked,
) -> dict[str, Any]:
    """What is measured on the judged inputs."""
    stream = numpy_generator(asked.seed, "bootstrap")
    settings = Settings(asked.alpha, asked.share, 1, asked.confidence, classes, asked.resamples)
    return {
        "method": asked.method,
        "shots": asked.shots,
        "calibration": sum(found.counts),
        "judged": len(labels),
        "confidence": asked.confidence,
        "before": _quality(softmax(logits), labels, stream, asked),
        "after": _quality(after, labels, stream, asked),
        "abstention": abstention_of(after[None], labels, settings, stream),
        "sets": _sets(found, after, labels, classes, draws, asked),
    }


def softmax(logits: Array) -> Array:
    """Probabilities ``(n, classes)``.

    >>> softmax(np.zeros((1, 2))).tolist()
    [[0.5, 0.5]]
    """
    from scipy.special import softmax as scipy_softmax

    chances: Array = scipy_softmax(logits, axis=1)
    return chances


def _parts(y: Tensor, asked: Asked) -> dict[str, Tensor]:
    """Rows to fit the scaling on, to set thresholds on and to judge, stratified.

    A threshold keeps its promise only on rows that nothing else was fitted to: where logits are scaled, half of the
    rows go to the scaling.
    """
    judged, known = hold_back(y, asked.rows, torch_generator(asked.seed, "rows"))
    thresholds, scale = known, known[:0]
    if asked.method != "none":
        kept, held = hold_back(y[known], 0.5, torch_generator(asked.seed, "scaling"))
        thresholds, scale = known[kept], known[held]
    if len(judged) < LEAST or not len(thresholds):
        raise DataError(
            f"calibrate: expected at least {LEAST} inputs to judge and some to calibrate on, got {len(judged)} "
            f"and {len(thresholds)} of {len(y)}"
        )
    return {"scale": scale, "calibrate": thresholds, "judge": judged}


def _logits(model: nn.Module, x: Tensor, asked: Asked, name: str) -> Array:
    """As a device would answer, each input with shots of its own; exactly where none are asked for."""
    if isinstance(model, QuantumClassifier):
        return ShotAnswers(model, asked.shots, asked.noise).logits(x, torch_generator(asked.seed, name))
    if asked.shots is not None or asked.noise is not None:
        raise SpecError(f"calibrate: expected a quantum model for shots or a device, got {type(model).__name__}")
    with torch.no_grad():
        found: Array = model(x).double().numpy()
    return found


def _fitted(logits: Array, labels: Labels, method: str) -> tuple[Array, Array]:
    ones, zeros = np.ones(logits.shape[1]), np.zeros(logits.shape[1])
    if method == "vector":
        return slopes_and_shifts(logits, labels)
    return (ones / temperature(logits, labels) if method == "temperature" else ones), zeros


def _quality(probabilities: Array, labels: Labels, stream: np.random.Generator, asked: Asked) -> Quality:
    def resampled(statistic: Any) -> Estimate:
        found = stats.bootstrap(
            lambda _, i: statistic(probabilities[i], labels[i]),
            1,
            len(labels),
            stream,
            resamples=asked.resamples,
            confidence=asked.confidence,
        )
        return Estimate.of(found)

    right = (probabilities.argmax(1) == labels).astype(float)
    losses = stats.negative_log_likelihood(probabilities.clip(1e-12), labels)
    return Quality(
        accuracy=Estimate.of(stats.proportion(right, asked.confidence)),
        calibration_error=resampled(stats.expected_calibration_error),
        adaptive_error=resampled(stats.adaptive_calibration_error),
        brier=Estimate.of(stats.mean(stats.brier(probabilities, labels), asked.confidence, bounds=(0.0, 2.0))),
        nll=Estimate.of(stats.mean(losses, asked.confidence, bounds=(0.0, np.inf))),
        reliability=[ReliabilityBin(**asdict(bar)) for bar in stats.reliability(probabilities, labels)],
    )


def _sets(
    found: Conformal,
    probabilities: Array,
    labels: Labels,
    classes: tuple[str, ...],
    draws: np.random.Generator,
    asked: Asked,
) -> JudgedSets:
    sets = found.sets(probabilities, draws)
    worth = evaluate(sets, labels, asked.confidence)
    lowest = min(found.guarantee(asked.confidence), key=lambda interval: interval.low)
    sizes = sets.sum(1)
    return JudgedSets(
        score=asked.score,
        groups=asked.groups,
        alpha=asked.alpha,
        calibration=sum(found.counts),
        **{key: Estimate.of(getattr(worth, key)) for key in ("coverage", "size", "singletons", "empty")},
        promise=Estimate.of(lowest),
        by_class=[
            ClassSets(
                label=classes[k],
                coverage=Estimate.of(covered),
                size=Estimate.of(stats.mean(sizes[labels == k], asked.confidence, bounds=(0.0, len(classes)))),
            )
            for k, covered in worth.by_class.items()
        ],
    )


def _listed(values: Array) -> list[float]:
    return [round(float(v), 9) for v in values]
