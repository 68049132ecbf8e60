"""The co-design search: recomputed, resumed, compared with Optuna's own front, refused."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from codesign_specs import small
from robustq import bench, stats
from robustq.attacks import QuantumAutoAttack, run_attack
from robustq.bench import codesign
from robustq.bench.estimates import Estimate
from robustq.bench.pareto import Finalist, Goal, non_dominated, read_front, spread, statement
from robustq.bench.spec import CodesignSpecification
from robustq.bench.stages import bits
from robustq.bench.studies.codesign.candidates import (
    FailureStage,
    as_spec,
    feasibility,
    gathered,
    measure,
    needed,
    reference,
    searched,
    two_qubit_gates,
)
from robustq.bench.studies.codesign.generations import distributions, generations
from robustq.bench.studies.codesign.objectives import OBJECTIVES, Performance, resilience_gap
from robustq.bench.studies.codesign.space import Candidate, candidate_of
from robustq.bench.study import plain
from robustq.circuits import encodings
from robustq.defences.saved import load
from robustq.errors import DataError, RunError, SpecError
from robustq.runs import Workspace
from robustq.seeding import torch_generator


def completed(content):
    spec = bench.parse(content)
    return bench.completed(spec, spec.raw()).of(CodesignSpecification)


@pytest.fixture(scope="module")
def run(codesign_run):
    return codesign_run


def test_the_front_is_that_of_optuna(run):
    """A second implementation of dominance, on the study as it was kept; constraints included."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    folder, front = run
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    study = optuna.load_study(study_name="codesign", storage=storage)
    assert len(study.trials) == len(front.trials) == 9
    best = [front.trials[t.number] for t in study.best_trials]
    firsts = {t.number if t.same_as is None else t.same_as for t in best}
    assert {t.number for t in front.members} == firsts
    for kept, told in zip(study.trials, front.trials, strict=True):
        assert str(candidate_of(kept.params)) == told.label
        if not told.infeasible:
            assert kept.values == [told.scores[g.name].value for g in front.chosen]
    worst = [min(t.scores[n].value for t in front.trials if t.scores) for n in ("clean", "robust")]
    for kept, told in zip(study.trials, front.trials, strict=True):
        if told.infeasible:
            assert kept.values[0] < worst[0]
            assert kept.values[1] < worst[1]
            assert kept.values[3] > 1e5


def test_the_specifications_own_model_is_trial_0(run):
    first = run[1].trials[0]
    assert first.label == "angle, strongly-entangling x 1, per-qubit-z"
    assert first.scores
    assert run[1].reference.number == 0
    assert run[1].reference.better == run[1].reference.worse == []
    assert run[1].reference.gaps == {}


def test_scores_of_the_search_are_those_of_the_held_back_rows(run):
    folder, front = run
    spec = completed(small())
    part = searched(spec.dataset(), spec)
    x, y = part.tensors("test")
    trial = next(t for t in front.trials if t.scores and t.number > 0)
    candidate = Candidate(**trial.parameters.model_dump())
    model = load(folder / "trials" / f"{candidate.key}-0").requires_grad_(False)
    with torch.no_grad():
        right = model(x).argmax(1) == y
    assert trial.scores["clean"].value == pytest.approx(float(right.double().mean()), abs=1e-6)
    assert trial.scores["clean"].inputs == len(y) == front.rows["held"] == 24
    found = run_attack(
        spec.attack.build(),
        model,
        x,
        y,
        spec.threat.build(0.05),
        generator=torch_generator(0, 0, "codesign", "attack"),
    )
    expected = float((found.robust & right).double().mean())
    assert trial.scores["robust"].value == pytest.approx(expected, abs=1e-6)


def test_the_search_never_sees_the_test_rows():
    spec = completed(small())
    data = spec.dataset()
    part = searched(data, spec)
    other = replace(data, x_test=1 - data.x_test, y_test=1 - data.y_test)
    blind = searched(other, spec)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        assert np.array_equal(getattr(part, name), getattr(blind, name))
    rows = np.concatenate([part.x_train, part.x_test])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, data.x_train))


