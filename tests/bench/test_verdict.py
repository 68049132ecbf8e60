"""The words of the verdict follow from the numbers."""

import pytest

from robustq.bench.results import (
    Comparison,
    DevicePoint,
    DeviceRecord,
    DriftPoint,
    EntrantResult,
    Estimate,
    NoisePoint,
    OnDevice,
    RobustPoint,
)
from robustq.bench.studies.assess.verdict import _matching, _noise_model, verdict

EPS = 0.1


def estimate(value, half=0.02):
    low, high = value - half, value + half
    return Estimate(value=value, low=low, high=high, inputs=100, seeds=5)


def row(key="quantum", family="quantum", clean=0.95, robust=0.6, noise=0.9, parameters=70, **change):
    point = RobustPoint(
        eps=EPS,
        robust=estimate(robust),
        success=estimate(1 - robust / clean),
        robust_to_noise=estimate(noise),
        queries=1,
        gradients=1,
        circuits=1,
    )
    level = NoisePoint(level=0.05, exact=estimate(0.9), shots=estimate(0.8))
    content = {
        "key": key,
        "label": key.upper(),
        "family": family,
        "defended": "defended" in key,
        "matched": False,
        "parameters": parameters,
        "device": {},
        "training_circuits": 0,
        "accuracy": estimate(clean),
        "accuracy_by_seed": [clean],
        "robust": [point],
        "calibration_error": estimate(0.03),
        "brier": estimate(0.1),
        "reliability": [],
        "noise": {"gate_error": [level]} if family == "quantum" else {},
        "noise_resilience": estimate(0.9) if family == "quantum" else None,
        "history": [],
    }
    return EntrantResult(**(content | change))


def partial(*comparisons, majority=0.6):
    return {"reference_eps": EPS, "majority": majority, "comparisons": list(comparisons)}


def against(key, gap, half):
    return Comparison(entrant=key, accuracy=estimate(0.0), robust=estimate(gap, half))


@pytest.mark.parametrize(
    ("robust", "level"), [(0.94, "robust"), (0.87, "fragile"), (0.85, "fragile"), (0.59, "fragile"), (0.57, "broken")]
)
def test_level_follows_the_interval(robust, level):
    found = verdict(partial(), [row(robust=robust)])
    assert found.level == level
    assert "95.0 % to" in found.headline


def test_a_model_no_better_than_the_commonest_class_is_useless_not_robust():
    found = verdict(partial(), [row(clean=0.6, robust=0.6)])
    assert found.level == "useless"


def test_majority_sentence_takes_the_right_side():
    below = verdict(partial(), [row(robust=0.55)]).sentences[0]
    above = verdict(partial(), [row(robust=0.7)]).sentences[0]
    assert "is not above that" in below
    assert "is above that" in above


@pytest.mark.parametrize(
    ("gap", "half", "words"),
    [
        (-0.2, 0.05, "more robust than the quantum model"),
        (0.2, 0.05, "less robust than the quantum model"),
        (-0.2, 0.3, "not distinguishable from the quantum model"),
    ],
)
def test_comparison_claims_only_what_the_interval_allows(gap, half, words):
    rows = [row(), row("mlp", "classical", robust=0.8), row("svm", "classical", robust=0.7)]
    found = verdict(partial(against("mlp", gap, half), against("svm", 0.0, 0.1)), rows)
    sentence = next(s for s in found.sentences if "baseline" in s)
    assert words in sentence
    assert "MLP" in sentence


def test_defended_sentence_says_gain_and_cost():
    rows = [row(robust=0.5), row("quantum-defended", clean=0.91, robust=0.8)]
    sentence = verdict(partial(), rows).sentences[1]
    assert "from 50.0 % to 80.0 % and costs 4.0 points" in sentence
    cheaper = [row(robust=0.5), row("quantum-defended", clean=0.96, robust=0.8)]
    assert "gains 1.0 points" in verdict(partial(), cheaper).sentences[1]


def test_noise_sentence_names_the_worst_level():
    assert "at 0.05 per gate it scores 80.0 %" in verdict(partial(), [row()]).sentences[-1]


def on_device(exact=0.9, informed=0.6, transfer=0.5):
    point = DevicePoint(
        eps=EPS,
        robust=estimate(min(informed, transfer)),
        informed=estimate(informed),
        transfer=estimate(transfer),
        success=estimate(0.4),
        queries=1,
        gradients=1,
        circuits=1,
    )
    drift = [
        DriftPoint(scenario=name, exact=estimate(value), shots=estimate(value - 0.1))
        for name, value in (("t1-drop", 0.88), ("readout-shift", 0.83))
    ]
    return OnDevice(exact=estimate(exact), shots=estimate(0.87), robust=[point], drift=drift)


def device():
    return DeviceRecord(
        name="toy",
        date="2024-01-01",
        source="ours",
        sha256="0",
        qubits=5,
        layout=[0, 1],
        swaps=0,
        gates=3,
        two_qubit_gates=1,
        depth=2,
    )


def test_device_sentences_name_both_attacks_and_the_worst_drift():
    told = partial() | {"device": device(), "shots": 100}
    sentences = verdict(told, [row(on_device=on_device())]).sentences
    assert "On toy as calibrated on 2024-01-01 it scores 90.0 % (87.0 % with 100 shots)" in sentences[-2]
    assert "50.0 % of the inputs survive both" in sentences[-2]
    assert "readout-shift leaves least: 83.0 % clean accuracy (73.0 %" in sentences[-1]


def test_the_caveat_says_whether_a_device_was_simulated():
    assert "it is not a calibrated device" in _noise_model(None)["noise-model"]
    assert "toy is simulated from its calibration of 2024-01-01" in _noise_model(device())["device-model"]


def test_an_unmatched_baseline_is_named():
    wide = row("mlp", "classical", parameters=300, matched=True)
    near = row("mlp", "classical", parameters=72, matched=True)
    assert [f.id for f in _matching([row(), wide])] == ["unmatched-baseline"]
    assert _matching([row(), near]) == []
