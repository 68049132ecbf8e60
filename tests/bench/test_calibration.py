"""``robustq calibrate``: scaling and thresholds on rows of their own, judged on the rest."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from robustq import bench
from robustq.bench.calibration import Asked, calibrated, softmax
from robustq.bench.cost import facts
from robustq.cli.main import app
from robustq.cli.saved import saved
from robustq.errors import DataError, SpecError
from robustq.models.training import hold_back
from robustq.seeding import torch_generator
from robustq.uncertainty import Scaled
from robustq.uncertainty.conformal import Conformal

CLASSES = ("a", "b", "c")


class Table(nn.Module):
    """Its inputs are logits."""

    def forward(self, x):
        return x


def drawn(rng, inputs=900, sharpness=3.0):
    """Logits that are too sure by ``sharpness``: labels follow the softmax of the logits over it."""
    logits = rng.normal(0, 2, (inputs, 3))
    chances = softmax(logits)
    labels = np.array([rng.choice(3, p=p) for p in chances])
    return torch.as_tensor(sharpness * logits), torch.as_tensor(labels)


def test_the_temperature_is_found_and_probabilities_get_better(rng):
    x, y = drawn(rng)
    found = calibrated(Table(), x, y, CLASSES, Asked(groups="none"))
    assert 1 / found.record["slope"][0] == pytest.approx(3, rel=0.25)
    before, after = found.record["before"], found.record["after"]
    assert after.accuracy == before.accuracy
    assert after.calibration_error.value < 0.5 * before.calibration_error.value
    assert after.nll.value < before.nll.value
    assert found.record["scaled"] + found.record["calibration"] == pytest.approx(450, abs=2)


def test_no_row_serves_two_ends(rng):
    """Thresholds are those of rows that neither the scaling nor the judge has seen."""
    x, y = drawn(rng, 120)
    first = calibrated(Table(), x, y, CLASSES, Asked(groups="none", seed=3))
    judged, known = hold_back(y, 0.5, torch_generator(3, "rows"))
    kept, held = hold_back(y[known], 0.5, torch_generator(3, "scaling"))
    rows = [set(part.tolist()) for part in (known[kept], known[held], judged)]
    assert sum(map(len, rows)) == len(set().union(*rows)) == 120
    moved = x.clone()
    moved[judged] = 0.0
    again = calibrated(Table(), moved, y, CLASSES, Asked(groups="none", seed=3))
    assert again.conformal == first.conformal
    assert again.record["slope"] == first.record["slope"]
    moved = x.clone()
    moved[known[kept]] *= 0.1
    third = calibrated(Table(), moved, y, CLASSES, Asked(groups="none", seed=3))
    assert third.record["slope"] == first.record["slope"]


@pytest.mark.prove
@pytest.mark.statistical
@pytest.mark.parametrize("score", ["lac", "aps"])
def test_coverage_is_kept_on_average_over_draws(score, rng):
    """300 draws: scaled by 15 rows, thresholds by 15, judged on 16."""
    covered = []
    for seed in range(300):
        x, y = drawn(rng, 46)
        asked = Asked(groups="none", seed=seed, rows=0.67, score=score, resamples=1)
        found = calibrated(Table(), x, y, CLASSES, asked)
        covered.append(found.record["sets"].coverage.value)
    error = np.std(covered) / 300**0.5
    assert np.mean(covered) > 0.9 - 3 * error
    assert np.mean(covered) < 0.9 + 0.06 + 3 * error  # at most 1 / (n + 1) above, for sets without ties


def test_vector_scaling_and_none(rng):
    x, y = drawn(rng)
    vector = calibrated(Table(), x, y, CLASSES, Asked("vector", groups="none"))
    assert len(set(vector.record["slope"])) == 3
    none = calibrated(Table(), x, y, CLASSES, Asked("none", groups="none"))
    assert none.record["scaled"] == 0
    assert none.record["slope"] == [1, 1, 1]
    assert none.record["before"].brier == none.record["after"].brier
    np.testing.assert_allclose(none.model(x[:4]), x[:4])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "temprature"}, "did you mean 'temperature'"),
        ({"score": "logit-margin"}, "one of probabilities"),
        ({"score": "lacc"}, "did you mean 'lac'"),
        ({"rows": 1.0}, r"a share in \(0, 1\)"),
        ({"alpha": 1.5}, r"alpha in \(0, 1\)"),
        ({"groups": "clas"}, "groups as one of"),
        ({"shots": 10}, "a quantum model for shots"),
    ],
)
def test_what_is_refused(asked, message, rng):
    x, y = drawn(rng, 90)
    with pytest.raises(SpecError, match=message):
        calibrated(Table(), x, y, CLASSES, Asked(**{"groups": "none", **asked}))


def test_too_few_rows_are_refused_with_the_number_that_would_do(rng):
    x, y = drawn(rng, 90)
    with pytest.raises(DataError, match="at least 99 calibration rows"):
        calibrated(Table(), x, y, CLASSES, Asked(groups="none", alpha=0.01))
    with pytest.raises(DataError, match="at least 10 inputs to judge"):
        calibrated(Table(), x[:12], y[:12], CLASSES, Asked(groups="none"))


SMALL = {
    "data": {"name": "breast-cancer", "features": 3, "train_size": 100, "test_size": 110},
    "seeds": 1,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 4, "lr": 0.1},
    "threat": {"eps": [0.05]},
    "attack": {"options": {"steps": 2, "restarts": 1}},
    "certificate": {"name": "vacuous"},
    "defence": {"name": "none"},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 30},
    "baselines": {"names": []},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    bench.assess(bench.parse(SMALL), folder, workers=1)
    return folder / "units/quantum-0"


def run(*arguments):
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def test_the_command_saves_a_model_that_other_commands_take(model, tmp_path):
    done = run(model, "--out", tmp_path / "c", "--groups", "none", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "c/calibration.json").read_text())
    assert json.loads(done.stdout) == found
    kept = saved(tmp_path / "c")
    assert isinstance(kept.model, Scaled)
    assert facts(kept.model)["qubits"] == 3
    x, y = kept.test
    with torch.no_grad():
        logits, plain = kept.model(x), saved(model).model(x)
    np.testing.assert_allclose(logits, plain * found["slope"][0], rtol=1e-5)
    thresholds = Conformal.from_data(json.loads((tmp_path / "c/conformal.json").read_text()))
    sets = thresholds.sets(torch.softmax(logits.double(), 1).numpy())
    assert sets[np.arange(len(y)), y].mean() > 0.75
    attacked = CliRunner().invoke(app, ["attack", str(tmp_path / "c"), "--attack", "pgd", "--steps", "2"])
    assert attacked.exit_code == 0, attacked.output
    assert "Confidence against truth" in (tmp_path / "c/calibration.html").read_text()


def test_the_command_calibrates_a_device_with_shots(model, tmp_path):
    asked = [model, "--out", tmp_path / "d", "--device", "manila", "--shots", "50", "--groups", "none"]
    first = run(*asked)
    assert "on manila, 50 shots an answer" in " ".join(first.stdout.split())
    assert run(*asked).stdout == first.stdout
    assert "--share" in str(run(model, "--out", tmp_path / "e", "--share", "2").exception)
    assert not (tmp_path / "e").exists()
