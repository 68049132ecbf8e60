"""A small assessment on a calibrated device: two attacks, drift, determinism."""

import numpy as np
import pytest
import torch

from in_place import in_place
from robustq import bench
from robustq.attacks import PGD, run_attack
from robustq.bench.device import attack_on, drifted
from robustq.bench.stages import bits, read_stage
from robustq.errors import SpecError
from robustq.models import load
from robustq.noise import Device
from robustq.seeding import torch_generator

SMALL = {
    "data": {"name": "iris", "features": 3, "classes": ["versicolor", "virginica"]},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 8, "lr": 0.1},
    "threat": {"eps": [0.05, 0.2], "reference": 0.2},
    "attack": {"options": {"steps": 4, "restarts": 2}},
    "defence": {"name": "none"},
    "noise": {
        "gate_error": [0.05],
        "readout_error": [0.1],
        "shots": 50,
        "device": "manila",
        "drift": ["t1-drop", "random-walk"],
    },
    "baselines": {"names": ["logistic"]},
    "mitigation": {"names": []},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("device") / "run"
    with in_place():
        return folder, bench.assess(bench.parse(SMALL), folder)


def test_results_describe_the_device(run):
    _, results = run
    record, quantum = results.device, results.entrants[0]
    assert (record.name, record.date, record.qubits) == ("manila", "2024-05-27", 5)
    assert len(record.layout) == quantum.device["qubits"] == 3
    assert record.two_qubit_gates == quantum.device["two_qubit_gates"] + record.swaps
    assert [p.scenario for p in quantum.on_device.drift] == ["t1-drop", "random-walk"]
    assert results.entrants[1].on_device is None
    assert "device-model" in {c.id for c in results.caveats}


def test_robust_is_the_worse_of_both_attacks(run):
    folder, results = run
    stored = [read_stage(folder / f"units/quantum-{k}/device.json") for k in (0, 1)]
    found = results.entrants[0].on_device
    last = 1.0
    for k, point in enumerate(found.robust):
        both = [bits(s["informed"][k]["robust"]) * bits(s["transfer"][k]["robust"]) for s in stored]
        assert point.robust.value == pytest.approx(np.mean(both), abs=1e-6)
        assert point.robust.value <= min(point.informed.value, point.transfer.value, last)
        assert point.informed.value <= found.exact.value
        last = point.robust.value
    assert found.robust[0].gradients > 0
    assert found.robust[0].circuits > found.robust[0].gradients


def test_outcomes_can_be_recomputed_from_the_stored_model(run):
    folder, results = run
    spec, unit = bench.Spec.model_validate(results.spec), folder / "units/quantum-1"
    x, y = spec.dataset().tensors("test")
    model, device, stored = load(unit), Device.bundled("manila"), read_stage(unit / "device.json")
    noisy = model.freeze(device)
    with torch.no_grad():
        right = noisy(x).argmax(1) == y
        worn = model.freeze(model.fitted(device).on(device.drifted("t1-drop")))(x).argmax(1) == y
    np.testing.assert_array_equal(bits(stored["exact"]), right.double().numpy())
    np.testing.assert_array_equal(bits(stored["drift"][0]["exact"]), worn.double().numpy())
    eps = stored["informed"][0]["eps"]
    stream = torch_generator(spec.seed, 1, "informed", repr(eps))
    again = run_attack(spec.attack.build(), noisy, x[right], y[right], spec.threat.build(eps), generator=stream)
    np.testing.assert_array_equal(bits(stored["informed"][0]["robust"])[right.numpy()], again.robust.double().numpy())


@pytest.mark.prove
def test_same_seed_same_bytes_whatever_the_workers(run, tmp_path):
    bench.assess(bench.parse(SMALL), tmp_path / "again", workers=2)
    first, again = (p / "results.json" for p in (run[0], tmp_path / "again"))
    assert first.read_bytes() == again.read_bytes()


def test_transfer_catches_what_hidden_gradients_miss(run):
    """An attack that learns nothing from the device is not the last word on it."""

    class Deaf:
        """Answers the device's noisy gradient with the clean input, the noise-free one with PGD."""

        def search(self, problem):
            self.calls = getattr(self, "calls", 0) + 1
            return problem.x if self.calls == 1 else PGD(steps=5, restarts=1).search(problem)

    folder, results = run
    spec = bench.Spec.model_validate(results.spec)
    x, y = spec.dataset().tensors("test")
    model, device, threat = load(folder / "model"), Device.bundled("manila"), spec.threat.build(0.2)
    found = attack_on(model, device, Deaf(), x, y, threat, generator=torch_generator(0, "t"))
    assert found.success.any()
    with torch.no_grad():
        wrong = model.freeze(device)(found.x_adv).argmax(1) != y
    assert torch.equal(found.success, found.correct & wrong)
    assert bool(threat.contains(found.x_adv, x).all())


def test_drifts_draw_from_the_one_seed():
    device = Device.bundled("manila")
    assert drifted(device, "tls-defect", 3) == drifted(device, "tls-defect", 3)
    assert drifted(device, "random-walk", 3) != drifted(device, "random-walk", 4)


@pytest.mark.parametrize("model", [{"options": {"layers": 1}}, {"name": "hybrid", "options": {"qubits": 6}}])
def test_a_device_too_small_is_refused_before_anything_runs(model, tmp_path):
    data = {"name": "breast-cancer", "features": 6}
    spec = SMALL | {"data": data, "model": model}
    with pytest.raises(SpecError, match=r"noise.device: .* at most 5 qubits, got a circuit of 6"):
        bench.assess(bench.parse(spec), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.prove
def test_hybrids_and_amplitudes_run_on_a_device(tmp_path):
    brief = SMALL | {"seeds": 1, "threat": {"eps": [0.2], "reference": 0.2}}
    with in_place():
        hybrid = bench.assess(bench.parse(brief | {"model": {"name": "hybrid"}}), tmp_path / "hybrid")
    assert hybrid.entrants[0].on_device.robust[0].robust.inputs == 20
    image = {"data": {"name": "digits", "features": 16, "train_size": 40, "test_size": 20}}
    with in_place():
        amplitude = bench.assess(bench.parse(brief | image), tmp_path / "image")
    assert len(amplitude.device.layout) == 4
