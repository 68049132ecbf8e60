"""What a search may see and spend, how searches are put together, and verdicts on models that answer at random."""

from dataclasses import dataclass

import pytest
import torch

from robustq.attacks import APGD, EOT, MIM, PGD, SearchProblem, UniformNoise, run_attack
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.data import load, prepare
from robustq.engine import shot_expectations
from robustq.errors import DataError, ModelError, ThreatError
from robustq.models import HybridNet, QuantumNet, Training, fit
from robustq.noise import Device, NoiseModel
from robustq.threats import Access, Fidelity, Linf


@dataclass(frozen=True)
class Asks:
    """Asks for the logits of random points, and keeps what it was told."""

    times: int
    told: list

    def search(self, problem):
        for _ in range(self.times):
            candidate = problem.threat.sample(problem.x, problem.generator)
            self.told.append(problem.logits(candidate))
        return problem.x


@dataclass(frozen=True)
class Peeks:
    """Wants gradients whatever it may see."""

    def search(self, problem):
        return problem.x + problem.gradient(problem.x)


@dataclass(frozen=True)
class TwoFlips:
    """Asks about a far flip first, and about a near one after it."""

    def search(self, problem):
        problem.logits(problem.x + 0.5)
        problem.logits(problem.x + 0.3)
        return problem.x


@dataclass(frozen=True)
class Delegates:
    """Runs another attack on the even rows only."""

    attack: object

    def search(self, problem):
        even = torch.arange(len(problem.y)) % 2 == 0
        return problem.run(self.attack, even)


def line(x):
    """Two classes with the boundary at 0.2 on a line."""
    return torch.stack([0.2 - x[:, 0], x[:, 0] - 0.2], 1)


def zeros(count):
    return torch.zeros(count, 1, dtype=torch.float64), torch.zeros(count, dtype=torch.long)


def test_the_nearest_flip_and_the_strongest_are_both_kept(generator):
    result = run_attack(TwoFlips(), line, *zeros(3), Linf(1.0), generator=generator)
    assert result.distance.tolist() == [0.5] * 3
    torch.testing.assert_close(result.radius, torch.full((3,), 0.3, dtype=torch.float64))
    assert (line(result.nearest).argmax(1) == 1).all()


def test_no_flip_has_no_radius(generator):
    result = run_attack(TwoFlips(), line, *zeros(2), Linf(0.1), generator=generator)
    assert torch.isinf(result.radius).all()
    assert torch.equal(result.nearest, result.x_adv)


def test_queries_stop_at_the_budget(generator):
    x, y = zeros(4)
    for budget in (1, 5, 7):
        told = []
        access = Access("scores", queries=budget)
        result = run_attack(Asks(100, told), line, x, y, Linf(1.0), generator=generator, access=access)
        assert len(told) == budget
        assert result.queries == 4 * budget
        assert result.success.any() or budget < 3  # what was found before the end counts


def test_labels_hide_the_scores(generator):
    told = []
    run_attack(Asks(3, told), line, *zeros(4), Linf(1.0), generator=generator, access=Access("labels"))
    assert all(set(answer.flatten().tolist()) <= {0.0, 1.0} for answer in told)


def test_gradients_are_for_white_box_adversaries(generator):
    for knowledge in ("scores", "labels"):
        with pytest.raises(ModelError, match="needs no gradients"):
            run_attack(Peeks(), line, *zeros(1), Linf(1.0), generator=generator, access=Access(knowledge))


def test_inner_searches_share_memory_and_bills(generator):
    x, y = zeros(5)
    alone = run_attack(PGD(steps=4, restarts=1), line, x, y, Linf(1.0), generator=generator)
    told = run_attack(Delegates(PGD(steps=4, restarts=1)), line, x, y, Linf(1.0), generator=generator)
    assert alone.success.all()
    assert told.success.tolist() == [True, False, True, False, True]
    assert told.gradients == 3 * 4
    assert told.queries == 3 * 5 + 5  # the inner runs, and the framework's last question


def test_inner_searches_share_the_budget(generator):
    x, y = zeros(2)
    result = run_attack(
        Delegates(PGD(steps=50, restarts=1)), line, x, y, Linf(0.1), generator=generator, access=Access(queries=9)
    )
    assert result.queries <= 2 * 9
    assert result.gradients == 4


def random_answers(spread, seed=5):
    """The line with answers shifted at random by several times its margins."""
    stream = torch.Generator().manual_seed(seed)

    def model(x):
        return line(x) + spread * torch.randn(len(x), 2, generator=stream, dtype=x.dtype)

    return model


