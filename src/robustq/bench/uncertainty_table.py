"""How far an entrant's confidence can be trusted: abstaining, sets, and where its doubt comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from robustq import stats
from robustq.bench.estimates import Estimate, Record
from robustq.errors import DataError
from robustq.uncertainty import split
from robustq.uncertainty.conformal import Conformal, LeastAmbiguous, calibrate

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
POINTS = 20  # of a risk-coverage curve
TINIEST = 1e-9  # a probability whose logarithm is taken


class RiskPoint(Record):
    """One point of the risk-coverage curve, averaged over seeds."""

    coverage: float = Field(description="share of the inputs that are answered, the surest first")
    risk: float = Field(description="share of these answers that is wrong")


class Abstention(Record):
    """What is gained by not answering the inputs whose top probability is least."""

    curve: list[RiskPoint]
    aurc: Estimate = Field(description="area under the risk-coverage curve")
    share: float = Field(description="of the inputs that is not answered below")
    errors_removed: Estimate = Field(description="share of the errors that are among them")


class ClassSets(Record):
    """Conformal sets of the inputs of one class."""

    label: str
    coverage: Estimate
    size: Estimate


class Sets(Record):
    """Conformal sets, calibrated on a random half of the test inputs and judged on the other, many times."""

    score: str
    groups: str = Field(description="class: coverage is kept in each class by itself; none: over all")
    alpha: float = Field(description="share of sets that may miss the true class")
    calibration: int = Field(description="inputs that one calibration uses")
    coverage: Estimate = Field(description="share of sets that hold the true class")
    size: Estimate = Field(description="classes a set")
    singletons: Estimate = Field(description="share of sets with one class: an answer")
    by_class: list[ClassSets]


class Doubt(Record):
    """The entropy of the answers taken apart, in nats; means over the test inputs."""

    total: Estimate
    data: Estimate = Field(description="what a single exact model is unsure of: aleatoric")
    model: Estimate = Field(description="what the seeds' models disagree about: epistemic")
    shots: Estimate = Field(description="what finite shots add")
    noise: Estimate = Field(description="what the device's noise adds; may be negative")


class Uncertainty(Record):
    """What an entrant does not know, and whether it knows that."""

    abstention: Abstention
    sets: Sets | None = Field(None, description="of exact answers; none if there are too few inputs")
    sets_with_shots: Sets | None = Field(None, description="calibrated and judged on finite shots")
    no_sets: str = Field("", description="why there are no sets")
    doubt: Doubt
    together: Estimate = Field(description="calibration error of the seeds' mean probabilities, an ensemble")


@dataclass(frozen=True, eq=False)
class Answers:
    """What the seeds of one entrant answer on the test inputs.

    Attributes:
        labels: ``(inputs,)``.
        probabilities: exact ones, ``(seeds, inputs, classes)``.
        draws: from finite shots, on the device if there is one, ``(seeds, draws, inputs, classes)``; None if
            classical.
        noisy: exact ones on the device; None if there is none.
    """

    labels: Labels
    probabilities: Array
    draws: Array | None = None
    noisy: Array | None = None


@dataclass(frozen=True)
class Settings:
    """How it is summarised; see :class:`robustq.bench.spec.UncertaintySpec`."""

    alpha: float
    share: float
    repeats: int
    confidence: float
    classes: tuple[str, ...]
    resamples: int = 200


def uncertainty_of(answers: Answers, settings: Settings, generator: np.random.Generator) -> Uncertainty:
    """The whole summary of one entrant."""
    found: dict[str, Any] = {}
    drawn = None if answers.draws is None else answers.draws[:, 0]
    try:
        found["sets"] = sets_of(answers.probabilities, answers.labels, settings, generator)
        if drawn is not None:
            found["sets_with_shots"] = sets_of(drawn, answers.labels, settings, generator)
    except DataError as failure:
        found = {"no_sets": str(failure)}
    return Uncertainty(
        abstention=abstention_of(answers.probabilities, answers.labels, settings, generator),
        doubt=doubt_of(answers, settings),
        together=_together(answers, settings, generator),
        **found,
    )


def abstention_of(
    probabilities: Array, labels: Labels, settings: Settings, generator: np.random.Generator
) -> Abstention:
    """Of probabilities ``(seeds, inputs, classes)``; intervals by resampling seeds and inputs."""
    doubt, wrong = 1 - probabilities.max(2), probabilities.argmax(2) != labels
    seeds, inputs = doubt.shape
    curves = np.array([stats.risk_coverage(d, w)[1] for d, w in zip(doubt, wrong, strict=True)])
    places = np.unique(np.linspace(1, inputs, min(POINTS, inputs)).round().astype(int))

    def resampled(statistic: Any) -> Estimate:
        found = stats.bootstrap(
            lambda s, i: float(np.mean([statistic(doubt[k][i], wrong[k][i]) for k in s])),
            seeds,
            inputs,
            generator,
            resamples=settings.resamples,
            confidence=settings.confidence,
        )
        return Estimate.of(replace(found, high=min(1.0, found.high)))  # both are shares

    return Abstention(
        curve=[
            RiskPoint(coverage=round(float(k / inputs), 6), risk=round(float(curves[:, k - 1].mean()), 6))
            for k in places
        ],
        aurc=resampled(stats.aurc),
        share=settings.share,
        errors_removed=resampled(lambda d, w: stats.errors_removed(d, w, settings.share) if w.any() else 0.0),
    )


def sets_of(probabilities: Array, labels: Labels, settings: Settings, generator: np.random.Generator) -> Sets:
    """Conformal sets of probabilities ``(seeds, inputs, classes)`` over random halves.

    Coverage is kept in each class where each has rows enough for the level, otherwise over all.

    Raises:
        DataError: if there are too few inputs, saying how many would do.
    """
    seeds, inputs, classes = probabilities.shape
    held = np.full((settings.repeats, seeds, inputs, classes), np.nan)
    groups, rows = "class", inputs // 2
    for repeat in range(settings.repeats):
        order = generator.permutation(inputs)
        known, asked = order[:rows], order[rows:]
        for seed in range(seeds):
            made, groups = _calibrated(probabilities[seed][known], labels[known], settings.alpha, groups)
            held[repeat, seed][asked] = made.sets(probabilities[seed][asked])
    judged = ~np.isnan(held).all((0, 1, 3))  # at least once
    return _judged(held[:, :, judged], labels[judged], groups, rows, settings)


def _judged(held: Array, labels: Labels, groups: str, rows: int, settings: Settings) -> Sets:
    """Of sets ``(repeats, seeds, inputs, classes)``, NaN where an input was used to calibrate."""
    truth = np.broadcast_to(labels[:, None], (*held.shape[:3], 1))
    covered = np.take_along_axis(held, truth, 3)[..., 0]
    sizes = held.sum(3)
    single = np.where(np.isnan(sizes), np.nan, sizes == 1)
    coverage, size, singletons = (np.nanmean(v, axis=0) for v in (covered, sizes, single))
    classes = held.shape[3]
    return Sets(
        score="lac",
        groups=groups,
        alpha=settings.alpha,
        calibration=rows,
        coverage=_mean(coverage, 1.0, settings),
        size=_mean(size, classes, settings),
        singletons=_mean(singletons, 1.0, settings),
        by_class=[
            ClassSets(
                label=name,
                coverage=_mean(coverage[:, labels == k], 1.0, settings),
                size=_mean(size[:, labels == k], classes, settings),
            )
            for k, name in enumerate(settings.classes)
            if (labels == k).any()
        ],
    )


def _calibrated(rows: Array, labels: Labels, alpha: float, groups: str) -> tuple[Conformal, str]:
    """Class by class as long as every class had rows enough; never back again."""
    if groups == "class":
        try:
            return calibrate(rows, labels, alpha=alpha, score=LeastAmbiguous(), groups="class"), "class"
        except DataError:
            pass
    return calibrate(rows, labels, alpha=alpha, score=LeastAmbiguous()), "none"


def _mean(table: Array, most: float, settings: Settings) -> Estimate:
    return Estimate.of(stats.mean(table, settings.confidence, bounds=(0.0, float(most))))


def doubt_of(answers: Answers, settings: Settings) -> Doubt:
    """The entropy of the seeds' answers taken apart (:func:`robustq.uncertainty.split`)."""
    exact = _logits(answers.probabilities)
    if answers.draws is None:
        parts = split(exact)
    else:
        noisy = exact if answers.noisy is None else _logits(answers.noisy)
        parts = split(_logits(answers.draws), noiseless=exact, noisy=noisy)

    def mean(values: torch.Tensor) -> Estimate:
        estimate = Estimate.of(stats.mean(values.numpy(), settings.confidence))
        return estimate.model_copy(update={"seeds": len(answers.probabilities)})

    same = {name: mean(getattr(parts, name)) for name in ("total", "data", "shots", "noise")}
    return Doubt(**same, model=mean(parts.epistemic))


def _logits(probabilities: Array) -> torch.Tensor:
    return torch.from_numpy(probabilities).clamp_min(TINIEST).log()


def _together(answers: Answers, settings: Settings, generator: np.random.Generator) -> Estimate:
    """ECE of the mean over seeds; interval by resampling inputs."""
    mean = answers.probabilities.mean(0)
    mean = mean / mean.sum(1, keepdims=True)
    found = stats.bootstrap(
        lambda _, i: stats.expected_calibration_error(mean[i], answers.labels[i]),
        1,
        len(mean),
        generator,
        resamples=settings.resamples,
        confidence=settings.confidence,
    )
    return Estimate.of(found).model_copy(update={"seeds": len(answers.probabilities)})
