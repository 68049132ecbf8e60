"""The defence table: recomputed from saved models, repeated, resumed, refused where a recipe does not apply."""

import io
import re
import shutil

import pytest
import torch
from rich.console import Console

from in_place import in_place
from robustq import bench, stats
from robustq.attacks import QuantumAutoAttack, run_attack
from robustq.bench.defence_table import DefenceTable
from robustq.bench.inputs import load_inputs, save_inputs
from robustq.bench.stages import bits
from robustq.bench.studies.defend.attacks import AttackStage
from robustq.bench.studies.defend.summary import sentences
from robustq.defences import Fronted
from robustq.defences.saved import load
from robustq.errors import RunError, SpecError
from robustq.report import defence_table, render_defences

SMALL = {
    "title": "A <script>alert(1)</script> title",
    "data": {"name": "breast-cancer", "features": 3, "train_size": 80, "test_size": 30},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.1], "reference": 0.1},
    "attack": {"options": {"steps": 2, "restarts": 1}},
    "noise": {"gate_error": [0.02], "readout_error": [0.02]},
    "baselines": {"names": ["logistic"]},
    "recipes": [{"name": "adversarial-training"}, {"name": "feature-squeezing"}],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "first"
    with in_place():
        return folder, bench.defend(bench.parse(SMALL), folder)


def test_rows_are_those_of_the_specification(run):
    folder, table = run
    assert [row.key for row in table.rows] == [
        "quantum",
        "quantum-adversarial-training",
        "quantum-feature-squeezing",
        "logistic",
    ]
    assert [row.layers for row in table.rows] == [[], ["training"], ["data"], []]
    assert table.rows[0].gain is None
    assert all(row.gain for row in table.rows[1:])
    assert table.rows[3].two_qubit_gates is None
    assert table.rows[0].two_qubit_gates == 3
    assert bench.read_table(folder) == bench.read_table(folder / "defences.json") == table


def test_robust_is_what_none_of_the_attacks_flips(run):
    folder, table = run
    for row in table.rows:
        for place, point in enumerate(row.points):
            levels = [AttackStage.read(folder / f"units/{row.key}-{seed}").curve[place] for seed in (0, 1)]
            alive = [level.robust for level in levels]
            share = sum(bits(each).sum() for each in alive) / (2 * table.inputs)
            assert point.robust.value == pytest.approx(share, abs=1e-6)
            for name in ("usual", "transfer", "adaptive"):
                assert point.robust.value <= getattr(point, name).value + 1e-9
                assert getattr(point, name).value <= row.accuracy.value + 1e-9
    first = table.rows[0].points[0]
    assert first.transfer == first.adaptive


def test_the_adaptive_figure_can_be_recomputed_from_the_saved_model(run):
    folder, table = run
    spec = bench.Spec.model_validate(table.spec)
    x, y = spec.dataset().tensors("test")
    model = load(folder / "units/quantum-feature-squeezing-0")
    assert isinstance(model, Fronted)
    found = run_attack(QuantumAutoAttack(), model, x, y, spec.threat.build(0.1), generator=torch.Generator())
    stored = AttackStage.read(folder / "units/quantum-feature-squeezing-0").curve[0]
    assert abs(found.robust.double().sum().item() - bits(stored.adaptive).sum()) <= 1


def test_gains_are_paired_and_corrected(run):
    folder, table = run

    def alive(key):
        stored = [AttackStage.read(folder / f"units/{key}-{seed}") for seed in (0, 1)]
        return [bits(each.curve[0].robust) for each in stored]

    gain = table.rows[1].gain
    expected = stats.difference(alive("quantum-adversarial-training"), alive("quantum"), 1 - 0.05 / 9)
    assert gain.robust.value == pytest.approx(expected.value, abs=1e-6)
    assert gain.robust.low == pytest.approx(expected.low, abs=1e-6)
    assert gain.survives == (expected.low > 0)


def test_certified_is_at_most_what_attacks_leave(run):
    _, table = run
    assert table.rows[0].certified is not None
    assert table.rows[2].certified is None
    assert "no certificate applies" in table.rows[2].uncertified
    for row in table.rows[:2]:
        for proved, point in zip(row.certified.points, row.points, strict=True):
            assert proved.certified.value <= point.robust.value + 1e-9


@pytest.mark.prove
def test_a_damaged_run_mends_itself_and_gives_the_same_bytes(run, tmp_path):
    folder, table = run
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "defences.json").unlink()
    inputs = copy / "units/quantum-0/adversarial.safetensors"
    inputs.write_bytes(inputs.read_bytes()[:-1])
    (copy / "units/quantum-feature-squeezing-1/attack.json").write_text("{}")
    shutil.rmtree(copy / "units/logistic-1")
    again = bench.defend(bench.Spec.model_validate(table.spec), copy, workers=1)
    assert again.to_bytes() == table.to_bytes()


