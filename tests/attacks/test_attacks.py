"""Every attack of the catalogue against the closed-form oracle, and the verdict nobody can fudge."""

import math
from dataclasses import dataclass

import pytest
import torch

from oracles import one_qubit
from robustq.attacks import PGD, Identity, UniformNoise, margin, run_attack
from robustq.attacks.catalogue import ATTACKS
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.contracts import Attack
from robustq.errors import DataError, ModelError, RobustQError, SpecError, ThreatError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.threats import L2, Linf

REAL = [name for name, entry in ATTACKS.items() if not entry.null]
BOXES = {"none": None, "unit": (0.0, 1.0), "signed": (-1.0, 1.0), "angles": (-math.pi, math.pi)}
BASE = (1.3, -0.7, 0.4)


def oracle_in(box):
    """The oracle turned so that its boundary cuts the middle of the box."""
    low, high = box or (-1.0, 1.0)
    weights = tuple(2 * w / (high - low) for w in BASE)
    return weights, math.pi / 2 - sum(weights) * (low + high) / 2


def points(box, count, generator):
    """Inputs near the middle of the box, but not on the boundary itself."""
    low, high = box or (-1.0, 1.0)
    drawn = torch.rand(8 * count, 3, generator=generator, dtype=torch.float64) - 0.5
    off = (drawn @ torch.tensor(BASE, dtype=torch.float64)).abs() > 0.05
    return (low + high) / 2 + 0.2 * (high - low) * drawn[off][:count]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize("noisy", [False, True], ids=["pure", "noisy"])
def test_attacks_meet_the_exact_radius(name, box, kind, noisy, generator):
    """Success at 1.25 times the exact radius, and none below it."""
    weights, bias = oracle_in(box)
    model = one_qubit.model(weights, bias, generator).double()
    if noisy:
        model.noise = NoiseModel.uniform(gate_error=0.05, readout_error=0.02)
    x = points(box, 6, generator)
    y = one_qubit.label(weights, bias, x)
    norm = "linf" if kind is Linf else "l2"
    exact = one_qubit.radius(weights, bias, x, norm)
    attack = ATTACKS[name].make()
    assert len(x) == 6
    for k in range(len(x)):
        reach = 1.25 * float(exact[k])
        row, label = x[k : k + 1], y[k : k + 1]
        hit = run_attack(attack, model, row, label, kind(reach, box), generator=generator)
        assert hit.correct.all()
        assert hit.success.all()
        assert float(hit.distance) <= reach * (1 + 1e-9)
        assert float(hit.distance) >= float(exact[k]) * (1 - 1e-9)
        short = kind(0.999 * float(exact[k]), box)
        missed = run_attack(attack, model, row, label, short, generator=generator)
        assert not missed.success.any()


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("threat", [Linf, L2])
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_budgets_are_never_exceeded(name, box, threat, batch, generator):
    circuit = encodings.angle(3, scale=1.0).then(ansaetze.strongly_entangling(3, layers=2))
    model = QuantumNet(circuit, per_qubit_z(3, 3), generator=generator)
    low, high = box or (-1.0, 1.0)
    x = low + (high - low) * torch.rand(batch, 3, generator=generator)
    y = torch.randint(0, 3, (batch,), generator=generator)
    limit = threat(0.2, box)
    result = run_attack(ATTACKS[name].make(), model, x, y, limit, generator=generator)
    assert limit.contains(result.x_adv, x).all()
    assert torch.equal(result.distance, limit.distance(result.x_adv, x))
    if box:
        assert result.x_adv.min() >= box[0]
        assert result.x_adv.max() <= box[1]


@dataclass(frozen=True)
class Cheat:
    """Walks out of the budget and claims the result."""

    def search(self, problem):
        return problem.x + 100


@dataclass(frozen=True)
class Forgetful:
    """Finds something and then returns the clean input."""

    def search(self, problem):
        problem.logits(problem.x + problem.threat.steepest(problem.gradient(problem.x)))
        return problem.x


