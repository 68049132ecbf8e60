"""Lu, Duan & Deng (2020): MNIST 1 or 9, amplitudes, BIM; what the published figures imply must hold."""

import pytest
from studies.published_attacks import ATTACKS, BIM, LU_2020, NOISE, mnist_1_or_9, robust

pytestmark = [pytest.mark.slow, pytest.mark.prove]
MODELS = tuple(LU_2020.plans)


@pytest.fixture(scope="module")
def images(data_dir):
    return mnist_1_or_9(train=3000, test=400)


@pytest.fixture(scope="module", params=MODELS)
def model(request, images):
    return LU_2020.trained(request.param, images.unit)


@pytest.fixture(scope="module")
def curve(model, images):
    """Accuracy under BIM by eps, eps 0 being no attack."""
    budgets = (0.0, *LU_2020.eps)
    return {eps: float(robust(model, images.unit, ATTACKS[BIM], eps).double().mean()) for eps in budgets}


def test_the_clean_accuracy_is_the_published_one(curve):
    assert curve[0.0] >= 0.98
    assert curve[0.0] == pytest.approx(LU_2020.published["QNN", BIM, 0.0], abs=0.015)


def test_accuracy_collapses_under_bim(curve):
    values = list(curve.values())
    assert values == sorted(values, reverse=True)
    assert curve[0.01] >= 0.95
    assert 0 < curve[0.03] < 0.9
    assert curve[0.05] < 0.1
    assert curve[0.1] <= 0.005


def test_noise_of_the_same_size_is_harmless(model, images):
    """The published contrast: 0.0 % under BIM at 0.1, 99.2 % under noise."""
    for eps in LU_2020.eps:
        assert float(robust(model, images.unit, ATTACKS[NOISE], eps).double().mean()) >= 0.97


def test_the_same_budget_is_smaller_on_grey_levels(images):
    """Amplitudes forget the length of the image, eps does not: one model, two curves."""
    model = LU_2020.trained("QNN", images.unit)
    attack = ATTACKS[BIM]
    for eps in (0.03, 0.05):
        grey = robust(model, images, attack, eps).double().mean()
        unit = robust(model, images.unit, attack, eps).double().mean()
        assert float(grey - unit) > 0.5
    assert float(robust(model, images, attack, 0.2).double().mean()) < 0.1
