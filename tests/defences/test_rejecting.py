"""The model with an alarm: its threshold's guarantee, its logits, devices, and rows it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom
from watching import clouds, watched_model

from robustq.attacks import PGD, run_attack
from robustq.bench.spec import parse
from robustq.contracts import Guard, QuantumClassifier, RejectingClassifier, ShotClassifier
from robustq.defences import Detection, ImmutableFeatures, Recipe, Rejecting
from robustq.defences.detection.guard import Detection as Guarding
from robustq.defences.detection.mahalanobis import Mahalanobis
from robustq.defences.detection.neighbours import Neighbours
from robustq.defences.detection.rejection import threshold
from robustq.defences.detection.rows import check_course, check_rows, perturbed_copies
from robustq.defences.detection.squeezing import Squeezing
from robustq.defences.saved import load, save
from robustq.errors import DataError, ModelError, SpecError
from robustq.models import Perceptron, Training
from robustq.models.catalogue import qnn
from robustq.noise import NoiseModel
from robustq.threats import Linf


def put_up(names="mahalanobis", seed=0, **options):
    model, x, y = watched_model()
    return Detection(names, **options).around(model, x, y, torch.Generator().manual_seed(seed))


@pytest.mark.statistical
@pytest.mark.parametrize(("rate", "rows"), [(0.05, 19), (0.1, 25), (0.2, 60)])
def test_the_threshold_keeps_its_rate(rate, rows, generator):
    """Averaged over calibrations the rate is at most nominal, and within ``1 / (n + 1)`` of it."""
    runs = 4000
    scores = torch.rand(runs, rows + 1, generator=generator)
    alarms = sum(bool(row[-1] > threshold(row[:-1], rate)) for row in scores)
    place = np.ceil((rows + 1) * (1 - rate) - 1e-9)
    exact = 1 - place / (rows + 1)  # for continuous scores
    assert exact <= rate + 1e-12
    assert binom.ppf(1e-4, runs, exact) <= alarms <= binom.ppf(1 - 1e-4, runs, exact)


@pytest.mark.statistical
@pytest.mark.parametrize("names", ["mahalanobis", "mahalanobis,neighbours"])
def test_false_alarms_over_repeated_fits(names, generator):
    """Detectors of the input: fit, calibrate and ask fresh rows, many times."""
    model, rate, alarms, asked = Perceptron(3, [], 2, generator=generator), 0.1, 0, 0
    runs, fresh = 60, 60
    rates = []
    for seed in range(runs):
        draw = torch.Generator().manual_seed(seed)
        x, y = clouds(120, draw)
        new, _ = clouds(fresh, draw)
        watched = Detection(names, false_alarms=rate).around(model, x, y, draw)
        with torch.no_grad():
            raised = int((watched(new).argmax(1) == 2).sum())
        alarms, asked = alarms + raised, asked + fresh
        rates.append(raised / fresh)
    assert alarms / asked < rate + 4 * np.std(rates) / np.sqrt(runs)
    assert alarms / asked > rate / 3


def test_too_few_rows_name_how_many_would_do():
    assert threshold(torch.arange(9.0), 0.1) == 8
    with pytest.raises(DataError, match=r"at least 99 clean rows.*got 98"):
        threshold(torch.arange(98.0), 0.01)
    model, x, y = watched_model()
    with pytest.raises(DataError, match="at least 999"):
        Detection(false_alarms=0.001).around(model, x, y, torch.Generator())
    with pytest.raises(DataError, match="finite scores"):
        threshold(torch.full((30,), torch.nan), 0.1)


def test_a_rate_is_taken_exactly_as_it_is_written():
    """The eighth of nine scores keeps three tenths less a rounding; the seventh, a chance of 0.3, does not."""
    assert [float(threshold(torch.arange(9.0), rate)) for rate in (0.3, 0.7 - 0.4)] == [6.0, 7.0]


def test_the_alarm_wins_exactly_beyond_the_threshold():
    watched, x = put_up("mahalanobis,prototypes", sharpness=2.0), watched_model()[1]
    wide = torch.cat([x, (x + 0.3).clamp(0, 1)])
    with torch.no_grad():
        logits, level = watched(wide), watched.suspicion(wide) - watched.threshold
        bare = watched.model(wide)
    assert logits.shape == (len(wide), 3)
    assert torch.equal(logits[:, :2], bare)
    torch.testing.assert_close(logits[:, 2], bare.amax(1) + (2.0 * level).float())
    assert torch.equal(logits.argmax(1) == 2, level > 0)
    assert 0 < int((level > 0).sum()) < len(wide)


def test_several_detectors_are_the_largest_of_their_standard_scores():
    watched, x = put_up("mahalanobis,neighbours"), watched_model()[1]
    with torch.no_grad():
        scores = watched.scores(x)
        expected = ((scores - watched.centre) / watched.spread).amax(1)
        torch.testing.assert_close(watched.suspicion(x), expected)
    assert float(watched.spread.min()) > 0
    assert bool((scores[:, 0] != scores[:, 1]).any())


def test_it_keeps_the_contracts(tmp_path, generator):
    watched, x = put_up("mahalanobis,disagreement,noise-response"), watched_model()[1][:20]
    assert isinstance(watched, RejectingClassifier)
    assert isinstance(watched, QuantumClassifier)
    assert isinstance(watched.freeze(), RejectingClassifier)
    assert watched.twins() == (watched.model,)
    noise = NoiseModel.uniform(gate_error=0.05)
    with torch.no_grad():
        torch.testing.assert_close(watched.freeze()(x), watched(x), rtol=1e-3, atol=1e-3)
        noisy, bare = watched.under(noise)(x), watched.model.under(noise)(x)
        torch.testing.assert_close(noisy[:, :2], bare)
        torch.testing.assert_close(watched.freeze(noise)(x), noisy, rtol=1e-3, atol=1e-3)
        assert float((noisy - watched(x)).abs().max()) > 0.01
    save(watched, tmp_path)
    assert torch.equal(load(tmp_path)(x), watched(x))


def test_shots_count_every_run_of_the_model(generator):
    one, two = put_up("mahalanobis"), put_up("squeezing")
    device = one.under(shots=50, generator=generator), two.under(shots=50, generator=generator)
    assert all(isinstance(d, ShotClassifier) and isinstance(d, RejectingClassifier) for d in device)
    bare = one.model.under(shots=50, generator=generator)
    assert device[0].shots_per_answer == bare.shots_per_answer
    assert device[1].shots_per_answer == 2 * bare.shots_per_answer
    assert device[1].shots_per_gradient == 2 * bare.shots_per_gradient
    x, y = (part[:10] for part in watched_model()[1:])
    found = run_attack(PGD(steps=2, restarts=1), device[0], x, y, Linf(0.1), generator=generator, answers=3)
    assert found.shots > 0
    with pytest.raises(ModelError, match="quantum model"):
        Rejecting(Perceptron(3, [], 2, generator=generator), [Squeezing({"bits": 2})]).under(noise=None)


def test_calibrating_again_moves_the_threshold_only():
    watched, x = put_up(false_alarms=0.05), watched_model()[1]
    before = float(watched.threshold)
    watched.calibrate(x, 0.3)
    assert watched.false_alarms == 0.3
    with torch.no_grad():
        share = float((watched(x).argmax(1) == 2).double().mean())
    assert 0.25 < share <= 0.3
    assert float(watched.threshold) < before


def test_impossible_alarms_are_refused(generator):
    model = watched_model()[0]
    with pytest.raises(SpecError, match="expected detectors"):
        Rejecting(model, [])
    with pytest.raises(SpecError, match=r"rate in \(0, 1\)"):
        Detection(false_alarms=1.0)
    with pytest.raises(SpecError, match="held in"):
        Detection(held=1.0)
    with pytest.raises(ModelError, match="name all detectors at once"):
        Rejecting(put_up(), [Squeezing({"bits": 2})])


def test_detectors_come_after_the_training(generator):
    x, y = clouds(150, generator)
    recipe = Recipe((Detection("mahalanobis"),))
    assert isinstance(recipe.steps[0], Guard)
    model, history = recipe.fit(
        qnn(3, 2, generator=generator, layers=1), x, y, generator=generator, training=Training(epochs=2)
    )
    assert isinstance(model, Rejecting)
    assert len(history.epochs) == 2


# --- rows that a detector must not be fitted on ------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x.index_fill(0, torch.tensor([3]), torch.nan), "finite rows"),
        (lambda x: x + 0.8, r"rows in \[0, 1\]"),
        (
            lambda x: torch.cat([x[:150], (x[:150] + 0.05 * (x[:150] - 0.5).sign()).clamp(0, 1)]),
            "every feature is moved by 0.05",
        ),
    ],
)
def test_rows_that_show_an_attack_are_refused(spoil, message):
    model, x, y = watched_model()
    y = torch.cat([y[:150], y[:150]]) if "moved" in message else y
    with pytest.raises(DataError, match=message):
        Detection().around(model, spoil(x), y, torch.Generator())


def test_copies_made_by_an_attack_are_recognised(generator):
    model, x, y = watched_model()
    found = run_attack(PGD(steps=5, restarts=1), model, x, y, Linf(0.1, (0.0, 1.0)), generator=generator)
    share, size = perturbed_copies(torch.cat([x, found.x_adv]))
    assert share > 0.5
    assert size == pytest.approx(0.1, abs=1e-4)
    assert perturbed_copies(x)[0] < 0.02


def test_clean_rows_of_every_sort_pass(generator):
    """Discrete, repeated and one-hot columns are no attack."""
    y = torch.randint(2, (300,), generator=generator)
    grid = torch.randint(5, (300, 3), generator=generator) / 4
    pixels = torch.randint(17, (300, 16), generator=generator) / 16
    hot = torch.nn.functional.one_hot(torch.randint(4, (300,), generator=generator), 4).float()
    for x in (grid, pixels, hot, torch.cat([hot, grid], 1), pixels[:1].expand(300, -1)):
        check_rows(x, y)


@pytest.mark.statistical
def test_a_changing_course_is_recognised_and_a_steady_one_passes(generator):
    scores, y = torch.randn(400, 1, generator=generator), torch.arange(400) % 2
    steps = 5 * y[:, None]
    check_course(scores, y)
    check_course(scores + steps, y)  # classes may differ, and come in any order
    check_course((scores + steps)[y.argsort()], y.sort().values)
    with pytest.raises(DataError, match="attacked, drifted or sorted"):
        check_course(scores + (torch.arange(400) > 200)[:, None], y)
    for seed in range(100):
        draw = torch.Generator().manual_seed(seed)
        check_course(torch.randn(60, 4, generator=draw), torch.randint(3, (60,), generator=draw))


def test_rows_whose_second_half_was_attacked_are_refused(generator):
    """The box, single rows and copies give nothing away; the course of the scores does."""
    model, x, y = watched_model()
    found = run_attack(PGD(steps=10, restarts=1), model, x[150:], y[150:], Linf(0.2, (0.0, 1.0)), generator=generator)
    spoilt = torch.cat([x[:150], found.x_adv])
    check_rows(spoilt, y)
    with pytest.raises(DataError, match="second half differs"):
        Detection(ordered=True).around(model, spoilt, y, torch.Generator().manual_seed(0))
    Detection(ordered=True).around(model, x, y, torch.Generator().manual_seed(0))
    Detection().around(model, spoilt, y, torch.Generator().manual_seed(0))


def test_attacked_rows_are_refused_beside_a_clean_reference(generator):
    model, x, y = watched_model()
    reference, _ = clouds(150, generator)
    found = run_attack(PGD(steps=10, restarts=1), model, x, y, Linf(0.15, (0.0, 1.0)), generator=generator)
    plan, chosen = Guarding(), [Mahalanobis.fitted]
    plan.fitted(chosen, model, x, y, torch.Generator().manual_seed(0), reference)
    with pytest.raises(DataError, match="clean reference rows"):
        plan.fitted(chosen, model, found.x_adv, y, torch.Generator().manual_seed(0), reference)


# --- features that may not vary ----------------------------------------------------------------


def test_immutable_features_refuse_what_cannot_be(generator):
    x, y = clouds(200, generator)
    x = torch.cat([x, torch.nn.functional.one_hot(y, 2).float()], 1)
    model = Perceptron(5, [], 2, generator=generator)
    guard = ImmutableFeatures()
    watched = guard.around(model, x, y, generator)
    with torch.no_grad():
        assert not bool((watched(x).argmax(1) == 2).any())
        moved = x.clone()
        moved[:, 3] += 0.2 * (0.5 - x[:, 3]).sign()
        assert bool((watched(moved).argmax(1) == 2).all())
        only = ImmutableFeatures(features="0").around(model, x, y, generator)
        assert not bool((only(moved).argmax(1) == 2).any())
    assert not guard.trained_through
    with pytest.raises(SpecError, match="column numbers"):
        ImmutableFeatures(features="a")


@pytest.mark.statistical
def test_fresh_rows_leave_their_range_as_rarely_as_promised(generator):
    alarms, runs, rows = 0, 400, 50
    model = Perceptron(2, [], 2, generator=generator)
    for seed in range(runs):
        draw = torch.Generator().manual_seed(seed)
        x = torch.rand(rows + 1, 2, generator=draw)
        y = torch.arange(rows) % 2
        watched = ImmutableFeatures().around(model, x[:-1], y, draw)
        alarms += int(watched(x[-1:]).argmax(1) == 2)
    each = 2 / (rows + 1)
    exact = 1 - (1 - each) ** 2  # two independent continuous features, up to O(1 / rows^2)
    assert binom.ppf(1e-4, runs, exact) <= alarms <= binom.ppf(1 - 1e-4, runs, exact)


def test_an_attack_that_respects_the_support_is_left_with_less(generator):
    """With a rejecting rule the adversary has to keep to real values: attacked accuracy can only rise."""
    x, y = clouds(200, generator)
    x = (4 * x).round() / 4
    model = Perceptron(3, [], 2, generator=generator)
    model, _ = Recipe(()).fit(model, x, y, generator=generator, training=Training(epochs=15))
    watched = ImmutableFeatures().around(model, x, y, generator)
    threat = Linf(0.2, (0.0, 1.0))
    bare = run_attack(PGD(), model, x, y, threat, generator=generator)
    ruled = run_attack(PGD(), watched, x, y, threat, generator=generator)
    assert float(ruled.robust.double().mean()) > float(bare.robust.double().mean()) + 0.3


def test_a_specification_can_name_them():
    options = {"detector": "mahalanobis,prototypes", "false_alarms": 0.1, "ordered": True}
    named = {"data": {"name": "iris"}, "defence": {"name": "detection", "options": options}}
    spec = parse(named)
    (guard,) = spec.defence.build(spec.threat).guards
    assert guard == Detection("mahalanobis,prototypes", 0.1, ordered=True)
    for name in ("clipping", "projection", "smoothing", "immutable-features"):
        (guard,) = parse(named | {"defence": {"name": name}}).defence.build(spec.threat).guards
        assert isinstance(guard, Guard)
    options["ordered"] = 1
    with pytest.raises(SpecError, match="expected ordered as true or false"):
        _ = parse(named).defence.build(spec.threat).guards


def test_the_example_of_the_page_runs(tmp_path, monkeypatch):
    """Every Python block of docs/detection.md, one after the other."""
    page = Path(__file__).parents[2] / "docs" / "detection.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["found"].adaptive <= names["found"].static
    assert set(names["response"].actions) <= {"accept", "abstain", "alarm"}
    assert names["done"].remembered > 0


def test_neighbours_of_a_value_can_be_chosen():
    model, x, y = watched_model()
    near = Guarding().fitted([Neighbours.fitted], model, x, y, torch.Generator().manual_seed(0))
    assert near.detectors[0].options == {"k": 5}
