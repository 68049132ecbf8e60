"""The transfer matrix: recomputed from the saved models, resumed, repeated, drawn."""

import io
import re
import shutil
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file

from in_place import in_place
from robustq import bench, stats
from robustq.attacks import run_attack
from robustq.bench.entrants import Entrant
from robustq.bench.spec import TransferSpecification
from robustq.bench.stages import bits
from robustq.bench.studies.transfer import AnswerStage, craft
from robustq.bench.study import plain
from robustq.errors import RunError, SpecError
from robustq.models import load
from robustq.models.catalogue import MODELS
from robustq.report import render_transfer, transfer_table
from robustq.runs import Workspace
from robustq.seeding import torch_generator

SMALL = {
    "title": "A <script>alert(1)</script> title",
    "data": {"name": "breast-cancer", "features": 3, "train_size": 60, "test_size": 40},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.1], "reference": 0.1},
    "attack": {"options": {"steps": 4, "restarts": 1}},
    "transfer": {"models": ["qnn", "mlp", "logistic"]},
    "noise": {"device": "manila", "drift": []},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "first"
    with in_place():
        return folder, bench.transfer(bench.parse(SMALL), folder)


def test_every_source_meets_every_target(run):
    folder, matrix = run
    keys = ["qnn", "qnn-on-device", "mlp", "logistic"]
    assert [t.key for t in matrix.targets] == keys
    assert [s.key for s in matrix.sources] == [*keys, "noise"]
    assert [(c.source, c.target) for c in matrix.cells] == [(s, t) for s in [*keys, "noise"] for t in keys]
    assert matrix.targets[1].label == "QNN on manila"
    assert bench.read_matrix(folder) == bench.read_matrix(folder / "transfer.json") == matrix


def test_counts_can_be_recomputed_from_the_saved_models(run):
    """Attack one saved model and ask another: the stored counts must come out, and their interval."""
    folder, matrix = run
    spec = bench.Spec.model_validate(matrix.spec)
    x, y = spec.dataset().tensors("test")
    flips, rights = [], []
    for seed in range(2):
        source, target = (load(folder / "units" / f"{k}-{seed}") for k in ("quantum", "mlp"))
        found = run_attack(
            spec.attack.build(),
            source,
            x,
            y,
            spec.threat.build(0.1),
            generator=torch_generator(spec.seed, seed, "transfer", "qnn"),
        )
        with torch.no_grad():
            right = target(x).argmax(1) == y
            flips.append((right & (target(found.x_adv).argmax(1) != y)).tolist())
        rights.append(right.tolist())
    cell = matrix.cell("qnn", "mlp")
    assert cell.flipped == [sum(row) for row in flips]
    assert cell.correct == [sum(row) for row in rights]
    interval = stats.ratio(flips, rights)
    assert (cell.low, cell.high) == (round(interval.low, 6), round(interval.high, 6))
    assert cell.low <= cell.rate <= cell.high


def test_only_what_the_target_gets_right_counts(run):
    folder, matrix = run
    for cell in matrix.cells:
        target = next(t for t in matrix.targets if t.key == cell.target)
        assert cell.correct == target.correct
        for seed in range(2):
            stored = AnswerStage.read(folder / f"units/transfer-{seed}")
            right = bits(stored.clean[cell.target])
            under = bits(stored.under[cell.source][cell.target])
            assert cell.flipped[seed] == int((right * (1 - under)).sum())


def test_the_diagonal_is_the_white_box_attack_and_the_strongest_for_its_own_model(run):
    _, matrix = run
    for target in ("qnn", "mlp", "logistic"):
        own, noise = (sum(matrix.cell(s, target).flipped) for s in (target, "noise"))
        assert own >= noise
    assert sum(sum(matrix.cell(k, k).flipped) for k in ("qnn", "mlp", "logistic")) > 5


def test_the_noisy_twin_is_the_same_model_on_the_device(run):
    """Both directions are there, and the twin's clean answers are those of the device."""
    folder, matrix = run
    spec = bench.Spec.model_validate(matrix.spec)
    x, y = spec.dataset().tensors("test")
    twin = load(folder / "units/quantum-0").freeze(spec.noise.calibrated())
    with torch.no_grad():
        assert matrix.targets[1].correct[0] == int((twin(x).argmax(1) == y).sum())
    again = run_attack(
        spec.attack.build(),
        twin,
        x,
        y,
        spec.threat.build(0.1),
        generator=torch_generator(spec.seed, 0, "transfer", "qnn-on-device"),
    )
    stored = load_file(folder / "units/quantum-0/adversarial-on-device.safetensors")
    assert torch.equal(stored["x_adv"], again.x_adv)


