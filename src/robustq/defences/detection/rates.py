"""How well an alarm tells attacked inputs from clean ones, against who knows of it and who does not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.attacks import Adaptive, run_attack
from robustq.contracts import Attack, Threat
from robustq.defences.detection.rejection import Rejecting
from robustq.errors import DataError
from robustq.stats import auroc, clopper_pearson


@dataclass(frozen=True)
class DetectionRates:
    """What a detector is worth on one set of inputs.

    Attributes:
        false_alarms: share of clean inputs that raise the alarm.
        interval: its two-sided Clopper-Pearson interval at 95 %.
        auroc: chance that an input flipped by an attack on the bare model looks more suspicious than a clean
            one; None where the attack flipped nothing.
        auroc_adaptive: the same for inputs by the attack on model and detector together that flip the
            bare model, caught or not; None where there are none.
        caught: share of the inputs flipped on the bare model that raise the alarm; None without any.
        bare: robust accuracy of the model without its alarm.
        static: robust accuracy with the alarm, against the attack that does not know of it.
        adaptive: robust accuracy with the alarm, against the best of both attacks. The one that counts.
        clean: share of clean inputs that are answered correctly without an alarm.
    """

    false_alarms: float
    interval: tuple[float, float]
    auroc: float | None
    auroc_adaptive: float | None
    caught: float | None
    bare: float
    static: float
    adaptive: float
    clean: float


def detection_rates(
    attack: Attack, model: Rejecting, x: Tensor, y: Tensor, threat: Threat, *, generator: torch.Generator
) -> DetectionRates:
    """Attack the bare model, then model and detectors together, and compare.

    Args:
        attack: the search, the same both times.
        model: with its alarm.
        x: clean inputs that nothing was fitted on.
        y: their labels.
        threat: what the adversary may do.
        generator: all of the attack's randomness.

    >>> from robustq.attacks import FGSM
    >>> from robustq.defences.detection.mahalanobis import Mahalanobis
    >>> from robustq.threats import Linf
    >>> rows = torch.rand(60, 2, generator=torch.Generator().manual_seed(0))
    >>> ball = Mahalanobis(means=torch.full((1, 2), 0.5), precision=torch.eye(2))
    >>> model = Rejecting(torch.nn.Linear(2, 2), [ball]).calibrate(rows)
    >>> rates = detection_rates(FGSM(), model, rows, (rows[:, 0] > 0.5).long(), Linf(0.1),
    ...                         generator=torch.Generator())
    >>> rates.false_alarms <= 0.05 and rates.adaptive <= rates.static
    True
    """
    if not len(x):
        raise DataError("expected inputs to measure detection on, got none")
    bare = run_attack(attack, model.model, x, y, threat, generator=generator)
    aware = run_attack(Adaptive(attack, model.twins()), model, x, y, threat, generator=generator)
    with torch.no_grad():
        clean, before, after = (_Seen.of(model, rows) for rows in (x, bare.x_adv, aware.x_adv))
    right = (clean.label == y) & ~clean.alarm
    static = right & ((before.label == y) | before.alarm)
    flipped = after.label != y
    alarms = int(clean.alarm.sum())
    return DetectionRates(
        false_alarms=alarms / len(x),
        interval=two_sided(alarms, len(x)),
        auroc=_auroc(clean.score, before.score[bare.success]),
        auroc_adaptive=_auroc(clean.score, after.score[flipped & bare.correct]),
        caught=_share(before.alarm[bare.success]),
        bare=float(bare.robust.double().mean()),
        static=float(static.double().mean()),
        adaptive=float((static & aware.robust).double().mean()),
        clean=float(right.double().mean()),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the model and its detectors say of inputs."""

    label: Tensor
    alarm: Tensor
    score: Tensor

    @staticmethod
    def of(model: Rejecting, x: Tensor) -> _Seen:
        logits = model(x)
        alarm = logits.argmax(1) == logits.shape[1] - 1
        return _Seen(logits[:, :-1].argmax(1), alarm, model.suspicion(x))


def _auroc(clean: Tensor, attacked: Tensor) -> float | None:
    # an input without any likelihood scores infinity, which ranks above all others
    low, high = (scores.nan_to_num(nan=torch.nan).numpy(force=True) for scores in (clean, attacked))
    return auroc(low, high) if len(high) else None


def _share(outcomes: Tensor) -> float | None:
    return float(outcomes.double().mean()) if len(outcomes) else None


def two_sided(successes: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """Clopper and Pearson's interval, each end wrong with probability ``alpha / 2`` at most.

    >>> [round(end, 3) for end in two_sided(5, 100)]
    [0.016, 0.113]
    """
    low = float(clopper_pearson(successes, trials, alpha / 2))
    high = 1 - float(clopper_pearson(trials - successes, trials, alpha / 2))
    return low, high
