"""Wendlinger, Tscharke & Debus (2024): Plus-Minus, quantum and convolutional, PGD of ten steps."""

import pytest
from studies.published_attacks import ATTACKS, BIM, NOISE, WENDLINGER_2024, plus_minus, robust

from robustq.models import parameter_count
from robustq.stats import proportion

pytestmark = [pytest.mark.slow, pytest.mark.prove]
EPS = 0.1


@pytest.fixture(scope="module")
def images(data_dir):
    return plus_minus()


@pytest.fixture(scope="module")
def models(images):
    return {name: WENDLINGER_2024.trained(name, images) for name in WENDLINGER_2024.plans}


def share(model, data, attack, eps):
    return proportion(robust(model, data, attack, eps).numpy())


def test_the_circuit_is_the_published_one(models):
    """32 layers of three angles on eight qubits, and our scale."""
    assert parameter_count(models["QNN"]) == 32 * 8 * 3 + 1
    assert models["QNN"].circuit.counts == {"rot": 256, "cx": 256}
    assert [str(o) for o in models["QNN"].observables] == ["1*Z0", "1*Z1", "1*Z2", "1*Z3"]


def test_both_models_learn_the_figures(models, images):
    for model in models.values():
        train = (model(images.x).argmax(1) == images.y).double().mean()
        assert float(train) >= 0.99
        assert share(model, images, ATTACKS[BIM], 0.0).value >= 0.98


def test_the_published_step_is_a_tenth_of_the_budget():
    search = ATTACKS[BIM]
    assert (search.steps, search.restarts, search.loss) == (10, 1, "cross-entropy")
    assert search.step_fraction * EPS == pytest.approx(0.01)


def test_both_models_fall_to_pgd_and_the_quantum_one_is_no_safer(models, images):
    """The convolutional network keeps about half of its rows (0.54 published), the quantum model fewer."""
    found = {name: share(model, images, ATTACKS[BIM], EPS) for name, model in models.items()}
    published = WENDLINGER_2024.published["ConvNet", BIM, EPS]
    assert found["ConvNet"].value == pytest.approx(published, abs=0.25)
    assert found["QNN"].high < found["ConvNet"].low
    assert found["QNN"].value < 0.3


def test_robustness_falls_with_the_budget(models, images):
    for model in models.values():
        values = [share(model, images, ATTACKS[BIM], eps).value for eps in (0, 0.02, 0.05, 0.1)]
        assert values == sorted(values, reverse=True)


def test_noise_of_the_same_size_is_harmless(models, images):
    for model in models.values():
        assert share(model, images, ATTACKS[NOISE], EPS).value >= 0.97
