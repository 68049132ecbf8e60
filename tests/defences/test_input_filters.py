"""Filters in front of a model: their values by a second implementation, their gradients, their files."""

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter, uniform_filter
from sklearn.decomposition import PCA
from watching import clouds

from robustq.attacks import PGD, run_attack
from robustq.contracts import Guard
from robustq.defences import Clipping, Projection, Recipe, Smoothing
from robustq.defences.filters.clipping import Clip
from robustq.defences.filters.projection import Project
from robustq.defences.filters.smoothing import Smooth
from robustq.defences.saved import load, save
from robustq.errors import DataError, SpecError
from robustq.models import Training
from robustq.models.catalogue import qnn
from robustq.threats import Linf


def rows(generator, count=60, features=4):
    return torch.rand(count, features, generator=generator, dtype=torch.float64)


def test_clipping_keeps_to_the_training_quantiles(generator):
    x = rows(generator)
    front = Clipping(0.1).around(torch.nn.Identity(), x, x, generator).front
    low, high = (np.quantile(x.numpy(), q, axis=0) for q in (0.1, 0.9))
    wide = 3 * rows(generator) - 1
    np.testing.assert_allclose(front(wide).numpy(), np.clip(wide.numpy(), low, high), rtol=1e-12)
    none = Clipping(0.0).around(torch.nn.Identity(), x, x, generator).front
    assert torch.equal(none(x), x)
    assert not torch.equal(front(x), x)


def test_projection_is_the_pca_reconstruction(generator):
    x = rows(generator) @ torch.diag(torch.tensor([1.0, 0.8, 0.1, 0.05]).double())
    front = Projection(0.9).around(torch.nn.Identity(), x, x, generator).front
    pca = PCA(0.9, svd_solver="full").fit(x.numpy())
    assert pca.n_components_ == len(front.components) == 2
    found = pca.inverse_transform(pca.transform(x.numpy())).clip(0, 1)
    np.testing.assert_allclose(front(x).numpy(), found, atol=1e-12)
    more = Projection(0.999).around(torch.nn.Identity(), x, x, generator).front
    assert float((more(x) - x).norm()) < float((front(x) - x).norm())


def test_projection_takes_perturbations_off_the_data_out(generator):
    line = torch.linspace(0.2, 0.8, 50).double()[:, None] * torch.ones(1, 3).double()
    x = line + 1e-3 * torch.randn(line.shape, generator=generator, dtype=torch.float64)
    front = Projection(0.9).around(torch.nn.Identity(), x, x, generator).front
    along, across = (0.1 * torch.tensor([d]).double() for d in ([1.0, 1, 1], [1.0, -1, 0]))
    assert float((front(x + across) - front(x)).abs().max()) < 1e-3
    assert float((front(x[:20] + along) - front(x[:20]) - along).abs().max()) < 1e-3


@pytest.mark.parametrize("window", [3, 5])
def test_smoothing_equals_scipy(window, generator):
    images = rows(generator, 4, 36)
    stack = images.reshape(4, 6, 6).numpy()
    median = median_filter(stack, (1, window, window), mode="nearest").reshape(4, 36)
    mean = uniform_filter(stack, (1, window, window), mode="nearest").reshape(4, 36)
    np.testing.assert_allclose(Smooth("median", window)(images).numpy(), median)
    np.testing.assert_allclose(Smooth("mean", window)(images).numpy(), mean, atol=1e-12)


@pytest.mark.parametrize("way", ["median", "mean"])
def test_smoothing_has_its_true_gradient(way, generator):
    images = rows(generator, 2, 9).requires_grad_()
    assert torch.autograd.gradcheck(Smooth(way, 3), images)


def test_what_is_clipped_passes_its_gradient(generator):
    """Outside of its range a clamp has no gradient; an attack from there would stand still."""
    x = torch.tensor([[-0.5, 1.5]], dtype=torch.float64, requires_grad=True)
    Clip(torch.zeros(2), torch.ones(2))(x).sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0]]
    y = torch.tensor([[2.0, 2.0]], dtype=torch.float64, requires_grad=True)
    project = Project(torch.zeros(2).double(), torch.tensor([[1.0, 0.0]]).double())
    found = project(y)
    assert found.tolist() == [[1.0, 0.0]]
    found.sum().backward()
    assert y.grad.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("guard", [Clipping(0.05), Projection(0.8), Smoothing("mean")])
def test_they_are_trained_through_saved_and_attacked(guard, generator, tmp_path):
    x, y = clouds(80, generator, features=4)
    recipe = Recipe((guard,))
    assert isinstance(guard, Guard)
    model, _ = recipe.fit(
        qnn(4, 2, generator=generator, layers=2), x, y, generator=generator, training=Training(epochs=8)
    )
    with torch.no_grad():
        assert float((model(x).argmax(1) == y).double().mean()) > 0.8
        save(model, tmp_path)
        assert torch.equal(load(tmp_path)(x), model(x))
    assert not torch.equal(model.front(x), x)
    torch.testing.assert_close(model.freeze()(x), model(x).detach(), rtol=1e-4, atol=1e-5)
    found = run_attack(PGD(steps=5), model, x, y, Linf(0.3, (0.0, 1.0)), generator=generator)
    assert float(found.robust.double().mean()) < 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Clipping(0.5), r"tails in \[0, 0.5\)"),
        (lambda: Projection(1.0), r"variance in \(0, 1\)"),
        (lambda: Smoothing("medain"), "did you mean 'median'"),
        (lambda: Smoothing(window=4), "odd window"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_rows_that_do_not_fit_are_refused(generator):
    x = rows(generator, 5, 6)
    with pytest.raises(DataError, match="square images"):
        Smoothing().around(torch.nn.Identity(), x, x, generator)
    with pytest.raises(DataError, match="that vary"):
        Projection().around(torch.nn.Identity(), torch.ones(5, 2), x, generator)