def test_a_random_model_is_judged_by_majority(generator):
    x, y = torch.full((40, 1), 0.1, dtype=torch.float64), torch.zeros(40, dtype=torch.long)
    once = random_answers(0.02)
    with pytest.raises(ModelError, match="answers=25"):
        run_attack(PGD(), once, x, y, Linf(0.2), generator=generator)
    result = run_attack(PGD(), once, x, y, Linf(0.2), generator=generator, answers=25)
    assert result.correct.all()
    assert result.success.all()
    safe = run_attack(PGD(), once, x, y, Linf(0.05), generator=generator, answers=25)
    assert not safe.success.any()  # single answers flip now and then, the majority does not


def test_eot_sees_through_random_gradients(generator):
    """The gradient of one answer points anywhere; the mean of 64 points the right way."""
    stream = torch.Generator().manual_seed(3)

    def model(x):
        slope = 1 + 6 * torch.randn(x.shape, generator=stream, dtype=x.dtype)
        moved = x.detach() + slope * (x - x.detach())
        return line(moved.mean(1, keepdim=True))

    x, y = torch.zeros(30, 4, dtype=torch.float64), torch.zeros(30, dtype=torch.long)
    given = {"generator": generator, "answers": 3}
    pgd = PGD(steps=8, restarts=1, step=0.2)
    plain = run_attack(pgd, model, x, y, Linf(0.25), **given)
    mean = run_attack(EOT(pgd, samples=64), model, x, y, Linf(0.25), **given)
    assert mean.success.sum() > plain.success.sum()
    assert mean.success.float().mean() > 0.9
    assert mean.gradients == 64 * plain.gradients


def test_shots_are_counted_and_limited(generator):
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    model = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    victim = model.under(shots=100, generator=torch.Generator().manual_seed(1))
    x, y = torch.rand(3, 2, generator=generator), torch.zeros(3, dtype=torch.long)
    pgd = PGD(steps=5, restarts=1)
    result = run_attack(pgd, victim, x, y, Linf(0.1), generator=generator, answers=5)
    answers = 5 + 2  # every step, the end of the run, the framework's last question
    assert result.shots == 3 * (answers * 100 + 5 * 5 * 100)
    limited = run_attack(pgd, victim, x, y, Linf(0.1), generator=generator, answers=5, access=Access(shots=1300))
    assert limited.shots <= 3 * 1300
    assert limited.gradients == 2 * 3


@pytest.mark.parametrize("noise", [None, NoiseModel.uniform(gate_error=0.02, readout_error=0.03)])
def test_sampled_models_answer_and_slope_without_bias(noise, generator):
    """Mean logits and mean gradients over many answers against the exact ones, in standard errors."""
    circuit = encodings.angle(2).then(ansaetze.strongly_entangling(2, layers=2))
    model = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator, noise=noise).double()
    sampled = model.under(noise, shots=64, generator=torch.Generator().manual_seed(9))
    x = torch.rand(1, 2, generator=generator, dtype=torch.float64)
    many = x.expand(4000, 2).clone().requires_grad_(True)
    exact = x.clone().requires_grad_(True)
    logits, truth = sampled(many), model(exact)
    spread = logits.std(0) / 4000**0.5
    assert ((logits.mean(0) - truth[0]).abs() < 4 * spread).all()
    slopes = torch.autograd.grad(logits[:, 0].sum(), many)[0]
    true = torch.autograd.grad(truth[0, 0], exact)[0][0]
    assert ((slopes.mean(0) - true).abs() < 4 * slopes.std(0) / 4000**0.5).all()


def test_sampled_models_draw_what_the_engine_draws(generator):
    """Spread of single answers: the frozen model's shots have the engine's variance."""
    circuit = encodings.angle(3).then(ansaetze.brickwork(3))
    model = QuantumNet(circuit, per_qubit_z(3, 3), generator=generator).double()
    x = torch.rand(1, 3, generator=generator, dtype=torch.float64).expand(3000, 3)
    stream = torch.Generator().manual_seed(2)
    ours = model.under(shots=50, generator=stream)(x)
    theirs = model.scale * shot_expectations(
        circuit, model.observables, inputs=x, parameters=model.theta, shots=50, generator=stream
    )
    torch.testing.assert_close(ours.var(0), theirs.var(0), rtol=0.15, atol=1e-6)
    torch.testing.assert_close(torch.corrcoef(ours.T), torch.corrcoef(theirs.T), rtol=0, atol=0.08)


def test_hybrids_are_sampled_too(generator):
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    core = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    model = HybridNet(3, 2, core, generator=generator)
    victim = model.under(Device.bundled("manila"), shots=50, generator=torch.Generator())
    x, y = torch.rand(4, 3, generator=generator), torch.zeros(4, dtype=torch.long)
    result = run_attack(PGD(steps=2, restarts=1), victim, x, y, Linf(0.1), generator=generator, answers=3)
    assert result.shots == 4 * ((2 + 2) * 50 + 2 * 5 * 50)


