"""Training against a state adversary: its worst states, its gradient, and robustness that it buys."""

import copy
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from robustq.attacks import PGD, ExactState, run_attack
from robustq.circuits import Circuit, ansaetze, encodings, op, pauli, per_qubit_z, theta, x, z
from robustq.data import load, prepare
from robustq.defences import Fronted, Plain, StateTraining
from robustq.defences.filters.quantise import Quantise
from robustq.defences.pullback import PulledBack
from robustq.defences.training.states import furthest, worst_states
from robustq.errors import ModelError, SpecError
from robustq.models import HybridNet, QuantumNet, Training, fit
from robustq.models.catalogue import hybrid, mlp, qnn, reuploading
from robustq.noise import Channel, Device, NoiseModel, Readout, Rule
from robustq.quadric import Cones
from robustq.states import StateView
from robustq.threats import Fidelity
from steps import mean_loss


def inputs(generator, features=3, rows=6, classes=2):
    return torch.rand(rows, features, generator=generator).double(), torch.arange(rows) % classes


def one_qubit(angle, generator):
    """Scores ``cos`` and ``-cos`` of ``x + angle``."""
    circuit = Circuit.of(1, [op("ry", 0, angles=[x(0)]), op("ry", 0, angles=[theta(0)])])
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator).double()
    with torch.no_grad():
        model.theta.fill_(angle)
    return model


def test_one_qubit_by_hand(generator):
    """An infidelity ``sin(a)^2`` turns the Bloch vector by ``2 a``, but not past the pole."""
    model = one_qubit(0.4, generator)
    points = torch.tensor([[0.1], [0.7], [-1.2], [2.9]], dtype=torch.float64)
    y = torch.tensor([0, 0, 0, 1])
    for turn in (0.2, 0.9):
        away = (points[:, 0] + 0.4).cos().acos()
        worst = torch.where(y == 0, (away + turn).clamp(max=math.pi), (away - turn).clamp(min=0))
        scores = model.scale * worst.cos()
        expected = cross_entropy(torch.stack([scores, -scores], 1), y)
        found = mean_loss(StateTraining(math.sin(turn / 2) ** 2), model, points, y, generator)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_the_worst_state_at_the_exact_radius_is_on_the_boundary(generator):
    """A second implementation: the nearest state of the other class, by another secular equation."""
    draw = torch.randn(2, 8, 8, 2, generator=generator, dtype=torch.float64)
    forms = torch.view_as_complex(draw)
    forms = forms + forms.mH
    states = torch.view_as_complex(torch.randn(5, 8, 2, generator=generator, dtype=torch.float64))
    states = states / torch.linalg.vector_norm(states, dim=1, keepdim=True)
    form = forms[1] - forms[0]
    means = torch.einsum("bi,ij,bj->b", states.conj(), form, states).real
    wrong = means < 0  # the form is the rival's lead
    assert int(wrong.sum()) > 0
    kept = states[wrong]
    cones = Cones(torch.stack([-form / 2, form / 2]))
    found = cones.nearest(kept, torch.zeros(len(kept)).long())
    sine = found.distance.square()  # to the cone, of a unit vector: the sine of the angle
    for k, infidelity in enumerate(sine.tolist()):
        moved = furthest(*torch.linalg.eigh(form[None]), kept[k : k + 1], infidelity)
        mean = torch.einsum("bi,ij,bj->b", moved.conj(), form, moved).real
        assert abs(float(mean)) < 1e-6 * float(form.abs().max())


@pytest.mark.parametrize("classes", [2, 3])
def test_no_search_does_better_and_the_budget_is_kept(classes, generator):
    model = qnn(3, classes, generator=generator, layers=2).double()
    points, y = inputs(generator, classes=classes)
    view, threat = StateView.of(model), Fidelity(0.1)
    clean = view.encoded(points)
    states = torch.view_as_complex(clean)
    worst = torch.view_as_real(worst_states(PulledBack.of(model, points).forms(), states, y, 0.1))
    assert bool(threat.contains(worst, clean).all())
    torch.testing.assert_close(threat.distance(worst, clean), torch.full((6,), 0.1).double())
    ours = cross_entropy(view(worst), y, reduction="none")
    attack = PGD(steps=60, restarts=3, loss="cross-entropy")
    found = run_attack(attack, view, clean, y, threat, generator=generator).x_adv
    theirs = cross_entropy(view(found), y, reduction="none")
    assert bool((theirs <= ours + 1e-4).all())
    torch.testing.assert_close(theirs, ours, rtol=0.02, atol=1e-3)


def test_the_hard_case_and_the_ends_of_the_budget():
    """``psi`` has no part in the largest eigenspace: one has to be added."""
    form = torch.diag(torch.tensor([3.0, 1.0, -1.0])).to(torch.complex128)
    psi = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.complex128)
    moved = furthest(*torch.linalg.eigh(form[None]), psi, 0.25).abs().square()
    torch.testing.assert_close(moved, torch.tensor([[0.25, 0.75, 0.0]]).double(), atol=1e-6, rtol=0)
    assert torch.equal(furthest(*torch.linalg.eigh(form[None]), psi, 0.0), psi)
    top = furthest(*torch.linalg.eigh(form[None]), (psi + 1j * psi.roll(1)) / 2**0.5, 1.0).abs().square()
    torch.testing.assert_close(top, torch.tensor([[0.0, 0.0, 0.0]]).double() + form[:, 0].real / 3)
    flat = torch.eye(3, dtype=torch.complex128)
    assert torch.equal(furthest(*torch.linalg.eigh(flat[None]), psi, 0.5), psi)