def test_finalists_are_judged_on_the_test_rows_with_fresh_seeds(run):
    folder, front = run
    spec = completed(small())
    x, y = spec.dataset().tensors("test")
    finalist = front.finalists[0]
    candidate = Candidate(**front.trials[finalist.number].parameters.model_dump())
    model = load(folder / "finals" / f"{candidate.key}-1").requires_grad_(False)
    own = load(folder / "finals" / f"{reference(spec).key}-1").requires_grad_(False)
    with torch.no_grad():
        right, base = model(x).argmax(1) == y, own(x).argmax(1) == y
    assert finalist.scores["clean"].value == pytest.approx(float(right.double().mean()), abs=1e-6)
    level = 1 - 0.05 / 4
    gap = stats.difference(right.double().numpy(), base.double().numpy(), level)
    assert finalist.gaps["clean"] == Estimate.of(gap)
    found = run_attack(
        QuantumAutoAttack(),
        model,
        x,
        y,
        spec.threat.build(0.05),
        generator=torch_generator(0, 1, "codesign", "attack"),
    )
    expected = float(found.robust.double().mean())
    assert finalist.scores["robust"].value == pytest.approx(expected, abs=1e-6)
    assert set(finalist.scores) == set(OBJECTIVES)
    assert front.contradictions == 0
    for row in (front.reference, finalist):
        assert row.scores["certified"].value <= row.scores["robust"].value + 1e-9


@pytest.mark.prove
def test_damaged_and_unfinished_runs_give_the_same_bytes(run, tmp_path):
    """What was measured is kept; what is missing or damaged is measured again; workers do not matter."""
    folder, front = run
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "codesign.json").unlink()
    (copy / "study.journal").unlink()
    trained = sorted((copy / "trials").iterdir())
    shutil.rmtree(trained[0])
    (trained[1] / "attack.json").write_text("{}")
    kept = (trained[2] / "weights.safetensors").stat().st_mtime_ns
    told = []
    again = codesign(bench.parse(small()), copy, workers=2, progress=lambda *step: told.append(step))
    assert again == front
    assert (copy / "codesign.json").read_bytes() == (folder / "codesign.json").read_bytes()
    assert (trained[2] / "weights.safetensors").stat().st_mtime_ns == kept
    assert told[-1][1] <= told[-1][2]


def values_of(trial, spec):
    """Something that depends on the choice, without training."""
    candidate = candidate_of(trial.params)
    digits = int(candidate.key, 16)
    return [(digits >> shift) % 97 / 97 for shift in range(0, 4 * len(spec.codesign.objectives), 4)]


def asked(spec, generations_told):
    found = []
    for _, (study, trials) in zip(range(generations_told), generations(spec, reference(spec)), strict=False):
        for number, trial in trials.items():
            found.append((number, trial.params))
            study.tell(trial, values_of(trial, spec))
    return found


def test_a_replayed_search_asks_the_same():
    """The state is what was measured: the first generations again lead to where the sampler was."""
    spec = completed(small(trials=30, population=6))
    whole = asked(spec, 5)
    assert len(whole) == 30
    assert asked(spec, 3) == whole[:18]
    assert asked(spec, 5) == whole
    assert asked(spec.model_copy(update={"seed": 1}), 5) != whole


def test_later_generations_depend_on_what_was_measured():
    spec = completed(small(trials=18, population=6))
    flat = []
    for study, trials in generations(spec, reference(spec)):
        for number, trial in trials.items():
            flat.append((number, trial.params))
            study.tell(trial, [float(number), 0.0, 0.0, 0.0])
    told = asked(spec, 3)
    assert flat[:6] == told[:6]
    assert flat[6:] != told[6:]


