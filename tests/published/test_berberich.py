"""Berberich et al. (2024): what the published figures imply must hold, on one draw of the data and few starts."""

import pytest
import torch
from studies.berberich import PLANS, accuracies, best, ideal, labels_of, lipschitz, points, worst

pytestmark = [pytest.mark.slow, pytest.mark.prove]
DRAW, INITS = 4, 2


@pytest.fixture(scope="module", params=PLANS)
def trained(request):
    return request.param, best(request.param, DRAW, INITS)


def test_accuracies_are_near_the_published_ones(trained):
    name, model = trained
    found = accuracies(labels_of(model), DRAW)
    for value, published in zip(found, PLANS[name].accuracy, strict=True):
        assert published is None or value == pytest.approx(published, abs=0.05)
    assert found == sorted(found, reverse=True)


def test_the_penalty_brings_the_constant_down_as_published():
    free, bound = (lipschitz(best(name, DRAW, INITS)) for name in ("lambda = 0", "lambda = 0.2"))
    assert bound == pytest.approx(PLANS["lambda = 0.2"].lipschitz, rel=0.15)
    assert 20 < free < 60


def test_the_constant_bounds_the_slope():
    model = best("lambda = 0.2", DRAW, INITS)
    x, _ = points(200, torch.Generator().manual_seed(1))
    near = x + 1e-4 * torch.nn.functional.normalize(torch.randn(x.shape).double(), dim=1)
    with torch.no_grad():
        slope = (model(near) - model(x))[:, 0].abs() / 1e-4
    assert slope.max() <= lipschitz(model) * (1 + 1e-6)


def test_certified_attacked_and_the_circle_stand_in_order():
    model = best("lambda = 0.2", DRAW, INITS)
    found, limit = worst(model, DRAW, 40), ideal([DRAW])
    for eps in (0.1, 0.2):
        assert found[f"certified at {eps}"] <= found[f"attacked at {eps}"] + 1e-9
    assert 0 < found["certified at 0.2"] < found["certified at 0.1"]
    assert float(limit["attacked at 0.2"]) < float(limit["attacked at 0.1"]) < 1
