"""The pieces of studies/uncertainty.py that its figures rest on."""

import numpy as np
import pytest
import torch
from studies.uncertainty import Answered, From, Watched, apart, combined

from robustq.attacks import PGD, run_attack
from robustq.threats import Linf
from robustq.uncertainty import SCORES, Members


def accuracy(p, y):
    return float((p.argmax(1) == y).mean())


def test_a_paired_difference_knows_its_sign_and_that_nothing_is_nothing():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    right, wrong = np.eye(2)[y], np.eye(2)[1 - y]
    mixed = np.where((rng.random(200) < 0.3)[:, None], wrong, right)
    less = apart(accuracy, [mixed, mixed], [right, right], y)
    assert less.value == pytest.approx(accuracy(mixed, y) - 1)
    assert less.low < less.value < less.high < 0
    same = apart(accuracy, [mixed, right], [mixed, right], y)
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0))


def test_scores_are_added_as_standardised_on_the_known_rows():
    rng = np.random.default_rng(0)
    known, asked = (
        Answered(torch.tensor(rng.normal(size=(3, n, 2))), {"far": rng.normal(5, 2, (n, 2))}) for n in (50, 20)
    )
    energy, far = (asked.doubt(name) for name in ("energy", "far"))
    np.testing.assert_array_equal(combined("far", known, asked), far)
    sure = known.members.softmax(-1).mean(0).argmax(1).numpy()
    distance = known.apart["far"][np.arange(50), sure]
    old = SCORES["energy"](known.members).numpy()
    expected = (energy - old.mean()) / old.std() + (far - distance.mean()) / distance.std()
    np.testing.assert_allclose(combined("energy + far", known, asked), expected)


def centred(weights):
    """A linear model that is undecided in the middle of the box."""
    model = torch.nn.Linear(4, 3)
    model.load_state_dict({"weight": weights, "bias": -0.5 * weights.sum(1)})
    return model.requires_grad_(False)


def test_who_knows_the_score_finds_no_more_doubt_than_who_does_not():
    """Row by row, of a linear posterior."""
    generator = torch.Generator().manual_seed(0)
    members = Members.of([centred(4 * torch.randn(3, 4, generator=generator)) for _ in range(2)])
    x = torch.rand(40, 4, generator=generator)
    with torch.no_grad():
        y = members(x).argmax(1)
    threat = Linf(0.4, box=(0.0, 1.0))
    blind = run_attack(PGD(5, 1), members, x, y, threat, generator=generator).x_adv
    watched = Watched(members, lambda _, m: SCORES["confidence"](m), x, y)
    doubt, wrong = watched.asked(blind)
    least, found = watched.pressed(threat, blind)
    assert wrong.any()
    assert (found >= wrong).all()
    assert (least[wrong] <= doubt[wrong]).all()
    assert least[wrong].mean() < doubt[wrong].mean()
    assert From(blind).start is blind
