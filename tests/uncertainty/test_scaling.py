"""Scaling against grids and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from torch import nn
from toys import blobs, quantum_trainer

from robustq import stats
from robustq.errors import DataError, ModelError
from robustq.noise import Device
from robustq.uncertainty import Point, Scaled, Scaling, scaled
from robustq.uncertainty.scaling import slopes_and_shifts, temperature


def drawn_labels(rng, logits):
    return np.array([rng.choice(logits.shape[1], p=p) for p in softmax(logits, 1)])


def loss(logits, labels):
    return -log_softmax(logits, 1)[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("truth", [0.3, 1.0, 4.0])
def test_temperature_beats_a_grid_and_finds_the_truth(rng, truth):
    logits = rng.normal(size=(4000, 3)) * 2
    labels = drawn_labels(rng, logits / truth)
    found = temperature(logits, labels)
    assert loss(logits / found, labels) <= min(loss(logits / t, labels) for t in np.logspace(-2, 2, 400)) + 1e-9
    assert found == pytest.approx(truth, rel=0.15)


def test_vector_scaling_of_two_classes_is_a_logistic_regression(rng):
    """Two slopes and the difference of the shifts: unpenalised regression on both logits."""
    logits = rng.normal(size=(500, 2)) * 2
    labels = drawn_labels(rng, logits * np.array([0.5, 1.5]) + np.array([0.3, 0.0]))
    slope, shift = slopes_and_shifts(logits, labels)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits, labels)
    assert [-slope[0], slope[1]] == pytest.approx(fitted.coef_[0], abs=1e-3)
    assert shift[1] - shift[0] == pytest.approx(fitted.intercept_[0], abs=1e-3)


def test_vector_scaling_is_never_worse_where_it_was_fitted(rng):
    logits = rng.normal(size=(300, 4))
    labels = drawn_labels(rng, logits * 2)
    slope, shift = slopes_and_shifts(logits, labels)
    assert loss(slope * logits + shift, labels) <= loss(logits / temperature(logits, labels), labels) + 1e-9


def test_temperature_leaves_answers_as_they_are_and_calibrates(rng):
    logits = torch.as_tensor(rng.normal(size=(6000, 3))).float()
    labels = torch.as_tensor(drawn_labels(rng, logits.numpy()))
    sure = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        sure.weight.copy_(4 * torch.eye(3))
        model = scaled(sure, logits[:3000], labels[:3000])
        before, after = sure(logits[3000:]), model(logits[3000:])
    assert torch.equal(before.argmax(1), after.argmax(1))
    truth = labels[3000:].numpy()
    errors = [stats.expected_calibration_error(p.softmax(1).double().numpy(), truth) for p in (before, after)]
    assert errors[1] < 0.03 < 0.2 < errors[0]


def test_a_scaled_model_runs_on_devices(generator):
    x, y = blobs(generator)
    model = Scaling(of=Point()).fit(quantum_trainer(generator), x, y, generator=generator)
    inner, device = model.model, Device.bundled("manila")
    with torch.no_grad():
        assert torch.allclose(model.freeze()(x), model(x), atol=1e-5)
        assert torch.allclose(model.freeze(device)(x), model.answer(inner.freeze(device)(x)), atol=1e-6)
        assert torch.allclose(model.under(device)(x), model.freeze(device)(x), atol=1e-5)


def test_too_few_rows_are_refused_with_their_number(generator):
    x, y = blobs(generator, rows=16)
    with pytest.raises(DataError, match="at least 4 rows to calibrate with, got 2"):
        Scaling("vector").fit(quantum_trainer(generator), x, y, generator=generator)
    with pytest.raises(DataError, match="at least 1 rows"):
        temperature(np.zeros((0, 2)), np.zeros(0, dtype=int))
    with pytest.raises(DataError, match="a label for each row"):
        temperature(np.zeros((3, 2)), np.zeros(2, dtype=int))


def test_a_classical_model_has_no_device():
    model = Scaled(nn.Linear(2, 2), torch.ones(2), torch.zeros(2))
    assert model.freeze() is model
    for run in (lambda: model.under(), lambda: model.freeze(Device.bundled("manila"))):
        with pytest.raises(ModelError, match="expected a quantum model, got Linear"):
            run()
