"""Each posterior against what it approximates: quadrature, closed forms, its own snapshots."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from torch import nn
from toys import blobs, quantum_trainer

from robustq.errors import SpecError
from robustq.models.catalogue import hybrid, logistic, qnn
from robustq.models.training import Training
from robustq.uncertainty import Ensemble, Laplace, MeanField, Members, Point, Scaling, Swag, Trainer
from robustq.uncertainty.laplace import Gaussian, best_precision, evidence, gauss_newton, gaussian, last_layer
from robustq.uncertainty.mean_field import Variational
from robustq.uncertainty.swag import SwagPosterior
from robustq.uncertainty.vectors import at, jacobian, vector_of


class TwoWeights(nn.Module):
    """Logistic regression with one weight and one bias: logits ``(0, w x + b)``."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(torch.as_tensor(weights))

    def forward(self, x):
        values = self.weights[0].to(x) * x[:, 0] + self.weights[1].to(x)
        return torch.stack([torch.zeros_like(values), values], 1)


def logistic_toy(rng, rows=80, precision=1.0):
    """Data, and the most probable weights under the prior."""
    x = rng.normal(size=rows)
    y = (rng.random(rows) < expit(1.3 * x - 0.4)).astype(int)

    def loss(w):
        values = w[0] * x + w[1]
        return np.logaddexp(0, values).sum() - (y * values).sum() + precision / 2 * (w @ w)

    return x, minimize(loss, np.zeros(2), tol=1e-12).x, loss


def test_curvature_is_the_hessian_of_logistic_regression(rng, generator):
    """Where logits are linear in the parameters Gauss-Newton and Newton are one."""
    model = logistic(3, 3, generator=generator).double()
    x = torch.as_tensor(rng.normal(size=(20, 3)))
    y = torch.as_tensor(rng.integers(0, 3, 20))

    def loss(vector):
        return nn.functional.cross_entropy(at(model, vector)(x), y, reduction="sum")

    hessian = torch.autograd.functional.hessian(loss, vector_of(model))
    found = gauss_newton(model, x, range(12))
    assert torch.allclose(found, hessian, atol=1e-7)
    assert torch.allclose(gauss_newton(model, x, [2, 5]), hessian[[2, 5]][:, [2, 5]], atol=1e-7)


def test_rows_beyond_one_chunk_count(generator):
    model, x = (logistic(2, 2, generator=generator).double(), torch.rand(1300, 2, generator=generator))
    whole = sum(gauss_newton(model, part, range(6)) for part in x.double().split(100))
    assert torch.allclose(gauss_newton(model, x, range(6)), whole, rtol=1e-8)


def test_laplace_is_the_posterior_of_logistic_regression(rng):
    """Moments, predictive and evidence by quadrature over both weights."""
    x, best, loss = logistic_toy(rng)
    found = gaussian(TwoWeights(best), torch.as_tensor(x)[:, None], [0, 1], 1.0)
    sd = found.covariance.diagonal().sqrt().numpy()
    w, b = np.meshgrid(*(m + s * np.linspace(-7, 7, 141) for m, s in zip(best, sd, strict=True)))
    weight = np.array([math.exp(loss(best) - loss(v)) for v in np.stack([w.ravel(), b.ravel()], 1)])
    cell = 0.1**2 * sd.prod()

    def integral(values):  # the rectangle rule converges exponentially for what vanishes at the edges
        return cell * float((weight * np.ravel(values)).sum())

    mass = integral(np.ones_like(w))
    mean = integral(w) / mass
    variance = integral((w - mean) ** 2) / mass
    assert found.covariance[0, 0] == pytest.approx(variance, rel=0.12)
    # log evidence less the log likelihood at the mode; the prior's normalisation is 1 / (2 pi)
    curvature = found.curvature.numpy()
    likelihood = loss(best) - 0.5 * best @ best
    exact = math.log(mass / (2 * math.pi)) - loss(best) + likelihood
    assert evidence(best, curvature, 1.0) == pytest.approx(exact, abs=0.03)
    # the predictive, by members on the tangent (which is the model itself here)
    draws = found.draw(2000, torch.Generator().manual_seed(1)) + torch.as_tensor(best)
    model = Members(TwoWeights(best), draws, linearised=True)
    with torch.no_grad():
        ours = model(torch.tensor([[1.5]], dtype=torch.float64)).exp()[0, 1]
    truth = integral(expit(1.5 * w + b)) / mass
    assert float(ours) == pytest.approx(truth, abs=0.015)


def test_draws_have_the_covariance_they_should(generator):
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    curvature, axes = torch.linalg.eigh(root @ root.mT)
    found = Gaussian(curvature, axes, 0.7)
    exact = torch.linalg.inv(root @ root.mT + 0.7 * torch.eye(4, dtype=torch.float64))
    assert torch.allclose(found.covariance, exact)
    draws = found.draw(40000, generator)
    assert torch.allclose(draws.mT.cov(), exact, atol=0.04)


