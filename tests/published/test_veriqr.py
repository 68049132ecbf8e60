"""Guan, Fang & Ying (2021) and VeriQR (2024): every published accuracy to two decimals, and what it hides."""

import pytest
import torch
from studies.qasm2 import read
from studies.veriqr import EXACT, MODELS, PUBLISHED, REAL, ROUGH, folder, measured

from robustq.certify import tightness
from robustq.circuits import Circuit, op
from robustq.errors import CircuitError


@pytest.fixture(scope="module")
def found(data_dir):
    if not folder().is_dir():
        pytest.skip(f"the published circuits are not there: {folder().parts[-2:]} beside the data")
    return {name: measured(name) for name in MODELS}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.model}-{row.eps:g}")
def test_every_published_accuracy_to_two_decimals(found, row):
    one = found[row.model]
    assert round(one.published_accuracy(ROUGH, row.eps), 2) == row.rough
    assert round(one.published_accuracy(REAL, row.eps), 2) == row.accurate


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.model}-{row.eps:g}")
def test_over_complex_states_rough_is_exact(found, row):
    one = found[row.model]
    assert one.published_accuracy(EXACT, row.eps) == one.published_accuracy(ROUGH, row.eps)
    assert one.certified_accuracy(EXACT, row.eps) == one.certified_accuracy(ROUGH, row.eps)


@pytest.mark.parametrize("name", MODELS)
def test_each_state_has_a_witness_at_its_radius(found, name):
    one = found[name]
    exact, real = one.certificates[EXACT], one.certificates[REAL]
    for certificate in (exact, real):
        seen = torch.isfinite(certificate.upper)
        answers = one.view(certificate.witness).argmax(1)
        assert bool((answers != certificate.label)[seen].all())
        assert bool((certificate.upper <= certificate.lower * (1 + 1e-5))[seen].all())
        assert bool(torch.isinf(certificate.lower[~seen]).all())
    assert bool(torch.isfinite(exact.upper).all())
    assert float(real.witness[..., 1].abs().max()) == 0.0
    assert bool((exact.lower <= real.lower * (1 + 1e-9)).all())
    share = tightness(one.certificates[ROUGH], exact)
    assert torch.allclose(share, torch.ones(len(share)).double(), rtol=1e-5)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.model}-{row.eps:g}")
def test_the_published_accuracy_counts_wrong_answers_as_robust(found, row):
    one = found[row.model]
    for method in (ROUGH, REAL):
        wrong = 100 - one.accuracy
        certified = one.certified_accuracy(method, row.eps)
        assert one.published_accuracy(method, row.eps) == pytest.approx(certified + wrong)
    assert one.accuracy <= 51  # the classifiers, read as published, do no better than chance


def test_a_model_that_always_answers_the_same_is_certified_at_every_budget(found):
    constant = found["mnist89"]
    assert constant.minority == 0.0
    assert constant.accuracy == 50.0
    assert float(constant.certificates[EXACT].lower.min()) > 0.015
    assert all(found[name].minority > 0 for name in MODELS if name != "mnist89")


def test_the_reader_reverses_the_qubits():
    text = "\n".join(
        [
            "OPENQASM 2.0;",
            'include "qelib1.inc";',
            "qreg q[3];",
            "creg c[1];",
            "rx(1.5) q[0];",
            "crz(-2e-1) q[0], q[1];",
            "h q[2];",
            "u3(1,2,3) q[1];",
            "measure q[2] -> c[0];",
        ]
    )
    expected = [op("rx", 2, angles=[1.5]), op("crz", 2, 1, angles=[-0.2]), op("h", 0), op("u3", 1, angles=[1, 2, 3])]
    assert read(text) == Circuit.of(3, expected)


@pytest.mark.parametrize("line", ["rx(pi) q[0];", "rx(0.5) r[0];", "gate a b { x b; }", "if (c) x"])
def test_the_reader_refuses_what_it_does_not_understand(line):
    with pytest.raises(CircuitError, match="expected"):
        read(f"qreg q[2];\n{line}")
