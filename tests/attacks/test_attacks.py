"""Every attack of the catalogue against the closed-form oracle, and the verdict nobody can fudge."""

import math
from dataclasses import dataclass

import pytest
import torch

from cases import pairwise
from oracles import one_qubit
from robustq.attacks import FGSM, PGD, Identity, SearchProblem, UniformNoise, margin, run_attack
from robustq.attacks.catalogue import ATTACKS
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.contracts import Attack
from robustq.errors import DataError, ModelError, RobustQError, SpecError, ThreatError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.threats import L2, Linf

# Those that look for the radius itself, and those that see less, are held to it in files of their own.
ELSEWHERE = {"carlini-wagner", "ddn", "deepfool", "fab", "fmn"}
NORMS = {"linf": Linf, "l2": L2}
MEANT = {
    f"{name}-{kind.__name__}": (name, kind)
    for name, entry in ATTACKS.items()
    for norm, kind in NORMS.items()
    if entry.is_meant_for(norm)
    if entry.model is None
}
REAL = {
    case: (name, kind)
    for case, (name, kind) in MEANT.items()
    if not (ATTACKS[name].null or name in ELSEWHERE)
    if ATTACKS[name].knowledge in ("white-box", None) and name != "universal"
}
FEW = {
    "square": {"queries": 50},
    "spsa": {"steps": 2},
    "transfer": {"queries": 4, "steps": 5},
    "hopskipjump": {"steps": 2},
    "universal": {"steps": 15, "restarts": 1},
}
BOXES = {"none": None, "unit": (0.0, 1.0), "signed": (-1.0, 1.0), "angles": (-math.pi, math.pi)}
BASE = (1.3, -0.7, 0.4)


def oracle_in(box):
    """The oracle turned so that its boundary cuts the middle of the box."""
    low, high = box or (-1.0, 1.0)
    weights = tuple(2 * w / (high - low) for w in BASE)
    return weights, math.pi / 2 - sum(weights) * (low + high) / 2


def points(box, count, generator):
    """Inputs near the middle of the box, on both sides of the boundary and all equally far from it."""
    low, high = box or (-1.0, 1.0)
    base = torch.tensor(BASE, dtype=torch.float64)
    drawn = torch.rand(count, 3, generator=generator, dtype=torch.float64) - 0.5
    side = 0.25 * (-1) ** torch.arange(count)
    drawn += ((side - drawn @ base) / (base @ base))[:, None] * base
    return (low + high) / 2 + 0.2 * (high - low) * drawn


@pytest.mark.parametrize(("real", "box", "noisy"), pairwise(REAL, BOXES, {"pure": False, "noisy": True}))
def test_attacks_meet_the_exact_radius(real, box, noisy, generator):
    """Success at 1.25 times the exact radius, and none below it."""
    (name, kind), (weights, bias) = real, oracle_in(box)
    model = one_qubit.model(weights, bias, generator).double()
    if noisy:
        model.noise = NoiseModel.uniform(gate_error=0.05, readout_error=0.02)
    x = points(box, 6, generator)
    y = one_qubit.label(weights, bias, x)
    exact = one_qubit.radius(weights, bias, x, "linf" if kind is Linf else "l2")
    radius = float(exact[0])
    torch.testing.assert_close(exact, torch.full_like(exact, radius))
    attack = ATTACKS[name].make(**FEW.get(name, {}))
    hit = run_attack(attack, model, x, y, kind(1.25 * radius, box), generator=generator)
    assert hit.correct.all()
    assert hit.success.all()
    assert float(hit.distance.max()) <= 1.25 * radius * (1 + 1e-9)
    assert float(hit.distance.min()) >= radius * (1 - 1e-9)
    missed = run_attack(attack, model, x, y, kind(0.999 * radius, box), generator=generator)
    assert not missed.success.any()