BEHIND = NoiseModel((Rule(Channel("depolarising", 0.05), width=2),), readout=Readout(0.02, 0.06))


def models_with_pure_encodings(generator):
    yield qnn(3, 2, generator=generator, layers=2)
    yield reuploading(3, 3, generator=generator)
    yield hybrid(3, 3, generator=generator, qubits=3)
    read = [pauli("X", 0), 0.5 * pauli("ZZ", 0, 1)]
    circuit = encodings.angle(3).then(ansaetze.brickwork(3))
    yield QuantumNet(circuit, read, generator=generator, noise=BEHIND)
    circuit = encodings.amplitude(3).then(ansaetze.brickwork(2))
    yield QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)


def test_the_pulled_back_read_out_is_the_model(generator):
    """Logits, states and forms as the frozen model has them, noise behind the encoder included."""
    points, _ = inputs(generator)
    for model in models_with_pure_encodings(generator):
        model = model.double()
        pulled = PulledBack.of(model, points)
        torch.testing.assert_close(pulled.logits(pulled.states), model(points))
        frozen = model.freeze()
        other = frozen.states(points).roll(1, 0)
        torch.testing.assert_close(pulled.states.roll(1, 0), other)
        torch.testing.assert_close(pulled.logits(other), frozen.of_states(other))
        torch.testing.assert_close(pulled.forms(), frozen.state_forms())


def test_the_gradient_is_that_of_the_worst_case(generator):
    """Finite differences of the maximum, trained gates in front of, between and behind the encoders."""
    for model in (
        reuploading(2, 2, generator=generator, qubits=2, layers=2).double(),
        HybridNet(3, 2, reuploading(2, 2, generator=generator), generator=generator).double(),
    ):
        width = 3 if isinstance(model, HybridNet) else 2
        points, y = inputs(generator, width, classes=2)
        defence = StateTraining(0.08)
        mean_loss(defence, model, points, y, generator).backward()
        for parameter in model.parameters():
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            slope, ends = float((parameter.grad * direction).sum()), []
            with torch.no_grad():
                for sign in (1, -2):
                    parameter.add_(sign * 1e-5 * direction)
                    ends.append(float(mean_loss(defence, model, points, y, generator)))
                parameter.add_(1e-5 * direction)
            assert abs((ends[0] - ends[1]) / 2e-5 - slope) < 1e-5 * max(1, abs(slope))


def test_weight_mixes_and_no_budget_is_plain(generator):
    model = qnn(3, 2, generator=generator, layers=1).double()
    points, y = inputs(generator)

    def loss(infidelity, weight=1.0):
        return mean_loss(StateTraining(infidelity, weight), model, points, y, generator)

    plain = mean_loss(Plain(), model, points, y, generator)
    torch.testing.assert_close(loss(0.0), plain)
    torch.testing.assert_close(loss(0.1, 0.0), plain)
    torch.testing.assert_close(loss(0.1, 0.3), 0.3 * loss(0.1) + 0.7 * plain)
    assert float(plain.detach()) + 0.1 < float(loss(0.1).detach()) < float(loss(0.2).detach())


def test_something_in_front_of_the_model_stays_in_front(generator):
    model = qnn(3, 2, generator=generator, layers=1).double()
    points, y = inputs(generator)
    fronted = Fronted(Quantise(2), model)
    found, bare = (
        mean_loss(StateTraining(0.1), each, seen, y, generator)
        for each, seen in ((fronted, points), (model, Quantise(2)(points)))
    )
    torch.testing.assert_close(found, bare)


def test_it_buys_robustness_against_the_exact_state_attack():
    """Where classes overlap: held-out rows of real data, at little cost in clean accuracy."""
    data = prepare(load("breast-cancer"), features=4)
    (points, y), (held, truth) = data.tensors("train"), data.tensors("test")
    start, robust = reuploading(4, 2, generator=torch.Generator().manual_seed(3), layers=2), []
    for defence in (Plain(), StateTraining(0.03)):
        model, generator = copy.deepcopy(start), torch.Generator().manual_seed(2)
        fit(model, points, y, generator=generator, defence=defence, training=Training(epochs=6))
        view = StateView.of(model)
        found = run_attack(ExactState(), view, view.encoded(held), truth, Fidelity(0.05), generator=generator)
        assert float(found.correct.double().mean()) > 0.85
        robust.append(float(found.robust.double().mean()))
    assert robust[1] > robust[0] + 0.05


def test_what_does_not_apply_is_refused(generator):
    points, y = torch.full((2, 3), 0.5), torch.tensor([0, 1])
    noisy = reuploading(3, 2, generator=generator)
    noisy.noise = Device.bundled("manila")
    for model, said in (
        (mlp(3, 2, generator=generator), "quantum or hybrid model, got Perceptron"),
        (noisy, "expected a pure state"),
    ):
        with pytest.raises(ModelError, match=said):
            mean_loss(StateTraining(0.1), model, points, y, generator)
    for options in ({"infidelity": 1.5}, {"weight": -0.1}):
        with pytest.raises(SpecError, match=r"state training: expected \w+ in \[0, 1\]"):
            StateTraining(**options)
