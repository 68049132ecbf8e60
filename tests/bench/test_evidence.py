"""The audit of a run: what is stored, what it raises, and that it looked at the right rows."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from in_place import in_place
from robustq import bench
from robustq.audit import Count, Evidence, Pair, judge
from robustq.bench.entrants import entrants
from robustq.bench.evidence import AuditStage, _seen, audit
from robustq.bench.measurement import AttackStage, Flip
from robustq.bench.spec import AssessmentSpecification
from robustq.bench.studies.assess.study import measure
from robustq.bench.study import plain
from robustq.models import load, training
from robustq.runs import Workspace

SMALL = {
    "data": {"name": "iris", "features": 3, "classes": ["setosa", "versicolor"]},
    "seeds": 2,
    "model": {"options": {"layers": 2}},
    "training": {"epochs": 25, "lr": 0.1},
    "threat": {"eps": [0.05, 0.2]},
    "attack": {"options": {"steps": 5, "restarts": 2}},
    "defence": {"name": "none"},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 50, "device": "manila", "drift": []},
    "baselines": {"names": ["logistic", "svm-rbf"]},
    "mitigation": {"names": []},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited") / "run"
    with in_place():
        return folder, bench.assess(bench.parse(SMALL), folder)


@pytest.fixture(scope="module")
def spec(run):
    return AssessmentSpecification.model_validate(run[1].spec)


class Constant(torch.nn.Module):
    """Always the first class."""

    def forward(self, x):
        return torch.tensor([[1.0, -1.0]]) + 0 * x[:, :1]


def test_every_entrant_is_audited_once_and_the_device_too(run):
    folder, results = run
    assert list(results.audited()) == ["QNN", "QNN on manila", "Logistic regression", "RBF-SVM"]
    assert (folder / "units/quantum-0/audit.json").exists()
    assert not (folder / "units/quantum-1/audit.json").exists()
    plain, noisy = (results.audited()[name] for name in ("QNN", "QNN on manila"))
    assert [level.eps for level in plain.levels] == [0.05, 0.2]
    assert plain.twin is None
    assert plain.ensemble.of == plain.blackbox.of == plain.levels[0].noise.of
    assert plain.plateau.qubits == (2, 4, 6, 8)
    assert results.audited()["Logistic regression"].plateau is None
    assert noisy.twin.of == noisy.levels[0].noise.of
    assert set(plain.shared) == {"validation in train", "test in train", "test in validation"}
    assert set(results.audited()["RBF-SVM"].shared) == {"test in train"}


def test_a_threat_without_blocks_is_searched_at_random(run, spec):
    """Square knows no l0; the best of random points stands in for it."""
    folder, _ = run
    threat = spec.threat.model_copy(update={"name": "l0", "eps": [1.0], "reference": 1.0})
    few, model = spec.model_copy(update={"threat": threat}), load(folder / "units/quantum-0").eval()
    found = audit(model, few.dataset(), few, entrants(few)[0], []).evidence()
    assert found.blackbox.of > 0
    assert found.ensemble.seconds >= found.blackbox.seconds


def test_an_honest_run_raises_no_red_flag(run):
    assert [flag for flag in run[1].flags if flag.level == "red"] == []


def test_evidence_can_be_measured_again_from_the_stored_model(run, spec):
    folder, results = run
    unit, entrant = folder / "units/quantum-0", entrants(spec)[0]
    examples = AttackStage.read(unit).examples
    again = audit(load(unit).eval(), spec.dataset(), spec, entrant, examples)
    assert again == AuditStage.read(unit)
    shown = results.entrants[0].evidence  # with what the certificates say of the attack
    assert shown.certified is not None
    assert again.evidence() == replace(shown, certified=None, witnessed=None)


def test_the_rows_held_back_are_those_that_training_held_back(run, spec, tmp_path, monkeypatch):
    seen = []
    real = training.hold_back

    def spy(*arguments):
        seen.append(real(*arguments))
        return seen[-1]

    monkeypatch.setattr(training, "hold_back", spy)
    entrant = entrants(spec)[0]
    (tmp_path / "unit").mkdir()
    measure(Workspace(tmp_path / "unit"), spec=plain(spec), entrant=asdict(entrant), seed=0)
    data = spec.dataset()
    x, _ = data.tensors("train")
    parts = _seen(load(tmp_path / "unit"), data, spec, entrant)
    train, held = seen[0]
    assert torch.equal(parts["train"], x[train])
    assert torch.equal(parts["validation"], x[held])
    assert len(held) > 0


def test_a_sick_model_is_flagged(run, spec):
    found = audit(Constant(), spec.dataset(), spec, entrants(spec)[0], [])
    assert found.device is None
    ids = {flag.id for flag in judge(found.evidence())}
    assert {"constant-predictor", "below-majority", "vanishing-gradients"} <= ids


def test_a_stored_example_outside_the_budget_is_flagged(run, spec):
    folder, _ = run
    unit, entrant = folder / "units/logistic-0", entrants(spec)[1]
    model, data = load(unit).eval(), spec.dataset()
    known = {"row": 0, "label": 0, "predicted": 1, "confidence_before": 0.9, "confidence_after": 0.8}
    inside, outside = (Flip(**known, x=[0.5] * 3, x_adv=[0.5, 0.5, 0.5 + d]) for d in (0.05, 0.06))
    clean, over = (
        audit(model, data, spec, entrant, stored).evidence().overruns for stored in ([inside], [inside, outside])
    )
    assert (clean.found, over.found, over.of - clean.of) == (0, 1, 1)


def test_flags_follow_from_the_evidence_alone(run):
    _, results = run
    rows = list(results.entrants)
    on_device = rows[0].on_device.model_copy(update={"evidence": Evidence(twin=Pair(1, 12, 3, 20))})
    rows[0] = rows[0].model_copy(update={"evidence": Evidence(overruns=Count(1, 9)), "on_device": on_device})
    flags = results.model_copy(update={"entrants": rows}).judged().flags
    assert [(f.subject, f.id, f.level) for f in flags[:2]] == [
        ("QNN", "budget-overrun", "red"),
        ("QNN on manila", "noise-free-twin-weaker", "amber"),
    ]
    assert results.judged() == results


def test_results_from_before_the_audit_are_readable(run, tmp_path):
    _, results = run
    stored = json.loads(results.to_bytes())
    del stored["flags"]
    for row in stored["entrants"]:
        del row["evidence"]
        if row["on_device"]:
            del row["on_device"]["evidence"]
    (tmp_path / "results.json").write_text(json.dumps(stored))
    old = bench.read_results(tmp_path)
    assert old.audited() == {}
    assert old.judged().flags == []
