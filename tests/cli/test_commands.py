"""The command line as a user meets it: its output, its exit code; in real processes where those matter."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import select

from commands import robustq
from in_place import in_place
from robustq.bench.adversarial import AdversarialSet
from robustq.bench.certificates import CertificateSet
from robustq.cli.listing import CATALOGUES
from robustq.noise import Device
from robustq.runs import Store, embedded
from robustq.runs.store import Outcome
from robustq.runs.tables import units

SPEC = """
seeds = 1
[data]
name = "iris"
features = 3
classes = ["versicolor", "virginica"]
[model.options]
layers = 1
[training]
epochs = 3
[threat]
eps = [0.2]
reference = 0.2
[attack.options]
steps = 3
restarts = 1
[defence]
name = "none"
[noise]
gate_error = [0.05]
readout_error = [0.1]
[baselines]
names = ["logistic"]
"""


def process(*arguments, cwd=None):
    """The same as :func:`robustq` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "robustq", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160"},
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run and a model, made once by the commands themselves."""
    path = tmp_path_factory.mktemp("cli")
    (path / "spec.toml").write_text(SPEC)
    run = process("assess", "spec.toml", "--out", "run", "--json", "--workers", "1", cwd=path)
    assert run.returncode == 0, run.stderr
    (path / "printed.json").write_text(run.stdout)
    trained = robustq("train", "spec.toml", "--out", "model", "--json", cwd=path)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["parameters"] == 10
    return path


def test_assess_prints_what_it_writes(folder):
    printed = json.loads((folder / "printed.json").read_text())
    assert printed == json.loads((folder / "run/results.json").read_text())
    assert (folder / "run/report.html").stat().st_size > 1e6
    assert (folder / "run/model/model.json").exists()


def test_show_and_report(folder):
    shown = robustq("show", "run", cwd=folder)
    assert shown.returncode == 0
    assert "QNN" in shown.stdout
    told = json.loads(robustq("show", "run", "--json", cwd=folder).stdout)
    assert told["title"] == ("QNN on iris, versicolor vs virginica")
    again = robustq("report", "run", "--out", "again.html", cwd=folder)
    assert again.returncode == 0
    assert (folder / "again.html").read_bytes() == (folder / "run/report.html").read_bytes()


def test_audit_judges_a_run_again(folder):
    clean = robustq("audit", "run", cwd=folder)
    rows = json.loads(robustq("audit", "run/results.json", "--json", cwd=folder).stdout)
    assert {row["subject"] for row in rows} == {"QNN", "Logistic regression"}
    assert {row["state"] for row in rows} <= {"passed", "flag", "not measured"}
    assert clean.returncode == any(row["state"] == "flag" and row["level"] == "red" for row in rows)
    assert "black-box-beats-white-box" in clean.stdout
    assert "not measured: noise-free-twin-weaker" in clean.stdout


def test_audit_fails_on_a_red_flag_and_only_then(folder):
    stored = json.loads((folder / "run/results.json").read_text())
    red, amber = (folder / name for name in ("red.json", "amber.json"))
    for path, change in (
        (red, {"answers": [20, 0]}),
        (amber, {"steps": {"first": 0, "second": 9, "both": 2, "of": 20}}),
    ):
        sick = json.loads(json.dumps(stored))
        sick["entrants"] = sick["entrants"][:1]
        healthy = {"labels": [10, 10], "answers": [11, 9], "correct": 18}
        sick["entrants"][0]["evidence"] = healthy | change
        path.write_text(json.dumps(sick))
    wrong = robustq("audit", "red.json", cwd=folder)
    assert wrong.returncode == 1
    assert "red: QNN: the model answers class 0 for all 20 inputs" in wrong.stdout
    look = robustq("audit", "amber.json", cwd=folder)
    assert look.returncode == 0
    assert "amber: QNN: the attack with all its steps flips 2 of 20" in look.stdout


def test_audit_of_a_run_from_before_the_audit(folder):
    stored = json.loads((folder / "run/results.json").read_text())
    del stored["flags"]
    for row in stored["entrants"]:
        del row["evidence"]
    (folder / "old.json").write_text(json.dumps(stored))
    done = robustq("audit", "old.json", cwd=folder)
    assert done.returncode == 0
    assert "holds no evidence" in done.stdout
    assert robustq("show", "old.json", cwd=folder).returncode == 0


def test_transfer_prints_what_it_writes(folder):
    with in_place():
        done = robustq("transfer", "spec.toml", "--models", "qnn,logistic", "--out", "matrix", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((folder / "matrix/transfer.json").read_text())
    assert "Whose adversarial inputs fool whom" in (folder / "matrix/transfer.html").read_text()


def test_attack_a_saved_model(folder):
    done = robustq(
        "attack",
        "model",
        "--attack",
        "pgd",
        "--threat",
        "l2:0.2",
        "--steps",
        "5",
        "--json",
        "--out",
        "adversarial",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    value, low, high = found["robust_accuracy"]
    assert low <= value <= high
    kept = AdversarialSet.load(folder / "adversarial")
    assert kept.tensors["x"].shape == kept.tensors["x_adv"].shape == (found["inputs"], 3)
    assert int(kept.tensors["success"].sum()) == round(
        found["attack_success_rate"][0] * int(kept.tensors["correct"].sum())
    )
    assert kept.manifest["attack"] == "PGD, 5 steps, 3 restarts, margin"
    assert kept.manifest["data"]["name"] == "iris"
    page = (folder / "adversarial/examples.html").read_text()
    assert page.count('<div class="example">') == min(12, int(kept.tensors["success"].sum()))
    assert "budget-covers-box" not in done.stderr
    text = robustq("attack", "model", "--attack", "identity", "--threat", "linf:1", cwd=folder)
    assert "budget-covers-box: for" in text.stderr
    assert "attack success rate: 0.0 %" in text.stdout


def test_assess_on_a_device_and_show_it(folder):
    Device.bundled("manila").drifted("t1-drop").save(folder / "today.json")
    with in_place():
        done = robustq("assess", "spec.toml", "--device", "today.json", "--out", "on-device", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "On manila, calibrated 2024-05-27" in done.stdout
    assert 'id="device"' in (folder / "on-device/report.html").read_text()
    stored = json.loads((folder / "on-device/results.json").read_text())
    assert stored["spec"]["noise"]["device"] == json.loads((folder / "today.json").read_text())
    assert stored["entrants"][0]["on_device"]["drift"]


def test_attackers_who_see_less(folder):
    """Scores only, a budget, and frozen features by name or number; the default is the ensemble."""
    asked = ("--knowledge", "scores", "--queries", "40", "--frozen", "0", "--json")
    done = robustq(
        "attack", "model", "--attack", "square", "--threat", "linf:0.2", *asked, "--out", "few", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["attacker"] == "scores only, at most 40 queries an input"
    assert found["forward_passes"] <= 40 * found["inputs"]
    assert found["input_gradients"] == 0
    kept = AdversarialSet.load(folder / "few").tensors
    assert (kept["x_adv"] == kept["x"])[:, 0].all()
    default = json.loads(robustq("attack", "model", "--threat", "linf:0.2", "--json", cwd=folder).stdout)
    assert default["attack"].startswith("QuantumAutoAttack v1 (")
    labels = robustq("attack", "model", "--knowledge", "labels", "--queries", "60", "--json", cwd=folder)
    assert labels.returncode == 0, labels.stderr
    assert json.loads(labels.stdout)["input_gradients"] == 0
    assert default["robust_accuracy"][0] <= found["robust_accuracy"][0]


def test_attack_on_a_device(folder):
    given = ("attack", "model", "--attack", "pgd", "--steps", "3", "--restarts", "1", "--json")
    plain, noisy = (json.loads(robustq(*given, *more, cwd=folder).stdout) for more in ((), ("--device", "manila")))
    assert noisy["device"] == "manila"
    assert noisy["input_gradients"] == 2 * plain["input_gradients"]


@pytest.mark.parametrize("kind", CATALOGUES)
def test_list(kind):
    listed = json.loads(robustq("list", kind, "--json").stdout)
    assert listed
    assert all(entry["summary"] for entry in listed.values())
    table = robustq("list", kind)
    assert table.returncode == 0
    assert next(iter(listed)) in table.stdout


def test_poison_the_training_data(folder):
    given = ("poison", "spec.toml", "--budget", "0.3", "--seeds", "2")
    done = robustq(*given, "--with", "quid", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["inputs"], found["seeds"], found["rows_touched"]) == (20, 2, 24)
    assert [len(row) for row in found["outcomes"]["poisoned"]] == [20, 20]
    ones = sum(row.count("1") for row in found["outcomes"]["poisoned"])
    assert found["accuracy_poisoned"][0] == pytest.approx(ones / 40)
    shown = robustq(*given, "--with", "backdoor", "--trigger", "0:1,-1:0.5", "--target", "1", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "poisoning: backdoor to class 1, features 0 at 1, -1 at 0.5" in shown.stdout
    assert "trigger success: " in shown.stdout


def test_doctor_and_version():
    found = json.loads(robustq("doctor", "--json").stdout)
    assert {"robustq", "torch", "engine", "threads", "gpu"} <= set(found)
    version = robustq("--version")
    assert (version.returncode, version.stdout.strip()) == (0, found["robustq"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["assess"], "expected a specification file or --data NAME, got neither"),
        (["assess", "missing.toml"], "expected a specification file, but missing.toml"),
        (["assess", "--data", "breast-cancr"], "did you mean 'breast-cancer'"),
        (["assess", "--data", "iris", "--classes", "setosa,tulip"], "unknown class of iris 'tulip'"),
        (["assess", "--data", "iris", "--device", "kolkatta"], "did you mean 'kolkata'"),
        (["assess", "--data", "iris", "--device", "gone.json"], "device: cannot read gone.json"),
        (
            ["assess", "--data", "breast-cancer", "--device", "manila"],
            "noise.device: device 'manila': expected at most 5 qubits, got a circuit of 8",
        ),
        (["assess", "broken.toml"], "unknown key 'trainin': did you mean 'training'"),
        (["assess", "negative.toml"], "expected eps >= 0 and finite, got -0.1"),
        (["assess", "--data", "mnist"], "ROBUSTQ_DATA_DIR"),
        (["transfer", "--data", "iris", "--models", "qnn,mpl"], "did you mean 'mlp'"),
        (["train", "--data", "iris", "--entrant", "quantm"], "did you mean 'quantum'"),
        (["attack", "nothing"], "expected a saved model"),
        (["attack", "nothing", "--threat", "linf"], "expected THREAT:EPS"),
        (["attack", "nothing", "--threat", "linf:-1"], "eps >= 0"),
        (["attack", "nothing", "--attack", "pdg"], "did you mean 'pgd'"),
        (["attack", "nothing", "--attack", "ddn"], "expected a threat of l2, got 'linf'"),
        (["attack", "nothing", "--attack", "pgd", "--knowledge", "labels"], "expected a white-box"),
        (["attack", "nothing", "--attack", "square", "--knowledge", "labels"], "who sees scores"),
        (["attack", "nothing"], "robustq: expected a saved model, but nothing/model.json"),
        (["attack", "nothing", "--out", "broken.toml"], "expected a folder to write, but broken.toml"),
        (
            ["transfer", "--data", "iris", "--models", "mlp,logistic", "--device", "manila"],
            "--device: expected qnn in --models, got 'mlp,logistic'",
        ),
        (["certify", "nothing"], "expected a saved model"),
        (["certify", "nothing", "--threat", "l3"], "unknown threat 'l3': did you mean 'l"),
        (["certify", "nothing", "--threat", "l2:far"], "expected THREAT:EPS such as l2:0.5"),
        (["certify", "nothing", "--threat", "l2:0"], "expected a budget > 0, got 0"),
        (["certify", "nothing", "--method", "exact-stat"], "did you mean 'exact-state'"),
        (["certify", "nothing", "--set", "sigma"], "expected NAME=VALUE"),
        (["certify", "nothing", "--within", "0.1"], "expected a saved model"),
        (["certify", "nothing", "--method", "exact-state", "--set", "reel=true"], "did you mean 'real'"),
        (
            ["certify", "nothing", "--method", "gaussian-smoothing", "--set", "samples=2.5"],
            "expected samples as a whole number, got 2.5",
        ),
        (
            ["certify", "nothing", "--method", "gaussian-smoothing", "--set", "sigma=wide"],
            "expected sigma as a number, got 'wide'",
        ),
        (["certify", "nothing", "--set", "groups=3"], "unknown certificate option 'groups'"),
        (["show", "nowhere"], "expected a finished run"),
        (["audit", "nowhere"], "expected a finished run"),
        (["train", "--data", "iris", "--out", "broken.toml/model"], "expected a place that can be written"),
        (["assess", "--data", "iris", "--out", "broken.toml/run"], "expected a place that can be written"),
        (["poison", "--data", "iris", "--with", "labelflip"], "did you mean 'label-flip'"),
        (["poison", "--data", "iris", "--budget", "2"], "expected a budget in [0, 1], got 2"),
        (["poison", "--data", "iris", "--target", "1"], "with 'backdoor' only, got 'label-flip'"),
        (["poison", "--data", "iris", "--with", "backdoor", "--trigger", "a"], "expected FEATURE:VALUE"),
        (["list", "attack"], "did you mean 'attacks'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    (tmp_path / "broken.toml").write_text('[trainin]\n[data]\nname = "iris"\n')
    (tmp_path / "negative.toml").write_text('[data]\nname = "iris"\n[threat]\neps = [-0.1]\n')
    before = sorted(tmp_path.rglob("*"))
    data = str(tmp_path / "empty")  # a data folder without the files, so that nothing is downloaded
    wrong = robustq(*arguments, cwd=tmp_path, ROBUSTQ_DATA_DIR=data, **OFFLINE)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert message in " ".join(wrong.stderr.split())
    assert wrong.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_process_answers_as_main_does(tmp_path):
    """One of the refusals above in a process of its own: the same line, the same exit code, no more."""
    asked = ("assess", "--data", "iris", "--classes", "setosa,tulip")
    told, expected = process(*asked, cwd=tmp_path), robustq(*asked, cwd=tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (2, "", expected.stderr)
    assert len(told.stderr.strip().splitlines()) == 1


# Downloads fail at once instead of being tried: a proxy nobody listens at.
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")


def test_a_run_folder_is_not_a_model(folder):
    wrong = robustq("attack", "run", cwd=folder)
    assert wrong.returncode == 2
    assert "got a run folder: try run/model" in wrong.stderr


def heed_interrupts():
    """A shell without job control has its background processes, and theirs, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_says_how_to_continue(folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "robustq", "assess", "--data", "iris", "--out", "interrupted"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    deadline = time.monotonic() + 60
    while not (folder / "interrupted/spec.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to continue" in told


def test_an_existing_model_is_not_overwritten(folder):
    again = robustq("train", "spec.toml", "--out", "model", cwd=folder)
    assert again.returncode == 2
    assert "model exists" in again.stderr


def test_certify_a_saved_model(folder):
    done = robustq(
        "certify",
        "model",
        "--threat",
        "linf:0.2",
        "--attack",
        "pgd",
        "--compare",
        "--out",
        "proofs",
        "--json",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for level in told["levels"]:
        certified, possible, attacked = (level[k]["value"] for k in ("certified", "possible", "attacked"))
        assert certified <= possible <= attacked <= told["clean"]["value"]
    assert told["levels"][-1]["eps"] == pytest.approx(0.2)
    assert told["compared"]
    stored = CertificateSet.load(folder / "proofs")
    assert len(stored.tensors["lower"]) == told["inputs"]
    assert stored.manifest["method"] == told["method"]
    page = (folder / "proofs" / "certificates.html").read_text()
    assert "figure-tightness" in page
    for row in told["compared"]:
        assert not row["refused"].startswith(row["method"])
    plain = robustq("certify", "model", "--threat", "infidelity", "--attack", "identity", cwd=folder)
    assert plain.returncode == 0, plain.stderr
    assert "exact state" in plain.stdout
    assert (folder / "model" / "certificates" / "infidelity-auto" / "certificates.html").exists()


def test_certify_on_an_uncertain_device(folder):
    def median(*more):
        done = robustq(
            "certify",
            "model",
            "--attack",
            "identity",
            "--device",
            "manila",
            "--json",
            *more,
            "--out",
            "there",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    sure, unsure = median(), median("--within", "0.01")
    assert 0 < unsure["median_radius"] < sure["median_radius"]
    assert "1 %" in unsure["device"]
    alone = robustq("certify", "model", "--within", "0.1", cwd=folder)
    assert alone.returncode == 2
    assert "--within: expected a --device" in alone.stderr


def test_a_certificate_says_whom_it_is_about(folder):
    done = robustq(
        "certify",
        "model",
        "--threat",
        "l2:0.2",
        "--method",
        "gaussian-smoothing",
        "--set",
        "samples=200",
        "--out",
        "smoothed",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "about the smoothed model" in " ".join(done.stdout.split())
    page = (folder / "smoothed" / "certificates.html").read_text()
    assert "about the smoothed model, not the model itself" in page
    assert "No witness is known" in page
    assert 'id="figure-tightness"' not in page


def test_a_contradicted_result_is_a_red_flag_of_the_audit(tmp_path, folder):
    """A second result with other bytes, as a computation that is not deterministic would give."""
    run = shutil.copytree(folder / "run", tmp_path / "run")
    store = Store.open(embedded(run))
    unit = store.database.transact(lambda c: c.execute(select(units.c.id)).scalars().first())
    store.finish("another", [Outcome(unit, {"clean.json": "0" * 64}, {}, 0.0)])
    told = robustq("audit", str(run))
    assert told.returncode == 1
    assert "two different results of the same computation" in " ".join(told.stdout.split())
    assert [row["check"] for row in json.loads(robustq("audit", str(run), "--json").stdout)][-1] == "determinism"
