"""A posterior as one classifier: its vectors, its tangents, its devices, its files."""

import math

import pytest
import torch
from torch import nn

from robustq.attacks import PGD, run_attack
from robustq.contracts import Predictive, QuantumClassifier, ShotClassifier
from robustq.defences.saved import load, save
from robustq.errors import ModelError
from robustq.models.catalogue import hybrid, logistic, mlp, qnn, reuploading
from robustq.noise import Device, NoiseModel
from robustq.threats import Linf
from robustq.uncertainty import Members, Panel, Scaled, Tangent, drawn
from robustq.uncertainty.vectors import at, jacobian, vector_of

MAKERS = {
    "qnn": lambda g: qnn(3, 3, generator=g, layers=2),
    "amplitude": lambda g: qnn(4, 2, generator=g, layers=2, encoding="amplitude"),
    "reuploading": lambda g: reuploading(3, 2, generator=g),
    "hybrid": lambda g: hybrid(5, 3, generator=g, qubits=3, layers=1),
    "mlp": lambda g: mlp(4, 3, generator=g, hidden=3),
}
WIDTHS = {"qnn": 3, "amplitude": 4, "reuploading": 3, "hybrid": 5, "mlp": 4}


def inputs(name, generator, rows=4):
    return torch.rand(rows, WIDTHS[name], generator=generator, dtype=torch.float64)


def posterior(name, generator, members=3, **options):
    base = MAKERS[name](generator)
    vector = vector_of(base)
    apart = 0.3 * torch.randn(members, len(vector), generator=generator)
    return Members(base, vector + apart, **options)


@pytest.mark.parametrize("name", MAKERS)
def test_jacobian_is_autograds(name, generator):
    model, x = MAKERS[name](generator).double(), inputs(name, generator)
    found = jacobian(model, x)
    exact = torch.autograd.functional.jacobian(lambda v: at(model, v)(x), vector_of(model))
    assert torch.allclose(found, exact, atol=1e-9)
    assert torch.equal(jacobian(model, x, [4, 1]), found[:, :, [4, 1]])


@pytest.mark.parametrize("name", MAKERS)
def test_a_twin_is_the_model_with_other_weights(name, generator):
    one, two = MAKERS[name](generator), MAKERS[name](generator)
    x, before = inputs(name, generator).float(), vector_of(one)
    assert torch.equal(at(one, vector_of(two))(x), two(x))
    assert torch.equal(vector_of(one), before)


