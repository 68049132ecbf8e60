"""Every detector: its score by another implementation, its gradient, its file, what it responds to."""

import math

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest as Forest
from sklearn.neighbors import KernelDensity as Density
from sklearn.neighbors import NearestNeighbors
from watching import clean, watched_model

from robustq.circuits import ansaetze, encodings, pauli
from robustq.defences import Rejecting
from robustq.defences.detection.catalogue import DETECTORS, KINDS, makers
from robustq.defences.detection.detector import Clean
from robustq.defences.detection.disagreement import Disagreement
from robustq.defences.detection.isolation import IsolationForest
from robustq.defences.detection.kernel_density import KernelDensity
from robustq.defences.detection.mahalanobis import Mahalanobis
from robustq.defences.detection.neighbours import Neighbours
from robustq.defences.detection.noise_response import NoiseResponse
from robustq.defences.detection.prototypes import Prototypes
from robustq.defences.detection.shot_variance import ShotVariance
from robustq.defences.detection.squeezing import Squeezing
from robustq.defences.detection.support import Support
from robustq.defences.detection.view import View
from robustq.defences.filters.quantise import Quantise
from robustq.defences.front import Fronted
from robustq.defences.saved import load, save
from robustq.errors import DataError, ModelError, SpecError
from robustq.models import HybridNet, Perceptron, QuantumNet
from robustq.models.catalogue import qnn


def asked(detector, x, model=None):
    """A detector's scores of inputs."""
    model = model or watched_model()[0]
    return detector(x, model(x), View.live(model))


def points(generator, count=20, features=3):
    return torch.rand(count, features, generator=generator, dtype=torch.float64)


def test_mahalanobis_equals_ledoit_and_wolf(generator):
    _, x, y = watched_model()
    rows, labels = x.double().numpy(), y.numpy()
    means = np.stack([rows[labels == c].mean(0) for c in (0, 1)])
    fitted = LedoitWolf(assume_centered=True).fit(rows - means[labels])
    new = points(generator)
    found = asked(Mahalanobis.fitted(clean()), new)
    centred = [fitted.mahalanobis(new.numpy() - mean) for mean in means]
    np.testing.assert_allclose(found.detach(), np.minimum(*centred), rtol=1e-9)


def test_neighbours_equal_scikit_learn(generator):
    _, x, _ = watched_model()
    new = points(generator)
    for k in (1, 7):
        far = NearestNeighbors(n_neighbors=k).fit(x.double().numpy()).kneighbors(new.numpy())[0]
        found = asked(Neighbours.fitted(clean(), k=k), new)
        np.testing.assert_allclose(found.detach(), far[:, -1], rtol=1e-9)


def test_kernel_density_equals_scikit_learn(generator):
    model, x, y = watched_model()
    detector, new = KernelDensity.fitted(clean()), points(generator)
    answered = model(new).argmax(1)
    assert len(answered.unique()) == 2
    for c in (0, 1):
        width = float(detector.bandwidths[c])
        assert width == pytest.approx(float(x.double().std(0).mean()) * int((y == c).sum()) ** (-1 / 7))
        density = Density(bandwidth=width).fit(x[y == c].double().numpy())
        expected = -density.score_samples(new[answered == c].numpy())
        np.testing.assert_allclose(asked(detector, new)[answered == c].detach(), expected, rtol=1e-8)


def test_isolation_forest_equals_scikit_learn(generator):
    _, x, _ = watched_model()
    detector, new = IsolationForest.fitted(clean(seed=3), trees=30), points(generator, 200)
    seed = int(torch.randint(2**31 - 1, (), generator=torch.Generator().manual_seed(3)))
    forest = Forest(n_estimators=30, random_state=seed).fit(x.double().numpy())
    expected = -forest.score_samples(new.numpy())
    np.testing.assert_allclose(asked(detector, new).detach(), expected, rtol=1e-9)
    with_gradient = asked(detector, new.clone().requires_grad_())
    np.testing.assert_allclose(with_gradient.detach(), expected, rtol=1e-9)


def test_isolation_gradients_lead_inside(generator):
    """Along the negative gradient the score of outliers falls, step function or not."""
    detector = IsolationForest.fitted(clean(), trees=50)
    start = torch.full((1, 3), 0.95, dtype=torch.float64)
    x = start.clone()
    for _ in range(40):
        x = x.detach().requires_grad_()
        asked(detector, x).sum().backward()
        x = x - 0.01 * x.grad.sign()
    assert float(asked(detector, x.detach())) < float(asked(detector, start)) - 0.05


def test_disagreement_is_the_twins_surprise(generator):
    model, x, y = watched_model()
    detector, new = Disagreement.fitted(clean(), epochs=10), points(generator).float()
    answered = model(new).argmax(1)
    expected = torch.nn.functional.cross_entropy(detector.twin(new), answered, reduction="none")
    torch.testing.assert_close(asked(detector, new).float(), expected)
    agree = detector.twin(x).argmax(1) == y
    assert float(agree.double().mean()) > 0.9
    assert not any(p.requires_grad for p in detector.parameters())


