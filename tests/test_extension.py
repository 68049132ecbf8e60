"""What is not in the library runs through it: one file of an outsider's for each family, and no other edit."""

import hashlib
import sys
import tomllib
from pathlib import Path
from unittest import mock

import pytest
import torch

from commands import robustq
from in_place import in_place
from robustq import bench
from robustq.bench import records
from robustq.bench.outside import outsiders
from robustq.catalogue import resolve
from robustq.data import load as load_data
from robustq.defences import Fronted
from robustq.defences.saved import load, save
from robustq.errors import ModelFileError, RunError, SpecError
from robustq.models import files
from robustq.report import render
from robustq.uncertainty.conformal import SCORES

FILES = {
    "__init__": '__version__ = "1.2"',
    "attacks": '''
from dataclasses import dataclass
from robustq.attacks.catalogue import AttackEntry

@dataclass(frozen=True)
class BIM:
    steps: int = 3

    def search(self, problem):
        threat, candidate = problem.threat, problem.x
        for _ in range(self.steps):
            direction = threat.steepest(problem.gradient(candidate, "cross-entropy"))
            candidate = threat.project(candidate + threat.eps / self.steps * direction, problem.x)
        return candidate

class Idle:
    """No attack at all."""

BIM_IN_L2 = AttackEntry(BIM, "small steps", "-", norms=("l2",))
SEVEN = 7
''',
    "certificates": '''
from dataclasses import dataclass, replace
from robustq.certify import Lipschitz

@dataclass(frozen=True)
class Halved:
    """Half of what another method proves."""

    share: float = 0.5
    confidence = 1.0

    def prepare(self, model, threat, generator):
        return Prover(Lipschitz().prepare(model, threat, generator), self.share)

@dataclass(frozen=True)
class Prover:
    whole: object
    share: float

    @property
    def model(self):
        return self.whole.model

    def prove(self, x):
        found = self.whole.prove(x)
        return replace(found, lower=self.share * found.lower)
''',
    "data": """
import numpy as np
from robustq.data import RawData

def blobs() -> RawData:
    rng = np.random.default_rng(7)
    y = np.arange(120) % 2
    x = rng.normal(size=(120, 2)) + 2.0 * y[:, None]
    return RawData(
        name="blobs", kind="tabular", x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:],
        classes=("low", "high"), licence="none", citation="drawn", split="drawn", features=("a", "b"),
    )
""",
    "models": '''
import torch
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.models import QuantumNet

def ladder(features: int, classes: int, *, generator: torch.Generator, layers: int = 1) -> QuantumNet:
    circuit = encodings.angle(features).then(ansaetze.brickwork(features, layers=layers))
    return QuantumNet(circuit, per_qubit_z(classes, features), generator=generator)

def unsaid(features, classes, *, generator):
    return ladder(features, classes, generator=generator)

class Linear(torch.nn.Module):
    """Logits from one matrix."""

    def __init__(self, features: int, classes: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.randn(features, classes, generator=generator))

    def forward(self, x):
        return (x - 0.5) @ self.matrix

    def config(self):
        return {"features": self.matrix.shape[0], "classes": self.matrix.shape[1]}

    @classmethod
    def from_config(cls, config):
        return cls(config["features"], config["classes"], generator=torch.Generator())
''',
    "defences": '''
import torch
from dataclasses import dataclass
from robustq.contracts import Threat
from robustq.defences import Fronted

@dataclass(frozen=True)
class Jitter:
    """The loss at a random point of the threat set."""

    threat: Threat
    share: float = 1.0

    def losses(self, model, step):
        x = self.share * self.threat.sample(step.x, step.generator) + (1 - self.share) * step.x
        return torch.nn.functional.cross_entropy(model(x), step.y, reduction="none")

class Halve(torch.nn.Module):
    def forward(self, x):
        return 0.25 + x / 2

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

@dataclass(frozen=True)
class Squeezed:
    """A narrower box in front of the model."""

    trained_through = True

    def around(self, model, x, y, generator):
        return Fronted(Halve(), model)
''',
    "mitigation": '''
from dataclasses import dataclass
from robustq.mitigation.plan import Plan

@dataclass(frozen=True)
class Doubled:
    """Every logit twice: a foolish technique."""

    factor: float = 2.0

    def plan(self, problem):
        return Plan((problem.run,), lambda parts: self.factor * parts[0])
''',
    "broken": "import no_such_package_anywhere",
}
SMALL = {
    "data": {"name": "lab.data:blobs"},
    "seeds": 1,
    "model": {"name": "lab.models:ladder", "options": {"layers": 2}},
    "training": {"epochs": 2},
    "threat": {"eps": [0.1], "reference": 0.1},
    "attack": {"name": "lab.attacks:BIM", "options": {"steps": 2}},
    "certificate": {"name": "lab.certificates:Halved"},
    "defence": {"name": "lab.defences:Jitter", "options": {"share": 0.5}},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 50, "device": "manila", "drift": []},
    "mitigation": {"names": ["lab.mitigation:Doubled"], "inputs": 2, "repeats": 2},
    "baselines": {"names": ["lab.models:Linear"]},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The outsider's package, importable, here and in worker processes."""
    home = tmp_path_factory.mktemp("outside")
    (home / "lab").mkdir()
    for name, text in FILES.items():
        (home / "lab" / f"{name}.py").write_text(text.lstrip() + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield home / "lab"
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "first"
    return folder, bench.assess(bench.parse(SMALL), folder, workers=1)


def test_an_assessment_of_outsiders_in_a_worker_process(run):
    _, results = run
    found = {entrant.key: entrant for entrant in results.entrants}
    assert list(found) == ["quantum", "quantum-defended", "lab.models.Linear"]
    assert [entrant.family for entrant in found.values()] == ["quantum", "quantum", "classical"]
    assert results.attack == "BIM(steps=2)"
    assert found["quantum"].certified
    doubled = next(row for row in found["quantum"].mitigation if row.name == "lab.mitigation:Doubled")
    assert doubled.technique == "Doubled(factor=2.0)"
    assert not doubled.refused
    assert results.data["name"] == "blobs"


def test_results_name_outsiders_with_version_and_source(lab, run):
    _, results = run
    said = {name: text for name, text in results.versions.items() if ":" in name}
    assert set(said) == {
        "lab.data:blobs",
        "lab.models:ladder",
        "lab.models:Linear",
        "lab.attacks:BIM",
        "lab.certificates:Halved",
        "lab.defences:Jitter",
        "lab.mitigation:Doubled",
    }
    source = hashlib.sha256((lab / "attacks.py").read_bytes()).hexdigest()
    assert said["lab.attacks:BIM"] == f"1.2, sha256 {source}"
    assert results.spec["attack"]["name"] == "lab.attacks:BIM"
    assert source in render(results)


def test_the_documented_specification(lab):
    page = Path(__file__).resolve().parents[1] / "docs" / "own.md"
    text = page.read_text(encoding="utf-8").split("```toml")[1].split("```")[0]
    spec = bench.parse(tomllib.loads(text))
    assert len(outsiders(spec)) == 6
    assert spec.dataset().x_train.shape == (80, 2)


def test_a_run_is_not_continued_with_another_source(lab, run):
    folder, _ = run
    changed = mock.patch.object(records, "provenance", return_value="1.3, sha256 0")
    with changed, pytest.raises(RunError, match="and the versions this folder was started"):
        bench.assess(bench.parse(SMALL), folder, workers=1)


def test_a_table_of_defences(lab, tmp_path):
    recipes = [{"name": "lab.defences:Jitter"}, {"name": "lab.defences:Squeezed"}]
    content = {key: SMALL[key] for key in ("seeds", "training", "threat")}
    content |= {"data": {"name": "iris", "features": 2, "train_size": 40, "test_size": 10}, "recipes": recipes}
    content |= {"attack": {"options": {"steps": 2, "restarts": 1}}, "baselines": {"names": []}}
    content["noise"] = {"gate_error": [0.05], "readout_error": [0.1]}
    with in_place():
        table = bench.defend(bench.parse(content), tmp_path / "run")
    assert [row.steps for row in table.rows] == [[], ["lab.defences:Jitter"], ["lab.defences:Squeezed"]]
    assert {"lab.defences:Jitter", "lab.defences:Squeezed"} <= set(table.versions)


def test_whose_adversarial_inputs_fool_whom(lab, tmp_path):
    content = {key: SMALL[key] for key in ("data", "seeds", "model", "training", "threat", "attack")}
    content["transfer"] = {"models": ["lab.models:ladder", "lab.models:Linear"]}
    with in_place():
        found = bench.transfer(bench.parse(content), tmp_path / "run")
    assert [player.key for player in found.targets] == ["lab.models:ladder", "lab.models:Linear"]
    assert "lab.models:Linear" in found.versions


def test_a_saved_model_of_outsiders_is_loaded_where_that_is_allowed(lab, run, generator, tmp_path):
    from lab.defences import Halve
    from lab.models import Linear

    x = torch.rand(4, 2)
    for model in (Linear(2, 2, generator=generator), Fronted(Halve(), Linear(2, 2, generator=generator))):
        save(model, tmp_path / "m")
        torch.testing.assert_close(load(tmp_path / "m", allow=["lab"])(x), model(x))
        for allow in ([], ["laboratory"], ["lab.attacks"]):
            with pytest.raises(ModelFileError, match=r"got lab\.\w+:\w+, whose code .* allow=\['lab'\]"):
                load(tmp_path / "m", allow=allow)
    with pytest.raises(ModelFileError, match="whose code would be run"):
        files.load(tmp_path / "m")


def test_what_cannot_be_rebuilt_is_not_saved(tmp_path):
    class Local(torch.nn.Linear):
        def config(self):
            return {}

    for model in (Local(2, 2), torch.nn.Linear(2, 2)):
        with pytest.raises(ModelFileError, match=r"or one that a module defines with config\(\) and from_config\(\)"):
            save(model, tmp_path / "m")


def test_commands_on_a_model_trained_by_outsiders(run, tmp_path):
    model = str(run[0] / "model")
    refused = robustq("attack", model, "--attack", "lab.attacks:BIM", "--threat", "linf:0.1")
    assert refused.returncode
    assert "whose code would be run: if you trust it, set ROBUSTQ_ALLOW=lab" in refused.stderr
    done = robustq("attack", model, "--attack", "lab.attacks:BIM", "--threat", "linf:0.1", ROBUSTQ_ALLOW="lab")
    assert done.returncode == 0, done.stderr
    assert "BIM(steps=3)" in done.stdout
    proved = ["certify", model, "--method", "lab.certificates:Halved", "--attack", "lab.attacks:BIM"]
    done = robustq(*proved, "--out", str(tmp_path / "c"), ROBUSTQ_ALLOW="lab")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("table", "name", "message"),
    [
        ("attack", "lab.attacks:BMI", "attack 'lab.attacks:BMI': lab.attacks has no 'BMI': did you mean 'BIM'?"),
        ("attack", "lab.nowhere:BIM", "attack 'lab.nowhere:BIM': no module named 'lab.nowhere'; is it installed"),
        ("attack", "lab.broken:BIM", "attack 'lab.broken:BIM': no module named 'no_such_package_anywhere'"),
        ("attack", "lab.attacks:Idle", "attack 'lab.attacks:Idle': expected something with search(), got Idle"),
        ("attack", "lab.attacks:SEVEN", "expected a class, a function or AttackEntry(...), got int"),
        ("attack", "lab.attacks:BIM_IN_L2", "attack 'lab.attacks:BIM_IN_L2': expected a threat of l2, got 'linf'"),
        ("certificate", "lab.attacks:BIM", "expected something with prepare(), got BIM"),
        ("certificate", "lab.attacks:BIM_IN_L2", "a function or CertificateEntry(...), got an AttackEntry"),
        ("defence", "lab.attacks:BIM", "expected something with losses() or something with around(), got BIM"),
        ("model", "lab.models:unsaid", "expected a return type, such as `-> QuantumNet`, or a ModelEntry"),
        ("model", "lab.models:Linear", "model.name: expected a quantum or hybrid model, got 'lab.models:Linear'"),
    ],
)
def test_mistakes_are_told(lab, table, name, message):
    with pytest.raises(SpecError) as caught:
        bench.parse({"data": {"name": "iris"}, table: {"name": name}})
    assert message in str(caught.value)


def test_options_of_outsiders_are_checked(lab):
    content = {"data": {"name": "iris"}, "attack": {"name": "lab.attacks:BIM", "options": {"stpes": 2}}}
    with pytest.raises(SpecError, match="unknown attack option 'stpes': did you mean 'steps'"):
        bench.parse(content)
    content["attack"]["options"] = {"steps": "many"}
    with pytest.raises(SpecError, match="attack: expected steps as a whole number, got 'many'"):
        bench.parse(content)
    with pytest.raises(SpecError, match=r"data set 'lab\.models:unsaid': missing a required argument: 'features'"):
        load_data("lab.models:unsaid")


def test_closed_families_import_nothing(lab):
    """A saved conformal predictor names its score, an entry of a family that takes no outsiders."""
    with pytest.raises(SpecError, match=r"unknown score 'lab\.attacks:BIM'"):
        resolve("score", "lab.attacks:BIM", SCORES)
