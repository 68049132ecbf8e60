"""A growing adversary and several at once: the defence each one is at any moment, and budgets."""

import math
from dataclasses import replace

import pytest
import torch

from robustq.attacks import FGSM, PGD
from robustq.contracts import Step
from robustq.defences import (
    TRADES,
    AdversarialTraining,
    Curriculum,
    GradientPenalty,
    LabelSmoothing,
    LipschitzMargin,
    MixedThreats,
    Plain,
    Recipe,
    StateTraining,
)
from robustq.defences.training.mixed_threats import log_volume
from robustq.errors import SpecError
from robustq.threats import L0, L1, L2, Fidelity, Linf
from steps import mean_loss

BOX = (0.0, 1.0)


def data(generator):
    return torch.rand(8, 4, generator=generator), torch.arange(8) % 2


def linear(generator):
    model = torch.nn.Linear(4, 2)
    with torch.no_grad():
        model.weight.copy_(torch.randn(2, 4, generator=generator))
        model.bias.zero_()
    return model


def test_the_budget_grows_and_is_whole_for_held_back_rows(generator):
    x, y = data(generator)
    model = linear(generator)
    growing = Curriculum(FGSM(), Linf(0.2, BOX), start=0.1, full=0.8)
    for progress, share in ((0.0, 0.1), (0.4, 0.55), (0.8, 1.0), (0.95, 1.0), (1.0, 1.0)):
        found = mean_loss(growing, model, x, y, generator, progress=progress)
        there = AdversarialTraining(FGSM(), Linf(0.2 * share, BOX))
        torch.testing.assert_close(found, mean_loss(there, model, x, y, generator))
    # nothing to begin with: ordinary training
    none = mean_loss(replace(growing, start=0.0), model, x, y, generator, progress=0.0)
    torch.testing.assert_close(none, mean_loss(Plain(), model, x, y, generator))
    assert float(none.detach()) < float(mean_loss(growing, model, x, y, generator).detach())


def test_a_curriculum_at_once_is_the_defence_itself():
    growing = Curriculum(FGSM(), Linf(0.2), full=0.0, on=TRADES(Linf(0.3)))
    assert growing.at(0.0) == TRADES(Linf(0.3))


def test_steps_grow_with_the_budget_where_asked():
    inner = PGD(steps=8, restarts=1)
    growing = Curriculum(inner, Linf(0.2), grow_steps=True)
    assert [growing.at(p).attack.steps for p in (0.0, 0.25, 0.5, 1.0)] == [1, 4, 8, 8]
    assert replace(growing, grow_steps=False).at(0.0).attack == inner
    assert replace(growing, attack=FGSM()).at(0.0).attack == FGSM()  # has no steps


def test_every_threat_in_the_layers_grows():
    growing = Curriculum(FGSM(), Linf(0.2), start=0.5, full=1.0)
    assert replace(growing, on=TRADES(L2(0.4))).at(0.0) == TRADES(L2(0.2))
    on = GradientPenalty(Linf(0.2), on=AdversarialTraining(FGSM(), Linf(0.4)))
    expected = GradientPenalty(Linf(0.1), on=AdversarialTraining(FGSM(), Linf(0.2)))
    assert replace(growing, on=on).at(0.0) == expected
    smooth = replace(growing, on=LabelSmoothing(0.1)).at(0.0)
    assert smooth == LabelSmoothing(0.1, on=AdversarialTraining(FGSM(), Linf(0.1)))
    few = replace(growing, on=LipschitzMargin(L0(3)))  # a count of features
    assert few.at(0.0).threat == L0(2)
    recipe = Recipe((TRADES(Linf(0.3)), growing))
    assert recipe.training == replace(growing, on=TRADES(Linf(0.3)))


