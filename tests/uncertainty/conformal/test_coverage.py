"""Coverage over many random splits of what trained quantum models answer, exactly, with shots, on a device, attacked.

Given a pool of rows, a random split makes calibration and test rows exchangeable whatever the model was trained
on. So the first test row of each repetition is covered with probability ``1 - alpha`` at least, independently of the
other repetitions: an exact binomial test. The mean coverage of a repetition has that mean too, and tells losses
apart sooner.
"""

from functools import lru_cache

import numpy as np
import pytest
import torch

from cases import few
from robustq.attacks import PGD, run_attack
from robustq.certify import Complete
from robustq.noise import Device
from robustq.stats import at_least
from robustq.threats import Linf
from robustq.uncertainty.conformal import (
    Adaptive,
    Certified,
    Conformal,
    LeastAmbiguous,
    LogitMargin,
    RegularisedAdaptive,
    ShotAnswers,
    calibrate,
    robust_calibrate,
    robust_sets,
)
from trained_models import trained

ALPHA, SHOTS, REPETITIONS = 0.1, 100, 500
NEVER = 1e-4  # chance of a false alarm of one test
SCORES = {"lac": LeastAmbiguous(), "aps": Adaptive(), "raps": RegularisedAdaptive(1, 0.1)}
ANSWERS = {"exact": (None, None), "shots": (SHOTS, None), "device": (SHOTS, "manila")}


@lru_cache
def answers(name, how, count=REPETITIONS):
    """Probabilities ``(repetitions, rows, classes)`` with shots of their own."""
    model, x, y = trained(name)
    shots, device = ANSWERS[how]
    asked = ShotAnswers(model, shots, Device.bundled(device) if device else None)
    if shots is None:
        return np.broadcast_to(asked.probabilities(x), (count, len(x), int(y.max()) + 1))
    drawn = asked.probabilities(x.repeat(count, 1), torch.Generator().manual_seed(5))
    return drawn.reshape(count, len(x), -1)


