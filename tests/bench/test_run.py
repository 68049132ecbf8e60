"""A whole assessment, small: results, resumption, reproducibility, refusal of bad folders."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np
import pytest
import torch

from in_place import in_place
from robustq import bench
from robustq.attacks import run_attack
from robustq.bench.entrants import build, entrants
from robustq.bench.stages import bits, read_stage
from robustq.errors import RunError, SpecError
from robustq.models import load
from robustq.noise import NoiseModel
from robustq.seeding import torch_generator

SMALL = {
    "data": {"name": "iris", "features": 3, "classes": ["versicolor", "virginica"]},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.05, 0.2], "reference": 0.2},  # the audit's long search ends where all are fooled
    "attack": {"options": {"steps": 4, "restarts": 2}},
    "defence": {"steps": 2},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 50},
}
MAIN = (
    "import sys, json, pathlib\n"
    "from robustq import bench\n"
    "if __name__ == '__main__':\n"
    "    bench.assess(bench.parse(json.loads(sys.argv[1])), pathlib.Path(sys.argv[2]))\n"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "first"
    return folder, bench.assess(bench.parse(SMALL), folder, workers=2)


def test_results_are_written_and_read_back(run):
    folder, results = run
    assert bench.read_results(folder) == results
    assert [e.key for e in results.entrants] == [
        "quantum",
        "quantum-defended",
        "mlp",
        "mlp-defended",
        "logistic",
        "svm-rbf",
    ]
    assert {p.name for p in folder.iterdir()} == {
        "spec.json",
        "results.json",
        "timing.json",
        "model",
        "model-defended",
        "units",
        "store",
        ".lock",
    }


def test_every_estimate_lies_in_its_interval(run):
    def walk(node):
        if isinstance(node, dict):
            if {"value", "low", "high"} <= set(node):
                assert node["low"] <= node["value"] <= node["high"]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(run[1].model_dump())
    assert run[1].entrants[0].accuracy.seeds == 2


def test_curves_fall_and_stay_below_clean_and_noise(run):
    for row in run[1].entrants:
        values = [row.accuracy.value, *(p.robust.value for p in row.robust)]
        assert values == sorted(values, reverse=True)
        for point in row.robust:
            assert point.robust.value <= point.robust_to_noise.value + 1e-9


def test_numbers_can_be_recomputed_from_the_stored_model(run):
    """Attack the saved model again: the stored outcomes of the first eps must come out."""
    folder, results = run
    spec = bench.Spec.model_validate(results.spec)
    unit = folder / "units" / "quantum-0"
    x, y = spec.dataset().tensors("test")
    model = load(unit)
    stored = read_stage(unit / "attack.json")["curve"][0]
    again = run_attack(
        spec.attack.build(),
        model,
        x,
        y,
        spec.threat.build(stored["eps"]),
        generator=torch_generator(spec.seed, 0, "attack", repr(stored["eps"])),
    )
    np.testing.assert_array_equal(bits(stored["robust"]), again.robust.double().numpy())
    clean = read_stage(unit / "clean.json")
    with torch.no_grad():
        right = (model(x).argmax(1) == y).double().numpy()
    np.testing.assert_array_equal(bits(clean["correct"]), right)
    rates = [bits(read_stage(folder / "units" / f"quantum-{k}/clean.json")["correct"]) for k in (0, 1)]
    assert results.entrants[0].accuracy.value == pytest.approx(np.mean(rates), abs=1e-6)


def test_same_seed_same_bytes_whatever_the_workers(run, tmp_path):
    with in_place():
        bench.assess(bench.parse(SMALL), tmp_path / "again")
    first, again = (p / "results.json" for p in (run[0], tmp_path / "again"))
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.prove
def test_another_seed_gives_other_numbers(run, tmp_path):
    brief = {"seed": 1, "seeds": 1, "defence": {"name": "none"}, "baselines": {"names": ["logistic"]}}
    with in_place():
        bench.assess(bench.parse(SMALL | brief), tmp_path / "other")
    for name in ("quantum-0/clean.json", "logistic-0/clean.json"):
        first, other = (read_stage(path / "units" / name) for path in (run[0], tmp_path / "other"))
        assert first.keys() == other.keys()
        assert first != other


@pytest.mark.prove
def test_killed_in_the_middle_and_run_again_gives_the_same_bytes(run, tmp_path):
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", MAIN, json.dumps(SMALL), str(folder)], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob("units/*/clean.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.read_bytes() for path in folder.glob("units/*/*.json")}
    assert done
    assert not (folder / "results.json").exists()
    time.sleep(1.5)  # the orphaned workers notice and leave
    with in_place():
        bench.assess(bench.parse(SMALL), folder)
    assert (folder / "results.json").read_bytes() == (run[0] / "results.json").read_bytes()
    assert all(path.read_bytes() == content for path, content in done.items())


def test_damaged_and_edited_stages_are_done_again(run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    (folder / "units/quantum-0/attack.json").write_text('{"sha256": "')
    edited = folder / "units/mlp-1/clean.json"
    edited.write_text(edited.read_text().replace("0", "1", 1))
    weights = folder / "units/logistic-0/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with in_place():
        again = bench.assess(bench.parse(SMALL), folder)
    assert again == run[1]


def test_another_version_does_not_relabel_old_numbers(run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    path = folder / "spec.json"
    path.write_text(path.read_text().replace(version("torch"), "1.0.0"))
    with pytest.raises(RunError, match="and the versions this folder was started with"):
        bench.assess(bench.parse(SMALL), folder)


def test_seeds_start_differently_and_twins_alike():
    spec = bench.completed(bench.parse(SMALL), bench.parse(SMALL).raw())
    quantum, twin = (e for e in entrants(spec) if e.key.startswith("quantum"))
    starts = [build(e, spec, 3, 2, seed).theta for e in (quantum, twin) for seed in (0, 1)]
    assert torch.equal(starts[0], starts[2])
    assert not torch.equal(starts[0], starts[1])


def test_noise_and_examples_can_be_recomputed(run):
    folder, results = run
    spec = bench.Spec.model_validate(results.spec)
    unit, data = folder / "units" / "quantum-1", spec.dataset()
    model = load(unit)
    stored = read_stage(unit / "noise.json")
    x, y = data.tensors("test")
    for kind in ("gate_error", "readout_error"):
        level = stored[kind][1]["level"]
        with torch.no_grad():
            exact = model.under(NoiseModel.uniform(**{kind: level}))(x).argmax(1) == y
        np.testing.assert_array_equal(bits(stored[kind][1]["exact"]), exact.double().numpy())
    reference = spec.threat.build(spec.threat.reference)
    for example in read_stage(unit / "attack.json")["examples"]:
        pair = torch.tensor([example["x"], example["x_adv"]])
        assert reference.distance(pair[1:], pair[:1]) <= spec.threat.reference + 1e-5
        assert model(pair).argmax(1).tolist() == [example["label"], example["predicted"]]


def test_a_finished_run_is_not_run_again(run):
    folder, results = run
    told = []
    with in_place():
        again = bench.assess(bench.parse(SMALL), folder, progress=lambda *step: told.append(step))
    assert again == results
    assert told[-1][1:] == (12, 12)


def test_another_specification_in_the_same_folder_is_refused(run):
    with pytest.raises(RunError, match="the versions this folder was started with"):
        bench.assess(bench.parse(SMALL | {"seeds": 1}), run[0])


def test_a_folder_of_somebody_elses_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="expected a new folder or one of ours"):
        bench.assess(bench.parse(SMALL), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"options": {"encoding": "anlge"}}}, "did you mean 'angle'"),
        ({"model": {"options": {"layers": 0}}}, "qubits and layers >= 1"),
        ({"model": {"options": {"layers": "x"}}}, "expected layers as a whole number, got 'x'"),
        ({"model": {"options": {"encoding": 3}}}, "expected encoding as a word, got 3"),
        ({"data": {"name": "iris", "features": 9}}, r"features in 1\.\.4, got 9"),
        ({"data": {"name": "iris", "reduction": "svd"}}, "'svd' for text and only there"),
    ],
)
def test_nothing_is_written_when_the_specification_cannot_run(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        bench.assess(bench.parse(SMALL | change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_locked_folder_is_refused(run):
    import fcntl

    with open(run[0] / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process is working in this folder"):
            bench.assess(bench.parse(SMALL), run[0])


def test_unfinished_and_foreign_results_are_refused(tmp_path):
    with pytest.raises(RunError, match="run the same assess command again"):
        bench.read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"title": 3}')
    with pytest.raises(RunError, match="expected robustq-results-1"):
        bench.read_results(tmp_path)


@pytest.mark.prove
def test_amplitude_images_and_many_classes_run_too(tmp_path):
    spec = SMALL | {
        "data": {"name": "digits", "train_size": 60, "test_size": 30},
        "seeds": 1,
        "model": {"options": {"layers": 1}},
        "baselines": {"names": ["logistic"]},
    }
    with in_place():
        results = bench.assess(bench.parse(spec), tmp_path / "run")
    assert len(results.classes) == 10
    assert results.image_shape == [8, 8]
    assert results.entrants[0].device["qubits"] == 6


def test_a_hybrid_without_defence_runs_too(tmp_path):
    spec = SMALL | {
        "model": {"name": "hybrid"},
        "defence": {"name": "none"},
        "seeds": 1,
        "baselines": {"names": ["logistic"]},
    }
    with in_place():
        results = bench.assess(bench.parse(spec), tmp_path / "run")
    assert [e.key for e in results.entrants] == ["quantum", "logistic"]
    assert results.entrants[0].noise_resilience is not None


def test_spec_errors_are_spec_errors():
    with pytest.raises(SpecError, match="unknown key"):
        bench.parse({"data": {"name": "iris"}, "x": 1})
