"""Berberich et al. (2024): a circle learnt with a Lipschitz penalty; the published figures must come out."""

import pytest
import torch
from studies.berberich import (
    MODELS,
    NOISE,
    circle,
    judged,
    lipschitz_bound,
    perfect,
    trained,
    under_noise,
)

from robustq.certify import Lipschitz, certify
from robustq.seeding import torch_generator
from robustq.threats import Linf

FREE, SLOW = "trained encoding, lambda 0", "trained encoding, lambda 0.2"


@pytest.fixture(scope="module")
def models():
    """One start in the place of nine."""
    points, y = circle(200, torch_generator(0, "train"))
    return {name: trained(MODELS[name], 4, points, y)[0] for name in (FREE, SLOW)}


def accuracy(model, eps):
    return float(under_noise(model, eps).double().mean())


def test_the_lipschitz_bounds_are_the_published_ones(models):
    """4.0 with the penalty, and about ten times as much without, which depends on the start."""
    assert lipschitz_bound(models[SLOW]) == pytest.approx(MODELS[SLOW].bound, abs=0.2)
    assert 28 < lipschitz_bound(models[FREE]) < 48


def test_accuracy_under_noise_is_the_published_one(models):
    for name, model in models.items():
        for eps in NOISE[1:]:
            assert accuracy(model, eps) == pytest.approx(MODELS[name].published[eps], abs=0.0125)
    assert accuracy(models[FREE], 0.0) == pytest.approx(MODELS[FREE].published[0.0], abs=0.0125)
    assert accuracy(models[SLOW], 0.0) > 0.92


def test_a_perfect_classifier_is_no_better_under_that_noise(models):
    """The noise carries points across the circle: what is measured is mostly that."""
    assert bool(perfect(0.0).all())
    for eps, most in ((0.1, 0.945), (0.2, 0.885)):
        ideal = float(perfect(eps).double().mean())
        assert ideal < most
        assert ideal - accuracy(models[SLOW], eps) < 0.03


def test_the_penalty_makes_the_bound_useful(models):
    """What the published bound proves at 0.05: nothing without the penalty."""
    points, y = (part[:100] for part in judged())
    proved = {}
    for name, model in models.items():
        found = certify(Lipschitz(), model, points, y, Linf(0.05), generator=torch.Generator())
        proved[name] = float(found.certified(0.05).double().mean())
    assert proved[FREE] < 0.1
    assert proved[SLOW] > proved[FREE] + 0.2
