"""Every check on made evidence: a lucky input raises nothing, a real effect does, nothing measured is silence."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from robustq import stats
from robustq.audit import AUDITS, Count, Evidence, Level, Pair, Plateau, judge, measured
from robustq.audit.checks import fall
from robustq.errors import DataError, SpecError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "audit.md"
NAMES = [name for name, entry in AUDITS.items() if not entry.null]
WIDTHS = (2, 4, 6, 8)
HALVING = tuple(0.5**n * wobble for n, wobble in zip(WIDTHS, (1.1, 0.9, 1.05, 0.95), strict=True))
LEVEL = tuple(0.3 * wobble for wobble in (1.1, 0.9, 1.05, 0.95))

HEALTHY = Evidence(
    labels=(60, 40),
    answers=(58, 42),
    correct=96,
    normalised=Count(0, 100),
    differing=Count(0, 100),
    randomised=False,
    averaged=1,
    vanished=Count(1, 96),
    levels=(Level(0.1, Pair(20, 0, 6, 96)), Level(0.2, Pair(50, 0, 20, 96), Pair(45, 1, 25, 96))),
    steps=Pair(2, 1, 25, 96),
    blackbox=Pair(15, 1, 11, 96),
    ensemble=Pair(0, 1, 26, 96),
    twin=Pair(3, 2, 22, 96),
    boundless=Count(0, 100),
    overruns=Count(0, 960),
    certified=Count(0, 90),
    witnessed=Pair(1, 1, 25, 96),
    shared={"test in train": Count(0, 100), "validation in train": Count(1, 100)},
    plateau=Plateau(WIDTHS, LEVEL, LEVEL),
)

LUCKY = {
    "vanishing-gradients": {"vanished": Count(2, 10)},
    "attack-no-better-than-noise": {"levels": (Level(0.1, Pair(0, 2, 2, 96)),)},
    "non-monotone-eps-curve": {
        "levels": (Level(0.1, Pair(9, 0, 9, 96)), Level(0.2, Pair(9, 0, 9, 96), Pair(0, 3, 9, 96)))
    },
    "black-box-beats-white-box": {"blackbox": Pair(0, 3, 20, 96)},
    "fewer-steps-beat-more": {"steps": Pair(0, 3, 20, 96)},
    "ensemble-beats-attack": {"ensemble": Pair(0, 5, 20, 96)},
    "noise-free-twin-weaker": {"twin": Pair(1, 5, 20, 96)},
    "witness-beats-attack": {"witnessed": Pair(0, 5, 20, 96)},
    "data-leakage": {"shared": {"test in train": Count(1, 100), "validation in train": Count(10, 100)}},
    "probabilities-instead-of-logits": {"normalised": Count(99, 100)},
    "changes-in-eval-mode": {"differing": Count(100, 100), "randomised": True, "averaged": 10},
    "randomised-without-eot": {"randomised": True, "averaged": 2},
    "barren-plateau": {"plateau": Plateau(WIDTHS, LEVEL, tuple(0.3 / n for n in WIDTHS))},
}
GUILTY = {
    "vanishing-gradients": {"vanished": Count(20, 96)},
    "barren-plateau": {"plateau": Plateau(WIDTHS, LEVEL, HALVING)},
    "attack-no-better-than-noise": {"levels": (Level(0.1, Pair(4, 3, 6, 96)),)},
    "non-monotone-eps-curve": {
        "levels": (Level(0.1, Pair(9, 0, 9, 96)), Level(0.2, Pair(9, 0, 2, 96), Pair(1, 12, 9, 96)))
    },
    "black-box-beats-white-box": {"blackbox": Pair(1, 12, 20, 96)},
    "fewer-steps-beat-more": {"steps": Pair(0, 9, 20, 96)},
    "randomised-without-eot": {"randomised": True, "averaged": 1},
    "ensemble-beats-attack": {"ensemble": Pair(0, 9, 20, 96)},
    "noise-free-twin-weaker": {"twin": Pair(2, 20, 20, 96)},
    "budget-covers-box": {"boundless": Count(1, 100)},
    "budget-overrun": {"overruns": Count(1, 960)},
    "constant-predictor": {"answers": (100, 0)},
    "below-majority": {"correct": 60},
    "data-leakage": {"shared": {"test in train": Count(2, 100)}},
    "attacked-below-certified": {"certified": Count(1, 90)},
    "witness-beats-attack": {"witnessed": Pair(0, 9, 20, 96)},
    "probabilities-instead-of-logits": {"normalised": Count(100, 100)},
    "changes-in-eval-mode": {"differing": Count(3, 100)},
}


def raised(evidence):
    return [flag.id for flag in judge(evidence)]


def changed(change):
    return dataclasses.replace(HEALTHY, **change)


def test_healthy_evidence_is_complete_and_raises_nothing():
    assert all(getattr(HEALTHY, field.name) is not None for field in dataclasses.fields(HEALTHY))
    assert judge(HEALTHY) == ()
    assert all(measured(name, HEALTHY) for name in AUDITS)


@pytest.mark.parametrize("name", NAMES)
def test_a_real_effect_raises_this_flag_alone(name):
    (flag,) = judge(changed(GUILTY[name]))
    assert flag.id == name
    assert flag.level == AUDITS[name].level in ("red", "amber")
    assert re.search(r"\d", flag.message)  # it states the numbers


@pytest.mark.parametrize("name", LUCKY)
def test_a_few_lucky_inputs_raise_nothing(name):
    assert raised(changed(LUCKY[name])) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_measured_is_neither_passed_nor_flagged(name):
    fields = AUDITS[name].evidence
    assert fields
    for field in fields:
        without = dataclasses.replace(changed(GUILTY[name]), **{field: None})
        assert not measured(name, without)
        if field != "randomised":  # not declared is the same as declared absent
            assert name not in raised(without)
    assert judge(Evidence()) == ()


def test_the_null_member_finds_nothing():
    (null,) = [entry for entry in AUDITS.values() if entry.null]
    assert null.make(changed(GUILTY["budget-overrun"])) is None
    assert measured("nothing", Evidence())


def test_unknown_checks_are_named():
    with pytest.raises(SpecError, match="did you mean 'budget-overrun'"):
        measured("budget-overun", Evidence())


@pytest.mark.parametrize(
    ("pair", "flags"),
    [
        (Pair(0, 0, 0, 96), 0),  # an eps too small for either
        (Pair(1, 0, 95, 96), 0),  # an eps that everything falls to
        (Pair(2, 0, 12, 96), 0),  # few dimensions: noise is almost as good
        (Pair(20, 3, 6, 96), 0),
        (Pair(5, 5, 6, 96), 1),
        (Pair(0, 12, 0, 96), 1),
    ],
)
def test_the_attack_is_set_beside_noise_where_noise_finds_what_it_missed(pair, flags):
    later = (Level(0.1, Pair(3, 0, 0, 96)), Level(0.2, pair, Pair(6, 0, 0, 96)))
    assert raised(changed({"levels": later})) == flags * ["attack-no-better-than-noise"]


def test_one_class_of_labels_cannot_make_a_constant():
    assert raised(changed({"labels": (100, 0), "answers": (100, 0), "correct": 100})) == []


def test_messages_name_the_numbers_they_rest_on():
    (flag,) = judge(changed(GUILTY["black-box-beats-white-box"]))
    assert "flips 21 of 96 inputs, the one without 32" in flag.message
    assert "1 fall to the former alone, 12 to the latter alone" in flag.message
    (flag,) = judge(changed(GUILTY["non-monotone-eps-curve"]))
    assert "21 of 96 inputs at eps = 0.1 but 10 at eps = 0.2" in flag.message


def test_evidence_survives_json():
    again = Evidence.from_data(json.loads(json.dumps(HEALTHY.to_data())))
    assert again == HEALTHY
    assert Evidence.from_data({}) == Evidence()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"corect": 1}, "corect"),
        ({"vanished": {"found": "many", "of": 3}}, "vanished.found"),
        ({"blackbox": {"first": 1}}, "blackbox.second"),
    ],
)
def test_damaged_evidence_is_named(data, message):
    with pytest.raises(DataError, match=message):
        Evidence.from_data(data)


@pytest.mark.parametrize("name", NAMES)
def test_every_check_has_its_paragraph(name):
    text = DOCS.read_text(encoding="utf-8")
    heading = f"### {name}\n"
    assert text.count(heading) == 1
    paragraph = text.split(heading)[1].split("\n#")[0]
    assert len(paragraph.split()) > 30
    assert paragraph.lower().startswith(f"\n**{AUDITS[name].level}.**")


def test_the_binomial_tail_is_exact():
    for of in (1, 5, 12):
        for found in range(of + 1):
            for chance in (0.05, 0.5):
                by_hand = sum(math.comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(found, of + 1))
                assert stats.at_least(found, of, chance) == pytest.approx(by_hand, rel=1e-12)


def test_the_sign_test_raises_no_more_false_flags_than_it_says(rng):
    """Two equally good searches: how often the second looks better at 1 %."""
    wins = rng.binomial(20, 0.5, size=4000)
    flagged = np.mean([stats.at_least(int(w), 20) < 0.01 for w in wins])
    assert 0 < flagged < 0.01


def test_the_slope_and_its_interval_are_those_of_the_textbook(rng):
    from scipy.stats import linregress, t

    x, y = np.arange(5.0), rng.normal(size=5)
    low, value, high = stats.slope(x, y)
    found = linregress(x, y)
    reach = t.ppf(0.975, 3) * found.stderr
    np.testing.assert_allclose([low, value, high], [found.slope - reach, found.slope, found.slope + reach])
    with pytest.raises(DataError, match="three different places"):
        stats.slope([1, 1, 2], [0, 1, 2])


def test_a_variance_of_zero_is_the_steepest_fall():
    low, rate, high = fall(Plateau((2, 3, 4), (), ()), (1.0, 1e-150, 0.0))
    assert low <= rate <= high
    assert rate > 400
