"""Certified sets beside closed forms, dense grids, weaker certifiers and attacks."""

import math

import numpy as np
import pytest
import torch

from certify.quadratic_models import random_net
from oracles import one_qubit
from robustq.attacks import PGD, run_attack
from robustq.certify import (
    AmplitudeLinf,
    Complete,
    ExactAmplitude,
    ExactSmoothing,
    ExactState,
    GaussianSmoothing,
    Lipschitz,
    Vacuous,
)
from robustq.errors import CertificateError, SpecError
from robustq.states import StateView
from robustq.threats import L1, L2, Fidelity, Linf
from robustq.uncertainty.conformal import (
    Certified,
    Conformal,
    LeastAmbiguous,
    LogitMargin,
    calibrate,
    robust_calibrate,
    robust_sets,
)
from trained_models import trained

DECIDE = Complete(decide_only=True)
BOX = (0.0, 1.0)


def with_thresholds(*thresholds):
    return Conformal(LogitMargin(), 0.1, "class", thresholds, (99,) * len(thresholds))


def certified(model, threat, generator, certifier=DECIDE):
    return Certified(model, threat, certifier, generator)


def cosines(centre, reach):
    """The smallest and the largest cosine on arcs, ``(batch,)`` each."""
    ends = torch.cos(torch.stack([centre - reach, centre + reach]))

    def meets(angle):
        return torch.floor((centre + reach - angle) / (2 * math.pi)) >= torch.ceil(
            (centre - reach - angle) / (2 * math.pi)
        )

    low = torch.where(meets(math.pi), torch.tensor(-1.0).double(), ends.amin(0))
    return low, torch.where(meets(0.0), torch.tensor(1.0).double(), ends.amax(0))


@pytest.mark.parametrize(("norm", "dual"), [(Linf, 3.0), (L2, math.sqrt(5)), (L1, 2.0)])
@pytest.mark.parametrize("taus", [(1.0, -2.0), (-4.5, 3.3), (0.0, 0.0), (5.9, -5.9)])
def test_sets_of_one_qubit_are_exact(norm, dual, taus, generator):
    """``f_0 = c cos(w x + b) = -f_1``: every score is a cosine, every ball an arc."""
    weights, eps = [1.0, -2.0], 0.2
    model = one_qubit.model(weights, 0.4, generator).double()
    x = 3 * torch.randn(300, 2, generator=generator).double()
    found = robust_sets(with_thresholds(*taus), certified(model, norm(eps), generator), x)
    low, high = cosines(x @ torch.tensor(weights).double() + 0.4, torch.tensor(eps * dual).double())
    height = 2 * float(model.scale.detach())
    lowest = torch.stack([-height * high, height * low], 1)  # of both scores, over the ball
    clear = ((lowest - torch.tensor(taus)).abs() > 1e-6).numpy()
    expected = (lowest <= torch.tensor(taus)).numpy()
    assert clear.mean() > 0.99
    assert np.array_equal(found[clear], expected[clear])
    assert 0.02 < found.mean() < 0.98 or abs(taus[0]) > 5


