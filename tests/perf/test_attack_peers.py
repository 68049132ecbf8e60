"""The comparison of attacks: the judge cannot be fooled, a crash is shown, the page says what was found."""

import json
import time

import numpy as np
import pytest
import torch
from perf.__main__ import main
from perf.attack_page import markdown
from perf.attack_peers import LIBRARIES, OURS, Library
from perf.attacks import judge
from perf.options import Options
from perf.scenes import BOX, SUBJECTS, Scene, Subject

from perf import attacks as harness
from robustq.models import Perceptron
from robustq.threats import L2, Linf

CANCER = "breast cancer, QNN, angles"


@pytest.fixture
def scene(generator):
    """Class 1 right of 0.5 in the first feature; the last row is labelled wrongly."""
    model = Perceptron(2, [], 2, generator=generator)
    with torch.no_grad():
        model.layers[0].weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        model.layers[0].bias.copy_(torch.tensor([0.5, 0.0]))
    x = torch.tensor([[0.45, 0.0], [0.55, 1.0], [0.2, 0.5], [0.9, 0.5]])
    return Scene(model, x, torch.tensor([0, 1, 0, 0]), Linf(0.1, BOX), (1, 1, 2))


def test_the_judge_counts_what_fell_inside_the_budget(scene):
    moved = scene.x + torch.tensor([[0.08, 0.0], [-0.08, 0.0], [0.08, 0.0], [-0.08, 0.0]])
    found = judge(scene, moved)
    assert found.robust.tolist() == [False, False, True, False]
    assert found.outside == 0


@pytest.mark.parametrize(
    "candidate",
    [[0.75, 0.0], [0.55, -0.01], [float("nan"), 0.0], [float("inf"), 0.0]],
    ids=["ball", "box", "nan", "inf"],
)
def test_candidates_outside_do_not_count(scene, candidate):
    moved = scene.x.clone()
    moved[0] = torch.tensor(candidate)
    found = judge(scene, moved)
    assert found.robust.tolist() == [True, True, True, False]
    assert found.outside == int(np.isfinite(candidate).all())


def test_images_are_judged_as_rows(scene):
    assert judge(scene, scene.images).robust.tolist() == [True, True, True, False]
    assert torch.equal(scene.twin(scene.images), scene.model(scene.x))
    assert scene.classes == 2


def libraries():
    def crash(scene):
        raise IndexError("index -3 is out of bounds\nand more")

    def draw(scene):
        return scene.x + 0.1 * torch.rand(scene.x.shape) * np.random.rand()  # noqa: NPY002

    def sleep(scene):
        try:
            time.sleep(60)
        except Exception:
            return scene.x

    attacks = {"crash": crash, "draw": draw, "sleep": sleep}
    return Library({"linf": attacks, "l2": attacks}, "torch")


def test_crashes_and_limits_are_shown_and_generators_put_back(scene):
    before = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002
    rows = [list(harness._library("theirs", libraries(), scene, 0.2)) for _ in range(2)]
    after = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert before == after
    crash, draw, sleep, together = rows[0]
    assert crash["note"] == "crashed: IndexError: index -3 is out of bounds"
    assert sleep["note"] == "over limit (0.2 s)"
    assert draw["robust %"] == together["robust %"] == rows[1][1]["robust %"]


@pytest.fixture
def small(monkeypatch):
    """Only the breast-cancer model, which needs no data folder, trained briefly."""
    cancer = SUBJECTS[CANCER]
    subject = Subject(cancer.data, cancer.model, cancer.lr, linf=0.05, l2=0.1)
    monkeypatch.setattr(harness, "SUBJECTS", {CANCER: subject})


def test_a_page_of_ours_alone(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(harness, "LIBRARIES", {OURS: LIBRARIES[OURS]})
    page, store = tmp_path / "page.md", tmp_path / "attacks.json"
    page.write_text("<!-- attacks: results begin --><!-- attacks: results end -->")
    main(["attacks", "--batch", "20", "--json", str(store), "--page", str(page)])
    text = page.read_text()
    main(["attacks-page", "--json", str(store), "--page", str(page)])
    assert page.read_text() == text
    rows = json.loads(store.read_text())["rows"]
    clean = [row["robust %"] for row in rows if row["attack"] == "clean"]
    fallen = [row["robust %"] for row in rows if row["attack"] == "all together"]
    assert all(0 < low < high for low, high in zip(fallen, clean, strict=True))
    assert all(row["outside"] == 0 for row in rows if "outside" in row)
    assert f"{CANCER}, {Linf(0.05, BOX)}, 20 rows" in text
    assert f"{CANCER}, {L2(0.1, BOX)}, 20 rows" in text
    assert "robustq: best / together" in capsys.readouterr().out


def test_libraries_that_are_absent_are_said_to_be(small, monkeypatch):
    absent = Library({"linf": {}, "l2": {}}, "no_such_module")
    monkeypatch.setattr(harness, "LIBRARIES", {OURS: Library({"linf": {}, "l2": {}}, "torch"), "Foolbox": absent})
    rows = harness.attacks(Options(batch=5))
    assert [row["note"] for row in rows if "note" in row] == ["not installed", "not installed"]
    assert "not installed" in markdown({"machine": MACHINE, "rows": rows})


MACHINE = {
    "versions": {"torch": "1"},
    "date": "today",
    "processor": "p",
    "cores": 1,
    "threads": 1,
    "engine": "e",
    "python": "3",
}


@pytest.mark.parametrize("words", ["attacks --against aer", "gradient --against Foolbox"])
def test_peers_of_the_other_kind_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        main(words.split())
    assert "--against: for" in capsys.readouterr().err
