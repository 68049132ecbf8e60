"""``robustq codesign`` as a user meets it: prints what it writes, survives being killed, refuses bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from codesign_specs import small
from robustq.bench import parse

COMMAND = [sys.executable, "-m", "robustq", "codesign"]


def robustq(*arguments, cwd):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=cwd, check=False, timeout=300,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def toml(content, prefix=""):
    """The few kinds of value that these specifications hold."""
    plain = [f"{k} = {json.dumps(v)}" for k, v in content.items() if not isinstance(v, dict)]
    tables = [
        f"[{prefix}{k}]\n" + toml(v, f"{prefix}{k}.")
        for k, v in content.items()
        if isinstance(v, dict)
    ]
    return "\n".join([*plain, *tables])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    (path / "spec.toml").write_text(toml(small(objectives=["clean", "two-qubit-gates"])))
    done = robustq(
        "spec.toml", "--trials", "6", "--out", "run", "--json", "--workers", "2", cwd=path
    )
    assert done.returncode == 0, done.stderr
    (path / "printed.json").write_text(done.stdout)
    return path


def test_codesign_prints_what_it_writes(folder):
    printed = json.loads((folder / "printed.json").read_text())
    assert printed == json.loads((folder / "run/codesign.json").read_text())
    assert len(printed["trials"]) == 6
    assert parse(small()).title == printed["title"]
    assert (
        "No architecture was chosen by its test rows" in (folder / "run/codesign.html").read_text()
    )
    again = robustq("spec.toml", "--trials", "6", "--out", "run", cwd=folder)
    assert "architectures tried" in again.stdout
    assert "results: run/codesign.json" in again.stderr


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_search_loses_at_most_what_was_running(folder, sent):
    """Killed in the middle of the search; the same command continues and writes the same bytes."""
    name = f"killed-{sent.name}"
    arguments = ["spec.toml", "--trials", "6", "--out", name, "--workers", "1"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    done = folder / name / "trials"
    deadline = time.monotonic() + 120
    while len(list(done.glob("*/clean.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, sent)
    _, told = process.communicate(timeout=60)
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again to continue" in told
    finished = {p: p.stat().st_mtime_ns for p in done.glob("*/clean.json")}
    assert len(finished) >= 2
    assert not (folder / name / "codesign.json").exists()
    # the finals are the slow part and a function of the search: those of the whole run are put there
    for part in ("finals",):
        os.symlink(folder / "run" / part, folder / name / part)
    again = robustq(*arguments, cwd=folder)
    assert again.returncode == 0, again.stderr
    written, expected = (folder / n / "codesign.json" for n in (name, "run"))
    assert written.read_bytes() == expected.read_bytes()
    for path, stamp in finished.items():
        assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a specification file or --data NAME, got neither"),
        (["--data", "breast-cancr"], "did you mean 'breast-cancer'"),
        (["wrong.toml"], "unknown encoding 'angel': did you mean 'angle'"),
        (["empty.toml"], "codesign.ansaetze: expected names, at least one"),
        (["narrow.toml"], "two-qubit gates, at most 0"),
        (["--data", "iris", "--out", "wrong.toml"], "expected a folder to write, but wrong.toml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    (tmp_path / "wrong.toml").write_text(toml(small(encodings=["angel"])))
    (tmp_path / "empty.toml").write_text(toml(small(ansaetze=[])))
    (tmp_path / "narrow.toml").write_text(toml(small(most_two_qubit_gates=0)))
    before = sorted(tmp_path.rglob("*"))
    wrong = robustq(*arguments, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert message in " ".join(wrong.stderr.split())
    assert wrong.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before
