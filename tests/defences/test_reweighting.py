"""Worst inputs, worst classes, noise and softened labels: every loss by a second implementation."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from robustq.attacks import FGSM
from robustq.contracts import Step
from robustq.defences import AdversarialTraining, CVaR, Free, GroupDRO, LabelSmoothing, NoisyInputs, Plain
from robustq.defences.training.free import Perturbations
from robustq.defences.training.reweighting import KEY, tail_weights
from robustq.errors import SpecError
from robustq.models import Training, fit
from robustq.threats import Linf
from steps import mean_loss


class Told:
    """A defence whose losses are its inputs' first feature."""

    def losses(self, model, step):
        return model * step.x[:, 0]


def told(losses, y=None, generator=None, **more):
    x = torch.tensor(losses)[:, None]
    y = torch.zeros(len(x)).long() if y is None else torch.tensor(y)
    return Step(x=x, y=y, generator=generator or torch.Generator(), **more)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.37, 0.9, 1.0])
def test_cvar_is_the_smallest_of_rockafellar_and_uryasev(share, generator):
    """``min_eta eta + mean(max(l - eta, 0)) / share``, attained at one of the losses."""
    losses = torch.rand(13, generator=generator).double()
    found = CVaR(share, on=Told()).losses(1.0, told(losses.tolist())).mean().double()
    bound = [float(eta + (losses - eta).clamp_min(0).mean() / share) for eta in losses]
    assert float(found) == pytest.approx(min(bound), rel=1e-6)
    weights = tail_weights(losses, share)
    assert float(weights.mean()) == pytest.approx(1)
    assert bool((weights >= 0).all())
    assert float(weights.max()) <= 1 / share + 1e-9


def test_cvar_by_sorting_and_its_gradient():
    scale = torch.tensor(2.0, requires_grad=True)
    losses = CVaR(0.5, on=Told()).losses(scale, told([1.0, 4.0, 2.0, 3.0]))
    assert losses.tolist() == [0.0, 16.0, 0.0, 12.0]
    losses.mean().backward()
    assert float(scale.grad) == 3.5  # the weights themselves are not differentiated
    equal = CVaR(0.5, on=Told()).losses(1.0, told([1.0, 1.0, 1.0, 1.0]))
    assert float(equal.mean()) == 1.0


def test_all_of_the_inputs_are_the_mean(generator):
    model = torch.nn.Linear(2, 2)
    x, y = torch.rand(7, 2, generator=generator), torch.arange(7) % 2
    plain = mean_loss(Plain(), model, x, y, generator)
    torch.testing.assert_close(mean_loss(CVaR(1.0), model, x, y, generator), plain)
    torch.testing.assert_close(
        mean_loss(GroupDRO(0.0), model, x, y, generator, rows=torch.arange(7), progress=0.0),
        torch.stack([cross_entropy(model(x[y == k]), y[y == k]) for k in (0, 1)]).mean(),
    )


def test_class_weights_grow_by_hand():
    """Two batches of algorithm 1: ``q_k`` times ``exp(rate * mean loss)``, then scaled to one."""
    memory: dict = {}

    def step(losses, y):
        return told(losses, y, rows=torch.arange(len(y)), progress=0.2, memory=memory)

    defence, scale = GroupDRO(0.5, on=Told()), torch.tensor(1.0, requires_grad=True)
    first = defence.losses(scale, step([1.0, 3.0, 0.5], [0, 0, 1])).mean()
    q = [math.exp(0.5 * 2.0), math.exp(0.5 * 0.5)]
    q = [each / sum(q) for each in q]
    assert float(first.detach()) == pytest.approx(q[0] * 2.0 + q[1] * 0.5)
    first.backward()
    assert float(scale.grad) == pytest.approx(q[0] * 2.0 + q[1] * 0.5)  # weights held fixed
    second = defence.losses(1.0, step([4.0, 1.0], [1, 2])).mean()  # class 0 is not met, 2 is new
    logs = [0.5 * 2.0, 0.5 * 4.5, 0.5 * 1.0]
    total = sum(math.exp(each) for each in logs)
    expected = (math.exp(logs[1]) * 4.0 + math.exp(logs[2]) * 1.0) / total
    assert float(second) == pytest.approx(expected)
    assert memory[KEY].tolist() == pytest.approx(logs)
    third = defence.losses(1.0, step([2.0], [0])).mean()  # what was learned of the others stays
    logs[0] += 0.5 * 2.0
    expected = 2 * math.exp(logs[0]) / sum(math.exp(each) for each in logs)
    assert float(third) == pytest.approx(expected)


