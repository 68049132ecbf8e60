"""The state adversary: closed forms, the exact optimum against PGD, and what the bound may not miss."""

import math

import pytest
import torch
from scipy.optimize import brentq

from robustq.attacks import PGD, Identity, run_attack
from robustq.attacks.exact import ExactState
from robustq.circuits import Circuit, ansaetze, encodings, op, per_qubit_z, x, z
from robustq.errors import CircuitError, ModelError
from robustq.models import QuantumNet
from robustq.models.perceptron import Perceptron
from robustq.noise import NoiseModel
from robustq.quadric import Cones
from robustq.states import StateView
from robustq.threats import Fidelity, Sphere, TraceDistance
from trained_models import trained


def exact(view, states, y, generator, eps=1.0):
    return run_attack(ExactState(), view, states, y, Fidelity(eps), generator=generator)


def test_one_qubit_is_an_angle_on_the_sphere(generator):
    """At the angle a to the pole the equator is pi/2 - a away, and the infidelity sin^2 of half of it."""
    circuit = Circuit.of(1, [op("ry", 0, angles=[x(0)]), op("rz", 0, angles=[0.7])])
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator).double()
    angles = torch.linspace(0.0, 1.5, 16, dtype=torch.float64)
    states = StateView.of(model).encoded(angles[:, None])
    y = torch.zeros(16, dtype=torch.long)
    found = exact(StateView.of(model), states, y, generator)
    expected = ((math.pi / 2 - angles) / 2).sin() ** 2
    assert found.success.all()
    torch.testing.assert_close(found.radius, expected, atol=1e-9, rtol=1e-5)
    assert (found.radius >= expected - 1e-12).all()
    there = run_attack(ExactState(), StateView.of(model), states, y, TraceDistance(1.0), generator=generator)
    torch.testing.assert_close(there.radius, expected.sqrt(), atol=1e-6, rtol=1e-5)


def by_root_finding(form, state):
    """The infidelity of the nearest boundary state: section by section as in the textbook."""
    values, vectors = torch.linalg.eigh(form)
    weights = (vectors.mH @ state).abs() ** 2

    def slope(t):
        return float((values * weights / (1 + t * values) ** 2).sum())

    t = brentq(slope, 0.0, (1 - 1e-12) / float(-values[0]), xtol=1e-15, rtol=1e-14)
    shrunk = weights / (1 + t * values)
    return 1 - float(shrunk.sum() ** 2 / (shrunk / (1 + t * values)).sum())


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_the_optimum_of_trained_models_by_another_root_finder(name, generator):
    model, data, labels = trained(name, torch.float64)
    data, labels = data[:40], labels[:40]
    view = StateView.of(model)
    states = view.encoded(data)
    found = exact(view, states, labels, generator)
    observables = model.scale.item() * model.freeze().effective_observables
    kets = torch.view_as_complex(states)
    for k in range(len(data)):
        if not found.correct[k]:
            continue
        own = int(labels[k])
        rivals = [observables[own] - o for j, o in enumerate(observables) if j != own]
        best = min(by_root_finding(form, kets[k]) for form in rivals)
        assert float(found.radius[k]) == pytest.approx(best, rel=1e-5, abs=1e-9)
        assert float(found.radius[k]) >= best * (1 - 1e-6)


def just_beyond_and_before(name, kind, rows, generator):
    """How many of ``rows`` states PGD flips at 1.01 times the exact infidelity, and at 0.99 times."""
    model, data, labels = trained(name, torch.float64)
    view, hits, misses = StateView.of(model), 0, 0
    right = (model(data).argmax(1) == labels).nonzero()[:rows, 0]
    states, y = view.encoded(data[right]), labels[right]
    best = exact(view, states, y, generator)
    assert best.success.all()
    for k in range(rows):
        row, label, infidelity = states[k : k + 1], y[k : k + 1], float(best.radius[k])
        beyond, before = (
            kind(share * infidelity if kind is Fidelity else math.sqrt(share * infidelity)) for share in (1.01, 0.99)
        )
        search = PGD(steps=40, restarts=1, loss="margin")
        hits += int(run_attack(search, view, row, label, beyond, generator=generator).success)
        short = PGD(steps=10, restarts=1, loss="margin")
        misses += int(run_attack(short, view, row, label, before, generator=generator).success)
        found = run_attack(ExactState(), view, row, label, beyond, generator=generator)
        assert found.success.all()
        found = run_attack(ExactState(), view, row, label, before, generator=generator)
        assert not found.success.any()
    return hits, misses


def test_pgd_succeeds_just_beyond_the_optimum_and_never_before(generator):
    """With three classes a few runs climb towards the wrong one, so all models are judged together."""
    counts = [just_beyond_and_before(name, Fidelity, 20, generator) for name in ("breast-cancer", "iris", "hybrid")]
    assert sum(hits for hits, _ in counts) >= 0.95 * 60
    assert [misses for _, misses in counts] == [0, 0, 0]


