"""Approximate encoding: what the circuits prepare, what they cost, and that the attack goes through the encoder."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustq.attacks import PGD, Adaptive, SearchProblem, run_attack
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.defences import ApproximateEncoding, Recipe
from robustq.defences.encoding.approximation import ApproximateEncoder
from robustq.defences.encoding.disentangler import prepared, to_fidelity
from robustq.defences.saved import load, save
from robustq.engine import evolve
from robustq.errors import DataError, ModelError, SpecError
from robustq.models import QuantumNet, Training
from robustq.models.catalogue import mlp
from robustq.threats import L2


def random_states(count, qubits, generator):
    states = torch.randn(count, 2**qubits, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(states, dim=1)


def kron(*vectors):
    found = torch.ones(1, dtype=torch.float64)
    for vector in vectors:
        found = torch.kron(found, torch.as_tensor(vector, dtype=torch.float64))
    return found


def test_products_are_free_and_cat_states_cost_a_chain(generator):
    turns = torch.randn(5, generator=generator, dtype=torch.float64)
    product = kron(*([torch.cos(t), torch.sin(t)] for t in turns))[None]
    found = to_fidelity(product, 1 - 1e-9)
    assert found.cnots.tolist() == [0]
    cat = torch.zeros(1, 16, dtype=torch.float64)
    cat[0, [0, 15]] = 0.5**0.5
    found = prepared(cat)
    assert found.fidelity.item() == pytest.approx(1)
    assert found.cnots.item() == 1 + 2 + 2  # two qubits from |00>, then two isometries
    pair = kron([0.6, 0.8], [0.6, 0, 0, 0.8], [1.0, 0.0])[None]
    assert prepared(pair).cnots.item() == 1
    assert prepared(pair).fidelity.item() == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), qubits=st.integers(2, 6), layers=st.integers(1, 3), cut=st.floats(0, 0.5))
def test_the_states_are_what_the_gates_make(seed, qubits, layers, cut):
    """Unit vectors of the claimed overlap, by gates that are rotations, as dense matrices."""
    wanted = random_states(3, qubits, torch.Generator().manual_seed(seed))
    found = prepared(wanted, layers, cut)
    made = torch.zeros_like(wanted)
    made[:, 0] = 1
    for gate in itertools.chain(*found.layers):
        eye = torch.eye(4, dtype=torch.float64)
        assert torch.allclose(gate.matrix @ gate.matrix.mT, eye.expand(3, 4, 4), atol=1e-9)
        assert torch.allclose(torch.linalg.det(gate.matrix), torch.ones(3, dtype=torch.float64))
        after = 2 ** (qubits - gate.place - 2)
        dense = [
            torch.kron(torch.kron(torch.eye(2**gate.place).double(), m), torch.eye(after).double())
            for m in gate.matrix
        ]
        made = torch.stack([matrix @ state for matrix, state in zip(dense, made, strict=True)])
    assert torch.allclose(made.abs(), found.states.abs(), atol=1e-9)
    overlap = (made * wanted).sum(1).square()
    assert torch.allclose(overlap, found.fidelity, atol=1e-9)
    assert ((found.states * wanted).sum(1) >= -1e-12).all()


@pytest.mark.parametrize("cut", [0.0, 0.2])
def test_circuits_in_ordinary_gates_prepare_the_same_with_the_same_cnots(cut, generator):
    states = random_states(4, 5, generator)
    states[0] = kron(*([0.6, 0.8],) * 5)
    for layers, sweeps in ((1, 0), (2, 3)):
        found = prepared(states, layers, cut, sweeps)
        for row in range(4):
            circuit = found.circuit(row)
            made = evolve(circuit, torch.zeros(1, 0).double(), torch.zeros(0).double())[0]
            assert abs(made @ found.states[row].to(made)) == pytest.approx(1, abs=1e-8)
            assert circuit.counts.get("cx", 0) <= found.cnots[row]
            if layers == 1:
                assert circuit.counts.get("cx", 0) == found.cnots[row]


def test_one_layer_keeps_what_bond_two_can(generator):
    """On three qubits bond two is exact; on four the first layer's overlap is that of the truncation."""
    three = random_states(6, 3, generator)
    assert torch.allclose(prepared(three).fidelity, torch.ones(6).double())
    four = random_states(6, 4, generator)
    middle = torch.linalg.svdvals(four.reshape(6, 4, 4))[:, :2].square().sum(1)
    found = prepared(four).fidelity
    assert (found <= middle + 1e-9).all()
    assert (found > middle - 0.2).all()


def test_layers_and_sweeps_only_help(generator):
    states = random_states(8, 5, generator)
    by_layer = [prepared(states, layers).fidelity for layers in (1, 2, 3)]
    assert (by_layer[1] > by_layer[0] - 1e-9).all()
    assert (by_layer[2] > by_layer[1] - 1e-9).all()
    swept = [prepared(states, 2, sweeps=sweeps).fidelity for sweeps in (0, 1, 4, 8)]
    for before, after in itertools.pairwise(swept):
        assert (after >= before - 1e-9).all()
    assert (swept[-1] > swept[0] + 1e-3).any()


