"""What five small runs gave before: the same again, exactly, where libraries and engine are the same."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from codesign_specs import small
from robustq import bench
from robustq.bench.records import versions

GOLDEN = Path(__file__).parent / "golden"
TINY = {
    "data": {"name": "iris", "features": 3, "classes": ["versicolor", "virginica"]},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.05, 0.2], "reference": 0.2},
    "attack": {"options": {"steps": 4, "restarts": 2}},
    "defence": {"steps": 2},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 50},
}
CANCER = {
    "data": {"name": "breast-cancer", "features": 3, "train_size": 80, "test_size": 30},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.1], "reference": 0.1},
    "attack": {"options": {"steps": 2, "restarts": 1}},
}
SPECS = {
    "assess": TINY,
    "assess-device": TINY
    | {
        "noise": TINY["noise"] | {"device": "manila", "drift": ["t1-drop"]},
        "mitigation": {"names": ["readout"], "inputs": 10, "repeats": 2},
    },
    "defend": CANCER
    | {
        "noise": {"gate_error": [0.02], "readout_error": [0.02]},
        "baselines": {"names": ["logistic"]},
        "recipes": [{"name": "adversarial-training"}, {"name": "feature-squeezing"}],
    },
    "transfer": CANCER
    | {
        "data": CANCER["data"] | {"train_size": 60, "test_size": 40},
        "attack": {"options": {"steps": 4, "restarts": 1}},
        "transfer": {"models": ["qnn", "mlp", "logistic"]},
        "noise": {"device": "manila", "drift": []},
    },
    "codesign": small(),
}
READERS = {
    "assess": bench.read_results,
    "defend": bench.read_table,
    "transfer": bench.read_matrix,
    "codesign": bench.read_front,
}


def figures(content):
    """All but the specification, of which a run stores what it reads."""
    return {key: value for key, value in content.items() if key not in ("spec", "spec_sha256")}


@pytest.mark.parametrize("name", SPECS)
def test_what_was_stored_is_still_read(name):
    path = GOLDEN / f"{name}.json"
    record = READERS[name.split("-")[0]](path)
    assert json.loads(record.to_bytes()) == json.loads(path.read_bytes())
    assert bench.Spec.model_validate(record.spec).data.name == SPECS[name]["data"]["name"]


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_no_figure_has_changed(name, tmp_path):
    stored = json.loads((GOLDEN / f"{name}.json").read_bytes())
    now = versions() | {"optuna": version("optuna")}
    if other := {key: made for key, made in stored["versions"].items() if now[key] != made}:
        pytest.skip(f"stored with another version or engine: {other}")
    study = getattr(bench, name.split("-")[0])
    record = study(bench.parse(SPECS[name]), tmp_path / "run", workers=0)
    assert figures(json.loads(record.to_bytes())) == figures(stored)
