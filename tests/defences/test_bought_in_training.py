"""What training defences promise together: each runs in the loop, each can be named, some buy robustness."""

import pytest
import torch

from robustq.attacks import PGD, run_attack
from robustq.bench.recipes import Given, StepSpec, inner_attack
from robustq.contracts import Defence, Step
from robustq.data import load, prepare
from robustq.defences import TRADES, Fast, Free, GradientPenalty, Plain, Recipe
from robustq.defences.recipe import Layered
from robustq.models import Training, fit
from robustq.models.catalogue import qnn
from robustq.seeding import torch_generator
from robustq.threats import Linf

THREAT = Linf(0.05, (0.0, 1.0))
NAMED = {
    "trades": {"beta": 3.0, "steps": 2},
    "mart": {"beta": 2.0},
    "fast-training": {"step": 1.0},
    "free-training": {"step": 0.5},
    "curriculum": {"start": 0.2, "full": 0.4, "grow_steps": True},
    "mixed-threats": {"norms": "linf,l2,l1", "mode": "mean", "l2": 0.1},
    "state-training": {"infidelity": 0.02, "weight": 0.5},
    "angle-training": {"radius": 0.1, "norm": "l2", "steps": 2},
    "cvar": {"share": 0.4},
    "group-dro": {"rate": 0.1},
    "gradient-penalty": {"weight": 0.5},
    "noisy-inputs": {"sigma": 0.2},
    "label-smoothing": {"share": 0.2},
}
LAYERED = {"curriculum", "angle-training", "cvar", "group-dro", "gradient-penalty", "noisy-inputs", "label-smoothing"}
GIVEN = Given(inner_attack(2), THREAT)


def batch(generator):
    return torch.rand(12, 3, generator=generator), torch.arange(12) % 2


@pytest.mark.parametrize("name", NAMED)
def test_a_specification_can_name_it_and_the_loop_can_run_it(name, generator):
    """With every option; the loss differs from the plain one, and every parameter learns from it."""
    defence = StepSpec(name=name, options=NAMED[name]).build(GIVEN)
    assert isinstance(defence, Defence)
    assert isinstance(defence, Layered) == (name in LAYERED)
    for option, value in NAMED[name].items():
        assert getattr(defence, option) == value
    model = qnn(3, 2, generator=generator, layers=2)
    x, y = batch(generator)
    step = Step(x=x, y=y, generator=generator, rows=torch.arange(12), progress=0.3, memory={})
    losses = defence.losses(model, step)
    assert losses.shape == (12,)
    assert not torch.allclose(losses, Plain().losses(model, step), atol=1e-5)
    losses.mean().backward()
    assert all(bool((p.grad != 0).any()) for p in model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    history = fit(model, x, y, generator=generator, training=Training(epochs=1, validation=0.2), defence=defence)
    assert history.epochs[0].validation_loss is not None
    assert not torch.equal(before[0], model.theta.detach())


@pytest.mark.parametrize("name", sorted(LAYERED))
def test_layers_stand_on_what_is_before_them(name, generator):
    """In a recipe the layer's losses change with what it stands on."""
    first = TRADES(THREAT, steps=1)
    layer = StepSpec(name=name, options=NAMED[name]).build(GIVEN)
    recipe = Recipe((first, layer)).training
    assert recipe.on == first
    model = qnn(3, 2, generator=generator, layers=1)
    x, y = batch(generator)
    ours, alone = (
        each.losses(model, Step(x=x, y=y, generator=torch.Generator().manual_seed(1))) for each in (recipe, layer)
    )
    assert not torch.allclose(ours, alone, atol=1e-4)


@pytest.mark.prove
@pytest.mark.slow
def test_they_buy_robustness_on_real_data():
    """Against PGD of 20 steps and 3 restarts; not by answering the commoner class."""
    data = prepare(load("breast-cancer"), features=4)
    (x, y), (held, truth) = data.tensors("train"), data.tensors("test")
    commoner = float((truth == truth.mode().values).double().mean())
    threat, robust = Linf(0.075, (0.0, 1.0)), []
    searched = TRADES(threat, beta=3.0, steps=3), Fast(threat), Free(threat)
    for defence in (Plain(), GradientPenalty(threat), *searched):
        model = qnn(4, 2, generator=torch_generator(0, "init"), layers=3)
        plan = Training(epochs=12, lr=0.05)
        fit(model, x, y, generator=torch_generator(0, "fit"), training=plan, defence=defence)
        found = run_attack(PGD(), model, held, truth, threat, generator=torch_generator(0))
        assert float(found.correct.double().mean()) > commoner + 0.15
        robust.append(float(found.robust.double().mean()))
    plain, penalty, *searched_robust = robust
    assert penalty > plain + 0.03
    assert min(searched_robust) > max(plain + 0.1, commoner)
