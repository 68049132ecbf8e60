"""The verdict in words, and the caveats without which the numbers mislead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustq.bench.results import Caveat, EntrantResult, RobustPoint, Verdict
from robustq.bench.spec import Spec
from robustq.data import Dataset


def verdict(partial: Mapping[str, Any], rows: Sequence[EntrantResult]) -> Verdict:
    """What a reader should take away, level first.

    ``useless``: even without an attack not clearly better than always answering the commonest class
    (lower end of the interval), so that robustness means nothing.
    ``broken``: under attack worse than always answering the commonest class (upper end of the
    interval). ``robust``: keeps at least 90 % of its accuracy (lower end). ``fragile``: between.
    """
    quantum = rows[0]
    point = _at(quantum, partial["reference_eps"])
    eps, clean, robust = point.eps, quantum.accuracy, point.robust
    if clean.low <= partial["majority"]:
        level, word = "useless", "has nothing to lose to"
    elif robust.high < partial["majority"]:
        level, word = "broken", "does not survive"
    elif robust.low >= 0.9 * clean.value:
        level, word = "robust", "survives"
    else:
        level, word = "fragile", "is fragile under"
    headline = (
        f"The {quantum.label} {word} perturbations of eps = {eps:g}: accuracy falls from "
        f"{_percent(clean.value)} to {_percent(robust.value)}."
    )
    sentences = [_majority(partial, robust.value)]
    sentences += [_defended(quantum, row, eps) for row in rows if row.key == "quantum-defended"]
    sentences += [_baseline(partial, rows)]
    sentences += [_noise(quantum)] if quantum.noise_resilience else []
    return Verdict(level=level, headline=headline, sentences=[s for s in sentences if s])


def _at(row: EntrantResult, eps: float) -> RobustPoint:
    return next(point for point in row.robust if point.eps == eps)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _majority(partial: Mapping[str, Any], robust: float) -> str:
    side = "above" if robust > partial["majority"] else "not above"
    return (
        f"Always answering the commonest class would score {_percent(partial['majority'])}; "
        f"under attack the model is {side} that."
    )


def _defended(quantum: EntrantResult, twin: EntrantResult, eps: float) -> str:
    before, after = _at(quantum, eps).robust.value, _at(twin, eps).robust.value
    cost = 100 * (quantum.accuracy.value - twin.accuracy.value)
    change = "costs" if cost >= 0 else "gains"
    return (
        f"Adversarial training moves robust accuracy from {_percent(before)} to "
        f"{_percent(after)} and {change} {abs(cost):.1f} points of clean accuracy."
    )


def _baseline(partial: Mapping[str, Any], rows: Sequence[EntrantResult]) -> str:
    """The best undefended classical model, with the corrected interval of the difference."""
    eps = partial["reference_eps"]
    classical = [row for row in rows if row.family == "classical" and not row.defended]
    if not classical:
        return ""
    best = max(classical, key=lambda row: _at(row, eps).robust.value)
    other = next(c for c in partial["comparisons"] if c.entrant == best.key)
    gap = other.robust
    if gap.low > 0:
        word = "less robust than the quantum model"
    elif gap.high < 0:
        word = "more robust than the quantum model"
    else:
        word = "not distinguishable from the quantum model"
    return (
        f"The most robust undefended classical baseline, {best.label}, scores "
        f"{_percent(_at(best, eps).robust.value)} under the same attack: {word} "
        f"(difference {100 * gap.value:+.1f} points, corrected interval "
        f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f})."
    )


def _noise(quantum: EntrantResult) -> str:
    kept = quantum.noise_resilience
    worst = quantum.noise["gate_error"][-1]
    return (
        f"Over the gate-noise sweep with finite shots it keeps {_percent(kept.value if kept else 0)} "
        f"of its clean accuracy; at {worst.level:g} per gate it scores {_percent(worst.shots.value)}."
    )


def caveats(
    spec: Spec, data: Dataset, rows: Sequence[EntrantResult], partial: Mapping[str, Any]
) -> list[Caveat]:
    """Standing caveats, then those this run has earned."""
    found = [
        Caveat(id="empirical", text=(
            f"Robust accuracy is measured with {partial['attack']}; a stronger attack can only lower "
            "it. Nothing here is certified.")),
        Caveat(id="input-space", text=(
            "Perturbations act on the model's inputs, after reduction "
            f"({data.record['reduction']}) and scaling to [0, 1], not on the raw measurements.")),
        Caveat(id="split", text=f"Data split: {data.record['split']}."),
        Caveat(id="noise-model", text=(
            "Noise is uniform depolarising after every gate and symmetric read-out error, simulated "
            "exactly; it is not a calibrated device. Attacks were made on the noise-free model.")),
    ]  # fmt: skip
    if spec.seeds == 1:
        found.append(Caveat(id="one-seed", text=(
            "One seed: the intervals cover the choice of inputs only; another training run may differ by "
            "much more.")))  # fmt: skip
    elif spec.seeds < 5:
        found.append(Caveat(id="few-seeds", text=(
            f"{spec.seeds} seeds: intervals include the spread between seeds, which so few seeds "
            "estimate poorly.")))  # fmt: skip
    if data.record["test_values_clipped"]:
        found.append(Caveat(id="clipped", text=(
            f"{data.record['test_values_clipped']} test values lay outside the training range and were "
            "clipped to it.")))  # fmt: skip
    if data.record["rows"]["train"] == spec.data.train_size:
        found.append(Caveat(id="subsample", text=(
            f"Trained on a stratified sample of {spec.data.train_size} rows.")))  # fmt: skip
    found += _matching(rows)
    return found + [flag for row in rows for flag in _flags(row, partial)]


def _matching(rows: Sequence[EntrantResult]) -> list[Caveat]:
    """A baseline whose parameter count could not be matched, because one hidden unit is the fewest."""
    wanted = rows[0].parameters
    far = [row for row in rows if row.matched and not 0.67 <= row.parameters / wanted <= 1.5]
    return [
        Caveat(id="unmatched-baseline", text=(
            f"{row.label}: the nearest perceptron has {row.parameters} parameters, the quantum model "
            f"{wanted}."))
        for row in far if not row.defended
    ]  # fmt: skip


def _flags(row: EntrantResult, partial: Mapping[str, Any]) -> list[Caveat]:
    """Warnings about one entrant that make its figures suspect."""
    point = _at(row, partial["reference_eps"])
    flags = []
    if row.accuracy.value <= partial["majority"]:
        flags.append(Caveat(id="no-better-than-majority", text=(
            f"{row.label}: clean accuracy {_percent(row.accuracy.value)} is no better than always "
            f"answering the commonest class; its robustness is meaningless.")))  # fmt: skip
    if point.robust.value >= point.robust_to_noise.value:
        flags.append(Caveat(id="attack-no-better-than-noise", text=(
            f"{row.label}: at eps = {point.eps:g} the attack found no more than random noise of the same "
            "size; suspect masked gradients, or an eps too small to matter.")))  # fmt: skip
    return flags