@pytest.mark.parametrize("name", MAKERS)
def test_an_ensemble_answers_with_the_mean_of_its_models(name, generator):
    models = [MAKERS[name](generator) for _ in range(3)]
    joined, x = Members.of(models), inputs(name, generator).float()
    expected = torch.stack([model(x).softmax(1) for model in models]).mean(0)
    assert torch.allclose(joined(x).exp(), expected, atol=1e-6)
    assert torch.allclose(joined.members(x), torch.stack([m(x) for m in models]), atol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_linearised_members_lie_on_the_tangent(name, generator):
    model, x = posterior(name, generator, linearised=True), inputs(name, generator)
    mean = vector_of(model.base).double()
    slopes = jacobian(at(model.base, mean), x)
    for k, vector in enumerate(model.vectors):
        expected = at(model.base, mean)(x) + slopes @ (vector.double() - mean)
        assert torch.allclose(model.members(x)[k], expected, atol=1e-8)


@pytest.mark.parametrize("linearised", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_frozen_members_answer_the_same(name, linearised, generator):
    model = posterior(name, generator, linearised=linearised)
    x = inputs(name, generator)
    frozen = model.freeze()
    assert isinstance(frozen, Panel | Tangent)
    for predictive in (model, frozen):
        assert isinstance(predictive, Predictive)
    assert torch.allclose(frozen.members(x), model.members(x), atol=1e-8)
    assert torch.allclose(frozen(x), model(x), atol=1e-8)
    assert torch.allclose(frozen(x.float()), frozen(x).float(), atol=2e-6)


@pytest.mark.parametrize("linearised", [False, True])
def test_gradients_in_the_input_are_finite_differences(linearised, generator):
    model = posterior("qnn", generator, linearised=linearised)
    x = inputs("qnn", generator, 2).requires_grad_()
    assert torch.autograd.gradcheck(model.freeze(), (x,), atol=1e-5, eps=1e-4)
    assert torch.autograd.gradcheck(model, (x,), atol=1e-5, eps=1e-4)


def test_a_vector_without_distance_is_the_model(generator):
    base = MAKERS["qnn"](generator)
    model = Members(base, vector_of(base)[None], linearised=True)
    x = inputs("qnn", generator).float()
    assert torch.allclose(model.members(x)[0], base(x), atol=1e-6)


@pytest.mark.parametrize("linearised", [False, True])
def test_an_attack_finds_the_same_on_a_posterior_as_on_its_frozen_twin(linearised, generator):
    model = posterior("qnn", generator, linearised=linearised).double()
    assert isinstance(model, QuantumClassifier)
    x = inputs("qnn", generator, 6)
    with torch.no_grad():
        y = model(x).argmax(1)
    found = run_attack(PGD(steps=5, restarts=1), model, x, y, Linf(0.3, box=(0, 1)), generator=generator)
    assert found.correct.all()
    with torch.no_grad():
        assert torch.equal(model(found.x_adv).argmax(1) != y, found.success)


def test_noise_reaches_every_member(generator):
    noise = Device.bundled("manila")
    model, x = posterior("qnn", generator), inputs("qnn", generator)
    expected = torch.stack([at(model.base, v).freeze(noise)(x) for v in model.vectors])
    assert torch.allclose(model.freeze(noise).members(x), expected)
    assert torch.allclose(model.under(noise).members(x), expected, atol=1e-6)
    assert not torch.allclose(expected, model.members(x), atol=1e-2)


def test_shots_are_unbiased_and_counted(generator):
    model, x = posterior("qnn", generator), inputs("qnn", generator)
    device = model.under(shots=50, generator=generator)
    assert isinstance(device, ShotClassifier)
    one = at(model.base, model.vectors[0]).under(shots=50, generator=generator)
    assert device.shots_per_answer == 3 * one.shots_per_answer
    assert device.shots_per_gradient == 3 * one.shots_per_gradient
    answers = torch.stack([device.members(x) for _ in range(300)])
    error = answers.std(0) / math.sqrt(300)
    assert ((answers.mean(0) - model.members(x)).abs() < 5 * error + 1e-3).all()


def test_a_device_asked_often_spreads_as_its_shots_say(generator):
    """Z of one qubit: the variance of a mean of shots is ``(1 - z^2) / shots``, times the squared scale."""
    model, x = MAKERS["qnn"](generator), inputs("qnn", generator, 2)
    asked = drawn(model, 400, shots=100, generator=generator)
    answers, scale = asked.members(x), float(model.scale.detach())
    z = model(x) / scale
    expected = scale**2 * (1 - z**2) / 100
    ratio = answers.var(0) / expected
    assert (ratio - 1).abs().max() < 0.5
    assert asked.shots_per_answer == 400 * 100


def test_saved_members_and_scaled_ones_answer_the_same(tmp_path, generator):
    inner = posterior("hybrid", generator, linearised=True)
    model = Scaled(inner, torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0.1, 0.0, -0.1]))
    save(model.eval(), tmp_path)
    x = inputs("hybrid", generator).float()
    again = load(tmp_path)
    assert torch.equal(again(x), model(x))
    assert again.model.linearised


def test_one_seed_makes_one_posterior():
    def answers():
        generator = torch.Generator().manual_seed(3)
        model = posterior("qnn", generator)
        return model.under(shots=10, generator=generator).members(torch.zeros(2, 3))

    assert torch.equal(answers(), answers())


def test_a_classical_posterior_freezes_to_itself_and_has_no_device(generator):
    model, x = posterior("mlp", generator), inputs("mlp", generator).float()
    assert torch.equal(model.freeze()(x), model(x))
    with pytest.raises(ModelError, match="quantum model for a device, got Perceptron"):
        model.under(shots=10, generator=generator)
    with pytest.raises(ModelError, match="quantum model"):
        model.freeze(NoiseModel())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda g: Members(nn.Linear(2, 2), torch.zeros(3, 5)), r"\(members, 6\), got \(3, 5\)"),
        (lambda g: Members(nn.Linear(2, 2), torch.zeros(0, 6)), "got"),
        (lambda g: Members(nn.Linear(2, 2), torch.full((1, 6), torch.nan)), "finite parameters"),
        (lambda g: Members.of([MAKERS["qnn"](g), MAKERS["mlp"](g)]), "parameters only"),
        (lambda g: Members.of([logistic(2, 2, generator=g), logistic(3, 2, generator=g)]), "only"),
        (lambda g: Panel(()), "at least one member"),
        (lambda g: vector_of(nn.Identity()), "got none in Identity"),
        (lambda g: at(nn.Linear(2, 2), torch.zeros(5)), "expected 6 parameters"),
        (lambda g: drawn(MAKERS["qnn"](g), 0, shots=1, generator=g), "at least one answer"),
        (
            lambda g: posterior("qnn", g, linearised=True).under(shots=9, generator=g),
            "got linearised ones; fit with linearised=False",
        ),
    ],
)
def test_what_cannot_be_a_posterior_is_refused(make, says, generator):
    with pytest.raises(ModelError, match=says):
        make(generator)
