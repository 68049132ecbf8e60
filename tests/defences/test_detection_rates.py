"""What detectors are worth: against an attack that does not know of them, and against one that does."""

from functools import lru_cache

import pytest
import torch
from scipy.stats import binomtest
from watching import clouds, watched_model

from robustq.attacks import PGD, Identity, run_attack
from robustq.data.bundled import breast_cancer
from robustq.data.prepare import prepare
from robustq.defences import Detection, detection_rates
from robustq.defences.detection.rates import two_sided
from robustq.errors import DataError
from robustq.models import Training, fit
from robustq.models.catalogue import qnn
from robustq.threats import Linf

BOX = (0.0, 1.0)


@lru_cache
def tumours():
    """``(model, train, test)`` of eight principal components."""
    data, generator = prepare(breast_cancer(), features=8), torch.Generator().manual_seed(1)
    model = qnn(8, 2, generator=generator, layers=3)
    fit(model, *data.tensors("train"), generator=generator, training=Training(epochs=6))
    return model.eval(), data.tensors("train"), data.tensors("test")


@lru_cache
def rates(names, eps=0.25):
    model, train, (x, y) = tumours()
    watched = Detection(names).around(model, *train, torch.Generator().manual_seed(3))
    attack, generator = PGD(steps=15, restarts=1), torch.Generator().manual_seed(4)
    return detection_rates(attack, watched, x, y, Linf(eps, BOX), generator=generator)


def test_the_interval_is_clopper_and_pearsons():
    for found, of in ((0, 20), (3, 40), (20, 20)):
        expected = binomtest(found, of).proportion_ci(0.95, "exact")
        assert two_sided(found, of) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("names", ["mahalanobis", "noise-response", "kernel-density"])
def test_who_does_not_know_of_the_alarm_is_seen_and_who_does_is_not(names):
    """Carlini & Wagner (AISec 2017), on a quantum model."""
    found = rates(names)
    assert found.auroc > 0.8
    assert found.caught > found.false_alarms
    assert found.bare < 0.05
    assert found.adaptive <= found.static
    assert found.auroc_adaptive < found.auroc - 0.3
    assert found.interval[0] <= 0.05 <= found.interval[1] + 0.05
    assert found.clean > 0.8


def test_the_adaptive_attack_undoes_what_the_alarm_seemed_to_buy():
    found = rates("noise-response")
    assert found.static > found.bare + 0.2
    assert found.adaptive < found.static - 0.2


def test_gradients_of_the_alarm_reach_the_attack():
    """Without the attack on the bare model's twin: PGD on model and detector together."""
    model, train, (x, y) = tumours()
    watched = Detection("noise-response").around(model, *train, torch.Generator().manual_seed(3))
    threat, attack = Linf(0.25, BOX), PGD(steps=15, restarts=1)
    aware = run_attack(attack, watched, x, y, threat, generator=torch.Generator().manual_seed(4))
    assert float(aware.robust.double().mean()) < rates("noise-response").static - 0.2
    with torch.no_grad():
        alarms = watched(aware.x_adv).argmax(1) == 2
    assert not bool(alarms[aware.success].any())


def test_without_an_attack_there_is_nothing_to_detect(generator):
    model, x, y = watched_model()
    watched = Detection().around(model, x, y, torch.Generator().manual_seed(0))
    new, labels = clouds(100, generator)
    found = detection_rates(Identity(), watched, new, labels, Linf(0.1), generator=generator)
    assert found.auroc is None
    assert found.caught is None
    assert found.static == found.adaptive == found.clean
    with pytest.raises(DataError, match="got none"):
        detection_rates(Identity(), watched, new[:0], labels[:0], Linf(0.1), generator=generator)


@pytest.mark.statistical
def test_rows_the_model_was_not_trained_on_calibrate_detectors_of_its_answers():
    """Over repeated draws of the calibration rows the false-alarm rate holds."""
    model, x, y = watched_model()
    watched = Detection("disagreement").around(model, x, y, torch.Generator().manual_seed(0))
    raised = []
    for seed in range(40):
        draw = torch.Generator().manual_seed(seed)
        watched.calibrate(clouds(60, draw)[0], 0.1)
        with torch.no_grad():
            raised.append(float((watched(clouds(100, draw)[0]).argmax(1) == 2).double().mean()))
    found = torch.tensor(raised)
    assert float(found.mean()) < 0.1 + 4 * float(found.std()) / 40**0.5
    assert float(found.mean()) > 0.03