def test_noise_response_is_what_the_device_changes(generator):
    model, x, y = watched_model()
    detector, new = NoiseResponse.fitted(clean(), gate_error=0.03), points(generator).float()
    noisy = model.under(detector.noise)
    with torch.no_grad():
        change, known = noisy(new) - model(new), (noisy(x) - model(x)).double()
    torch.testing.assert_close(detector.response(new, model(new), View.live(model)), change)
    assert float(change.abs().max()) > 0.01
    means = torch.stack([known[y == c].mean(0) for c in (0, 1)])
    fitted = LedoitWolf(assume_centered=True).fit((known - means[y]).numpy())
    centred = [fitted.mahalanobis((change.double() - mean).numpy()) for mean in means]
    np.testing.assert_allclose(asked(detector, new).detach(), np.minimum(*centred), rtol=1e-3)


@pytest.mark.parametrize("read", ["z", "mixed", "hybrid"])
@pytest.mark.statistical
def test_shot_covariance_is_that_of_sampled_answers(read, generator):
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    observables = [pauli("Z", 0), pauli("Z", 1) if read != "mixed" else pauli("XY", 0, 1)]
    model = QuantumNet(circuit, observables, generator=generator)
    if read == "hybrid":
        model = HybridNet(2, 2, model, generator=generator)
    x, shots, draws = torch.rand(1, 2, generator=generator), 20, 4000
    exact = View.live(model).shot_covariance(x)[0].detach().double() / shots
    sampled = model.under(shots=shots, generator=generator)
    with torch.no_grad():
        answers = sampled(x.expand(draws, -1)).double()
    found = torch.cov(answers.T)
    error = 5 * (exact.diag().outer(exact.diag()) * 2 / draws).sqrt() + 1e-6
    assert bool(((found - exact).abs() < error).all()), (found, exact)
    assert read == "mixed" or float(exact[0, 1].abs()) > float(error[0, 1])  # joint outcomes correlate


def test_shot_variance_is_margin_over_deviation(generator):
    """Of per-qubit Z the variance of one shot is ``1 - <Z>^2``; outcomes of a product state are independent."""
    model = QuantumNet(encodings.angle(2), [pauli("Z", 0), pauli("Z", 1)], generator=generator).double()
    x, scale = points(generator, 5, 2), float(model.scale.detach())
    z = model(x).detach() / scale
    deviation = scale * ((1 - z**2).sum(1) / 100).sqrt()
    expected = -scale * (z[:, 0] - z[:, 1]).abs() / deviation
    torch.testing.assert_close(asked(ShotVariance({"shots": 100}), x, model).detach(), expected)
    few = asked(ShotVariance({"shots": 25}), x, model).detach()
    torch.testing.assert_close(few, expected / 2)


def test_prototypes_are_mean_fidelities(generator):
    model, x, y = watched_model()
    detector, new = Prototypes.fitted(clean()), points(generator).float()
    frozen = model.freeze()
    overlaps = (frozen.states(new).conj() @ frozen.states(x).T).abs() ** 2
    means = torch.stack([overlaps[:, y == c].mean(1) for c in (0, 1)], 1).double()
    torch.testing.assert_close(detector.fidelities(new, View.live(model)), means, rtol=1e-4, atol=1e-6)
    answered = model(new).argmax(1)
    gap = means.gather(1, 1 - answered[:, None]) - means.gather(1, answered[:, None])
    torch.testing.assert_close(asked(detector, new), gap[:, 0], rtol=1e-4, atol=1e-6)


def test_squeezing_compares_the_answers(generator):
    model, new = watched_model()[0], points(generator).float()
    p, q = model(new).softmax(1), model(torch.round(new * 3) / 3).softmax(1)
    expected = ((p - q) * (p.log() - q.log())).sum(1)
    torch.testing.assert_close(asked(Squeezing({"bits": 2}), new).float(), expected, rtol=1e-3, atol=1e-5)
    on_the_grid = torch.round(new * 3) / 3
    assert float(asked(Squeezing({"bits": 2}), on_the_grid).detach().abs().max()) < 1e-9


def table(generator, count=200):
    """One continuous column, one of three values, and a one-hot triple."""
    free = 0.2 + 0.6 * torch.rand(count, 1, generator=generator)
    grade = 0.5 * torch.randint(3, (count, 1), generator=generator)
    kinds = torch.nn.functional.one_hot(torch.randint(3, (count,), generator=generator), 3)
    return torch.cat([free, grade, kinds.float()], 1).double()


