"""Adversarial sets on disk: the same set the same bytes, nothing altered is read, the surest flips first."""

import json

import pytest
import torch

from robustq.attacks import PGD, run_attack
from robustq.bench.adversarial import AdversarialSet
from robustq.errors import RunError
from robustq.report import shown, write_examples
from robustq.threats import Linf


@pytest.fixture
def found(generator):
    model = torch.nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(torch.randn(3, 4, generator=generator))
        model.bias.zero_()
    x = torch.rand(30, 4, generator=generator)
    y = model(x).argmax(1)
    result = run_attack(PGD(), model, x, y, Linf(0.2, (0.0, 1.0)), generator=generator)
    return model, AdversarialSet.of(x, y, result, {"attack": str(PGD()), "seed": 0})


def test_what_is_saved_is_loaded(found, tmp_path):
    _, kept = found
    kept.save(tmp_path / "a")
    kept.save(tmp_path / "b")
    again = AdversarialSet.load(tmp_path / "a")
    assert again.manifest["attack"] == "PGD, 20 steps, 3 restarts, margin"
    assert again.manifest["tensors"]["x_adv"] == [30, 4]
    assert all(torch.equal(again.tensors[name], kept.tensors[name]) for name in kept.tensors)
    for name in ("manifest.json", "adversarial.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_damage_is_named(found, tmp_path):
    _, kept = found
    with pytest.raises(RunError, match="expected an adversarial set"):
        AdversarialSet.load(tmp_path / "nothing")
    kept.save(tmp_path)
    content = (tmp_path / "adversarial.safetensors").read_bytes()
    (tmp_path / "adversarial.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(RunError, match="altered"):
        AdversarialSet.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="JSON"):
        AdversarialSet.load(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(RunError, match="expected format"):
        AdversarialSet.load(tmp_path)


def test_the_surest_flips_come_first(found):
    model, kept = found
    with torch.no_grad():
        before, after = (model(kept.tensors[name]).softmax(1) for name in ("x", "x_adv"))
    worst = kept.surest(before, after, 5)
    success = kept.tensors["success"]
    assert len(worst) == min(5, int(success.sum())) > 1
    sure = [example["confidence_before"] for example in worst]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] == pytest.approx(float(before.amax(1)[success].max()), abs=1e-6)
    assert all(example["predicted"] != example["label"] for example in worst)
    assert kept.surest(before, after, 1000)[-1]["confidence_before"] == pytest.approx(
        float(before.amax(1)[success].min()), abs=1e-6
    )


def test_examples_are_pictures_or_bars(found, tmp_path):
    model, kept = found
    with torch.no_grad():
        before, after = (model(kept.tensors[name]).softmax(1) for name in ("x", "x_adv"))
    worst = kept.surest(before, after, 3)
    classes, features = ["a", "<b>", "c"], ["one", "two", "three", "four"]
    bars = [shown(example, classes, features, None) for example in worst]
    assert all(len(e["bars"]) == 4 and not e["pictures"] for e in bars)
    deltas = torch.tensor([[float(bar["delta"]) for bar in e["bars"]] for e in bars])
    moved = kept.tensors["x_adv"] - kept.tensors["x"]
    rows = [example["row"] for example in worst]
    torch.testing.assert_close(deltas, moved[rows], atol=1e-3, rtol=0)
    pictures = [shown(example, classes, features, (2, 2)) for example in worst]
    assert all(len(e["pictures"]) == 3 and not e["bars"] for e in pictures)
    for name, drawn in (("bars", bars), ("pictures", pictures), ("none", [])):
        write_examples(tmp_path / f"{name}.html", drawn, title="T", facts={"attack": "PGD"})
    assert "&lt;b&gt;" in (tmp_path / "bars.html").read_text()
    assert (tmp_path / "pictures.html").read_text().count("data:image/png") == 9
    assert "No correct input was flipped" in (tmp_path / "none.html").read_text()
