"""Flags that healthy models once raised, and audits that once broke off."""

import pytest
import torch

from robustq.attacks import APGD, EOT, PGD
from robustq.audit import judge
from robustq.audit.evidence import Count
from robustq.audit.measure import Plan, measure
from robustq.threats import Linf


@pytest.fixture
def line():
    return lambda x: torch.stack([0.5 - x[:, 0], x[:, 0] - 0.5], 1) * 4


@pytest.fixture
def points(generator):
    """A hundred inputs on both sides of the line, far from it."""
    x = torch.rand(100, 2, generator=generator)
    y = torch.arange(100) % 2
    x[:, 0] = 0.3 * x[:, 0] + 0.7 * y
    return x, y


@pytest.mark.parametrize("steps", [2, 3, 5, 9])
def test_short_searches_are_compared_with_shorter_ones(steps, line, points, generator):
    for attack in (APGD(steps=steps), PGD(steps=steps, restarts=1)):
        found = measure(line, *points, Plan(attack, Linf(0.1)), generator=generator)
        assert found.levels is not None
        assert (found.steps is None) == (steps == 2)


def test_a_twin_is_judged_by_the_majority_too(line, points, generator):
    """Three answers in ten are wrong wherever they are asked: no twin makes better examples."""

    def noisy(x):
        wrong = torch.rand(len(x), 1, generator=generator) < 0.3
        return torch.where(wrong, -line(x), line(x))

    attack = EOT(PGD(steps=3, restarts=1), samples=8)
    plan = Plan(attack, Linf(0.05), answers=25)
    found = measure(noisy, *points, plan, twin=line, generator=generator)
    assert found.twin.seconds <= 8
    assert "noise-free-twin-weaker" not in {flag.id for flag in judge(found)}


def test_inputs_that_are_all_alike_have_gradients_too(line, generator):
    x, y = torch.full((20, 2), 0.3), torch.zeros(20, dtype=torch.int64)
    found = measure(line, x, y, Plan(PGD(steps=5), Linf(0.05)), generator=generator)
    assert found.vanished == Count(0, 20)
    flat = measure(lambda x: line(x.detach()) + 0 * x, x, y, Plan(PGD(steps=5), Linf(0.05)), generator=generator)
    assert flat.vanished == Count(20, 20)
