"""Saved models: exact round trips, refusal of anything altered, never a pickle."""

import json
import pickle

import pytest
import torch

from robustq.data import load as load_data
from robustq.data import prepare
from robustq.errors import ModelFileError
from robustq.models import RBFSVM, load, save
from robustq.models.catalogue import MODELS


def trained(name):
    model = MODELS[name].make(4, 3, generator=torch.Generator().manual_seed(5))
    if isinstance(model, RBFSVM):
        iris = prepare(load_data("iris"))
        model.fit_arrays(iris.x_train, iris.y_train, seed=0)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_is_exact(name, tmp_path):
    model = trained(name)
    save(model, tmp_path / "m", metadata={"note": "é"})
    again = load(tmp_path / "m")
    x = torch.rand(7, 4)
    assert torch.equal(model(x), again(x))
    assert json.loads((tmp_path / "m/model.json").read_text())["metadata"] == {"note": "é"}
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.json", "weights.safetensors"]


def alter_weights(folder):
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def alter_json(folder):
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"qubits": 4', '"qubits": 5'))


def other_weights(folder):
    """Another model's weights, with a matching checksum, do not fit either."""
    save(trained("mlp"), folder / "other")
    (folder / "other/weights.safetensors").replace(folder / "weights.safetensors")


def pickled(folder):
    (folder / "weights.safetensors").write_bytes(pickle.dumps({"theta": [1.0]}))


def truncate(folder):
    (folder / "model.json").write_text((folder / "model.json").read_text()[:100])


def another_format(folder):
    (folder / "model.json").write_text('{"format": "something-else"}')


def remove_weights(folder):
    (folder / "weights.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (alter_weights, "weights.safetensors was altered"),
        (other_weights, "weights.safetensors was altered"),
        (pickled, "weights.safetensors was altered"),
        (alter_json, "the file was altered"),
        (truncate, "expected JSON"),
        (another_format, "expected format 'robustq-model-1'"),
        (remove_weights, "cannot be read"),
    ],
)
def test_damaged_models_are_refused(damage, message, tmp_path):
    save(trained("qnn"), tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelFileError, match=message):
        load(tmp_path)


def test_missing_and_foreign_models_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="expected a saved model"):
        load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="expected one of the models"):
        save(torch.nn.Linear(1, 1), tmp_path / "m")
    assert not (tmp_path / "m").exists()