def test_best_precision_beats_a_grid(rng):
    parameters, curvature = rng.normal(size=30), rng.gamma(1, 20, 30)
    best = best_precision(parameters, curvature)
    highest = max(evidence(parameters, curvature, d) for d in np.logspace(-6, 8, 2000))
    assert evidence(parameters, curvature, best) >= highest - 1e-9
    # MacKay's fixed point: delta |theta|^2 = sum h / (h + delta)
    effective = (curvature / (curvature + best)).sum()
    assert best * parameters @ parameters == pytest.approx(effective, rel=1e-3)


def test_the_last_layer_is_the_last(generator):
    core = hybrid(5, 3, generator=generator, qubits=3, layers=1)
    named = [(n, p.numel()) for n, p in core.named_parameters()]
    ends = np.cumsum([size for _, size in named])
    places = {n: range(e - s, e) for (n, s), e in zip(named, ends, strict=True)}
    assert last_layer(core) == [*places["after.weight"], *places["after.bias"]]
    model = qnn(3, 3, generator=generator, layers=4)
    assert last_layer(model) == [*range(27, 36), 36]  # three angles a qubit, and the scale


def test_last_layer_laplace_moves_nothing_else(generator):
    x, y = blobs(generator)
    model = Laplace(members=4, last_layer=True).fit(quantum_trainer(generator), x, y, generator=generator)
    moved = (model.vectors != vector_of(model.base)).any(0)
    assert moved.nonzero()[:, 0].tolist() == last_layer(model.base)


def test_the_linearised_predictive_has_the_variance_of_its_posterior(generator):
    """Of each logit: ``J Sigma J^T``."""
    x, y = blobs(generator)
    model = Laplace(members=1000).fit(quantum_trainer(generator), x, y, generator=generator)
    among = range(model.vectors.shape[1])
    base = model.base
    precision = best_precision(
        vector_of(base).double().numpy(), torch.linalg.eigvalsh(gauss_newton(base, x, among)).clamp(min=0).numpy()
    )
    sigma = gaussian(base, x, among, precision).covariance
    slopes = jacobian(base, x[:5])
    exact = torch.einsum("ncp,pq,ncq->nc", slopes, sigma, slopes)
    with torch.no_grad():
        found = model.freeze().members(x[:5].double()).var(0)
    assert torch.allclose(found, exact, rtol=0.2)


class SquaredError:
    """A Gaussian likelihood of the first logit: a defence, to training."""

    def __init__(self, noise):
        self.noise = noise

    def losses(self, model, step):
        return (model(step.x)[:, 0] - step.y.to(step.x)).square() / (2 * self.noise**2)


def test_mean_field_finds_the_best_gaussian_of_a_conjugate_problem(generator):
    """Its means are the posterior's, its variances the reciprocals of the precision's diagonal."""
    rows, noise, prior = 200, 0.5, 0.8
    x = torch.randn(rows, 3, generator=generator) @ torch.tensor([[1.0, 0.6, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.7]])
    y = (torch.rand(rows, generator=generator) < torch.sigmoid(x[:, 0] - x[:, 2])).long()

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return torch.stack([x @ self.weights, torch.zeros(len(x))], 1)

    plan = Training(epochs=300, batch_size=rows, lr=0.03, validation=0.0, patience=0)
    trainer = Trainer(lambda k: Linear(), plan, SquaredError(noise))
    found = MeanField(members=20000, prior=prior).fit(trainer, x, y, generator=generator)
    precision = x.mT @ x / noise**2 + torch.eye(3) / prior**2
    mean = torch.linalg.solve(precision, x.mT @ y.float() / noise**2)
    width = precision.diagonal().rsqrt()
    assert (found.vectors.mean(0) - mean).abs().max() < 0.5 * float(width.min())
    assert torch.allclose(found.vectors.std(0), width, rtol=0.15)
    off = found.vectors.mT.corrcoef() - torch.eye(3)
    assert off.abs().max() < 0.05  # it cannot be correlated, though the truth is


def test_divergence_is_torchs(generator):
    how = MeanField(prior=0.6, width=0.1)
    centre = torch.randn(6, generator=generator)
    model = Variational(logistic(2, 2, generator=generator), centre, how, generator)
    q = torch.distributions.Normal(model.mean, model.width)
    p = torch.distributions.Normal(centre, torch.full_like(centre, 0.6))
    expected = torch.distributions.kl_divergence(q, p).sum()
    assert torch.allclose(model.divergence(), expected)
    assert torch.allclose(model.width, torch.full((6,), 0.1))