def test_the_page_and_the_table_say_what_was_found(run):
    folder, table = run
    page = render_defences(table, bench.read_timing(folder))
    assert "<script>alert(1)" not in page
    assert "Feature squeezing".lower() in page.lower()
    assert not re.search(r'(src|href)="(?!data:|#)', page.split("<script>")[0])
    out = io.StringIO()
    Console(file=out, width=200).print(defence_table(table, bench.read_timing(folder)))
    shown = out.getvalue()
    robust = f"{100 * table.rows[1].at(0.1).robust.value:.1f}"
    assert "adversarial training" in shown
    assert robust in shown
    assert table.sentences[0] in shown


def row_with(table: DefenceTable, key: str, **changes):
    row = table.row(key)
    return row.model_copy(update={"gain": row.gain.model_copy(update=changes)})


def test_sentences_name_what_lasts_and_what_only_seems_to(run):
    _, table = run
    first = table.rows[0]
    lasting = row_with(table, "quantum-adversarial-training", survives=True)
    seeming = row_with(table, "quantum-feature-squeezing", survives=False, only_usual=True)
    told = " ".join(sentences([first, lasting, seeming], 0.1))
    assert "The best defence, adversarial training" in told
    assert "Only under the usual attack" in told
    assert told.index("feature squeezing") > told.index("Only under")
    nothing = row_with(table, "quantum-feature-squeezing", survives=False, only_usual=False)
    assert "No defence raises that beyond chance" in " ".join(sentences([first, nothing], 0.1))


def test_what_does_not_apply_is_refused_before_any_work(tmp_path):
    image = {
        **SMALL,
        "model": {"options": {"encoding": "amplitude", "layers": 1}},
        "recipes": [{"name": "lipschitz-margin"}],
    }
    with pytest.raises(SpecError, match="lipschitz margin: lipschitz: expected features that turn gates"):
        bench.defend(bench.parse(image), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    twice = {**SMALL, "recipes": [{"name": "none", "label": "a"}, {"name": "none", "label": "A"}]}
    with pytest.raises(SpecError, match="different recipes"):
        bench.defend(bench.parse(twice), tmp_path / "run")
    for recipes, message in (
        ([{"name": "adverserial-training"}], "did you mean 'adversarial-training'"),
        ([{"name": "feature-squeezing", "options": {"bit": 2}}], "did you mean 'bits'"),
        ([{"name": "feature-squeezing", "options": {"bits": 0}}], "bits in 1..16"),
        ([{"label": "x"}], "a name or steps"),
        (
            [{"steps": [{"name": "lipschitz-margin"}, {"name": "adversarial-training"}]}],
            "one defence that says what is minimised",
        ),
    ):
        with pytest.raises(SpecError, match=message):
            bench.parse({**SMALL, "recipes": recipes})


def test_without_recipes_those_are_chosen_that_apply():
    bare = {key: value for key, value in SMALL.items() if key != "recipes"}
    names = [recipe.name for recipe in bench.DefenceStudy.of(bench.parse(bare)).spec.recipes]
    assert {"adversarial-training", "randomised-encoding", "detection"} <= set(names)
    assert "approximate-encoding" not in names
    bare["model"] = {"options": {"encoding": "amplitude", "layers": 1}}
    bare["data"] = {**SMALL["data"], "features": 4}
    names = [recipe.name for recipe in bench.DefenceStudy.of(bench.parse(bare)).spec.recipes]
    assert "approximate-encoding" in names


def test_unfinished_and_foreign_runs_are_refused(run, tmp_path):
    folder, _ = run
    with pytest.raises(RunError, match="run the same defend command again"):
        bench.read_table(tmp_path)
    (tmp_path / "defences.json").write_text("{}")
    with pytest.raises(RunError, match="robustq-defences-1"):
        bench.read_table(tmp_path)
    with pytest.raises(RunError, match="expected the specification"):
        bench.defend(bench.parse({**SMALL, "seeds": 1}), folder)


def test_kept_inputs_are_refused_when_damaged(tmp_path):
    path, kept = tmp_path / "a.safetensors", {"0.1": torch.rand(3, 2)}
    assert load_inputs(path) is None
    save_inputs(kept, path)
    assert torch.equal(load_inputs(path)["0.1"], kept["0.1"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert load_inputs(path) is None