def test_support_knows_values_ranges_and_patterns(generator):
    x = table(generator)
    model = Perceptron(5, [], 2, generator=generator).double()
    detector = Support.fitted(Clean(x, (x[:, 0] > 0.5).long(), View.live(model), generator))
    assert float(asked(detector, x, model).max()) < 0  # not at the alarm, which would be a tie
    wrong = x[:5].clone()
    wrong[0, 0] = 0.95  # out of range
    wrong[1, 1] = 0.3  # a value never seen, inside the range
    wrong[2, 2:] = 0  # nothing is hot
    wrong[3, 2:] = torch.tensor([1.0, 1.0, 0.0])  # two are
    found = asked(detector, wrong, model).tolist()
    assert found[0] == pytest.approx(0.95 - float(x[:, 0].max()), abs=2e-5)
    assert found[1] == pytest.approx(0.2, abs=2e-5)
    assert found[2] == found[3] == pytest.approx(1.0, abs=2e-5)
    assert found[4] < 0


def test_support_watches_only_what_it_is_told(generator):
    x = table(generator)
    model = Perceptron(5, [], 2, generator=generator).double()
    given = Clean(x, (x[:, 0] > 0.5).long(), View.live(model), generator)
    some, free = Support.fitted(given, features=[0]), Support.fitted(given, levels=1)
    wrong = x[:2].clone()
    wrong[0, 1], wrong[1, 0] = 0.3, 0.99
    assert (asked(some, wrong, model) > 0).tolist() == [False, True]
    assert (asked(free, wrong, model) > 0).tolist() == [False, True]
    with pytest.raises(SpecError, match=r"features in 0\.\.4"):
        Support.fitted(given, features=[5])


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_is_differentiable_and_saved(name, generator, tmp_path):
    model, x, _ = watched_model()
    detector = DETECTORS[name](clean())
    assert not list(detector.buffers()) or all(b.dtype.is_floating_point for b in detector.buffers())
    far = (x[:8] + 0.3).requires_grad_()
    scores = asked(detector, far)
    assert scores.shape == (8,)
    (slope,) = torch.autograd.grad(scores.sum(), far)
    assert bool(torch.isfinite(slope).all())
    assert float(slope.abs().max()) > 0
    watched = Rejecting(model, [detector]).calibrate(x)
    save(watched, tmp_path)
    again = load(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(x), watched(x))
        torch.testing.assert_close(watched.freeze()(x), watched(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [k.kind for k in KINDS if k.kind not in ("isolation-forest", "squeezing")])
def test_gradients_are_those_of_finite_differences(name, generator):
    model = watched_model()[0]
    detector, x = DETECTORS[name](clean()), 0.4 + 0.8 * points(generator, 6)
    double = qnn(3, 2, generator=generator, layers=2).double()
    double.load_state_dict({k: v.double() for k, v in model.state_dict().items()})
    detector = detector.double()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(asked(detector, x, double).sum(), x)
    step = 1e-6 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        ends = [asked(detector, x + sign * step, double) for sign in (1, -1)]
    rise = (ends[0] - ends[1]) / 2
    torch.testing.assert_close(rise, (slope * step).sum(1), rtol=1e-3, atol=1e-10)


def test_detectors_look_behind_fronts(generator):
    model, x, y = watched_model()
    fronted = Fronted(Quantise(3), model)
    given = Clean(x, y, View.live(fronted), generator)
    for kind in (Prototypes, NoiseResponse, ShotVariance):
        detector = kind.fitted(given)
        seen = detector(x, fronted(x), View.live(fronted)).detach()
        inner = detector(Quantise(3)(x), model(Quantise(3)(x)), View.live(model)).detach()
        torch.testing.assert_close(seen, inner)


@pytest.mark.parametrize("kind", [NoiseResponse, ShotVariance, Prototypes])
def test_quantum_detectors_refuse_classical_models(kind, generator):
    _, x, y = watched_model()
    model = Perceptron(3, [4], 2, generator=generator)
    with pytest.raises(ModelError, match="Perceptron"):
        kind.fitted(Clean(x, y, View.live(model), generator))


def test_names_are_checked():
    with pytest.raises(SpecError, match="did you mean 'mahalanobis'"):
        makers("mahalanobs")
    with pytest.raises(SpecError, match="each named once"):
        makers("support,support")
    with pytest.raises(SpecError, match="each named once"):
        makers(" , ")


def test_what_cannot_be_fitted_is_refused(generator):
    model, x, y = watched_model()
    view = View.live(model)
    with pytest.raises(DataError, match="1 <= k <= 300"):
        Neighbours.fitted(clean(), k=301)
    with pytest.raises(DataError, match="rows of every class"):
        Mahalanobis.fitted(Clean(x, 2 * y, view, generator))
    with pytest.raises(DataError, match="vary within"):
        Mahalanobis.fitted(Clean(torch.ones(4, 2), y[:4], view, generator))
    with pytest.raises(DataError, match="noise that changes answers"):
        NoiseResponse.fitted(clean(), gate_error=0.0)
    with pytest.raises(SpecError, match="shots >= 1"):
        ShotVariance.fitted(clean(), shots=0)
    with pytest.raises(SpecError, match=r"bits in 1\.\.16"):
        Squeezing.fitted(clean(), bits=0)
    assert math.isfinite(float(asked(Neighbours.fitted(clean()), x[:1])))