def test_killed_damaged_and_repeated_runs_give_the_same_bytes(run, tmp_path):
    """What was done is kept; a part that is missing or damaged is done again; workers do not matter."""
    folder, _ = run
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "transfer.json").unlink()
    (copy / "units/transfer-1/answers.json").unlink()
    shutil.rmtree(copy / "units/mlp-0")
    spoiled = copy / "units/quantum-1/adversarial.safetensors"
    spoiled.write_bytes(spoiled.read_bytes()[:-1] + b"?")
    kept = (copy / "units/logistic-1/weights.safetensors").stat().st_mtime_ns
    told = []
    bench.transfer(bench.parse(SMALL), copy, workers=2, progress=lambda *step: told.append(step))
    assert (copy / "transfer.json").read_bytes() == (folder / "transfer.json").read_bytes()
    assert spoiled.read_bytes() == (folder / "units/quantum-1/adversarial.safetensors").read_bytes()
    assert (copy / "units/logistic-1/weights.safetensors").stat().st_mtime_ns == kept
    assert told[-1][1:] == (8, 8)


def test_a_fresh_unit_gives_the_same_bytes(run, tmp_path):
    """One seed, one result: nothing comes from the clock or from who worked before."""
    folder, matrix = run
    spec = TransferSpecification.model_validate(matrix.spec)
    craft(Workspace(tmp_path), spec=plain(spec), entrant=asdict(Entrant("quantum", "qnn")), seed=1)
    for name in ("weights.safetensors", "adversarial.safetensors", "adversarial-on-device.json"):
        assert (tmp_path / name).read_bytes() == (folder / "units/quantum-1" / name).read_bytes()


def test_the_page_is_self_contained_and_holds_every_cell(run):
    _, matrix = run
    page = render_transfer(matrix)
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", own)
    assert "<script>alert(1)" not in page
    assert "A &lt;script&gt;alert(1)&lt;/script&gt; title" in page
    for cell in matrix.cells:
        assert f"{sum(cell.flipped)} of {sum(cell.correct)}" in own
        assert f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]" in own
    assert page == render_transfer(matrix)


def test_the_table_shows_rates_with_intervals(run):
    from rich.console import Console

    text = io.StringIO()
    Console(width=200, file=text).print(transfer_table(run[1]))
    text = text.getvalue()
    cell = run[1].cell("qnn", "qnn")
    assert f"{100 * cell.rate:.1f} [{100 * cell.low:.1f}, {100 * cell.high:.1f}]" in text
    assert "random noise" in text


def test_a_model_that_learnt_nothing_is_named(run):
    matrix = run[1]
    assert matrix.majority == int(matrix.spec["data"]["test_size"] * 0.625)  # 25 of 40 are benign
    lazy = matrix.targets[2].model_copy(update={"correct": [25, 25], "label": "Sleeper"})
    alert = lazy.model_copy(update={"correct": [25, 26]})
    for player, named in ((lazy, True), (alert, False)):
        other = matrix.model_copy(update={"targets": [player]})
        assert (player in other.idle) == named
        assert ("commonest class: Sleeper" in render_transfer(other)) == named


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_players_are_chosen_from_the_data(name):
    spec = bench.parse({"data": {"name": name}})
    raw = spec.raw()
    expected = ["qnn", "reuploading", "hybrid", "mlp", "logistic"]
    if raw.kind == "image" and "cnn" in MODELS:
        expected.append("cnn")
    assert bench.TransferStudy.of(spec).spec.transfer.models == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transfer": {"models": ["qnn"]}}, "expected two models or more"),
        ({"transfer": {"models": ["qnn", "qnn"]}}, "transfer.models: expected different names"),
        ({"transfer": {"models": ["qnn", "mpl"]}}, "did you mean 'mlp'"),
        ({"transfer": {"model": ["qnn"]}}, "unknown key 'transfer.model': did you mean 'models'"),
        ({"data": {"name": "breast-cancer"}}, "device 'manila': expected at most 5 qubits"),
    ],
)
def test_nothing_is_written_when_it_cannot_run(change, message, tmp_path):
    with pytest.raises(SpecError, match=message):
        bench.transfer(bench.parse(SMALL | change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unfinished_and_foreign_folders_are_refused(run, tmp_path):
    with pytest.raises(RunError, match="run the same transfer command again"):
        bench.read_matrix(tmp_path)
    (tmp_path / "transfer.json").write_text('{"title": 3}')
    with pytest.raises(RunError, match="expected robustq-transfer-1"):
        bench.read_matrix(tmp_path)
    with pytest.raises(RunError, match="expected the specification and the versions"):
        bench.transfer(bench.parse(SMALL | {"seeds": 1}), run[0])
