"""Frozen models: every strategy against the circuit itself, Bloch tensors, plans."""

import numpy as np
import pytest
import torch

from robustq import engine
from robustq.circuits import ansaetze, encodings, op, pauli, per_qubit_z, z
from robustq.circuits.circuit import Circuit
from robustq.engine import bloch, cost, native
from robustq.errors import RobustQError
from robustq.noise import Channel, NoiseModel, Readout, Rule
from strategies import data

UNIFORM = NoiseModel.uniform(gate_error=0.02, readout_error=0.03)
DAMPED = NoiseModel(
    (Rule(Channel("amplitude-damping", 0.1), width=1), Rule(Channel("zz-crosstalk", 0.2), width=2)),
    Readout(0.01, 0.06),
)
READ = [z(0), pauli("XY", 0, 1) + 0.3 * z(1)]
CIRCUITS = {
    "angle": encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=2)),
    "angle-z": encodings.angle(3, axis="z").then(ansaetze.brickwork(3)),
    "dense-angle": encodings.dense_angle(5).then(ansaetze.brickwork(3)),
    "basis": encodings.basis(3).then(ansaetze.qcnn(3)),
    "reuploading": encodings.reuploading(3, qubits=2, layers=2),
    "iqp": encodings.iqp(3).then(ansaetze.hardware_efficient(3, layers=1)),
    "amplitude": encodings.amplitude(5).then(ansaetze.qcnn(3)),
    "flipped": Circuit.of(2, [op("x", 0)]).then(encodings.angle(2)).then(ansaetze.brickwork(2)),
}


def value_and_slope(call, x, order=1):
    """Weighted scores' gradient, or the gradient of its square sum."""
    rows = call(x)
    weight = torch.linspace(1, 2, rows.numel(), dtype=rows.dtype).reshape(rows.shape)
    (slope,) = torch.autograd.grad((rows * weight).sum(), x, create_graph=order == 2)
    if order == 1:
        return rows.detach(), slope
    return slope.detach(), torch.autograd.grad((slope**2).sum(), x)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("noise", [None, UNIFORM, DAMPED], ids=["pure", "uniform", "damped"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_every_strategy_is_the_circuit(rng, name, noise, dtype):
    circuit = CIRCUITS[name]
    inputs, parameters = data(rng, circuit, 37)
    x = torch.tensor(inputs, dtype=dtype, requires_grad=True)
    theta = torch.tensor(parameters, dtype=dtype)
    tolerance = 1e-10 if dtype == torch.float64 else 3e-4
    expected = value_and_slope(
        lambda x: engine.expectations(circuit, READ, inputs=x, parameters=theta, noise=noise), x
    )
    costs = engine.FrozenModel(circuit, READ, theta, noise=noise).costs
    assert set(costs) <= set(engine.STRATEGIES)
    for strategy in costs:
        frozen = engine.FrozenModel(circuit, READ, theta, noise=noise, strategy=strategy)
        assert frozen.strategy == strategy
        for ours, theirs in zip(value_and_slope(frozen, x), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", ["angle", "dense-angle", "amplitude", "reuploading"])
def test_second_derivatives(rng, name):
    circuit = CIRCUITS[name]
    inputs, parameters = data(rng, circuit, 3)
    x = torch.tensor(inputs, requires_grad=True)
    theta = torch.tensor(parameters)
    expected = value_and_slope(
        lambda x: engine.expectations(circuit, READ, inputs=x, parameters=theta, method="statevector"), x, order=2
    )
    for strategy in engine.FrozenModel(circuit, READ, theta).costs:
        frozen = engine.FrozenModel(circuit, READ, theta, strategy=strategy)
        for ours, theirs in zip(value_and_slope(frozen, x, order=2), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "letters"),
    [("angle", ("IXZ",) * 4), ("angle-z", ("IXY",) * 3), ("dense-angle", ("IXYZ", "IXYZ", "IXZ"))],
)
def test_the_tensor_holds_the_letters_that_the_encoder_reaches(rng, name, letters):
    circuit = CIRCUITS[name]
    _, parameters = data(rng, circuit)
    frozen = engine.FrozenModel(circuit, READ, torch.tensor(parameters))
    assert frozen.letters == letters
    assert frozen.bloch_tensor.shape == (2, *map(len, letters))
    operators = frozen.effective_observables  # coefficient of a word: tr(P M) / 2**n
    word = pauli("X" * 2, 0, 1).matrix(circuit.qubits)
    trace = np.trace(word @ operators[0].numpy()).real / len(word)
    place = [0, *(kept.index("X") if q < 2 else 0 for q, kept in enumerate(letters))]
    assert float(frozen.bloch_tensor[tuple(place)]) == pytest.approx(trace, abs=1e-12)


def test_one_qubit_is_its_bloch_vector():
    frozen = engine.FrozenModel(encodings.angle(1, scale=1.0), [z(0)], torch.zeros(0))
    assert frozen.bloch_tensor.tolist() == [[0, 0, 1]]
    x = torch.linspace(-3, 3, 9)[:, None]
    torch.testing.assert_close(frozen(x), x.cos())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 7, 8, 16, 17, 50])
