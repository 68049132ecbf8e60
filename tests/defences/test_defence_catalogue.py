"""Every defence of the catalogue, by name alone: fitted, saved, loaded, frozen, attacked."""

import pytest
import torch

from robustq.attacks import PGD, run_attack
from robustq.bench import parse
from robustq.contracts import QuantumClassifier, RandomisedClassifier, TwinnedClassifier
from robustq.defences.catalogue import DEFENCES
from robustq.defences.saved import load, save
from robustq.models import Training
from robustq.models.catalogue import qnn

AMPLITUDES = {"certified-radius", "approximate-encoding"}
IMAGES = {"smoothing"}
PLAN = Training(epochs=2, batch_size=64)


@pytest.mark.parametrize("name", DEFENCES)
def test_by_name_alone(name, generator, tmp_path):
    encoding = "amplitude" if name in AMPLITUDES | IMAGES else "angle"
    threat = {"name": "l2"} if name == "certified-radius" else {}
    spec = parse(
        {
            "data": {"name": "breast-cancer", "features": 4, "train_size": 200},
            "model": {"options": {"encoding": encoding, "layers": 1}},
            "threat": threat,
            "noise": {"device": "manila"},
            "recipes": [{"name": name}],
        }
    )
    data = spec.dataset()
    (x, y), (x_test, y_test) = data.tensors("train"), data.tensors("test")
    x, y, x_test, y_test = x, y, x_test[:10], y_test[:10]
    recipe = spec.recipes[0].build(spec.defence.given(spec.threat, spec.noise.calibrated()))
    bare = qnn(4, 2, generator=generator, encoding=encoding, layers=1)
    start = torch.cat([p.detach().flatten() for p in bare.parameters()])
    model, history = recipe.fit(bare, x, y, generator=generator, training=PLAN)
    assert len(history.epochs) == 2
    learnt = torch.cat([p.detach().flatten() for p in bare.parameters()])
    assert not torch.equal(start, learnt)
    model.requires_grad_(False)
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    random = isinstance(model, RandomisedClassifier)
    assert isinstance(again, RandomisedClassifier) == random
    if not random:
        torch.testing.assert_close(again(x_test), model(x_test), rtol=1e-5, atol=1e-6)
        assert isinstance(model, QuantumClassifier)
        torch.testing.assert_close(model.freeze()(x_test), model(x_test), rtol=1e-3, atol=1e-4)
    if isinstance(model, TwinnedClassifier):
        for twin in model.twins():
            assert twin(x_test).shape[0] == 10
    found = run_attack(
        PGD(steps=3, restarts=1),
        model,
        x_test,
        y_test,
        spec.threat.build(0.05),
        generator=generator,
        answers=model.answers if random else 1,
    )
    assert found.gradients == 30


def test_layers_cover_the_pipeline():
    layers = {entry.layer for entry in DEFENCES.values()}
    assert {"data", "encoding", "training", "noise", "inference"} <= layers
    assert all("not stated" not in (entry.layer, entry.cost) for entry in DEFENCES.values())
