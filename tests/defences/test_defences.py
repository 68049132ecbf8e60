"""Defences: the loss they claim, and robustness they buy on a model where it can be bought."""

import pytest
import torch

from robustq.attacks import FGSM, PGD, Identity, run_attack
from robustq.contracts import Defence
from robustq.data import load, prepare
from robustq.defences import AdversarialTraining, Plain
from robustq.defences.catalogue import DEFENCES
from robustq.errors import SpecError
from robustq.models import Training, fit
from robustq.models.catalogue import qnn
from robustq.seeding import torch_generator
from robustq.threats import Linf
from steps import mean_loss

BOX = (0.0, 1.0)


def test_plain_is_cross_entropy(generator):
    model = torch.nn.Linear(3, 2)
    x, y = torch.rand(5, 3, generator=generator), torch.tensor([0, 1, 0, 1, 1])
    expected = torch.nn.functional.cross_entropy(model(x), y)
    torch.testing.assert_close(mean_loss(Plain(), model, x, y, generator), expected)


def test_adversarial_loss_is_the_loss_at_the_attacked_input(generator):
    """For a linear model FGSM's point is known: every feature moves by eps with the gradient's sign."""
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0], [-1.0, 2.0]]))
        model.bias.zero_()
    x, y = torch.tensor([[0.5, 0.5]]), torch.tensor([0])
    defence = AdversarialTraining(FGSM(), Linf(0.1, BOX))
    worst = torch.tensor([[0.4, 0.6]])
    expected = torch.nn.functional.cross_entropy(model(worst), y)
    torch.testing.assert_close(mean_loss(defence, model, x, y, generator), expected)


def test_weight_mixes_clean_and_attacked(generator):
    model = torch.nn.Linear(2, 2)
    x, y = torch.full((1, 2), 0.5), torch.tensor([0])

    def loss(weight):
        return mean_loss(AdversarialTraining(FGSM(), Linf(0.1, BOX), weight), model, x, y, generator)

    torch.testing.assert_close(loss(0.25), 0.25 * loss(1.0) + 0.75 * loss(0.0))
    torch.testing.assert_close(loss(0.0), mean_loss(Plain(), model, x, y, generator))


def test_identity_attack_makes_adversarial_training_plain(generator):
    model = torch.nn.Linear(2, 2)
    x, y = torch.full((3, 2), 0.5), torch.tensor([0, 1, 0])
    ours = mean_loss(AdversarialTraining(Identity(), Linf(0.1, BOX)), model, x, y, generator)
    torch.testing.assert_close(ours, mean_loss(Plain(), model, x, y, generator))


@pytest.mark.slow
def test_adversarial_training_buys_robustness_on_real_data():
    data = prepare(load("breast-cancer"), features=4)
    (x, y), (x_test, y_test) = data.tensors("train"), data.tensors("test")
    robust = {}
    inner = PGD(steps=4, restarts=1, step=0.5)
    for defence in (Plain(), AdversarialTraining(inner, Linf(0.1, BOX))):
        model = qnn(4, 2, generator=torch_generator(0, "init"), layers=3)
        plan = Training(epochs=12, lr=0.05)
        fit(model, x, y, generator=torch_generator(0, "fit"), training=plan, defence=defence)
        result = run_attack(PGD(), model, x_test, y_test, Linf(0.1, BOX), generator=torch_generator(0))
        robust[type(defence).__name__] = float(result.robust.double().mean())
    assert robust["AdversarialTraining"] > robust["Plain"] + 0.05


@pytest.mark.parametrize("name", [name for name, entry in DEFENCES.items() if entry.null])
def test_null_defences_are_defences(name):
    assert isinstance(DEFENCES[name].make(), Defence)


def test_impossible_weight_is_refused():
    with pytest.raises(SpecError, match=r"weight in \[0, 1\]"):
        AdversarialTraining(FGSM(), Linf(0.1), 1.5)