def test_wandering_is_half_the_covariance_and_half_its_diagonal(rng, generator):
    snapshots = rng.normal(size=(7, 4)) @ rng.normal(size=(4, 4))
    found = SwagPosterior(torch.as_tensor(snapshots))
    expected = (np.cov(snapshots.T) + np.diag(snapshots.var(0))) / 2
    assert found.covariance.numpy() == pytest.approx(expected)
    draws = found.draw(60000, generator)
    assert draws.mean(0).numpy() == pytest.approx(snapshots.mean(0), abs=0.05)
    assert draws.mT.cov().numpy() == pytest.approx(expected, abs=0.05 * expected.max())


def test_swag_keeps_a_snapshot_of_every_further_epoch(generator, monkeypatch):
    kept = []
    monkeypatch.setattr(
        SwagPosterior, "draw", lambda self, count, g: kept.append(self.snapshots) or self.snapshots[:count]
    )
    x, y = blobs(generator)
    Swag(members=2, snapshots=5, lr=0.02).fit(quantum_trainer(generator), x, y, generator=generator)
    assert kept[0].shape[0] == 5
    assert (kept[0].diff(dim=0).norm(dim=1) > 0).all()


def test_a_constant_rate_stays_and_a_cosine_falls():
    weight = nn.Parameter(torch.zeros(1))
    rates = {}
    for schedule in ("constant", "cosine"):
        optimiser = torch.optim.Adam([weight], lr=0.3)
        steps = Training(schedule=schedule).decay(optimiser, 10)
        seen = []
        for _ in range(10):
            optimiser.step()
            steps.step()
            seen.append(optimiser.param_groups[0]["lr"])
        rates[schedule] = seen
    assert rates["constant"] == [0.3] * 10
    assert rates["cosine"] == pytest.approx([0.15 * (1 + math.cos(math.pi * k / 10)) for k in range(1, 11)])


METHODS = {
    "point": Point(),
    "ensemble": Ensemble(2),
    "multi-swag": Ensemble(2, of=Swag(members=3, snapshots=3)),
    "laplace": Laplace(members=3),
    "last-layer": Laplace(members=3, last_layer=True, linearised=False),
    "swag": Swag(members=3, snapshots=3),
    "mean-field": MeanField(members=3, centre="start"),
    "temperature": Scaling(of=Ensemble(2)),
    "vector": Scaling("vector"),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_and_one_seed_reproduces_it(name):
    def fitted():
        generator = torch.Generator().manual_seed(5)
        x, y = blobs(generator, apart=2.0)
        trainer = quantum_trainer(generator)
        trainer = replace(trainer, training=replace(trainer.training, epochs=15))
        model = METHODS[name].fit(trainer, x, y, generator=generator)
        assert not model.training
        with torch.no_grad():
            return model(x), y

    (one, y), (two, _) = fitted(), fitted()
    assert torch.equal(one, two)
    assert (one.argmax(1) == y).double().mean() > 0.85
    assert torch.allclose(one.softmax(1).sum(1), torch.ones(len(y)))


def test_members_of_an_ensemble_start_apart_and_those_of_one_start_do_not(generator):
    built = []

    def build(k):
        built.append(k)
        return qnn(2, 2, generator=torch.Generator().manual_seed(k), layers=1)

    x, y = blobs(generator)
    trainer = Trainer(build, Training(epochs=1))
    found = Ensemble(3).fit(trainer, x, y, generator=generator)
    assert built == [0, 1, 2]
    assert (found.vectors[0] - found.vectors[1]).norm() > 0.1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Ensemble(0), "size >= 1, got 0"),
        (lambda: Laplace(members=0), "members >= 1"),
        (lambda: Laplace(precision=-1.0), "precision > 0, got -1"),
        (lambda: Swag(snapshots=1), "snapshots >= 2"),
        (lambda: MeanField(prior=0.0), "positive prior"),
        (lambda: MeanField(members=0), "members >= 1"),
        (lambda: MeanField(centre="middle"), "got 'middle'"),
        (lambda: Scaling("platt"), "got 'platt'"),
        (lambda: Scaling(share=1.0), "share in"),
        (lambda: Training(schedule="linear"), "got 'linear'"),
    ],
)
def test_impossible_options_are_refused(make, says):
    with pytest.raises(SpecError, match=says):
        make()


def test_tangents_of_different_models_are_not_joined(generator):
    from robustq.errors import ModelError

    x, y = blobs(generator)
    method = Ensemble(2, of=Laplace(members=2))
    with pytest.raises(ModelError, match="linearised or scaled"):
        method.fit(quantum_trainer(generator), x, y, generator=generator)


@given(st.floats(1e-3, 1e3), st.floats(0, 100))
@settings(max_examples=30, deadline=None)
def test_evidence_falls_with_curvature(precision, curvature):
    """Nothing is surer before the data than what the data could not change."""
    flat = evidence(np.zeros(1), np.zeros(1), precision)
    assert evidence(np.zeros(1), np.array([curvature]), precision) <= flat + 1e-12
