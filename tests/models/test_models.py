"""Models: training, baselines, precision, determinism."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.svm import SVC

from robustq import engine
from robustq.contracts import Classifier, QuantumClassifier
from robustq.data import load, prepare
from robustq.errors import CircuitError, DataError, ModelError, SpecError
from robustq.models import RBFSVM, QuantumNet, Training, fit, parameter_count
from robustq.models.catalogue import MODELS, hybrid, mlp, qnn
from robustq.noise import Device, NoiseModel, mapped
from robustq.seeding import torch_generator

GRADIENT_TRAINED = [name for name in MODELS if name != "svm-rbf"]


def make(name, features=4, classes=2, seed=0, **options):
    return MODELS[name].make(features, classes, generator=torch_generator(seed, "init"), **options)


@pytest.fixture(scope="module")
def iris():
    return prepare(load("iris"))


@pytest.mark.parametrize("name", GRADIENT_TRAINED)
def test_every_model_learns_iris(name, iris):
    model = make(name, classes=3)
    x, y = iris.tensors("train")
    history = fit(model, x, y, generator=torch_generator(0, "fit"), training=Training(epochs=40, lr=0.08))
    x_test, y_test = iris.tensors("test")
    assert float((model(x_test).argmax(1) == y_test).double().mean()) >= 0.85
    assert history.epochs[history.best - 1].validation_loss < history.epochs[0].validation_loss


@pytest.mark.parametrize("name", MODELS)
def test_models_keep_the_contract(name, iris):
    model = make(name, classes=3)
    if isinstance(model, RBFSVM):
        model.fit_arrays(iris.x_train, iris.y_train, seed=0)
    assert isinstance(model, Classifier)
    x = torch.tensor(iris.x_test[:5])
    logits = model(x)
    assert logits.shape == (5, 3)
    assert logits.dtype == torch.float64
    assert isinstance(model, QuantumClassifier) == (MODELS[name].family != "classical")


@pytest.mark.parametrize("name", ["qnn", "reuploading", "hybrid"])
def test_frozen_and_noisy_views_agree_with_the_model(name, generator):
    model = make(name)
    x = torch.rand(6, 4, generator=generator)
    noise = NoiseModel.uniform(gate_error=0.02, readout_error=0.05)
    with torch.no_grad():
        torch.testing.assert_close(model.freeze()(x), model(x), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.freeze(noise)(x), model.under(noise)(x), atol=1e-4, rtol=1e-4)
        sampled = model.under(noise, shots=200_000, generator=generator)(x)
        torch.testing.assert_close(sampled, model.under(noise)(x), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("options", [{"encoding": "angle"}, {"encoding": "amplitude"}])
def test_a_device_is_the_mapped_circuit_under_its_noise(options, generator):
    model, device = make("qnn", layers=2, **options), Device.bundled("manila")
    x = 0.1 + torch.rand(5, 4, generator=generator)
    fit = mapped(model.circuit, model.observables, device)
    with torch.no_grad():
        values = engine.expectations(fit.circuit, fit.observables, inputs=x, parameters=model.theta, noise=fit.noise)
        assert torch.equal(model.under(device)(x), model.scale * values)
        assert torch.equal(model.under(fit)(x), model.under(device)(x))
        torch.testing.assert_close(model.freeze(device)(x), model.under(device)(x))
        assert not torch.allclose(model.under(device)(x), model(x), atol=1e-2)
    assert model.fitted(device) is model.fitted(Device.bundled("manila"))


@pytest.mark.parametrize("name", ["qnn", "reuploading", "hybrid"])
def test_frozen_and_sampled_views_agree_on_a_device(name, generator):
    model, device = make(name), Device.bundled("manila")
    x = torch.rand(6, 4, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(model.freeze(device)(x), model.under(device)(x), atol=1e-4, rtol=1e-4)
        sampled = model.under(device, shots=200_000, generator=generator)(x)
        torch.testing.assert_close(sampled, model.under(device)(x), atol=0.05, rtol=0.05)


def test_a_model_can_live_on_a_device(generator):
    device = Device.bundled("manila")
    plain = make("qnn")
    home = QuantumNet(plain.circuit, plain.observables, generator=generator, noise=device)
    home.load_state_dict(plain.state_dict())
    x = torch.rand(3, 4, generator=generator)
    assert torch.equal(home(x), plain.under(device)(x))
    torch.testing.assert_close(home.freeze()(x), home(x))
    home(x).sum().backward()
    assert bool(home.theta.grad.abs().sum() > 0)


def test_a_drifted_device_runs_the_circuit_fitted_before():
    model, device = make("qnn"), Device.bundled("manila")
    fit, later = model.fitted(device), device.drifted("gate-error-doubling", amount=30.0)
    stale = fit.on(later)
    assert (stale.circuit, stale.layout) == (fit.circuit, fit.layout)
    assert stale.noise == later.noise(fit.layout)


@pytest.mark.parametrize("name", ["qnn", "hybrid"])
def test_a_device_with_too_few_qubits_is_refused(name):
    model = make(name, features=6, **({"qubits": 6} if name == "hybrid" else {}))
    with pytest.raises(CircuitError, match="at most 5 qubits, got a circuit of 6"):
        model.freeze(Device.bundled("manila"))


def test_same_seed_same_weights(iris):
    x, y = iris.tensors("train")

    def trained(seed):
        model = make("qnn", classes=3, seed=seed)
        fit(model, x, y, generator=torch_generator(seed, "fit"), training=Training(epochs=2))
        return model.theta.detach()

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_training_ignores_the_global_generator(iris):
    x, y = iris.tensors("train")
    found = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        before = torch.random.get_rng_state()
        model = make("hybrid", classes=3)
        fit(model, x, y, generator=torch_generator(0, "fit"), training=Training(epochs=1))
        assert torch.equal(before, torch.random.get_rng_state())
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*found)


def test_early_stopping_keeps_the_best_weights(generator):
    x = torch.rand(60, 2, generator=generator)
    y = torch.randint(0, 2, (60,), generator=generator)  # noise: nothing to learn
    model = mlp(2, 2, generator=generator, hidden=64)
    seen = []
    history = fit(
        model,
        x,
        y,
        generator=generator,
        callbacks=[seen.append],
        training=Training(epochs=200, lr=0.1, patience=5, validation=0.3),
    )
    assert history.stopped_early
    assert len(history.epochs) == history.best + 5
    assert seen == list(history.epochs)
    losses = [epoch.validation_loss for epoch in history.epochs]
    assert losses[history.best - 1] == min(losses)


def test_matched_mlp_has_nearly_the_same_parameter_count():
    for features in (2, 6, 8, 30):
        wanted = parameter_count(qnn(8, 2, generator=torch.Generator(), layers=3))
        got = parameter_count(mlp(features, 2, generator=torch.Generator(), parameters=wanted))
        assert abs(got - wanted) <= (features + 3) / 2


@pytest.mark.parametrize("classes", [2, 3])
def test_svm_is_scikit_learns(classes, iris):
    keep = iris.y_train < classes
    x, y = iris.x_train[keep], iris.y_train[keep]
    model = RBFSVM(4, classes)
    model.fit_arrays(x, y, seed=0)
    gamma = 1 / (x.shape[1] * x.var())
    for k in range(classes):
        theirs = SVC(C=1.0, gamma=gamma).fit(x, y == k).decision_function(iris.x_test)
        ours = (model(torch.tensor(iris.x_test))[:, k] / model.scale).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-6)  # libsvm keeps its sums in float32
    chances = torch.softmax(model(torch.tensor(x)), 1).numpy()
    assert log_loss(y, chances) < 0.25


def test_svm_gradient_is_right(iris):
    model = RBFSVM(4, 3)
    model.fit_arrays(iris.x_train, iris.y_train, seed=0)
    x = torch.tensor(iris.x_test[:3], requires_grad=True)
    assert torch.autograd.gradcheck(model, (x,))


def test_svm_refuses_a_class_without_rows():
    with pytest.raises(DataError, match=r"rows of every class 0\.\.2, got counts \[2, 2, 0\]"):
        RBFSVM(1, 3).fit_arrays(np.arange(4.0)[:, None], np.array([0, 1, 0, 1]), seed=0)


def test_unfitted_svm_says_so():
    with pytest.raises(ModelError, match="expected a fitted support-vector machine"):
        RBFSVM(2, 2)(torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": torch.zeros(3)}, DataError, "int64 labels"),
        ({"y": torch.zeros(2).long()}, DataError, r"shape \(3,\)"),
        ({"x": torch.full((3, 2), torch.inf)}, DataError, "finite inputs"),
        ({"model": torch.nn.Identity()}, ModelError, "trainable parameters"),
    ],
)
def test_bad_training_input_is_named(change, error, message, generator):
    given = {"model": torch.nn.Linear(2, 2), "x": torch.zeros(3, 2), "y": torch.zeros(3).long()}
    given |= change
    with pytest.raises(error, match=message):
        fit(given["model"], given["x"], given["y"], generator=generator)


def test_diverging_training_is_refused(generator):
    model = torch.nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match="finite loss"):
        fit(model, torch.ones(4, 1), torch.zeros(4).long(), generator=generator)


@pytest.mark.parametrize("change", [{"epochs": 0}, {"lr": 0.0}, {"validation": 1.0}])
def test_impossible_training_is_refused(change):
    with pytest.raises(SpecError, match="expected"):
        Training(**change)


def test_one_observable_is_not_a_classifier():
    circuit = qnn(2, 2, generator=torch.Generator()).circuit
    with pytest.raises(ModelError, match="observable per class"):
        QuantumNet(circuit, qnn(2, 2, generator=torch.Generator()).observables[:1], generator=torch.Generator())


def test_a_cnn_is_what_torch_would_compute(generator):
    model = MODELS["cnn"].make(36, 3, generator=generator, channels=4).double()
    x = torch.rand(5, 36, generator=generator, dtype=torch.float64)
    by_hand = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 6, 6)),
        model.first,
        torch.nn.ReLU(),
        model.second,
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        model.last,
    )
    assert model.first.weight.shape == (4, 1, 3, 3)
    assert model.last.in_features == 8 * 3 * 3
    torch.testing.assert_close(model(x), by_hand(x), atol=1e-12, rtol=0)


def test_a_cnn_is_as_precise_as_its_input(generator):
    model = MODELS["cnn"].make(25, 2, generator=generator)
    x = torch.rand(2, 25, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (x,))
    torch.testing.assert_close(model(x.float()).double(), model(x), atol=1e-5, rtol=1e-5)


def test_a_cnn_sees_neighbours_where_they_are(generator):
    """A shift by two pixels moves the second layer's maps by one; a shuffle of the pixels does not."""
    model = MODELS["cnn"].make(256, 2, generator=generator)
    image = torch.zeros(1, 1, 16, 16)
    image[..., 5:9, 5:9] = torch.rand(4, 4, generator=generator)
    maps = [torch.relu(model.second(torch.relu(model.first(i)))) for i in (image, image.roll(2, 3))]
    torch.testing.assert_close(maps[0].roll(1, 3)[..., 2:-1], maps[1][..., 2:-1])


@pytest.mark.parametrize("features", [0, 8, -4])
def test_pixels_that_make_no_square_are_refused(features):
    with pytest.raises(ModelError, match=f"expected a square number of pixels.*got {features}"):
        MODELS["cnn"].make(features, 2, generator=torch.Generator())


def test_images_of_another_size_are_refused(generator):
    with pytest.raises(ModelError, match=r"pixels of shape \(batch, 16\), got \(2, 25\)"):
        MODELS["cnn"].make(16, 2, generator=generator)(torch.zeros(2, 25))


def test_a_hybrid_s_polynomials_are_its_logits(generator):
    frozen = hybrid(6, 3, generator=generator, layers=1).freeze()
    with torch.no_grad():
        frozen.after.bias += 1.0
        x = torch.rand(5, 6, generator=generator, dtype=torch.float64)
        weight, bias = frozen.front
        form = frozen.trigonometric()
        values = form(torch.sigmoid(x @ weight.T + bias))
    torch.testing.assert_close(values, frozen(x), rtol=0, atol=form.error)
    states = frozen.states(x)
    means = torch.einsum("bi,kij,bj->bk", states.conj(), frozen.state_forms(), states).real
    torch.testing.assert_close(means, frozen(x), rtol=1e-10, atol=1e-10)