def test_a_model_outside_the_space_is_measured_but_not_searched():
    spec = completed(small(encodings=["dense-angle"]))
    own = reference(spec)
    assert not spec.codesign.holds(own, spec.codesign.budgets(0.05))
    _, trials = next(generations(spec, own))
    assert list(trials) == [1, 2, 3]
    inside = completed(small())
    _, trials = next(generations(inside, reference(inside)))
    assert list(trials) == [0, 1, 2]
    assert candidate_of(trials[0].params) == reference(inside)


def test_the_space_is_what_the_specification_says():
    spec = completed(small())
    found = distributions(spec)
    assert set(found) == {"encoding", "ansatz", "layers", "readout", "defence", "eps"}
    assert (found["eps"].low, found["eps"].high) == (0.025, 0.1)
    assert "eps" not in distributions(completed(small(defences=["none"])))
    assert len(spec.codesign.structures()) == 2 * 3 * 2 * 2
    fixed = completed(small(ansaetze=["qcnn"], encodings=["angle"], readouts=["parity"]))
    assert len(fixed.codesign.structures()) == 1


def test_what_makes_no_difference_is_left_out():
    one = Candidate.of("angle", "tree-tensor", 1, "parity", "none", 0.1)
    assert one == Candidate.of("angle", "tree-tensor", 3, "parity", "none", 0.2)
    assert one.key == Candidate.of("angle", "tree-tensor", 2, "parity", "none", None).key
    trained = Candidate.of("angle", "brickwork", 1, "parity", "adversarial-training", 0.1)
    assert trained.key != replace(trained, eps=0.2).key != replace(trained, layers=2).key


def test_the_budget_and_the_epochs_reach_the_training():
    spec = completed(small(epochs=2))
    trained = Candidate.of("angle", "brickwork", 1, "parity", "adversarial-training", 0.07)
    own = as_spec(spec, trained, final=False)
    assert own.defence.build(own.threat).training.threat.eps == 0.07
    assert own.defence.build(own.threat).training.attack.steps == 2
    assert (own.training.epochs, as_spec(spec, trained, final=True).training.epochs) == (2, 3)
    assert own.threat.eps == [0.05]


def test_only_what_is_asked_for_is_measured():
    spec = completed(small(objectives=["clean", "two-qubit-gates"]))
    assert needed(spec, final=False) == {"correct"}
    assert needed(spec, final=True) == {"correct", "robust", "certified", "noisy"}
    noisy = completed(small(objectives=["noise", "robust"]))
    assert needed(noisy, final=False) == {"correct", "robust", "noisy"}


def test_an_architecture_that_cannot_be_trained_is_told_why(tmp_path):
    """Margins need gates that features turn; amplitudes have none. The other seeds are not needed."""
    spec = completed(small(defences=["lipschitz-margin"], encodings=["amplitude"]))
    bad = Candidate.of("amplitude", "brickwork", 1, "basis-groups", "lipschitz-margin", 0.05)
    (tmp_path / "u").mkdir()
    arguments = {"spec": plain(spec), "candidate": asdict(bad), "seed": 0, "final": False}
    measure(Workspace(tmp_path / "u"), **arguments)
    found = gathered([tmp_path / "u"], spec, 1, final=False)
    assert isinstance(found, FailureStage)
    assert "amplitudes" in found.reason
    measure(Workspace(tmp_path / "u"), **arguments)  # nothing is tried again
    assert [p.name for p in (tmp_path / "u").iterdir()] == ["failed.json"]


def test_constraints_are_known_before_training():
    narrow = completed(small(most_qubits=3, most_two_qubit_gates=1))
    wide = Candidate.of("angle", "brickwork", 1, "parity", "none", None)
    assert feasibility(narrow, wide, 4, 2).reason == "4 qubits, at most 3"
    deep = Candidate.of("angle", "strongly-entangling", 2, "parity", "none", None)
    found = feasibility(narrow, deep, 3, 2)
    assert (found.gates, found.reason) == (6, "6 two-qubit gates, at most 1")
    short = feasibility(narrow, replace(deep, layers=1), 3, 2)
    assert 0 < short.violation < found.violation
    few = Candidate.of("dense-angle", "brickwork", 1, "per-qubit-z", "none", None)
    assert "classes" in feasibility(narrow, few, 3, 5).reason


