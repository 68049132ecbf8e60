"""TRADES and MART: their losses by hand, their inner searches, and every option."""

import copy
import math

import numpy as np
import pytest
import torch

from robustq.attacks import FGSM, Identity
from robustq.contracts import Step
from robustq.defences import MART, TRADES, Plain
from robustq.defences.training.mart import boosted
from robustq.errors import SpecError
from robustq.models.catalogue import qnn, reuploading
from robustq.threats import L2, Linf
from steps import mean_loss


def linear(weights, bias=None):
    """A linear model in float64 with these rows."""
    weights = torch.tensor(weights, dtype=torch.float64)
    model = torch.nn.Linear(weights.shape[1], len(weights)).double()
    with torch.no_grad():
        model.weight.copy_(weights)
        model.bias.copy_(torch.tensor(bias or [0.0] * len(weights), dtype=torch.float64))
    return model


class Bare(torch.nn.Module):
    """A model that cannot be frozen."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


def by_hand(model, x, attacked, y, beta):
    """``CE + beta sum_k p_k log(p_k / q_k)`` in NumPy."""

    def shares(points):
        logits = points.numpy() @ model.weight.detach().numpy().T + model.bias.detach().numpy()
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    p, q = shares(x), shares(attacked)
    losses = -np.log(p[np.arange(len(y)), y]) + beta * (p * np.log(p / q)).sum(1)
    return torch.as_tensor(losses)


def test_trades_is_the_clean_loss_plus_the_divergence(generator):
    model = linear([[1.0, -2.0, 0.3], [-1.0, 2.0, 0.1], [0.2, 0.4, -0.5]], [0.1, 0.0, -0.1])
    x, y = torch.rand(6, 3, generator=generator).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    for threat in (Linf(0.2, (0.0, 1.0)), L2(0.3)):
        defence = TRADES(threat, beta=2.5)
        step = Step(x=x, y=y, generator=torch.Generator().manual_seed(3))
        attacked = defence.furthest(model, step)
        assert bool(threat.contains(attacked, x).all())
        assert bool((threat.distance(attacked, x) > 0.99 * threat.eps).any())
        again = Step(x=x, y=y, generator=torch.Generator().manual_seed(3))
        expected = by_hand(model, x, attacked, y, 2.5)
        torch.testing.assert_close(defence.losses(model, again).detach(), expected)


def test_trades_finds_an_end_of_the_worst_line(generator):
    """For two classes the divergence is largest where ``(w_0 - w_1) . x`` has moved as far as it can."""
    model = linear([[1.0, -2.0], [-1.0, 2.0]])
    x = torch.rand(40, 2, generator=generator).double()
    step = Step(x=x, y=torch.zeros(40).long(), generator=generator)
    found = TRADES(Linf(0.1)).furthest(model, step) - x
    moved = found @ torch.tensor([2.0, -4.0]).double()
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.6))
    assert {-1.0, 1.0} == set(moved.sign().tolist())  # both ends raise it, the start decides


def test_trades_learns_through_both_answers(generator):
    model = linear([[1.0, -2.0], [-1.0, 2.0]])
    x, y = torch.rand(5, 2, generator=generator).double(), torch.tensor([0, 1, 1, 0, 0])
    defence, seed = TRADES(Linf(0.1), beta=4.0), torch.Generator().manual_seed(5)
    attacked = defence.furthest(model, Step(x=x, y=y, generator=torch.Generator().manual_seed(5)))
    mean_loss(defence, model, x, y, seed).backward()
    p, q = (model(points).log_softmax(1) for points in (x, attacked))
    by_parts = torch.nn.functional.cross_entropy(model(x), y) + 4 * (p.exp() * (p - q)).sum(1).mean()
    (expected,) = torch.autograd.grad(by_parts, model.weight)
    torch.testing.assert_close(model.weight.grad, expected)


def test_the_options_of_trades_matter(generator):
    model = linear([[3.0, -2.0], [-1.0, 2.0]])
    x, y = torch.rand(30, 2, generator=generator).double(), torch.arange(30) % 2

    def loss(**options):
        seed = torch.Generator().manual_seed(1)
        return float(mean_loss(TRADES(Linf(0.2), **options), model, x, y, seed).detach())

    assert loss(beta=0.0) == float(mean_loss(Plain(), model, x, y, generator).detach())
    clean = loss(beta=0.0)
    assert math.isclose(loss(beta=2.0) - clean, 2 * (loss(beta=1.0) - clean))
    assert loss(steps=5) > loss(steps=1, step=0.01) + 0.01
    assert loss(steps=5, step=0.4) == loss(steps=5)


@pytest.mark.parametrize("build", [qnn, reuploading])
def test_the_frozen_model_is_the_model(build, generator):
    """A frozen inner search finds what one on the bare module finds."""
    model = build(2, 2, generator=generator, layers=2).double()
    x, y = torch.rand(8, 2, generator=generator).double(), torch.arange(8) % 2
    for defence in (TRADES(Linf(0.1)), MART(FGSM(), Linf(0.1))):
        ours, bare = (
            mean_loss(defence, each, x, y, torch.Generator().manual_seed(2))
            for each in (model, Bare(copy.deepcopy(model)))
        )
        torch.testing.assert_close(ours, bare)


def test_mart_by_its_published_parts(generator):
    """``BCE`` and the weighted divergence as the authors write them, on FGSM's points."""
    model = linear([[1.0, -2.0, 0.3], [-1.0, 2.0, 0.1], [0.2, 0.4, -0.5]], [0.1, 0.0, -0.1])
    x, y = torch.rand(6, 3, generator=generator).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    slopes = (model(x).softmax(1) - torch.nn.functional.one_hot(y, 3)) @ model.weight
    attacked = x + 0.1 * slopes.sign()
    p, q = model(x).softmax(1), model(attacked).softmax(1)
    rows = torch.arange(6)
    rival = q.clone()
    rival[rows, y] = -1
    boost = -q[rows, y].log() - (1 - rival.amax(1)).log()
    expected = boost + 3 * (p * (p / q).log()).sum(1) * (1 - p[rows, y])
    found = MART(FGSM(), Linf(0.1), beta=3.0).losses(model, Step(x=x, y=y, generator=generator))
    torch.testing.assert_close(found, expected)


def test_mart_on_unchanged_inputs_is_the_boosted_loss(generator):
    model = linear([[1.0, -2.0], [-1.0, 2.0]])
    x, y = torch.rand(5, 2, generator=generator).double(), torch.tensor([0, 1, 1, 0, 0])
    found = mean_loss(MART(Identity(), Linf(0.1)), model, x, y, generator)
    plain = mean_loss(Plain(), model, x, y, generator)
    torch.testing.assert_close(found, 2 * plain)  # two classes: the rival's share is 1 - p_y


def test_the_boosted_loss_stays_finite_where_a_rival_is_sure():
    logits = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    loss = boosted(logits, torch.tensor([0]))
    loss.backward()
    assert math.isclose(float(loss.detach()), 400 - math.log(2), rel_tol=1e-6)
    assert bool(torch.isfinite(logits.grad).all())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"beta": -1.0}, "beta >= 0"), ({"steps": 0}, "steps as a whole number >= 1"), ({"step": 0.0}, "step > 0")],
)
def test_impossible_options_are_refused(options, said):
    with pytest.raises(SpecError, match=f"trades: expected {said}"):
        TRADES(Linf(0.1), **options)


def test_an_impossible_weight_of_mart_is_refused():
    with pytest.raises(SpecError, match="mart: expected beta >= 0"):
        MART(FGSM(), Linf(0.1), beta=math.nan)
