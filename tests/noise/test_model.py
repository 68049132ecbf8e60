"""Rules: what strikes after which gate, and how a model is checked and compared."""

import pickle
import re
from pathlib import Path

import pytest

from robustq.circuits import op
from robustq.errors import CircuitError, SpecError
from robustq.noise import Channel, NoiseModel, Readout, Rule

FLIP, BOTH = Channel("bit-flip", 0.1), Channel("zz-crosstalk", 0.2)


def struck(rule, operation):
    return [qubits for _, qubits in rule.strikes(operation)]


@pytest.mark.parametrize(
    ("rule", "operation", "expected"),
    [
        (Rule(FLIP), op("h", 3), [(3,)]),
        (Rule(FLIP), op("cx", 2, 0), [(2,), (0,)]),
        (Rule(FLIP), op("ccx", 2, 0, 1), [(2,), (0,), (1,)]),
        (Rule(FLIP, gates=("h", "x")), op("cx", 2, 0), []),
        (Rule(FLIP, gates=("cx",)), op("cx", 2, 0), [(2,), (0,)]),
        (Rule(FLIP, qubits=(0,)), op("cx", 2, 0), [(0,)]),
        (Rule(FLIP, width=1), op("cx", 2, 0), []),
        (Rule(FLIP, width=2), op("cx", 2, 0), [(2,), (0,)]),
        (Rule(FLIP, on=(5,)), op("h", 0), [(5,)]),
        (Rule(FLIP, qubits=(0, 2), on=(2,)), op("cx", 2, 0), [(2,)]),
        (Rule(FLIP, qubits=(0, 2), on=(2,)), op("h", 2), []),
        (Rule(BOTH), op("h", 0), []),
        (Rule(BOTH), op("cx", 2, 0), [(2, 0)]),
        (Rule(BOTH, qubits=(0, 2)), op("cx", 2, 0), [(2, 0)]),
        (Rule(BOTH, qubits=(0, 1)), op("cx", 2, 0), []),
        (Rule(BOTH), op("ccx", 2, 0, 1), [(2, 0), (2, 1), (0, 1)]),
        (Rule(BOTH, qubits=(0, 2), on=(2, 3)), op("cx", 2, 0), [(2, 3)]),
        (Rule(BOTH, gates=("cx",), on=(3, 4)), op("cx", 0, 1), [(3, 4)]),
    ],
)
def test_rules_strike_where_they_say(rule, operation, expected):
    assert struck(rule, operation) == expected


def test_rules_strike_in_order():
    model = NoiseModel((Rule(BOTH), Rule(FLIP, width=2)))
    assert [c.name for c, _ in model.after(op("cx", 0, 1))] == ["zz-crosstalk"] + 2 * ["bit-flip"]


def test_models_are_values():
    model = NoiseModel((Rule(FLIP),), readouts=((1, Readout(0.1)), (0, Readout(0.2))))
    same = NoiseModel((Rule(FLIP),), readouts=((0, Readout(0.2)), (1, Readout(0.1))))
    assert model == same
    assert hash(model) == hash(same)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    assert model != NoiseModel((Rule(FLIP),))
    assert NoiseModel([Rule(FLIP, ["h"], [0])]) == NoiseModel((Rule(FLIP, ("h",), (0,)),))


def test_what_a_model_says_about_itself():
    assert NoiseModel().is_trivial
    assert NoiseModel.uniform().is_trivial
    assert not NoiseModel(readouts=((0, Readout(0.1)),)).is_trivial
    assert not NoiseModel.uniform(readout_error=0.1).has_channels
    assert NoiseModel.uniform(gate_error=0.1).has_channels
    own = NoiseModel(readout=Readout(0.3), readouts=((1, Readout(0.1)),)).readouts_of(3)
    assert own == (Readout(0.3), Readout(0.1), Readout(0.3))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Readout(p10=1.1), CircuitError, r"p10 in \[0, 1\], got 1.1"),
        (lambda: Rule(FLIP, gates="cx"), CircuitError, "sequence of gate names, got 'cx'"),
        (lambda: Rule("bit-flip"), CircuitError, "expected a Channel, got str"),
        (lambda: Rule(FLIP, gates=("cnot",)), SpecError, "unknown gate 'cnot'"),
        (lambda: Rule(BOTH, on=(1,)), CircuitError, r"2 qubit\(s\) to strike, got on=\(1,\)"),
        (lambda: Rule(BOTH, on=(1, 1)), CircuitError, "different qubits"),
        (lambda: Rule(FLIP, qubits=(-1,)), CircuitError, "qubits >= 0"),
        (lambda: NoiseModel((FLIP,)), CircuitError, "expected rules, got Channel"),
        (lambda: NoiseModel(readouts=((0, Readout()),) * 2), CircuitError, "one read-out a qubit"),
        (
            lambda: NoiseModel(readouts=((4, Readout()),)).readouts_of(2),
            CircuitError,
            r"qubits 0\.\.1, got a rule for qubit 4",
        ),
        (lambda: NoiseModel((Rule(FLIP, on=(2,)),)).readouts_of(2), CircuitError, "for qubit 2"),
        (lambda: NoiseModel(couplings=((0, 1),)).after(op("cx", 0, 2)), CircuitError, "coupled qubits, got 'cx' on"),
    ],
)
def test_bad_models_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    """Every Python block of docs/noise.md, one after the other."""
    page = Path(__file__).parents[2] / "docs" / "noise.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        if "qiskit" not in block:
            exec(block, names)
    assert names["fitted"].circuit.qubits == 4