def repeated(known, asked, y, rng, **options):
    """Whether each test row of each repetition was covered, ``(repetitions, rows)``."""
    found = []
    for before, after in zip(known, asked, strict=True):
        order = rng.permutation(len(y))
        a, b = order[: len(y) // 2], order[len(y) // 2 :]
        made = calibrate(before[a], y[a], alpha=ALPHA, generator=rng, **options)
        found.append(made.sets(after[b], rng)[np.arange(len(b)), y[b]])
    return np.array(found)


def covers(found):
    """Not fewer first rows than chance allows, nor a mean below the level by more than its error."""
    missed = int((~found[:, 0]).sum())
    return at_least(missed, len(found), ALPHA) > NEVER and below(found) > -4


def below(found):
    """The mean coverage minus the level, in standard errors."""
    each = found.mean(1)
    return (each.mean() - (1 - ALPHA)) / (each.std(ddof=1) / np.sqrt(len(each)))


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
@pytest.mark.parametrize(
    ("how", "score"), [("exact", "lac"), ("exact", "aps"), ("device", "lac"), *(("shots", score) for score in SCORES)]
)
@pytest.mark.parametrize("groups", ["none", "class"])
def test_coverage_is_kept_whatever_the_answers_are(name, how, score, groups, rng):
    rows, y = answers(name, how), trained(name)[2].numpy()
    assert covers(repeated(rows, rows, y, rng, score=SCORES[score], groups=groups))


@pytest.mark.parametrize("score", ["aps", "raps"])
def test_coverage_is_not_more_than_was_asked(score, rng):
    """Without ties it is ``ceil((n + 1)(1 - alpha)) / (n + 1)`` exactly."""
    rows, y = answers("iris", "shots"), trained("iris")[2].numpy()
    found = repeated(rows, rows, y, rng, score=SCORES[score]).mean(1)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - np.ceil(76 * 0.9) / 76) < 4 * error


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_each_class_is_covered_by_its_own_threshold_and_not_by_a_common_one(name, rng):
    rows, y = answers(name, "shots"), trained(name)[2].numpy()
    lowest = {}
    for groups in ("none", "class"):
        shares = []
        for table in rows:
            order = rng.permutation(len(y))
            a, b = order[: len(y) // 2], order[len(y) // 2 :]
            sets = calibrate(table[a], y[a], alpha=ALPHA, groups=groups).sets(table[b])
            held = sets[np.arange(len(b)), y[b]]
            shares.append([held[y[b] == k].mean() for k in range(y.max() + 1)])
        shares = np.array(shares)
        error = shares.std(0, ddof=1) / np.sqrt(len(shares))
        lowest[groups] = ((shares.mean(0) - (1 - ALPHA)) / error).min()
    assert lowest["class"] > -4
    assert lowest["none"] < -8


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
@pytest.mark.parametrize(("how", "score"), [("shots", "lac"), ("device", "lac"), ("shots", "aps")])
def test_calibrated_on_exact_probabilities_shots_are_not_covered(name, how, score, rng):
    known, asked, y = answers(name, "exact"), answers(name, how), trained(name)[2].numpy()
    assert below(repeated(known, asked, y, rng, score=SCORES[score])) < -8
    assert covers(repeated(asked, asked, y, rng, score=SCORES[score]))


def test_histograms_of_single_outcomes_are_covered_too(rng):
    model, x, y = trained("iris")
    asked, stream = ShotAnswers(model, 50), torch.Generator().manual_seed(2)
    rows = np.stack([asked.votes(x, stream) for _ in range(150)])
    assert np.allclose(rows.sum(2), 1)
    found = repeated(rows, rows, y.numpy(), rng)
    assert covers(found)


def test_votes_have_the_mean_of_what_one_shot_answers():
    model, x, _ = trained("breast-cancer")
    votes = ShotAnswers(model, 20_000).votes(x[:4], torch.Generator().manual_seed(1))
    values = model.under(shots=1, generator=torch.Generator().manual_seed(3))
    single = values(x[:4].repeat_interleave(20_000, 0)).detach()
    share = ((single[:, 0] > single[:, 1]) + 0.5 * (single[:, 0] == single[:, 1])).double()
    expected = share.reshape(4, -1).mean(1).numpy()
    assert np.abs(votes[:, 0] - expected).max() < 5 * np.sqrt(2 * 0.25 / 20_000)


@lru_cache
def battle(name):
    """Clean and attacked inputs, and what can be proved of them."""
    model, x, y = trained(name, torch.float64)
    threat, generator = Linf(0.05, (0.0, 1.0)), torch.Generator().manual_seed(4)
    moved = run_attack(PGD(30, 2), model, x, y, threat, generator=generator).x_adv
    ball = Certified(model, threat, Complete(decide_only=True), generator)
    return ball, x, moved, y.numpy()


@lru_cache
def proved(name, tau):
    """Robust sets of all attacked inputs at a common threshold."""
    ball, _, moved, y = battle(name)
    classes = int(y.max()) + 1
    made = Conformal(LogitMargin(), ALPHA, "none", (tau,) * classes, (9,) * classes)
    return robust_sets(made, ball, moved)


@pytest.mark.parametrize(
    ("name", "groups"),
    few([("iris", "none"), ("iris", "class"), ("breast-cancer", "none"), ("breast-cancer", "class")]),
)
def test_attacked_inputs_are_covered_by_proof_only(name, groups, rng):
    """Whether a robust set holds a label depends on the label's own threshold, of which there are few."""
    ball, x, moved, y = battle(name)
    clean, attacked = ball.logits(x).numpy(), ball.logits(moved).numpy()
    plain, robust = [], []
    for _ in range(500):
        order = rng.permutation(len(y))
        a, b = order[: len(y) // 2], order[len(y) // 2 :]
        made = calibrate(clean[a], y[a], alpha=ALPHA, score=LogitMargin(), groups=groups)
        columns = [proved(name, tau)[:, k] for k, tau in enumerate(made.thresholds)]
        plain.append(made.sets(attacked[b])[np.arange(len(b)), y[b]])
        robust.append(np.stack(columns, 1)[b, y[b]])
    assert below(np.array(plain)) < -8
    assert covers(np.array(robust))
    whole = robust_sets(made, ball, moved)
    assert np.array_equal(whole, np.stack(columns, 1))


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_inflated_thresholds_cover_attacked_inputs(name, rng):
    ball, x, moved, y = battle(name)
    attacked, found = ball.logits(moved).numpy(), []
    for _ in range(20):
        order = rng.permutation(len(y))
        a, b = order[:60], order[60:]
        made = robust_calibrate(ball, x[torch.from_numpy(a)], y[a], alpha=ALPHA, tolerance=0.1)
        found.append(made.sets(attacked[b])[np.arange(len(b)), y[b]])
    assert covers(np.array(found))
