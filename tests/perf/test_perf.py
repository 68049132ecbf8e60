"""The performance harness: everybody computes the same, and nothing here depends on the clock."""

import json
import sys
from importlib.util import find_spec

import pytest
from perf.__main__ import SUBJECTS, main
from perf.chart import figure
from perf.compare import Disagreement, check, compare, reference
from perf.flops import forward_flops, gradient_flops, measure
from perf.growth import fit
from perf.kernel import MODULE
from perf.markers import inject
from perf.memory import memory
from perf.options import Options
from perf.page import BEGIN, END, write
from perf.peers import OURS, PEERS
from perf.targets import TARGETS, judge
from perf.timing import quartiles
from perf.worker import Stopped, Worker
from perf.workload import Workload

from cases import few
from robustq import engine

TINY = Options(qubits=2, layers=1, batch=4, repeats=1)
RIVALS = [name for name in PEERS if name != OURS]
MATRIX = [(name, noise) for name in RIVALS for noise in (0.0, 0.05) if PEERS[name].noisy or not noise]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "noise"), few(MATRIX))
@pytest.mark.parametrize("trains", few([True, False]))
def test_peers_agree(name, noise, trains):
    if PEERS[name].missing:
        pytest.skip(f"not installed: {', '.join(PEERS[name].missing)}")
    work = Workload(3, 2, 4, noise, trains)
    worker = Worker(name, work, limit_s=300)
    try:
        answer = worker.first().answer
    finally:
        worker.stop()
    check(name, answer, reference(work))
    assert PEERS[name].forward_only or answer[1].shape == (4, 3)


def test_ours_agrees_with_its_other_path():
    for noise in (0.0, 0.05):
        both, inputs = (reference(Workload(3, 2, 4, noise, trains)) for trains in (True, False))
        check("frozen", inputs, both)
        assert both[2].shape == (2, 3, 3)
        assert inputs[2] is None


def test_a_wrong_answer_is_refused():
    loss, inputs, parameters = reference(Workload(2, 1, 4))
    with pytest.raises(Disagreement, match="parameter gradient"):
        check("wrong", (loss, inputs, 1.01 * parameters), (loss, inputs, parameters))
    with pytest.raises(Disagreement, match="input gradient"):
        check("wrong", (loss, inputs[:2], None), (loss, inputs, parameters))
    with pytest.raises(Disagreement, match="loss"):
        check("wrong", (float("nan"), None, None), (loss, inputs, parameters))


def test_a_contender_over_its_limit_is_stopped():
    worker = Worker(OURS, Workload(2, 1, 4), limit_s=0.0)
    with pytest.raises(Stopped, match="over limit"):
        worker.first()
    worker.stop()
    with pytest.raises(RuntimeError, match="over limit"):
        compare("gradient", [Workload(2, 1, 4)], Options(limit_s=0.0, against=(OURS,)))


def test_a_comparison_as_json(capsys):
    sizes = ["--qubits", "2", "--layers", "1", "--batch", "20", "--repeats", "2"]
    main(["gradient", *sizes, "--against", "lightning", "--json", "-"])
    results = json.loads(capsys.readouterr().out)
    assert set(results) == {"machine", "rows", "targets"}
    assert {"date", "processor", "threads", "versions"} <= set(results["machine"])
    (row,) = results["rows"]
    assert (row["subject"], row["qubits"], row["layers"], row["batch"]) == ("gradient", 2, 1, 20)
    ours = row["contenders"][OURS]
    assert ours["status"] == "measured"
    assert ours["ratio"] == 1
    assert ours["repeats"] == 2
    assert ours["quartiles_ms"][0] <= ours["median_ms"] <= ours["quartiles_ms"][1]
    rival = row["contenders"]["lightning"]
    if PEERS["lightning"].missing:
        assert rival["status"] == "not installed"
        assert row["fastest_peer"] is None
    else:
        assert rival["samples"] == 16
        assert row["fastest_peer"] == "lightning"
        assert row["ratio"] == rival["median_ms"] / ours["median_ms"]


@pytest.mark.parametrize("subject", ["kernel", "growth", "memory"])
def test_subjects_without_peers(subject):
    rows = SUBJECTS[subject](TINY)
    assert rows
    assert all(row["subject"] == subject for row in rows)
    json.dumps(rows)