@pytest.mark.parametrize("qubits", [2, 3, 5])
def test_loading_amplitudes_costs_what_a_decomposition_does(qubits):
    qml = pytest.importorskip("pennylane")
    rng = np.random.default_rng(qubits)
    state = rng.uniform(0.1, 1, 2**qubits)
    gates = qml.MottonenStatePreparation.compute_decomposition(state / np.linalg.norm(state), range(qubits))
    count = sum(len(gate.wires) == 2 for gate in gates)
    assert two_qubit_gates(encodings.amplitude(2**qubits)) == count == 2**qubits - 2


def test_non_dominated_is_what_the_definition_says(rng):
    for _ in range(20):
        values = rng.integers(0, 4, (12, 3)).astype(float)
        slow = [not any((b >= a).all() and (b > a).any() for b in values) for a in values]
        assert non_dominated(values).tolist() == slow


def test_spread_takes_the_ends_of_a_line():
    line = np.array([[k / 10, 1 - k / 10] for k in range(11)])
    assert spread(line, 20) == list(range(11))
    taken = spread(line, 3)
    assert {0, 10} <= set(taken) | {0}
    assert len(set(taken)) == 3
    assert min(abs(a - b) for a in taken for b in taken if a != b) >= 3


def test_the_gap_of_two_ratios_agrees_with_a_bootstrap(rng):
    inputs = 400
    correct = [(rng.random((1, inputs)) < p).astype(float) for p in (0.9, 0.8)]
    noisy = [
        np.minimum(c, rng.random((1, inputs)) < p).astype(float) for c, p in zip(correct, (0.95, 0.8), strict=True)
    ]
    one, two = (Performance(0, c, noisy=n) for c, n in zip(correct, noisy, strict=True))
    found = resilience_gap(one, two, 0.95)

    def gap(rows):
        ratios = [n[:, rows].mean() / c[:, rows].mean() for c, n in zip(correct, noisy, strict=True)]
        return ratios[0] - ratios[1]

    drawn = [gap(rng.integers(0, inputs, inputs)) for _ in range(2000)]
    assert found.value == pytest.approx(gap(np.arange(inputs)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.2 * (high - low))
    assert found.high == pytest.approx(high, abs=0.2 * (high - low))


def finalist(number, better, worse=()):
    return Finalist(
        number=number, label=f"architecture {number}", scores={}, gaps={}, better=list(better), worse=list(worse)
    )


def test_the_statement_says_who_dominates():
    goals = [
        Goal(name=n, label=g.label, summary="", higher=g.higher, chosen=n != "noise") for n, g in OBJECTIVES.items()
    ]
    good, loses = (finalist(7, ["robust", "two-qubit-gates"]), finalist(8, ["clean", "robust"], ["certified"]))
    told = statement([good, loses], goals, 3)
    assert told.startswith("1 of 2 finalists (3 members of the front were not tried) dominates")
    assert "Trial 7 (architecture 7) is better in robust accuracy and two-qubit gates" in told
    assert "; not worse, beyond the interval, in clean accuracy, certified accuracy and noise" in told
    gaps = {
        "robust": Estimate(value=0.2, low=0.125, high=0.3, inputs=9, seeds=2),
        "clean": Estimate(value=-0.02, low=-0.1, high=0.05, inputs=9, seeds=2),
        "two-qubit-gates": Estimate(value=15, low=15, high=15, inputs=0, seeds=0),
    }
    exact = statement([good.model_copy(update={"gaps": gaps})], goals, 0)
    assert "robust accuracy (+20.0 points [+12.5, +30.0]) and two-qubit gates (15 fewer);" in exact
    assert "in clean accuracy (-2.0 points [-10.0, +5.0])" in exact
    assert statement([loses, finalist(9, ["clean"])], goals, 0).startswith("None of the 2 finalists")
    assert statement([], goals, 0) == "The front is the specification's own model alone."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encodings": []}, "codesign.encodings: expected names, at least one"),
        ({"encodings": ["angel"]}, "unknown encoding 'angel': did you mean 'angle'"),
        ({"ansaetze": ["brickwrk"]}, "unknown ansatz 'brickwrk': did you mean 'brickwork'"),
        ({"readouts": ["party"]}, "unknown read-out 'party': did you mean 'parity'"),
        ({"defences": ["adversarial-trainin"]}, "did you mean 'adversarial-training'"),
        ({"objectives": ["clean", "robst"]}, "unknown objective 'robst': did you mean 'robust'"),
        ({"objectives": ["clean"]}, "codesign.objectives: expected two or more"),
        ({"readouts": ["parity", "parity"]}, "each once"),
        ({"layers": [3, 2]}, r"codesign.layers: expected \[lowest, highest\] from 1 on, got \[3, 2\]"),
        ({"layers": [0, 2]}, "codesign.layers"),
        ({"eps": [0.1]}, "codesign.eps"),
        ({"trials": 0}, "codesign.trials: expected greater than or equal to 1, got 0"),
        ({"population": 1}, "codesign.population"),
        ({"trails": 9}, "unknown key 'codesign.trails': did you mean 'trials'"),
    ],
)
def test_every_mistake_is_one_sentence(change, message):
    with pytest.raises(SpecError, match=message):
        bench.parse(small(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"most_two_qubit_gates": 0}, "got none of 24; the nearest is .*: 1 two-qubit gates, at most 0"),
        ({"most_qubits": 1}, "model: 3 qubits, at most 1"),
        ({"most_qubits": 3, "encodings": ["zz"], "most_two_qubit_gates": 2}, "the nearest is zz, .* at most 2"),
    ],
)
def test_an_impossible_space_is_refused_before_any_work(change, message, tmp_path):
    with pytest.raises(SpecError, match=message):
        codesign(bench.parse(small(**change)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_models_and_rows_that_cannot_be_split_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"expected model\.name 'qnn', got 'hybrid'"):
        codesign(bench.parse(small() | {"model": {"name": "hybrid"}}), tmp_path / "run")
    with pytest.raises(DataError, match=r"codesign\.held: expected rows of every class on both sides"):
        codesign(bench.parse(small(held=0.001)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.prove
def test_nobody_within_the_constraints_names_the_nearest_and_keeps_the_state(tmp_path):
    content = small(
        least_accuracy=1.0,
        trials=3,
        objectives=["clean", "two-qubit-gates"],
        ansaetze=["brickwork"],
        defences=["none"],
    )
    nearest = r"got none of \d tried; the nearest is trial \d, .*: accuracy 0\."
    with pytest.raises(RunError, match=nearest) as told:
        codesign(bench.parse(content), tmp_path / "run", workers=1)
    assert "expected at least 1.000; what was measured is kept" in str(told.value)
    stored = sorted((tmp_path / "run" / "trials").iterdir())
    assert len(stored) >= 2
    accuracies = [bits(json.loads((f / "clean.json").read_text())["content"]["correct"]).mean() for f in stored]
    assert max(accuracies) < 1


def test_unfinished_and_foreign_folders_are_refused(run, tmp_path):
    with pytest.raises(RunError, match="run the same codesign command again"):
        read_front(tmp_path)
    (tmp_path / "codesign.json").write_text('{"title": 3}')
    with pytest.raises(RunError, match="expected robustq-codesign-1"):
        read_front(tmp_path)
    with pytest.raises(RunError, match="expected the specification and the versions"):
        codesign(bench.parse(small(trials=4)), run[0])
    assert read_front(run[0]) == read_front(run[0] / "codesign.json") == run[1]