@pytest.mark.parametrize(("meant", "box", "batch"), pairwise(MEANT, BOXES, [1, 3, 64]))
def test_budgets_are_never_exceeded(meant, box, batch, generator):
    name, threat = meant
    circuit = encodings.angle(3, scale=1.0).then(ansaetze.strongly_entangling(3, layers=2))
    model = QuantumNet(circuit, per_qubit_z(3, 3), generator=generator)
    low, high = box or (-1.0, 1.0)
    x = low + (high - low) * torch.rand(batch, 3, generator=generator)
    y = torch.randint(0, 3, (batch,), generator=generator)
    limit = threat(0.2, box)
    attack = ATTACKS[name].make(**FEW.get(name, {}))
    result = run_attack(attack, model, x, y, limit, generator=generator)
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
class Vandal:
    """Overwrites whatever it can reach."""

    def search(self, problem):
        problem.x.add_(5)
        problem.y.copy_(1 - problem.y)
        return problem.x


class Spoiler(torch.nn.Module):
    """A model that changes its input in place when nobody differentiates."""

    def forward(self, x):
        logits = torch.stack([x.sum(1), -x.sum(1)], 1)
        if not torch.is_grad_enabled():
            x.sub_(0.5)
        return logits


@dataclass(frozen=True)
class Liar:
    """A threat whose projection does nothing."""

    eps: float = 0.1
    box: None = None

    def project(self, candidate, x):
        return candidate

    def contains(self, candidate, x):
        return Linf(self.eps).contains(candidate, x)

    def distance(self, candidate, x):
        return Linf(self.eps).distance(candidate, x)


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