def test_a_cheat_is_projected_and_a_forgetful_attack_is_remembered(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x = torch.tensor([[1.5]])
    y = torch.tensor([0])
    limit = Linf(0.1)
    cheated = run_attack(Cheat(), model, x, y, limit, generator=generator)
    assert float(cheated.distance) <= 0.1 * (1 + 1e-6)
    kept = run_attack(Forgetful(), model, x, y, limit, generator=generator)
    assert kept.success.all()


def test_wrong_inputs_are_neither_successes_nor_robust(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x = torch.tensor([[0.1], [0.1]])
    result = run_attack(PGD(), model, x, torch.tensor([0, 1]), Linf(0.01), generator=generator)
    assert result.correct.tolist() == [True, False]
    assert result.success.tolist() == [False, False]
    assert result.robust.tolist() == [True, False]


def test_queries_and_gradients_are_counted(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x, y = torch.full((5, 1), 0.3), torch.zeros(5, dtype=torch.long)
    result = run_attack(PGD(steps=7, restarts=2), model, x, y, Linf(0.01), generator=generator)
    assert result.gradients == 5 * 7 * 2
    assert result.queries == 5 * (7 * 2 + 2 + 1)
    assert run_attack(Identity(), model, x, y, Linf(0.1), generator=generator).gradients == 0


def test_same_generator_same_result():
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3))
    model = QuantumNet(circuit, per_qubit_z(2, 3), generator=torch.Generator().manual_seed(1))
    x, y = torch.rand(20, 3, generator=torch.Generator().manual_seed(2)), torch.zeros(20).long()

    def run():
        stream = torch.Generator().manual_seed(3)
        return run_attack(PGD(), model, x, y, Linf(0.1, (0, 1)), generator=stream)

    assert torch.equal(run().x_adv, run().x_adv)


def test_pgd_beats_noise_and_identity(generator):
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4))
    model = QuantumNet(circuit, per_qubit_z(2, 4), generator=generator)
    x = torch.rand(200, 4, generator=generator)
    y = model(x).argmax(1)
    flipped = {
        attack: int(run_attack(attack, model, x, y, Linf(0.1, (0, 1)), generator=generator)
                    .success.sum())
        for attack in (Identity(), UniformNoise(), PGD())
    }  # fmt: skip
    assert flipped[Identity()] == 0
    assert flipped[PGD()] > 1.5 * max(1, flipped[UniformNoise()])


def test_attacks_work_on_models_that_are_not_ours(generator):
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    x, y = torch.rand(8, 3, 4, generator=generator), torch.zeros(8).long()
    result = run_attack(PGD(), plain, x, y, L2(1.0, (0.0, 1.0)), generator=generator)
    assert result.x_adv.shape == (8, 3, 4)


def test_margin_is_defined_for_two_classes():
    logits = torch.tensor([[1.0, 3.0], [2.0, -1.0]])
    assert margin(logits, torch.tensor([0, 0])).tolist() == [2.0, -3.0]


def test_eps_zero_changes_nothing(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x = torch.tensor([[1.0]])
    result = run_attack(PGD(), model, x, torch.tensor([0]), Linf(0.0), generator=generator)
    assert torch.equal(result.x_adv, x)


@pytest.mark.parametrize("name", ATTACKS)
def test_catalogue_entries_are_attacks_and_values(name):
    made = ATTACKS[name].make()
    assert isinstance(made, Attack)
    assert made == ATTACKS[name].make()
    assert hash(made) == hash(ATTACKS[name].make())


class Detached(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x.detach().sum(1), -x.detach().sum(1)], 1)


class Broken(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x.sum(1) * torch.nan, x.sum(1)], 1)


class SpikyGradient(torch.nn.Module):
    def forward(self, x):
        root = (x - x.detach()).sum(1).sqrt()
        return torch.stack([root, -root], 1)


def shots_model():
    model = one_qubit.model((1.0,), 0.0, torch.Generator())
    model.shots = 100
    return lambda x: model(x)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": Detached()}, ModelError, "input gradients"),
        ({"model": shots_model()}, ModelError, "input gradients"),
        ({"model": Broken()}, ModelError, "finite logits"),
        ({"model": SpikyGradient()}, ModelError, "finite input gradients"),
        ({"model": torch.nn.Linear(1, 1)}, ModelError, "classes >= 2"),
        ({"y": torch.tensor([5])}, DataError, r"labels in 0\.\.1, got 5"),
        ({"y": torch.tensor([-1])}, DataError, "labels >= 0"),
        ({"y": torch.tensor([0, 1])}, DataError, "labels"),
        ({"y": torch.tensor([0.0])}, DataError, "int64"),
        ({"x": torch.tensor([[torch.nan]])}, DataError, "finite inputs"),
        ({"x": torch.tensor([[1.5]])}, ThreatError, "inside the box"),
        ({"attack": PGD(loss="mse")}, SpecError, "unknown attack loss"),
    ],
)
def test_bad_input_is_named(change, error, message, generator):
    given = {
        "attack": PGD(steps=2, restarts=1), "model": one_qubit.model((1.0,), 0.0, generator),
        "x": torch.tensor([[0.3]]), "y": torch.tensor([0]), **change,
    }  # fmt: skip
    with pytest.raises(error, match=message) as caught:
        run_attack(
            given["attack"], given["model"], given["x"], given["y"], Linf(0.1, (0.0, 1.0)),
            generator=generator,
        )  # fmt: skip
    assert isinstance(caught.value, RobustQError)


@pytest.mark.parametrize(
    "build", [lambda: PGD(steps=0), lambda: PGD(step=-1.0), lambda: UniformNoise(0)]
)
def test_impossible_attacks_are_refused(build):
    with pytest.raises(SpecError, match="expected"):
        build()