def test_held_back_rows_are_judged_by_the_worst_class():
    memory: dict = {}
    for rows, progress in ((torch.arange(4), 1.0), (None, 0.3)):
        step = told([1.0, 3.0, 2.5, 2.5], [0, 0, 2, 2], rows=rows, progress=progress, memory=memory)
        found = GroupDRO(on=Told()).losses(1.0, step)
        assert found.tolist() == [0.0, 0.0, 5.0, 5.0]  # their mean is 2.5, that of class 2
    assert not memory


def test_group_dro_helps_the_rare_class():
    """Overlapping classes, one of them rare: its mean loss falls, the other's rises."""
    draw = torch.Generator().manual_seed(0)
    y = (torch.arange(400) % 10 == 0).long()
    x = torch.randn(400, 1, generator=draw) + y[:, None]
    rare = []
    for defence in (Plain(), GroupDRO(rate=0.2)):
        model = torch.nn.Linear(1, 2)
        with torch.no_grad():
            model.weight.zero_()
            model.bias.zero_()
        plan = Training(epochs=20, validation=0.0)
        fit(model, x, y, generator=torch.Generator().manual_seed(1), training=plan, defence=defence)
        means = [float(cross_entropy(model(x[y == k]), y[y == k]).detach()) for k in (0, 1)]
        rare.append(means[1])
    assert rare[1] < 0.6 * rare[0]


def test_layers_weight_what_they_stand_on(generator):
    model = torch.nn.Linear(2, 2)
    x, y = torch.rand(6, 2, generator=generator), torch.arange(6) % 2
    inner = AdversarialTraining(FGSM(), Linf(0.1))
    attacked = inner.losses(model, Step(x=x, y=y, generator=generator)).detach()
    found = mean_loss(CVaR(0.5, on=inner), model, x, y, generator)
    assert float(found.detach()) == pytest.approx(float(attacked.topk(3).values.mean()))


def test_noise_is_added_and_drawn_from_the_generator(generator):
    model = torch.nn.Linear(2, 2)
    x, y = torch.rand(6, 2, generator=generator), torch.arange(6) % 2
    noise = torch.randn(6, 2, generator=torch.Generator().manual_seed(4))
    found = mean_loss(NoisyInputs(0.3), model, x, y, torch.Generator().manual_seed(4))
    torch.testing.assert_close(found, cross_entropy(model(x + 0.3 * noise), y))
    none = mean_loss(NoisyInputs(0.0), model, x, y, generator)
    torch.testing.assert_close(none, mean_loss(Plain(), model, x, y, generator))


def test_noise_hands_everything_else_on(generator):
    """What stands below still knows its rows, its progress and its memory."""
    model, memory = torch.nn.Linear(2, 2), {}
    x, y = torch.rand(2, 2, generator=generator), torch.tensor([0, 1])
    step = Step(x=x, y=y, generator=generator, rows=torch.tensor([3, 5]), progress=0.5, memory=memory)
    NoisyInputs(0.1, on=Free(Linf(0.1))).losses(model, step).mean().backward()
    assert Perturbations(memory).seen(torch.arange(6)).nonzero().flatten().tolist() == [3, 5]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_smoothed_labels_are_those_of_torch(share, generator):
    model = torch.nn.Linear(2, 3)
    x, y = torch.rand(6, 2, generator=generator), torch.arange(6) % 3
    expected = cross_entropy(model(x), y, label_smoothing=share)
    found = mean_loss(LabelSmoothing(share), model, x, y, generator)
    torch.testing.assert_close(found, expected)


def test_smoothed_labels_on_attacked_inputs(generator):
    model = torch.nn.Linear(2, 2)
    x, y = torch.rand(6, 2, generator=generator), torch.arange(6) % 2
    inner = AdversarialTraining(FGSM(), Linf(0.1))
    attacked = mean_loss(inner, model, x, y, generator)
    spread = -model(x).log_softmax(1).mean()
    found = mean_loss(LabelSmoothing(0.2, on=inner), model, x, y, generator)
    torch.testing.assert_close(found, 0.8 * attacked + 0.2 * spread)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CVaR(0.0), r"cvar: expected share in \(0, 1\]"),
        (lambda: CVaR(1.1), r"cvar: expected share in \(0, 1\]"),
        (lambda: GroupDRO(-0.1), "group dro: expected rate >= 0"),
        (lambda: NoisyInputs(-0.1), "noisy inputs: expected sigma >= 0"),
        (lambda: NoisyInputs(math.inf), "noisy inputs: expected sigma >= 0"),
        (lambda: LabelSmoothing(1.5), r"label smoothing: expected share in \[0, 1\]"),
    ],
)
def test_impossible_options_are_refused(make, said):
    with pytest.raises(SpecError, match=said):
        make()