def test_batches_of_any_size(rng, batch, dtype):
    circuit = CIRCUITS["angle"]
    inputs, parameters = data(rng, circuit, batch)
    form = engine.FrozenModel(circuit, READ, torch.tensor(parameters), strategy="bloch")
    x = torch.tensor(inputs, dtype=dtype, requires_grad=True)
    assert form(x).dtype == dtype
    expected = value_and_slope(form._model.form(dtype).in_torch, x)
    for ours, theirs in zip(value_and_slope(form, x), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not native.available(), reason="no native kernel here")
def test_threads_do_not_change_a_bit(rng):
    circuit = CIRCUITS["angle"]
    inputs, parameters = data(rng, circuit, 100)
    frozen = engine.FrozenModel(circuit, READ, torch.tensor(parameters), strategy="bloch")
    x = torch.tensor(inputs, requires_grad=True)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(value_and_slope(frozen, x)[1])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.skipif(not native.available(), reason="in torch a circuit is never cheap")
def test_a_model_asked_little_is_not_prepared(rng):
    circuit = CIRCUITS["angle"]
    inputs, parameters = data(rng, circuit, 5)
    x, theta = torch.tensor(inputs), torch.tensor(parameters)
    few = engine.FrozenModel(circuit, READ, theta, uses=5)
    many = engine.FrozenModel(circuit, READ, theta, uses=10**9)
    assert (few.strategy, many.strategy) == ("circuit", "bloch")
    assert engine.FrozenModel(circuit, READ, theta).strategy == "bloch"
    torch.testing.assert_close(few(x), many(x))


def test_strategies_that_do_not_apply_are_refused():
    theta = torch.zeros(CIRCUITS["iqp"].parameters)
    with pytest.raises(RobustQError, match="strategy"):
        engine.FrozenModel(CIRCUITS["iqp"], READ, theta, strategy="bloch")
    with pytest.raises(RobustQError, match="did you mean 'quadratic'"):
        engine.FrozenModel(CIRCUITS["iqp"], READ, theta, strategy="quadratics")
    with pytest.raises(RobustQError, match="strategy"):
        _ = engine.FrozenModel(CIRCUITS["iqp"], READ, theta).bloch_tensor
    assert not bloch.is_product(CIRCUITS["amplitude"])


def test_the_plan_adds_up():
    circuit = encodings.angle(6).then(ansaetze.strongly_entangling(6, layers=3))
    plan = engine.explain(circuit, batch=64)
    assert plan.forward == cost.circuit_forward(circuit)
    assert plan.forward < plan.input_gradient < plan.gradient
    assert plan.seconds is None or plan.seconds > 0
    assert "product state of 24 gates" in str(plan)
    assert "turns of 6 qubits" in str(plan)
    deeper = engine.explain(encodings.angle(6).then(ansaetze.strongly_entangling(6, layers=6)))
    assert deeper.frozen["bloch"] == plan.frozen["bloch"]
    assert deeper.frozen["circuit"] > plan.frozen["circuit"]


def test_a_noisy_plan_tells_prefix_from_suffix():
    circuit = CIRCUITS["angle"]
    plan = engine.explain(circuit, noise=UNIFORM, observables=per_qubit_z(2, 4))
    assert [row.what for row in plan.rows] == ["maps of the prefix", "maps of the suffix"]
    assert plan.rows[0].times == 4
    assert "bloch" in plan.frozen
    with pytest.raises(RobustQError, match="batch >= 1"):
        engine.explain(circuit, batch=0)