def test_cutting_bonds_saves_gates_and_costs_fidelity(generator):
    states = random_states(10, 5, generator)
    whole, cut = prepared(states), prepared(states, threshold=0.35)
    assert (cut.cnots <= whole.cnots).all()
    assert cut.cnots.sum() < whole.cnots.sum()
    assert (cut.fidelity <= whole.fidelity + 1e-9).all()
    cheap = to_fidelity(states, 0.5)
    dear = to_fidelity(states, 0.9, layers=6, sweeps=3)
    assert (cheap.fidelity >= 0.5).all()
    assert (dear.fidelity >= 0.9).double().mean() > 0.8
    assert cheap.cnots.sum() < dear.cnots.sum()


def amplitude_model(generator, features=16, layers=2):
    circuit = encodings.amplitude(features)
    circuit = circuit.then(ansaetze.strongly_entangling(circuit.qubits, layers=layers))
    return QuantumNet(circuit, per_qubit_z(2, circuit.qubits), generator=generator)


def test_the_guard_takes_the_cheapest_encoder_that_reaches_the_target(generator):
    x = torch.rand(60, 32, generator=generator)
    found = {f: ApproximateEncoding(f, sweeps=1).encoder(x) for f in (0.5, 0.9)}
    cost = {}
    for fidelity, encoder in found.items():
        made = encoder.prepared(x)
        assert made.fidelity.mean() >= fidelity
        cost[fidelity] = made.cnots.double().mean()
    assert cost[0.5] < cost[0.9]


def test_gradients_pass_straight_through(generator, tmp_path):
    model = amplitude_model(generator)
    x, y = torch.rand(4, 16, generator=generator) + 0.1, torch.tensor([0, 1, 0, 1])
    guarded = ApproximateEncoding(0.6).around(model, x, y, generator).eval()
    problem = SearchProblem(guarded, x, y, L2(0.3), generator)
    gradient = problem.gradient(x)
    made = guarded.front(x).requires_grad_(True)
    logits = model(made)
    rows = torch.arange(4)
    (behind,) = torch.autograd.grad((logits[rows, 1 - y] - logits[rows, y]).sum(), made)
    unit = x / x.norm(dim=1, keepdim=True)
    expected = (behind - (behind * unit).sum(1, keepdim=True) * unit) / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
    save(guarded, tmp_path / "m")
    assert torch.equal(load(tmp_path / "m")(x), guarded(x))


def test_attacks_go_through_the_encoder(generator):
    """White-box with the encoder, and what is found without it: together no weaker than either."""
    x = torch.rand(120, 16, generator=generator)
    y = (x[:, :8].sum(1) > x[:, 8:].sum(1)).long()
    plan, start = Training(epochs=15, lr=0.1), amplitude_model(generator, layers=4)
    recipe = Recipe((ApproximateEncoding(0.9),))
    model, _ = recipe.fit(start, x, y, generator=generator, training=plan)
    attack, threat = PGD(steps=10, restarts=1), L2(0.4, box=(0.0, 1.0))
    through = run_attack(attack, model, x, y, threat, generator=generator)
    bare = run_attack(attack, model.model, x, y, threat, generator=generator)
    kept = through.correct & (model(bare.x_adv).argmax(1) == y)
    both = run_attack(Adaptive(attack, model.twins()), model, x, y, threat, generator=generator)
    assert through.correct.double().mean() > 0.8
    assert both.robust.sum() <= min(through.robust.sum(), kept.sum())
    assert through.success.double().mean() > 0.3


def test_what_cannot_be_is_refused(generator):
    x, y = torch.rand(40, 16, generator=generator), torch.zeros(40, dtype=torch.int64)
    with pytest.raises(DataError, match=r"mean fidelity of 0.999 within 1 layers, got 0\.\d+ at most"):
        ApproximateEncoding(0.999, most=1).around(
            amplitude_model(generator), torch.randn(40, 16, generator=generator), y, generator
        )
    with pytest.raises(ModelError, match="loads amplitudes, got Perceptron"):
        ApproximateEncoding().around(mlp(16, 2, generator=generator), x, y, generator)
    with pytest.raises(ModelError, match="got 12 on 4 qubits: pad the features"):
        ApproximateEncoding().around(amplitude_model(generator, 12), x[:, :12], y, generator)
    with pytest.raises(DataError, match="all-zero"):
        ApproximateEncoder(1)(torch.zeros(1, 4))
    for options in ({"fidelity": 0.0}, {"fidelity": 1.1}, {"most": 0}, {"sweeps": -1}):
        with pytest.raises(SpecError, match="approximate encoding: expected"):
            ApproximateEncoding(**options)
