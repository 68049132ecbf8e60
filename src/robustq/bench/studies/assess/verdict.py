"""The verdict in words, and the caveats without which the numbers mislead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustq.bench.results import Caveat, DeviceRecord, EntrantResult, OnDevice, Verdict
from robustq.bench.spec import Specification
from robustq.data import Dataset


def verdict(partial: Mapping[str, Any], rows: Sequence[EntrantResult]) -> Verdict:
    """What a reader should take away, level first.

    ``useless``: even without an attack not clearly better than always answering the commonest class
    (lower end of the interval), so that robustness means nothing.
    ``broken``: under attack worse than always answering the commonest class (upper end of the
    interval). ``robust``: keeps at least 90 % of its accuracy (lower end). ``fragile``: between.
    """
    quantum = rows[0]
    point = quantum.at(partial["reference_eps"])
    eps, clean, robust = point.eps, quantum.accuracy, point.robust
    if clean.low <= partial["majority"]:
        level, word = "useless", "is useless with or without"
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
    sentences += [_certified(row, eps) for row in rows if row.certified]
    sentences += [_defended(quantum, row, eps) for row in rows if row.key == "quantum-defended"]
    sentences += [_baseline(partial, rows)]
    sentences += [_noise(quantum)] if quantum.noise_resilience else []
    if quantum.on_device:
        sentences += _device(partial["device"], quantum, quantum.on_device, eps, partial["shots"])
    return Verdict(level=level, headline=headline, sentences=[s for s in sentences if s])


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _majority(partial: Mapping[str, Any], robust: float) -> str:
    side = "above" if robust > partial["majority"] else "not above"
    return (
        f"Always answering the commonest class would score {_percent(partial['majority'])}; "
        f"under attack the model is {side} that."
    )


def _certified(row: EntrantResult, eps: float) -> str:
    """What is proved, and how much of the gap to the attack is left."""
    assert row.certified is not None
    point = row.certified.at(eps)
    low, high = point.certified.value, point.possible.value
    if high - low < 0.0005:
        return f"{row.label}: {_percent(low)} of the inputs are right and proved to stay right; that is exact."
    return (
        f"{row.label}: {_percent(low)} of the inputs are right and proved to stay right "
        f"({row.certified.method}); the exact figure is at most {_percent(high)}."
    )


def _defended(quantum: EntrantResult, twin: EntrantResult, eps: float) -> str:
    before, after = quantum.at(eps).robust.value, twin.at(eps).robust.value
    cost = 100 * (quantum.accuracy.value - twin.accuracy.value)
    change = "costs" if cost >= 0 else "gains"
    return (
        f"The defence moves robust accuracy from {_percent(before)} to "
        f"{_percent(after)} and {change} {abs(cost):.1f} points of clean accuracy."
    )


def _baseline(partial: Mapping[str, Any], rows: Sequence[EntrantResult]) -> str:
    """The best undefended classical model, with the corrected interval of the difference."""
    eps = partial["reference_eps"]
    classical = [row for row in rows if row.family == "classical" and not row.defended]
    if not classical:
        return ""
    best = max(classical, key=lambda row: row.at(eps).robust.value)
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
        f"{_percent(best.at(eps).robust.value)} under the same attack: {word} "
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


def _device(device: DeviceRecord, quantum: EntrantResult, found: OnDevice, eps: float, shots: int) -> list[str]:
    """Accuracy and robustness on the calibrated device, and the drift that costs most."""
    point = quantum.on_device_at(eps)
    told = [
        f"On {device.name} as calibrated on {device.date} it scores {_percent(found.exact.value)} "
        f"({_percent(found.shots.value)} with {shots} shots); at eps = {eps:g}, "
        f"{_percent(point.robust.value)} of the inputs survive both the attacker who knows the device's noise "
        f"({_percent(point.informed.value)}) and examples made on the noise-free model "
        f"({_percent(point.transfer.value)})."
    ]
    if found.drift:
        worst = min(found.drift, key=lambda drift: drift.exact.value)
        told.append(
            f"Of the drifts tried, {worst.scenario} leaves least: {_percent(worst.exact.value)} clean "
            f"accuracy ({_percent(worst.shots.value)} with {shots} shots)."
        )
    return told


def caveats(
    spec: Specification, data: Dataset, rows: Sequence[EntrantResult], partial: Mapping[str, Any]
) -> list[Caveat]:
    """Standing caveats, then those this run has earned; what makes a number suspect is the audit's to say."""
    texts = {
        "empirical": f"Robust accuracy is measured with {partial['attack']}; a stronger attack can only lower it. "
        f"{_proved(rows)}",
        "input-space": f"Perturbations act on the model's inputs, after reduction ({data.record['reduction']}) and "
        "scaling to [0, 1], not on the raw measurements.",
        "split": f"Data split: {data.record['split']}.",
        **_noise_model(partial.get("device")),
    }
    if spec.seeds == 1:
        texts["one-seed"] = (
            "One seed: the intervals cover the choice of inputs only; another training run may differ by much more."
        )
    elif spec.seeds < 5:
        texts["few-seeds"] = (
            f"{spec.seeds} seeds: intervals include the spread between seeds, which so few seeds estimate poorly."
        )
    if data.record["test_values_clipped"]:
        texts["clipped"] = (
            f"{data.record['test_values_clipped']} test values lay outside the training range and were clipped to it."
        )
    if data.record["rows"]["train"] == spec.data.train_size:
        texts["subsample"] = f"Trained on a stratified sample of {spec.data.train_size} rows."
    return [Caveat(id=name, text=text) for name, text in texts.items()] + _matching(rows)


def _proved(rows: Sequence[EntrantResult]) -> str:
    """Of whom something is certified."""
    names = [row.label for row in rows if row.certified]
    if not names:
        return "Nothing here is certified."
    return f"Certified accuracy ({', '.join(names)}) is proved against every attack, on exact expectations."


def _noise_model(device: DeviceRecord | None) -> dict[str, str]:
    """What the noise is and is not."""
    if device is None:
        return {
            "noise-model": "Noise is uniform depolarising after every gate and symmetric read-out error, simulated "
            "exactly; it is not a calibrated device. Attacks were made on the noise-free model."
        }
    return {
        "device-model": f"{device.name} is simulated from its calibration of {device.date}, it was not run: idle "
        "qubits, the pulses that dress two-qubit gates and errors of amplitude loading are left out. Attacks there "
        "use exact expectations; the noise sweeps are uniform and not of the device."
    }


def _matching(rows: Sequence[EntrantResult]) -> list[Caveat]:
    """A baseline whose parameter count could not be matched, because one hidden unit is the fewest."""
    wanted = rows[0].parameters
    text = "{}: the nearest perceptron has {} parameters, the quantum model {}."
    return [
        Caveat(id="unmatched-baseline", text=text.format(row.label, row.parameters, wanted))
        for row in rows
        if row.matched and not row.defended and not 0.67 <= row.parameters / wanted <= 1.5
    ]