def lowest_on_a_grid(model, x, threat, generator, points=3000):
    """Lower scores than these were not met at so many points of the ball, ``(batch, classes)``."""
    score = LogitMargin()
    found = np.full((len(x), 3), np.inf)
    for _ in range(points // 100):
        many = x.repeat_interleave(100, 0)
        near = threat.sample(many, generator)
        values = score.of(model(near).numpy()).reshape(len(x), 100, 3)
        found = np.minimum(found, values.min(1))
    return found


@pytest.mark.parametrize("norm", [Linf, L2, L1])
@pytest.mark.parametrize("taus", [(-0.5, 0.3, 1.0), (-3.0, -1.0, 2.5)])
def test_no_point_of_the_ball_scores_low_where_a_label_is_left_out(norm, taus, generator):
    model, x, _ = trained("iris", torch.float64)
    x, threat = x[::8], norm(0.06, BOX)
    frozen, conformal = model.freeze(), with_thresholds(*taus)
    found = robust_sets(conformal, certified(model, threat, generator), x)
    lowest = lowest_on_a_grid(frozen, x, threat, generator)
    plain = conformal.sets(frozen(x).numpy())
    assert not (~found & (lowest <= np.array(taus))).any()
    assert (found | ~plain).all()
    assert found.sum() > plain.sum()
    # and little is kept without need: wherever random points come near the threshold, or one j does not suffice
    needless = found & (lowest > np.array(taus) + 0.6)
    assert needless.mean() < 0.05


def test_weaker_certifiers_only_make_sets_larger(generator):
    model, x, _ = trained("iris", torch.float64)
    x, conformal = x[::5], with_thresholds(-0.5, 0.3, 1.0)
    threat = Linf(0.05, BOX)
    exact, bound, nothing = (
        robust_sets(conformal, certified(model, threat, generator, certifier), x)
        for certifier in (DECIDE, Lipschitz(), Vacuous())
    )
    assert (bound | ~exact).all()
    assert bound.sum() > exact.sum()
    assert nothing.all()


def test_a_ball_of_no_size_gives_the_plain_sets(generator):
    model, x, _ = trained("iris", torch.float64)
    conformal = with_thresholds(-0.5, 0.3, 1.0)
    found = robust_sets(conformal, certified(model, Linf(0.0, BOX), generator), x)
    assert np.array_equal(found, conformal.sets(model.freeze()(x).numpy()))


@pytest.mark.parametrize(("threat", "certifier"), [(L2(0.4), ExactAmplitude()), (Linf(0.15), AmplitudeLinf())])
@pytest.mark.parametrize("noisy", [False, True])
def test_amplitude_models_too(threat, certifier, noisy, generator):
    model = random_net(5, 3, generator, noisy)
    x = torch.randn(40, 5, generator=generator).double()
    x = x / x.norm(dim=1, keepdim=True)
    taus = (0.2, -0.3, 0.6)
    found = robust_sets(with_thresholds(*taus), certified(model, threat, generator, certifier), x)
    with torch.no_grad():
        lowest = lowest_on_a_grid(model.freeze(), x, threat, generator)
    assert not (~found & (lowest <= np.array(taus))).any()
    assert (~found).sum() > 10


def test_states_that_are_moved_themselves(generator):
    model, x, _ = trained("iris", torch.float64)
    view, threat = StateView.of(model), Fidelity(0.02)
    states, taus = view.encoded(x[::8]), (-0.5, 0.3, 1.0)
    found = robust_sets(with_thresholds(*taus), certified(view, threat, generator, ExactState()), states)
    lowest = lowest_on_a_grid(view, states, threat, generator)
    assert not (~found & (lowest <= np.array(taus))).any()
    assert (~found).sum() > 3


def test_hybrids_by_what_reaches_their_circuit(generator):
    model, x, _ = trained("hybrid", torch.float64)
    x, conformal = x[::10], with_thresholds(-0.5, 0.5)
    threat = Linf(0.01, BOX)
    found = robust_sets(conformal, certified(model, threat, generator), x)
    attacked = [
        run_attack(PGD(), model, x, torch.full((len(x),), k), threat, generator=generator).x_adv
        for k in (1, 0)  # away from the other label is towards this one
    ]
    with torch.no_grad():
        reached = [conformal.sets(model(moved).numpy())[:, k] for k, moved in enumerate(attacked)]
    assert not (~found & np.stack(reached, 1)).any()
    assert (~found).mean() > 0.2


@pytest.mark.parametrize("groups", ["none", "class"])
@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_inflated_thresholds_are_the_quantile_of_the_worst_case(name, groups, generator):
    """No attack lifts more scores over the threshold than alpha allows; a little lower one does."""
    model, x, y = trained(name, torch.float64)
    x, y = (x[::4], y[::4]) if name == "breast-cancer" else (x, y)
    threat, alpha = Linf(0.05, BOX), 0.1
    found = robust_calibrate(certified(model, threat, generator), x, y.numpy(), alpha=alpha, groups=groups)
    clean = calibrate(model.freeze()(x).numpy(), y.numpy(), alpha=alpha, score=LogitMargin(), groups=groups)
    assert all(a >= b for a, b in zip(found.thresholds, clean.thresholds, strict=True))
    moved = run_attack(PGD(steps=40), model, x, y, threat, generator=generator).x_adv
    with torch.no_grad():
        worst = LogitMargin().of(model(moved).numpy())[np.arange(len(y)), y.numpy()]
    parts = [y.numpy() >= 0] if groups == "none" else [y.numpy() == k for k in range(len(clean.counts))]
    for part, tau in zip(parts, found.thresholds, strict=False):
        kept = math.ceil(round((part.sum() + 1) * (1 - alpha), 9))
        attacked = np.sort(worst[part])[kept - 1]
        assert attacked - 1e-9 <= tau <= attacked + 0.05


def test_a_certifier_that_proves_nothing_is_given_up(generator):
    model, x, y = trained("iris", torch.float64)
    asked = certified(model, Linf(0.05, BOX), generator, Vacuous())
    with pytest.raises(CertificateError, match="bounds the scores"):
        robust_calibrate(asked, x, y.numpy(), alpha=0.1)


def test_what_would_not_be_a_proof_is_refused(generator):
    model, x, _ = trained("iris", torch.float64)
    conformal, threat = with_thresholds(0.0, 0.0, 0.0), L2(0.1)
    with pytest.raises(CertificateError, match="confidence"):
        certified(model, threat, generator, GaussianSmoothing(0.1))
    with pytest.raises(CertificateError, match="model itself"):
        robust_sets(conformal, certified(model, threat, generator, ExactSmoothing(0.1)), x)
    lac = Conformal(LeastAmbiguous(), 0.1, "none", (0.5,) * 3, (9,) * 3)
    with pytest.raises(SpecError, match="logit-margin"):
        robust_sets(lac, certified(model, threat, generator), x)
    with pytest.raises(SpecError, match="tolerance"):
        robust_calibrate(certified(model, threat, generator), x, x, alpha=0.1, tolerance=0.0)