def test_amplitudes_have_no_shift_rule(generator):
    circuit = encodings.amplitude(4).then(ansaetze.brickwork(2))
    model = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    victim = model.under(shots=50, generator=torch.Generator())
    x, y = torch.rand(4, 4, generator=generator), torch.zeros(4, dtype=torch.long)
    with pytest.raises(ValueError, match="no shift"):
        run_attack(PGD(), victim, x, y, Linf(0.1), generator=generator, answers=3)


def test_eot_finds_what_the_twin_finds_under_a_thousand_shots_of_a_device(generator):
    """At least 90 % of what PGD on the noise-free twin finds (figure of the suite's specification)."""
    data = prepare(load("breast-cancer"), reduction="pca", features=4, train_size=300, test_size=100, seed=0)
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=2))
    model = QuantumNet(circuit, per_qubit_z(2, 4), generator=generator)
    fit(model, *data.tensors("train"), generator=generator, training=Training(epochs=8))
    device, threat, (x, y) = Device.bundled("manila"), Linf(0.1, (0.0, 1.0)), data.tensors("test")
    twin = run_attack(PGD(steps=20, restarts=1), model, x, y, threat, generator=generator)
    victim = model.under(device, shots=1000, generator=torch.Generator().manual_seed(4))
    found = run_attack(
        EOT(PGD(steps=20, restarts=1), samples=4), victim, x, y, threat, generator=generator, answers=25
    )
    assert twin.success.sum() > 10
    assert found.success.sum() >= 0.9 * twin.success.sum()


def test_probabilities_are_not_logits(generator):
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(dim=1))
    x, y = torch.rand(8, 2, generator=generator), torch.zeros(8, dtype=torch.long)
    with pytest.raises(ModelError, match="sum to one"):
        run_attack(PGD(), net, x, y, Linf(0.1), generator=generator)
    logs = lambda x: net(x).log()  # noqa: E731
    assert run_attack(PGD(), logs, x, y, Linf(0.1), generator=generator).gradients > 0


def test_states_must_be_of_unit_length(generator):
    x = torch.ones(2, 4, 2)
    with pytest.raises(ThreatError, match="unit length"):
        run_attack(PGD(), lambda s: s[:, 0], x, torch.zeros(2).long(), Fidelity(0.1), generator=generator)
    with pytest.raises(DataError, match="answers >= 1"):
        run_attack(PGD(), line, *zeros(1), Linf(0.1), generator=generator, answers=0)


def test_momentum_crosses_a_bump(generator):
    """A small dip in the middle of the way stops steepest ascent of this length, not momentum."""

    def model(x):
        score = x[:, 0] - 0.35 * torch.exp(-(((x[:, 0] - 0.45) / 0.08) ** 2))
        return torch.stack([0.8 - score, score - 0.8], 1)

    x, y = zeros(1)
    threat = Linf(1.0)
    plain = run_attack(PGD(steps=60, restarts=1, step=0.02, loss="margin"), model, x, y, threat, generator=generator)
    heavy = run_attack(MIM(steps=60, step=0.02, loss="margin"), model, x, y, threat, generator=generator)
    assert (plain.success.item(), heavy.success.item()) == (False, True)


def test_jacobians_hold_every_class(generator):
    net = torch.nn.Linear(3, 4).double()
    x, y = torch.rand(5, 3, generator=generator).double(), torch.zeros(5, dtype=torch.long)
    problem = SearchProblem(net, x, y, Linf(0.1), generator)
    logits, slopes = problem.jacobian(x)
    torch.testing.assert_close(logits, net(x).detach())
    torch.testing.assert_close(slopes, net.weight.detach().expand(5, 4, 3))
    assert problem.ledger.gradients == 5 * 4


def test_averaging_does_not_change_a_model_that_answers_the_same(generator):
    x, y = zeros(3)
    once = run_attack(UniformNoise(), line, x, y, Linf(0.5), generator=torch.Generator().manual_seed(1))
    mean = run_attack(
        EOT(UniformNoise(), samples=3), line, x, y, Linf(0.5), generator=torch.Generator().manual_seed(1)
    )
    torch.testing.assert_close(once.x_adv, mean.x_adv)


def test_shortening_steps_reach_a_narrow_gap(generator):
    """Only points within 0.02 of one inside the ball flip; steps of the first length jump over it."""

    def model(x):
        away = ((x - torch.tensor([0.137, -0.311], dtype=x.dtype)) ** 2).sum(1)
        return torch.stack([away - 0.02**2, 0 * away], 1)

    x, y = torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.long)
    found = run_attack(APGD(steps=60), model, x, y, Linf(1.0), generator=generator)
    assert found.correct.all()
    assert found.success.all()
    long = PGD(steps=60, restarts=1, step=1.0)
    assert not run_attack(long, model, x, y, Linf(1.0), generator=generator).success.any()
