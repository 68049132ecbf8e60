"""The harness of the certificates: every row whole, a figure, a limit that is kept."""

import json

import pytest
from perf.__main__ import main
from perf.certificates import MANY, SUBJECTS, certificates, measure, panels
from perf.options import Options

from robustq.certify.catalogue import CERTIFICATES


def test_subjects_are_certificates():
    assert set(SUBJECTS) <= set(CERTIFICATES)
    assert not any(CERTIFICATES[name].null for name in SUBJECTS)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_row_is_measured(name):
    found = measure(name, 2, 8, 1)
    assert min(found["freeze and prepare ms"], found["prove ms"]) > 0
    assert 0 < found["certified %"] <= 100


def test_a_run_prints_stores_and_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("perf.certificates.SUBJECTS", {"global": SUBJECTS["global"]})
    store, page = tmp_path / "deep" / "found.json", tmp_path / "page.md"
    sizes = ["--qubits", "2", "--batch", "4", "--repeats", "1"]
    main(["certificates", *sizes, "--json", str(store), "--page", str(page)])
    assert "### global" in capsys.readouterr().out
    (row,) = json.loads(store.read_text())["rows"]
    assert (row["certificate"], row["qubits"], row["inputs"]) == ("global", 2, 4)
    assert page.with_suffix(".svg").read_text().startswith("<svg")


def test_over_its_limit_a_process_is_stopped():
    rows = certificates(Options(qubits=2, batch=4, repeats=1, limit_s=0.0))
    assert [row["note"] for row in rows] == ["over limit"] * len(SUBJECTS)
    assert not dict(panels(rows))


def test_the_long_run_is_not_drawn():
    qubits, inputs = MANY
    times = {"freeze and prepare ms": 1.0, "prove ms": 2.0}
    rows = [{"certificate": "a", "qubits": n, "inputs": 5, **times} for n in (2, 3)]
    rows.append({"certificate": "a", "qubits": qubits, "inputs": inputs, **times})
    assert [line["a"] for line in dict(panels(rows)).values()] == [[(2, 1.0), (3, 1.0)], [(2, 2.0), (3, 2.0)]]
