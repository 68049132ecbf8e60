"""Fast and Free: their points by hand, what is remembered, and what a step costs."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from robustq.contracts import Step
from robustq.defences import CVaR, Fast, Free, Plain
from robustq.defences.training.free import Perturbations
from robustq.errors import SpecError
from robustq.models import Training, fit
from robustq.threats import L2, Linf
from steps import mean_loss

TOWARDS = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])  # signs that raise the loss of each label


def model_of(weights=((1.0, -2.0), (-1.0, 2.0))):
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weights))
        model.bias.zero_()
    return model


class Counted(torch.nn.Module):
    """A linear model that counts the inputs it is asked about."""

    def __init__(self):
        super().__init__()
        self.inner, self.asked = model_of(), 0

    def forward(self, x):
        self.asked += len(x)
        return self.inner(x)


def batch(generator, rows=6):
    return torch.rand(rows, 2, generator=generator), torch.arange(rows) % 2


@pytest.mark.parametrize("length", [0.3, 1.25, 2.0])
def test_fast_is_the_loss_one_step_from_a_random_start(length, generator):
    x, y = batch(generator)
    threat, model = Linf(0.1, (0.0, 1.0)), model_of()
    start = threat.sample(x, torch.Generator().manual_seed(9)) - x
    delta = (start + length * 0.1 * TOWARDS[y]).clamp(-0.1, 0.1)
    expected = cross_entropy(model((x + delta).clamp(0, 1)), y)
    found = mean_loss(Fast(threat, length), model, x, y, torch.Generator().manual_seed(9))
    torch.testing.assert_close(found, expected)


def test_free_remembers_one_step_by_hand(generator):
    """One backward pass: the weights' gradient and the next perturbation, with nothing asked twice."""
    x, y = batch(generator, 3)
    rows, threat, model = torch.tensor([4, 0, 2]), Linf(0.1), Counted()
    memory: dict = {}
    start = threat.sample(x, torch.Generator().manual_seed(9)) - x

    def step():
        return Step(x=x, y=y, generator=torch.Generator().manual_seed(9), rows=rows, progress=0.0, memory=memory)

    first = Free(threat, 0.5).losses(model, step())
    torch.testing.assert_close(first, cross_entropy(model.inner(x + start), y, reduction="none"))
    first.mean().backward()
    (expected,) = torch.autograd.grad(cross_entropy(model.inner(x + start), y), model.inner.weight)
    torch.testing.assert_close(model.inner.weight.grad, expected)
    moved = (start + 0.5 * 0.1 * TOWARDS[y]).clamp(-0.1, 0.1)
    torch.testing.assert_close(Perturbations(memory).of(rows), moved)
    assert Perturbations(memory).seen(torch.arange(5)).tolist() == [True, False, True, False, True]
    second = Free(threat, 0.5).losses(model, step())  # starts where the first ended
    torch.testing.assert_close(second, cross_entropy(model.inner(x + moved), y, reduction="none"))
    assert model.asked == 2 * len(x)


def test_free_keeps_each_row_s_own_perturbation(generator):
    x, y = batch(generator, 2)
    model, threat, memory = model_of(), Linf(0.1), {}
    for k in (0, 1):
        step = Step(
            x=x[k : k + 1], y=y[k : k + 1], generator=generator, rows=torch.tensor([k]), progress=0.0, memory=memory
        )
        Free(threat, step=2.0).losses(model, step).mean().backward()
    torch.testing.assert_close(Perturbations(memory).of(torch.tensor([1, 0])), 0.1 * TOWARDS[y].flip(0))


def test_free_in_a_smaller_threat_and_in_l2(generator):
    x, y = batch(generator, 2)
    model, rows, memory = model_of(), torch.arange(2), {}
    seen = []
    model.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    for threat in (Linf(0.4), L2(0.1)):
        step = Step(x=x, y=y, generator=generator, rows=rows, progress=0.3, memory=memory)
        Free(threat).losses(model, step).mean().backward()
        deltas = Perturbations(memory).of(rows)
        assert bool(threat.contains(x + deltas, x).all())
        assert bool(threat.contains(seen[-1], x).all())  # what was remembered of a larger one, too
    across = TOWARDS[y] * torch.tensor([1.0, 2.0]) / 5**0.5
    assert bool(((deltas * across).sum(1) > 0.05).all())  # along the unit gradient, not its sign


def test_held_back_rows_are_judged_afresh(generator):
    x, y = batch(generator)
    model, threat, memory = model_of(), Linf(0.1), {}
    for rows, progress in ((torch.arange(6), 1.0), (None, 0.0)):
        step = Step(x=x, y=y, generator=torch.Generator().manual_seed(9), rows=rows, progress=progress, memory=memory)
        found = Free(threat, step=1.25).losses(model, step)
        fast = mean_loss(Fast(threat), model, x, y, torch.Generator().manual_seed(9))
        torch.testing.assert_close(found.mean(), fast)
        found.mean().backward()
    assert not memory


def test_free_goes_with_layers(generator):
    """A worst-case weighting passes no gradient to half of the rows, which stay where they are."""
    x, y = batch(generator, 4)
    model, threat, memory = model_of(), Linf(0.1), {}
    step = Step(x=x, y=y, generator=generator, rows=torch.arange(4), progress=0.0, memory=memory)
    losses = CVaR(0.5, on=Free(threat, step=2.0)).losses(model, step)
    before = Perturbations(memory).of(torch.arange(4)).clone()
    losses.mean().backward()
    after = Perturbations(memory).of(torch.arange(4))
    counted = losses.detach() > 0
    assert int(counted.sum()) == 2
    torch.testing.assert_close(after[counted], 0.1 * TOWARDS[y][counted])
    torch.testing.assert_close(after[~counted], before[~counted])


def test_free_trains_in_the_loop_and_fast_costs_twice_as_much(generator):
    x, y = torch.rand(40, 2, generator=generator), torch.arange(40) % 2
    plan = Training(epochs=2, validation=0.0)
    asked = {}
    for name, defence in (("plain", Plain()), ("free", Free(Linf(0.1))), ("fast", Fast(Linf(0.1)))):
        model = Counted()
        before = copy.deepcopy(model.inner.weight.detach())
        fit(model, x, y, generator=generator, training=plan, defence=defence)
        assert not torch.equal(before, model.inner.weight.detach())
        asked[name] = model.asked
    assert asked == {"plain": 80, "free": 80, "fast": 160}


@pytest.mark.parametrize("defence", [Fast, Free])
def test_impossible_steps_are_refused(defence):
    with pytest.raises(SpecError, match="expected step > 0, got -1"):
        defence(Linf(0.1), step=-1.0)
