"""The mitigation table of an assessment and of the command: from raw outcomes to intervals."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from in_place import in_place
from robustq import bench
from robustq.bench.mitigation import mitigate
from robustq.bench.mitigation_table import MitigationOutcome, MitigationStage, mitigation_rows
from robustq.bench.stages import read_stage
from robustq.cli.main import app
from robustq.data import Dataset
from robustq.errors import SpecError
from robustq.mitigation.catalogue import MITIGATIONS, USUAL
from robustq.models import load
from robustq.noise import Device
from robustq.report import render
from robustq.report.mitigation import describe_changes

NAMES = ["readout", "readout+zne", "readout+pec", "symmetry"]
SMALL = {
    "data": {"name": "iris", "features": 3, "classes": ["versicolor", "virginica"]},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 8, "lr": 0.1},
    "threat": {"eps": [0.05, 0.2], "reference": 0.2},
    "attack": {"options": {"steps": 4, "restarts": 1}},
    "certificate": {"name": "vacuous"},
    "defence": {"name": "none"},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 200, "device": "melbourne", "drift": []},
    "baselines": {"names": ["logistic"]},
    "mitigation": {"names": NAMES, "inputs": 15, "options": {"symmetry": {"letters": "ZZZ"}}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mitigated") / "run"
    with in_place():
        return folder, bench.assess(bench.parse(SMALL), folder)


def test_every_technique_has_a_row_and_the_classical_model_none(run):
    _, results = run
    rows = results.entrants[0].mitigation
    assert [row.name for row in rows] == ["none", *NAMES]
    assert results.entrants[1].mitigation == []
    assert rows[0].accuracy_gain is None
    assert rows[0].overhead == 1
    assert "obey" in rows[4].refused
    assert rows[3].random
    assert [row.circuits for row in rows[:4]] == [1, 1, 2, 1]


def test_numbers_are_those_of_the_raw_outcomes(run):
    folder, results = run
    raw = [read_stage(folder / f"units/quantum-{k}/mitigation.json") for k in (0, 1)]
    rows = results.entrants[0].mitigation
    for k in (0, 1, 2, 3):
        clean = [[int(c) for c in seed["rows"][k]["clean"]] for seed in raw]
        assert rows[k].accuracy.value == pytest.approx(np.mean(clean), abs=1e-6)
        assert rows[k].bias.value == pytest.approx(np.mean([s["rows"][k]["bias"] for s in raw]), abs=1e-6)
        assert rows[k].robust.inputs == 15
    gain = rows[1].accuracy_gain
    assert gain.value == pytest.approx(rows[1].accuracy.value - rows[0].accuracy.value, abs=1e-5)
    assert gain.low <= gain.value <= gain.high


def test_theory_orders_the_rows(run):
    """Exact values: inverted read-out is nearer than nothing, cancellation is exact; both cost variance."""
    rows = run[1].entrants[0].mitigation
    assert rows[1].bias.value < rows[0].bias.value
    assert rows[3].bias.value < 1e-6
    assert rows[3].overhead > rows[1].overhead > 1
    assert rows[2].overhead > 2  # half the shots for each of two circuits, and weights of 3/2 and 1/2


def test_robust_inputs_are_right_and_survive_what_is_found_on_the_twin(run):
    """Unmitigated and unattacked, the row's accuracy is the device's own."""
    folder, results = run
    raw = read_stage(folder / "units/quantum-0/mitigation.json")["rows"][0]
    model = load(folder / "units/quantum-0")
    x, y = bench.parse(SMALL).dataset().tensors("test")
    with torch.no_grad():
        right = model.freeze(Device.bundled("melbourne"))(x[:15]).argmax(1) == y[:15]
    for robust, clean in zip(raw["robust"], right.tolist(), strict=True):
        assert clean or robust == "0"
    assert "Error mitigation on melbourne" in render(results)


def test_it_is_the_same_again_and_can_be_left_out(run, tmp_path):
    folder, _ = run
    spec = bench.parse(SMALL)
    first = read_stage(folder / "units/quantum-0/mitigation.json")
    model = load(folder / "units/quantum-0")
    device, whole = Device.bundled("melbourne"), bench.completed(spec, spec.raw())
    again = mitigate(model, device, spec.dataset(), whole, spec.mitigation, 0)
    assert again.model_dump(exclude_unset=True) == first
    left_out = bench.parse(SMALL | {"mitigation": {"names": []}})
    assert list(left_out.mitigation.techniques()) == ["none"]


def test_significance_needs_an_interval_off_zero():
    def row(name, hits):
        base = {"technique": name, "circuits": 1, "random": False, "training": 0, "variance": 0.1}
        values = dict.fromkeys(("bias", "error", "spread"), [0.1] * len(hits))
        return MitigationOutcome(name=name, **base, **values, clean=hits, robust=hits)

    outcomes = [row("none", "10" * 40), row("same", "10" * 40), row("better", "1" * 80)]
    seeds = [MitigationStage(shots=1, rows=outcomes)]
    rows = mitigation_rows(seeds, 0.95)
    assert rows[1].significant == (False, False)
    assert rows[2].significant == (True, True)
    assert describe_changes(rows[:2]) == "None of 1 techniques changed clean or robust accuracy significantly."
    assert describe_changes(rows).startswith("Clean accuracy changed significantly by better; robust")
    assert describe_changes(rows[:1]) == "No technique applies."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mitigation": {"names": ["zme"]}}, "unknown mitigation 'zme': did you mean 'zne'"),
        ({"mitigation": {"names": ["readout", "readout"]}}, "expected different names"),
        ({"mitigation": {"names": ["none"]}}, "none of them 'none'"),
        ({"mitigation": {"options": {"zne": {"scale": [1]}}}}, "unknown mitigation option 'scale'"),
        ({"mitigation": {"options": {"zne": {"folding": 3}}}}, "expected folding as a word"),
        ({"mitigation": {"names": ["zne+readout"]}}, "come first"),
        ({"noise": {}}, "expected a noise.device, got none"),
    ],
)
def test_what_a_specification_may_not_say(content, message):
    with pytest.raises(SpecError, match=message):
        bench.parse(SMALL | content)


def test_the_usual_techniques_exist_and_follow_a_device():
    assert all(set(name.split("+")) <= set(MITIGATIONS) for name in USUAL)
    plain = {k: v for k, v in SMALL.items() if k != "mitigation"}
    spec = bench.parse(plain)
    assert bench.completed(spec, spec.raw()).mitigation.names == list(USUAL)
    without = bench.parse(plain | {"noise": {}})
    assert bench.completed(without, without.raw()).mitigation.names == []
    assert isinstance(spec.dataset(), Dataset)


def test_the_command_prints_what_it_writes(run, tmp_path):
    model = run[0] / "units/quantum-0"
    asked = ["mitigate", str(model), "--technique", "readout", "--inputs", "5", "--shots", "100"]
    done = CliRunner().invoke(app, [*asked, "--device", "melbourne", "--out", str(tmp_path / "m"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "m/mitigation.json").read_text())
    assert json.loads(done.stdout) == found
    assert [row["name"] for row in found["rows"]] == ["none", "readout"]
    assert found["shots"] == 100
    assert found["attacked"] == 5
    page = (tmp_path / "m/mitigation.html").read_text()
    assert "read-out inversion" in page
    assert "on melbourne" in page
    table = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "m"), "--eps", "0.1"])
    assert "readout" in table.stdout
    assert "eps=0.1" in table.stdout


def test_the_command_refuses_what_it_cannot_do(run, tmp_path):
    def error(*arguments):
        done = CliRunner().invoke(app, ["mitigate", *arguments])
        return done.exit_code, str(done.exception)

    assert error(str(run[0] / "units/logistic-0"))[1].startswith("mitigate: expected a quantum or hybrid")
    assert "did you mean 'manila'" in error(str(run[0] / "units/quantum-0"), "--device", "manilla")[1]
    assert "did you mean 'readout'" in error(str(run[0] / "units/quantum-0"), "--technique", "redout")[1]