def test_a_curriculum_without_a_threat_is_refused(generator):
    growing = Curriculum(FGSM(), Linf(0.2), on=StateTraining(0.1))
    with pytest.raises(SpecError, match="expected a defence with a threat, got StateTraining"):
        mean_loss(growing, linear(generator), *data(generator), generator)
    for options in ({"start": -0.1}, {"full": 1.5}):
        with pytest.raises(SpecError, match=r"curriculum: expected (start|full) in \[0, 1\]"):
            Curriculum(FGSM(), Linf(0.2), **options)


def test_several_threats_are_the_worst_or_the_mean_of_each(generator):
    x, y = data(generator)
    model = linear(generator)
    step = Step(x=x, y=y, generator=generator)
    threats = (Linf(0.1, BOX), L2(0.3, BOX), L1(0.5, BOX))
    each = torch.stack([AdversarialTraining(FGSM(), t).losses(model, step) for t in threats])
    mixed = MixedThreats(FGSM(), threats[0], norms="linf, l2, l1", l2=0.3, l1=0.5)
    assert mixed.threats(4) == threats
    torch.testing.assert_close(mixed.losses(model, step), each.amax(0))
    torch.testing.assert_close(replace(mixed, mode="mean").losses(model, step), each.mean(0))
    assert len(set(each.argmax(0).tolist())) > 1  # no threat is the worst of all inputs
    alone = MixedThreats(FGSM(), threats[1], norms="l2")
    torch.testing.assert_close(alone.losses(model, step), each[1])


def test_budgets_of_equal_volume():
    """Areas of the plane by hand; in three dimensions ``8 e^3 = 4/3 pi r^3 = 4/3 s^3``."""
    mixed = MixedThreats(FGSM(), Linf(0.1, BOX), norms="linf,l2,l1")
    found = [threat.eps for threat in mixed.threats(2)]
    assert found == pytest.approx([0.1, math.sqrt(0.04 / math.pi), math.sqrt(0.02)])
    found = [threat.eps for threat in mixed.threats(3)]
    assert found == pytest.approx([0.1, (0.006 / math.pi) ** (1 / 3), 0.006 ** (1 / 3)])
    back = MixedThreats(FGSM(), L1(0.006 ** (1 / 3)), norms="linf").threats(3)[0]
    assert back.eps == pytest.approx(0.1)


def test_volumes_by_chance():
    draw = torch.Generator().manual_seed(1)
    points = 2 * torch.rand(200_000, 4, generator=draw) - 1
    for norm, order in (("l2", 2), ("l1", 1)):
        share = float((torch.linalg.vector_norm(points, order, dim=1) <= 1).double().mean())
        expected = math.exp(log_volume(norm, 4) - log_volume("linf", 4))
        assert abs(share - expected) < 5 * math.sqrt(expected / len(points))


def test_box_units_and_frozen_features_stay():
    given = Linf(0.1, BOX, scale=(1.0, 2.0, 1.0), frozen=(0,))
    _, other = MixedThreats(FGSM(), given).threats(3)
    assert (other.box, other.scale, other.frozen) == (BOX, given.scale, (0,))
    assert other.eps == pytest.approx(math.sqrt(0.04 / math.pi))  # two features may move


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"norms": "linf,l3"}, "l3"),
        ({"norms": "linf,l0"}, "l0"),
        ({"norms": "l2,l2"}, "different norms"),
        ({"mode": "sum"}, "mode of mixed threats"),
        ({"l2": -1.0}, "l2 >= 0"),
        ({"l1": 0.3}, "budgets of linf,l2, got one of l1"),
    ],
)
def test_impossible_mixtures_are_refused(options, said):
    with pytest.raises(SpecError, match=said):
        MixedThreats(FGSM(), Linf(0.1), **options)


@pytest.mark.parametrize("threat", [L0(1), Fidelity(0.1)])
def test_threats_without_a_volume_are_refused(threat):
    with pytest.raises(SpecError, match="expected an l-inf, l2 or l1 threat"):
        MixedThreats(FGSM(), threat)