def test_an_attack_cannot_touch_the_data_or_the_counters(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x, y = torch.tensor([[1.5], [0.3]]), torch.tensor([0, 0])
    result = run_attack(Vandal(), model, x, y, Linf(0.1), generator=generator)
    assert x.tolist() == [[1.5], [pytest.approx(0.3)]]
    assert y.tolist() == [0, 0]
    assert float((result.x_adv - x).abs().max()) <= 0.1 * (1 + 1e-6)
    assert result.correct.all()
    with pytest.raises(AttributeError):
        SearchProblem(model, x, y, Linf(0.1), generator).ledger.queries = -100


def test_a_model_cannot_spoil_the_data(generator):
    x, y = torch.tensor([[0.3]]), torch.tensor([0])
    result = run_attack(PGD(), Spoiler(), x, y, Linf(0.1), generator=generator)
    assert float(x) == pytest.approx(0.3)
    torch.testing.assert_close(result.distance, (result.x_adv - x).abs().amax(1))
    assert float(result.distance) <= 0.1 * (1 + 1e-6)


def test_a_budget_that_is_not_kept_is_refused(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    with pytest.raises(ThreatError, match="expected candidates within"):
        run_attack(Cheat(), model, torch.tensor([[1.5]]), torch.tensor([0]), Liar(), generator=generator)


def test_a_saturated_softmax_does_not_weaken_the_attack(generator):
    """Cross-entropy at logits of 300 has no gradient in float32; the margin's is used instead."""
    model = lambda x: 300 * torch.stack([x.sum(1), -x.sum(1)], 1)  # noqa: E731
    x, y = torch.tensor([[0.5, 0.5]]), torch.tensor([0])
    result = run_attack(PGD(), model, x, y, Linf(0.6), generator=generator)
    assert result.success.all()


def test_l2_steps_survive_tiny_gradients():
    for size in (1e-40, 1e-23, 1e-3, 1e20):
        direction = L2(1.0).steepest(torch.tensor([[3.0, 4.0]]) * size)
        torch.testing.assert_close(direction, torch.tensor([[0.6, 0.8]]), atol=1e-4, rtol=1e-4)
    assert L2(1.0).steepest(torch.zeros(1, 2)).tolist() == [[0.0, 0.0]]


def test_float64_inputs_on_a_float32_model(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x = torch.tensor([[1.5]], dtype=torch.float64)
    for net in (model, one_qubit.model((1.0,), 0.0, generator).double()):
        for noise in (None, NoiseModel.uniform(gate_error=0.01)):
            net.noise = noise
            for given in (x, x.float()):
                result = run_attack(PGD(), net, given, torch.tensor([0]), Linf(0.1), generator=generator)
                assert result.x_adv.dtype == given.dtype
                assert result.success.all()


def test_an_empty_batch_is_no_error(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    result = run_attack(PGD(), model, torch.zeros(0, 1), torch.zeros(0).long(), Linf(0.1), generator=generator)
    assert result.success.shape == (0,)


def test_callers_modes_do_not_matter(generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x, y = torch.tensor([[1.5]], requires_grad=True), torch.tensor([0])
    with torch.no_grad():
        result = run_attack(PGD(), model, x, y, Linf(0.1), generator=generator)
    assert result.success.all()
    assert not result.x_adv.requires_grad
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    net = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    with torch.inference_mode():
        net(torch.zeros(1, 2))
    net(torch.zeros(1, 2)).sum().backward()
    assert net.theta.grad is not None


def test_wide_models_are_attacked_too(generator):
    circuit = encodings.angle(12).then(ansaetze.brickwork(12, layers=2))
    net = QuantumNet(circuit, per_qubit_z(2, 12), generator=generator)
    x = torch.rand(4, 12, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(net.freeze()(x), net(x))
    found = run_attack(FGSM(), net, x, net(x).argmax(1), Linf(0.3), generator=generator)
    assert found.gradients == 4


def test_restarts_escape_a_flat_start(generator):
    """At the clean input the gradient is zero; only a random start can find the way down."""

    def plateau(x):
        score = 1 - torch.relu(x[:, 0] - 0.05) * 100
        return torch.stack([score, torch.zeros_like(score)], 1)

    x, y = torch.zeros(1, 2), torch.tensor([0])
    once = run_attack(PGD(restarts=1), plateau, x, y, Linf(0.1), generator=generator)
    often = run_attack(PGD(restarts=8), plateau, x, y, Linf(0.1), generator=generator)
    assert (once.success.item(), often.success.item()) == (False, True)


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
        attack: int(run_attack(attack, model, x, y, Linf(0.1, (0, 1)), generator=generator).success.sum())
        for attack in (Identity(), UniformNoise(), PGD())
    }
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


def dropout_model():
    """Wide enough that two equal masks are out of the question."""
    return torch.nn.Sequential(torch.nn.Linear(1, 256), torch.nn.Dropout(), torch.nn.Linear(256, 2))


def shots_model():
    model = one_qubit.model((1.0,), 0.0, torch.Generator())
    model.shots = 100
    return lambda x: model(x)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": Detached()}, ModelError, "input gradients"),
        ({"model": shots_model()}, ModelError, "answers the same twice"),
        ({"model": dropout_model()}, ModelError, "dropout"),
        ({"x": torch.tensor([[1]], dtype=torch.uint8)}, DataError, "floating-point inputs, got"),
        ({"model": Broken()}, ModelError, "finite logits"),
        ({"model": SpikyGradient()}, ModelError, "finite input gradients"),
        ({"model": torch.nn.Linear(1, 1)}, ModelError, "classes >= 2"),
        ({"y": torch.tensor([5])}, DataError, r"labels in 0\.\.1, got 5"),
        ({"y": torch.tensor([-1])}, DataError, "labels >= 0"),
        ({"y": torch.tensor([0, 1])}, DataError, "labels"),
        ({"y": torch.tensor([0.0])}, DataError, "int64"),
        ({"x": torch.tensor([[torch.nan]])}, DataError, "finite inputs"),
        ({"x": torch.tensor([[1.5]])}, ThreatError, "inside the box"),
    ],
)
def test_bad_input_is_named(change, error, message, generator):
    given = {
        "attack": PGD(steps=2, restarts=1),
        "model": one_qubit.model((1.0,), 0.0, generator),
        "x": torch.tensor([[0.3]]),
        "y": torch.tensor([0]),
        **change,
    }
    with pytest.raises(error, match=message) as caught:
        run_attack(
            given["attack"], given["model"], given["x"], given["y"], Linf(0.1, (0.0, 1.0)), generator=generator
        )
    assert isinstance(caught.value, RobustQError)


@pytest.mark.parametrize(
    "build",
    [
        lambda: PGD(steps=0),
        lambda: PGD(step=-1.0),
        lambda: PGD(loss="mse"),
        lambda: PGD(steps=2.5),
        lambda: UniformNoise(0),
    ],
)
def test_impossible_attacks_are_refused(build):
    with pytest.raises(SpecError, match=r"expected|unknown attack loss"):
        build()
