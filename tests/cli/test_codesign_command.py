"""``robustq codesign`` as a user meets it: prints what it writes, survives being killed, refuses bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import commands
from codesign_specs import small
from in_place import in_place

COMMAND = [sys.executable, "-m", "robustq", "codesign"]


def robustq(*arguments, cwd):
    return commands.robustq("codesign", *arguments, cwd=cwd, COLUMNS="200")


def toml(content, prefix=""):
    """The few kinds of value that these specifications hold."""
    plain = [f"{k} = {json.dumps(v)}" for k, v in content.items() if not isinstance(v, dict)]
    tables = [f"[{prefix}{k}]\n" + toml(v, f"{prefix}{k}.") for k, v in content.items() if isinstance(v, dict)]
    return "\n".join([*plain, *tables])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    (path / "spec.toml").write_text(toml(small(trials=50)))
    return path


def test_codesign_prints_what_it_writes(folder, codesign_run):
    """The finished run of the same specification, ``--trials`` put right: everything is there already."""
    shutil.copytree(codesign_run[0], folder / "run")
    done = robustq("spec.toml", "--trials", "9", "--out", "run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((folder / "run/codesign.json").read_text())
    assert json.loads(done.stdout) == codesign_run[1].model_dump()
    assert "No architecture was chosen by its test rows" in (folder / "run/codesign.html").read_text()


def stopped(folder, arguments, sent, measured):
    """The command, sent a signal once so many trainings are measured: its exit code and what it told."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job would ignore it
    )
    deadline = time.monotonic() + 120
    while len(measurements(folder)) < measured and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, sent)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def measurements(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("killed/trials/*/clean.json")}


@pytest.mark.prove
def test_a_killed_search_loses_at_most_what_was_running(folder, codesign_run):
    """Ctrl-C, then an outright kill in the middle of the search; the same command writes the same bytes."""
    arguments = ["spec.toml", "--trials", "9", "--out", "killed", "--workers", "1"]
    code, told = stopped(folder, arguments, signal.SIGINT, 1)
    assert code == 130
    assert "run the same command again to continue" in told
    first = measurements(folder)
    stopped(folder, arguments, signal.SIGKILL, len(first) + 1)
    second = measurements(folder)
    assert len(second) > len(first) >= 1
    assert not (folder / "killed/codesign.json").exists()
    # the finals are the slow part and come after the search: those of the whole run are put there
    (folder / "killed/finals").symlink_to(codesign_run[0] / "finals")
    with in_place():
        again = robustq(*arguments, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "architectures tried" in again.stdout
    assert "results: killed/codesign.json" in again.stderr
    expected = (codesign_run[0] / "codesign.json").read_bytes()
    assert (folder / "killed/codesign.json").read_bytes() == expected
    third = measurements(folder)
    assert third == {**third, **second}
    assert second == {**second, **first}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wrong.toml"], "unknown encoding 'angel': did you mean 'angle'"),
        (["narrow.toml"], "two-qubit gates, at most 0"),
        (["--data", "iris", "--out", "wrong.toml"], "expected a folder to write, but wrong.toml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    (tmp_path / "wrong.toml").write_text(toml(small(encodings=["angel"])))
    (tmp_path / "narrow.toml").write_text(toml(small(most_two_qubit_gates=0)))
    before = sorted(tmp_path.rglob("*"))
    wrong = robustq(*arguments, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert message in " ".join(wrong.stderr.split())
    assert wrong.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before