def test_the_kernel_is_found_and_checked(tmp_path, monkeypatch):
    if find_spec(MODULE):
        pytest.skip("the engine has kernels of its own, which test_subjects_without_peers runs")
    source = (
        "from robustq.engine import evolve\n"
        "def fidelity_kernel(circuit, a, b=None, *, parameters=None):\n"
        "    state = evolve(circuit, a, parameters).flatten(1)\n"
        "    return (state.conj() @ state.T).abs() ** 2\n"
    )
    (tmp_path / "kernels.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(engine, "__path__", [*engine.__path__, str(tmp_path)])
    (row,) = SUBJECTS["kernel"](TINY)
    sys.modules.pop(MODULE)
    assert row["seconds"] > 0


@pytest.mark.prove
def test_memory_compares_depths():
    shallow, deep = memory(Options(qubits=2, batch=4))
    assert (shallow["layers"], deep["layers"]) == (10, 100)
    if deep["peak_mib"] is not None:
        assert deep["over_shallow"] == deep["peak_mib"] / shallow["peak_mib"]


def test_useful_operations_by_hand():
    """Two qubits, one layer: two gates on four amplitudes, each two multiply-adds of eight operations."""
    one = Workload(qubits=2, layers=1, batch=1)
    assert forward_flops(one) == 2 * 4 * 2 * 8
    assert gradient_flops(one) == 4 * forward_flops(one)
    assert forward_flops(Workload(3, 5, 7)) == 7 * (5 * 3) * 8 * 2 * 8
    row = measure(one, repeats=1, side=32)
    assert row["gradient_share"] == row["gradient_gflops"] / row["matmul_gflops"]


def test_growth_is_fitted():
    assert fit("layers", [2, 4, 8], [3.0, 6.0, 12.0])["exponent"] == pytest.approx(1)
    found = fit("qubits", [7, 8, 9, 10], [1.0, 1.0, 2.0, 4.0])
    assert found["factor"] == pytest.approx(2, rel=1e-5)
    assert found["largest_step"] == 2
    assert fit("batch", [4], [1.0])["exponent"] is None


def test_targets_name_fields_that_exist():
    judged = judge([])
    assert len(judged) == len(TARGETS)
    assert all(row["met"] is None for row in judged)
    assert {target.subject for target in TARGETS} <= {*SUBJECTS, ""}


def test_targets_are_judged():
    row = {"subject": "gradient", "qubits": 8, "layers": 6, "batch": 256, "ratio": 9.0, "first_s": 0.1}
    found = {j["target"]: j["met"] for j in judge([row]) if j["met"] is not None}
    assert found == {"gradient, n = 8, times the fastest peer": False, "gradient, n = 8, first call (s)": True}


def test_quartiles_of_little():
    assert quartiles([2.0]) == (2.0, 2.0)
    assert quartiles([1.0, 2.0, 3.0]) == (1.5, 2.5)


def test_injection_is_idempotent():
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    once = inject(page, "| new |\n")
    assert inject(once, "| new |\n") == once
    assert "old" not in once
    assert once.startswith("# Title")
    assert once.endswith("after\n")
    with pytest.raises(ValueError, match="markers"):
        inject("no markers", "block")


def test_a_page_from_stored_results(tmp_path, capsys):
    store, page = tmp_path / "perf.json", tmp_path / "performance.md"
    main(f"frozen --qubits 2 --layers 1 --batch 4 --repeats 1 --against aer --json {store}".split())
    page.write_text(f"{BEGIN}{END}", encoding="utf-8")
    main(["page", "--json", str(store), "--page", str(page)])
    text = page.read_text(encoding="utf-8")
    write(json.loads(store.read_text(encoding="utf-8")), page)
    assert page.read_text(encoding="utf-8") == text
    assert "| robustq |" in text
    assert "performance.svg" in text
    assert (tmp_path / "performance.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "Frozen" in capsys.readouterr().out


def test_a_figure_is_well_formed():
    from xml.etree import ElementTree

    svg = figure({"gradient": {"a < b": [(4, 0.1), (8, 12.0)]}, "noisy": {"c": [(4, 1.0)]}})
    root = ElementTree.fromstring(svg)
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 2


@pytest.mark.parametrize("words", ["nothing", "gradient --qubits 0", "gradient --against nobody"])
def test_wrong_words_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        main(words.split())
    assert "error" in capsys.readouterr().err
