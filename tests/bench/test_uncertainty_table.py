"""What an assessment says of confidence: against definitions and simulated truth."""

import numpy as np
import pytest

from in_place import in_place
from robustq import bench
from robustq.bench.stages import read_stage
from robustq.bench.uncertainty_table import Answers, Settings, abstention_of, doubt_of, sets_of, uncertainty_of
from robustq.errors import DataError, SpecError

SETTINGS = Settings(alpha=0.1, share=0.1, repeats=10, confidence=0.95, classes=("a", "b"))


def calibrated(rng, seeds=2, inputs=400):
    """Models whose probabilities are true: labels are drawn from the first one's."""
    first = rng.beta(2, 2, inputs)
    probabilities = np.stack([np.stack([1 - first, first], 1)] * seeds)
    return probabilities, (rng.random(inputs) < first).astype(np.int64)


def test_abstention_is_its_definition(rng):
    probabilities, labels = calibrated(rng, seeds=1)
    found = abstention_of(probabilities, labels, SETTINGS, rng)
    doubt, wrong = 1 - probabilities[0].max(1), probabilities[0].argmax(1) != labels
    unsure = np.argsort(-doubt, kind="stable")[:40]
    assert found.errors_removed.value == pytest.approx(wrong[unsure].sum() / wrong.sum(), abs=1e-6)
    assert found.curve[-1].coverage == 1
    assert found.curve[-1].risk == pytest.approx(wrong.mean(), abs=1e-6)
    assert found.aurc.low <= found.aurc.value <= found.aurc.high
    assert found.curve[4].risk < found.curve[-1].risk  # sure answers are right more often


def test_sets_cover_each_class_as_asked(rng):
    probabilities, labels = calibrated(rng, inputs=1200)
    found = sets_of(probabilities, labels, SETTINGS, rng)
    assert found.groups == "class"
    for row in found.by_class:
        assert row.coverage.value == pytest.approx(0.9, abs=0.04)
    assert found.calibration == 600
    assert 1 < found.size.value < 2
    assert found.coverage.inputs == 1200


def test_rare_classes_share_a_threshold_and_too_few_rows_are_refused(rng):
    probabilities, labels = calibrated(rng, inputs=60)
    labels[:] = 0
    labels[:4] = 1
    found = sets_of(probabilities, labels, SETTINGS, rng)
    assert found.groups == "none"
    assert found.coverage.value > 0.8
    with pytest.raises(DataError, match="at least 9 calibration rows"):
        sets_of(probabilities[:, :12], labels[:12], SETTINGS, rng)
    whole = uncertainty_of(Answers(labels[:12], probabilities[:, :12]), SETTINGS, rng)
    assert whole.sets is None
    assert "at least 9" in whole.no_sets


def test_doubt_adds_up_and_tells_its_sources_apart(rng):
    probabilities, labels = calibrated(rng, seeds=3)
    alike = doubt_of(Answers(labels, probabilities), SETTINGS)
    assert alike.model.value == pytest.approx(0, abs=1e-9)
    assert alike.shots.value == alike.noise.value == 0
    apart = probabilities.copy()
    apart[0] = apart[0][:, ::-1]
    assert doubt_of(Answers(labels, apart), SETTINGS).model.value > 0.01
    draws = np.clip(probabilities[:, None] + 0.1 * rng.standard_normal((3, 6, 400, 1)) * [1, -1], 0.01, 0.99)
    noisy = 0.5 * probabilities + 0.25
    found = doubt_of(Answers(labels, probabilities, draws, noisy), SETTINGS)
    parts = found.data.value + found.model.value + found.shots.value + found.noise.value
    assert parts == pytest.approx(found.total.value, abs=1e-5)
    assert found.shots.value > 0
    assert found.noise.value > 0


SMALL = {
    "data": {"name": "breast-cancer", "features": 3, "train_size": 150, "test_size": 60},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 4, "lr": 0.1},
    "threat": {"eps": [0.05]},
    "attack": {"options": {"steps": 2, "restarts": 1}},
    "certificate": {"name": "vacuous"},
    "defence": {"name": "none"},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 30, "device": "melbourne", "drift": []},
    "baselines": {"names": ["logistic"]},
    "mitigation": {"names": []},
    "uncertainty": {"draws": 3, "repeats": 4},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doubt") / "run"
    with in_place():
        return folder, bench.assess(bench.parse(SMALL), folder)


def test_every_entrant_of_an_assessment_has_them(run):
    folder, results = run
    quantum, classical = results.entrants
    stored = read_stage(folder / "units/quantum-0/drawn.json")
    assert np.array(stored["draws"]).shape == (3, 60, 2)
    assert np.array(stored["noisy"]).shape == (60, 2)
    assert not (folder / "units/logistic-0/drawn.json").exists()
    assert quantum.uncertainty.doubt.shots.value > 0
    assert classical.uncertainty.doubt.shots.value == 0
    assert classical.uncertainty.sets_with_shots is None
    assert quantum.uncertainty.sets_with_shots.calibration == 30
    assert quantum.uncertainty.abstention.curve[-1].risk == pytest.approx(1 - quantum.accuracy.value, abs=1e-5)


def test_what_a_specification_may_not_say():
    with pytest.raises(SpecError, match="alpha"):
        bench.parse(SMALL | {"uncertainty": {"alpha": 0.0}})
