"""Scores of doubt and the parts of entropy: definitions, bounds, sums."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy

from robustq.errors import DataError, ModelError
from robustq.models.catalogue import qnn
from robustq.noise import Device
from robustq.uncertainty import SCORES, Members, decomposed, split
from robustq.uncertainty.catalogue import UNCERTAINTIES

logit = st.floats(-20, 20)
members = arrays(float, array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=4), elements=logit)


@given(members)
def test_scores_are_their_definitions(table):
    chances, t = softmax(table, -1), torch.as_tensor(table)
    mean = chances.mean(0)
    ordered, winner = np.sort(mean, 1), mean.argmax(1)
    inner = entropy(chances, axis=-1).mean(0)
    own = chances[:, np.arange(len(winner)), winner].var(0)
    expected = {
        "confidence": 1 - ordered[:, -1],
        "margin": 1 - (ordered[:, -1] - ordered[:, -2]),
        "entropy": entropy(mean, axis=-1),
        "mutual-information": entropy(mean, axis=-1) - inner,
        "expected-entropy": inner,
        "energy": -logsumexp(table.mean(0), axis=-1),
    }
    for name, value in expected.items():
        assert SCORES[name](t).numpy() == pytest.approx(value, abs=1e-9), name
    if (ordered[:, -1] - ordered[:, -2]).min() > 1e-9:  # of equal winners either will do
        assert SCORES["variance"](t).numpy() == pytest.approx(own, abs=1e-9)
    assert set(SCORES) == {*expected, "variance"}


@given(members)
@settings(max_examples=80, deadline=None)
def test_scores_keep_their_bounds_and_do_not_care_who_is_who(table):
    classes = table.shape[2]
    most = {
        "confidence": 1 - 1 / classes,
        "margin": 1,
        "entropy": math.log(classes),
        "mutual-information": math.log(classes),
        "expected-entropy": math.log(classes),
        "variance": 0.25,
    }
    t = torch.as_tensor(table)
    for name, top in most.items():
        value = SCORES[name](t)
        assert (value >= -1e-9).all(), name
        assert (value <= top + 1e-9).all(), name
        assert torch.allclose(SCORES[name](t.flip(0)), value, atol=1e-12)
        shifted = SCORES[name](t + 3.0)  # a softmax forgets a common shift
        assert torch.allclose(shifted, value, atol=1e-9)


def test_members_that_agree_know_all_they_can(generator):
    one = torch.randn(1, 5, 3, generator=generator, dtype=torch.float64).expand(4, 5, 3)
    assert SCORES["mutual-information"](one).abs().max() < 1e-12
    assert SCORES["variance"](one).abs().max() < 1e-12


drawn = arrays(float, array_shapes(min_dims=4, max_dims=4, min_side=2, max_side=3), elements=logit)


@given(drawn, st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_the_parts_add_up_and_are_their_definitions(table, seed):
    rng = np.random.default_rng(seed)
    twins = [rng.normal(size=(len(table), *table.shape[2:])) for _ in range(2)]
    found = split(torch.as_tensor(table), noiseless=torch.as_tensor(twins[0]), noisy=torch.as_tensor(twins[1]))
    parts = [found.epistemic, found.shots, found.noise, found.data]
    assert torch.allclose(sum(parts), found.total, atol=1e-12)
    chances = softmax(table, -1)
    total = entropy(chances.mean((0, 1)), axis=-1)
    by_member = entropy(chances.mean(1), axis=-1).mean(0)
    exact = entropy(chances, axis=-1).mean((0, 1))
    added = entropy(softmax(twins[1], -1), axis=-1).mean(0) - entropy(softmax(twins[0], -1), axis=-1).mean(0)
    for ours, theirs in zip(
        [found.total, *parts], [total, total - by_member, by_member - exact, added, exact - added], strict=True
    ):
        assert ours.numpy() == pytest.approx(theirs, abs=1e-9)
    for part in (found.total, found.epistemic, found.shots):
        assert (part >= -1e-9).all()


def test_without_a_device_the_split_is_the_one_in_use(generator):
    table = torch.randn(6, 4, 3, generator=generator)
    found = split(table)
    assert torch.allclose(found.epistemic.float(), SCORES["mutual-information"](table), atol=1e-6)
    assert torch.allclose(found.data.float(), SCORES["expected-entropy"](table), atol=1e-6)
    assert not found.shots.any()
    assert not found.noise.any()


def test_logarithms_of_probabilities_do_as_well_as_logits(rng):
    table = rng.normal(size=(3, 4, 2))
    one, two = split(torch.as_tensor(table)), split(torch.as_tensor(log_softmax(table, -1)))
    assert torch.allclose(one.total, two.total)


def posterior(generator):
    return Members.of([qnn(2, 2, generator=generator, layers=1) for _ in range(3)])


def test_shots_vanish_as_they_grow_and_noise_has_the_sign_of_its_entropy(generator):
    model, x = posterior(generator), torch.rand(6, 2, generator=generator)
    device = Device.bundled("melbourne")
    few, many = (
        decomposed(model, x, noise=device, shots=shots, draws=20, generator=generator) for shots in (20, 5000)
    )
    exact = decomposed(model, x, noise=device)
    assert (many.shots < 0.1 * few.shots).all()
    assert (many.shots < 2e-3).all()
    assert torch.allclose(many.total, exact.total, atol=0.01)
    assert torch.allclose(many.noise, exact.noise)
    with torch.no_grad():
        plain = split(model.members(x))
        noisy = split(model.freeze(device).members(x))
    # what noise adds to the members is what they have with it less what they have without
    assert torch.allclose(exact.noise, noisy.data - plain.data, atol=1e-6)
    assert exact.noise.mean() > 0
    assert torch.allclose(exact.data, plain.data, atol=1e-6)


def test_shot_entropy_is_half_the_variance_over_the_chance(generator):
    """To second order, for a binary answer: ``var / (2 p (1 - p))``."""
    model, x = (Members.of([qnn(2, 2, generator=generator, layers=1)]), torch.rand(3, 2, generator=generator))
    draws = 400
    found = decomposed(model, x, shots=2000, draws=draws, generator=generator)
    device = model.under(shots=2000, generator=generator)
    chance = torch.stack([device(x).softmax(1)[:, 0] for _ in range(draws)]).double()
    expected = chance.var(0) / (2 * chance.mean(0) * (1 - chance.mean(0)))
    assert torch.allclose(found.shots, expected, rtol=0.25)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t: split(t[0]), "members"),
        (lambda t: split(t * math.nan), "finite"),
        (lambda t: split(t[:, None], noiseless=t), "under noise beside answers"),
        (lambda t: split(t, noiseless=t[:, :1]), "twins of shape"),
    ],
)
def test_tables_that_do_not_fit_are_refused(call, says, generator):
    with pytest.raises(DataError, match=says):
        call(torch.randn(2, 3, 2, generator=generator))


def test_no_draws_are_refused(generator):
    with pytest.raises(ModelError, match="at least one draw, got 0"):
        decomposed(posterior(generator), torch.zeros(1, 2), shots=5, draws=0, generator=generator)


def test_the_catalogue_has_one_null_and_builds_everything():
    assert [name for name, entry in UNCERTAINTIES.items() if entry.null] == ["point"]
    assert all(callable(entry.make().fit) for entry in UNCERTAINTIES.values())