def test_trace_distance_is_the_root_of_the_infidelity(generator):
    assert just_beyond_and_before("breast-cancer", TraceDistance, 6, generator) == (6, 0)


def test_a_view_answers_as_the_model_does(generator):
    circuit = encodings.reuploading(2, qubits=2, layers=2)
    noise = NoiseModel.uniform(readout_error=0.05)
    model = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator, noise=noise).double()
    view, data = StateView.of(model), torch.rand(4, 2, generator=generator, dtype=torch.float64)
    states = view.encoded(data)
    torch.testing.assert_close(view(states), model(data))
    torch.testing.assert_close(view(3 * states), model(data))
    flat, forms = states.flatten(1), view.forms(torch.float64)
    torch.testing.assert_close(forms, forms.mT)
    torch.testing.assert_close(torch.einsum("bi,kij,bj->bk", flat, forms, flat), model(data))


def nearest(state, form):
    """Of unit length, where ``form`` falls to zero."""
    found = Cones(torch.stack([form, 0 * form])).nearest(state, torch.tensor([0])).point
    return found / found.norm()


def test_the_hard_case(generator):
    """No weight at all on the lowest eigenspace: t runs to its end, and a component is added there."""
    form = torch.diag(torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64))
    state = torch.tensor([[0.0, 0.6, 0.8]], dtype=torch.float64)
    found = nearest(state, form)
    assert float(found.square() @ form.diagonal()) == pytest.approx(0, abs=1e-12)
    kept = state[0] / (1 + form.diagonal())  # t = 1, where the first entry is free
    kept[0] = math.sqrt(0.5 * kept[1] ** 2 + 2 * kept[2] ** 2)
    torch.testing.assert_close(found[0].abs(), kept / kept.norm(), atol=1e-9, rtol=0)
    best = float((found[0] @ state[0]) ** 2)
    for _ in range(200):  # nothing on the boundary is nearer
        other = torch.randn(3, generator=generator, dtype=torch.float64)
        other[0] = (0.5 * other[1] ** 2 + 2 * other[2] ** 2).sqrt()
        other = other / other.norm()
        assert float((other @ state[0]) ** 2) <= best + 1e-12


def test_forms_that_never_fall_are_left_alone():
    state = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    assert torch.equal(nearest(state, torch.eye(2, dtype=torch.float64)), state)
    wrong = torch.diag(torch.tensor([1.0, -5.0], dtype=torch.float64))
    torch.testing.assert_close(nearest(state, wrong), state)


def test_amplitude_models_are_attacked_exactly_too(generator):
    """The same optimum for real vectors: success on a sphere just large enough, none on a smaller one."""
    circuit = encodings.amplitude(4).then(ansaetze.strongly_entangling(2))
    model = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator).double()
    data = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    data = data / data.norm(dim=1, keepdim=True)
    y = model(data).argmax(1)
    found = run_attack(ExactState(), model, data, y, Sphere(2.0), generator=generator)
    assert found.success.all()
    for k in range(6):
        reach, row, label = float(found.radius[k]), data[k : k + 1], y[k : k + 1]
        hit = run_attack(PGD(steps=60), model, row, label, Sphere(1.01 * reach), generator=generator)
        short = run_attack(PGD(steps=60), model, row, label, Sphere(0.99 * reach), generator=generator)
        assert (hit.success.item(), short.success.item()) == (True, False)


def test_the_null_attack_flips_no_state(generator):
    model, data, labels = trained("iris", torch.float64)
    view = StateView.of(model)
    found = run_attack(Identity(), view, view.encoded(data), labels, Fidelity(0.5), generator=generator)
    assert not found.success.any()
    assert torch.equal(found.correct, model(data).argmax(1) == labels)


class Flat(torch.nn.Module):
    """A model of states that is no quadratic form."""

    def forward(self, states):
        return states.flatten(1)


def test_bad_views_are_named(generator):
    with pytest.raises(ModelError, match="quantum or hybrid model, got Perceptron"):
        StateView.of(Perceptron(2, [], 2, generator=generator))
    with pytest.raises(ModelError, match="which can be asked about states"):
        StateView(torch.nn.Linear(2, 2), 1)
    circuit = encodings.reuploading(2, qubits=2, layers=2)
    noise = NoiseModel.uniform(gate_error=0.01)
    noisy = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator, noise=noise)
    with pytest.raises(CircuitError, match="expected a pure state"):
        StateView.of(noisy).encoded(torch.zeros(1, 2))
    with pytest.raises(ModelError, match="quadratic form"):
        run_attack(
            ExactState(), Flat(), torch.tensor([[[1.0, 0.0]]]), torch.tensor([0]), Fidelity(1.0), generator=generator
        )
