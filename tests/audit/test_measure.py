"""Live models: the healthy one trips nothing, each sick one its own flag."""

from dataclasses import dataclass, replace

import pytest
import torch

from oracles import one_qubit
from robustq.attacks import EOT, FGSM, PGD, UniformNoise, run_attack
from robustq.audit import AUDITS, Count, Plan, inside_certified, judge, measure, measured, overruns, shared_rows
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import DataError, ThreatError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.threats import L2, Linf

WEIGHTS, BIAS = (1.3, -0.7, 0.4), 1.2
PLAN = Plan(
    PGD(steps=10, restarts=2), Linf(0.3), blackbox=UniformNoise(tries=100), curve=(Linf(0.1), Linf(0.3), Linf(0.6))
)


@pytest.fixture
def data(generator):
    x = torch.rand(120, 3, generator=generator) * 2 - 0.7
    return x, one_qubit.label(WEIGHTS, BIAS, x)


@pytest.fixture
def oracle(generator):
    return one_qubit.model(WEIGHTS, BIAS, generator)


def raised(evidence):
    return [flag.id for flag in judge(evidence)]


class Saturated(torch.nn.Module):
    """The same decisions as another model, behind a tanh so steep that no gradient is left."""

    def __init__(self, model, steepness=1e6):
        super().__init__()
        self.model, self.steepness = model, steepness

    def forward(self, x):
        return torch.tanh(self.steepness * self.model(x))


class Detached(Saturated):
    """The same decisions without autograd."""

    def forward(self, x):
        return self.model(x).detach()


def test_a_healthy_model_trips_nothing_and_everything_is_measured(data, oracle, generator):
    x, y = data
    train = {"train": torch.rand(200, 3, generator=generator)}
    found = measure(oracle, x, y, replace(PLAN, ensemble=True), train=train, twin=oracle, generator=generator)
    result = run_attack(PGD(), oracle, x, y, Linf(0.3), generator=generator)
    exact = one_qubit.radius(WEIGHTS, BIAS, x, "linf").float()
    found = replace(found, certified=inside_certified(result, exact))
    assert raised(found) == []
    assert [name for name in AUDITS if not measured(name, found)] == ["barren-plateau", "witness-beats-attack"]
    assert found.correct == sum(found.labels) == 120
    assert found.vanished == Count(0, 100)
    assert found.blackbox.firsts >= found.blackbox.seconds > 0


def test_levels_agree_with_the_exact_radius(data, oracle, generator):
    """PGD on the oracle flips what the closed form says, at every eps, without memory of smaller ones."""
    x, y = data
    found = measure(oracle, x, y, replace(PLAN, most=1000), generator=generator)
    exact = one_qubit.radius(WEIGHTS, BIAS, x, "linf")
    for level in found.levels:
        certain = int((exact < level.eps / 1.05).sum())
        possible = int((exact < level.eps).sum())
        assert certain <= level.noise.firsts <= possible
    assert found.levels[0].smaller is None
    assert found.levels[2].smaller.seconds == found.levels[1].noise.firsts


@pytest.mark.parametrize("noise", [None, NoiseModel.uniform(gate_error=0.05, readout_error=0.02)])
def test_a_quantum_net_trips_nothing_with_or_without_noise(noise, generator):
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
    model = QuantumNet(circuit, per_qubit_z(2, 3), generator=generator)
    x = torch.rand(150, 3, generator=generator)
    noisy = model.freeze(noise)
    y = noisy(x).argmax(1)
    plan = Plan(PGD(steps=8), Linf(0.1, (0.0, 1.0)), UniformNoise(100))
    found = measure(noisy, x, y, plan, twin=model, generator=generator)
    assert len(set(y.tolist())) == 2
    assert raised(found) == []
    assert found.twin.of == 100


def test_a_saturated_model_is_caught_three_ways(data, oracle, generator):
    x, y = data
    found = measure(Saturated(oracle), x, y, PLAN, generator=generator)
    assert found.vanished.found > 90
    assert raised(found) == ["vanishing-gradients", "attack-no-better-than-noise", "black-box-beats-white-box"]


def test_a_model_without_autograd_has_no_gradient_anywhere(data, oracle, generator):
    x, y = data
    found = measure(Detached(oracle), x, y, PLAN, generator=generator)
    assert found.vanished == Count(100, 100)
    assert raised(found) == ["vanishing-gradients"]
    assert found.levels is None


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_gradients_are_judged_on_the_logits_own_scale(scale, data, oracle, generator):
    x, y = data
    found = measure(lambda z: scale * oracle(z), x, y, Plan(FGSM(), Linf(0.3)), generator=generator)
    assert found.vanished == Count(0, 100)


def test_noise_that_hides_gradients_is_told_by_its_twin(data, oracle, generator):
    x, y = data
    plan = Plan(PGD(steps=10, restarts=1), Linf(0.3))
    found = measure(Saturated(oracle), x, y, plan, twin=oracle, generator=generator)
    assert "noise-free-twin-weaker" in raised(found)
    assert found.twin.seconds > found.twin.firsts + 7


@dataclass(frozen=True)
class Shy:
    """One gradient step, but only where the budget is small."""

    def search(self, problem):
        return FGSM().search(problem) if problem.threat.eps < 0.3 else problem.x


@dataclass(frozen=True)
class Wanderer:
    """Two steps lead back to where it was; it asks about the last place only."""

    steps: int = 10

    def search(self, problem):
        step = problem.threat.eps * problem.threat.steepest(problem.gradient(problem.x))
        return problem.x + (step if self.steps <= 2 else 0 * step)


@dataclass(frozen=True)
class Giant:
    """Steps as far as it likes."""

    def search(self, problem):
        return problem.x + 2 * problem.threat.eps


class Unbounded(Linf):
    """A threat that lets everything pass."""

    def project(self, candidate, x):
        return candidate

    def contains(self, candidate, x):
        return torch.ones(len(x), dtype=torch.bool)


def test_an_attack_that_fails_at_large_eps(data, oracle, generator):
    plan = replace(PLAN, attack=Shy(), threat=Linf(0.2), curve=(Linf(0.2), Linf(0.4)))
    assert "non-monotone-eps-curve" in raised(measure(oracle, *data, plan, generator=generator))


def test_an_attack_that_gets_worse_by_trying(data, oracle, generator):
    plan = Plan(Wanderer(), Linf(0.3))
    found = measure(oracle, *data, plan, generator=generator)
    assert "fewer-steps-beat-more" in raised(found)
    assert measure(oracle, *data, Plan(FGSM(), Linf(0.3)), generator=generator).steps is None


def test_a_threat_that_is_not_kept(data, oracle, generator):
    found = measure(oracle, *data, Plan(Giant(), Unbounded(0.1)), generator=generator)
    assert "budget-overrun" in raised(found)
    assert found.overruns.found > 0


def test_overruns_are_found_in_stored_inputs():
    x = torch.full((4, 2), 0.5)
    moved = x + torch.tensor([[0.1, 0.0], [0.1000004, 0.0], [0.11, 0.0], [0.1, 0.1]])
    assert overruns(Linf(0.1, (0.0, 1.0)), x, moved) == Count(1, 4)
    assert overruns(L2(0.1, (0.0, 1.0)), x, moved) == Count(2, 4)
    assert overruns(Linf(0.1, (0.0, 0.55)), x, moved) == Count(4, 4)


def test_a_model_that_answers_at_random(data, oracle, generator):
    x, y = data
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
    found = measure(model.train(), x, y, PLAN, generator=generator)
    assert found.differing.found > 100
    assert found.levels is None
    assert "changes-in-eval-mode" in raised(found)
    assert "changes-in-eval-mode" not in raised(measure(model.eval(), x, y, PLAN, generator=generator))
    shots = oracle.under(shots=20, generator=generator)
    single = measure(shots, x, y, replace(PLAN, answers=25), generator=generator)
    assert "randomised-without-eot" in raised(single)
    assert single.levels is not None
    mean = replace(PLAN, answers=25, attack=EOT(PGD(steps=5, restarts=1), samples=4))
    assert "randomised-without-eot" not in raised(measure(shots, x, y, mean, generator=generator))


def test_a_budget_that_covers_the_box(data, oracle, generator):
    x, y = data
    low, high = float(x.min()), float(x.max())
    for eps, found in ((high - low, len(x)), (0.2 * (high - low), 0)):
        plan = Plan(FGSM(), Linf(eps, (low, high)))
        assert measure(oracle, x, y, plan, generator=generator).boundless == Count(found, len(x))
    free = measure(oracle, x, y, Plan(FGSM(), Linf(9.0)), generator=generator)
    assert free.boundless == Count(0, len(x))


def test_a_model_with_one_answer(data, generator):
    x, y = data
    found = measure(lambda z: torch.tensor([[1.0, 0.0]]) + 0 * z[:, :1], x, y, PLAN, generator=generator)
    assert {"constant-predictor", "below-majority", "vanishing-gradients"} <= set(raised(found))


def test_a_model_worse_than_the_commonest_class(data, oracle, generator):
    x, y = data
    upside_down = measure(lambda z: -oracle(z), x, y, PLAN, generator=generator)
    assert upside_down.correct == 0
    assert raised(upside_down) == ["below-majority"]


def test_a_model_that_answers_with_probabilities(data, oracle, generator):
    x, y = data
    found = measure(lambda z: torch.softmax(oracle(z), 1), x, y, PLAN, generator=generator)
    assert raised(found) == ["probabilities-instead-of-logits"]


def test_a_certificate_that_claims_too_much(data, oracle, generator):
    x, y = data
    result = run_attack(PGD(), oracle, x, y, Linf(0.3), generator=generator)
    exact = one_qubit.radius(WEIGHTS, BIAS, x, "linf").float()
    assert inside_certified(result, 0.999 * exact).found == 0
    false = inside_certified(result, exact + 0.2)
    assert false.found > 0
    clean = measure(oracle, x, y, PLAN, generator=generator)
    assert raised(replace(clean, certified=false)) == ["attacked-below-certified"]
    with pytest.raises(DataError, match="a radius for each input"):
        inside_certified(result, exact[:3])


@pytest.mark.parametrize("blur", [0.0, 1e-4])
def test_rows_in_two_parts_are_found_exactly_or_almost(blur, data, oracle, generator):
    x, y = data
    train = torch.rand(300, 3, generator=generator) * 2 - 0.7
    held = torch.rand(50, 3, generator=generator) * 2 - 0.7
    clean = shared_rows({"train": train, "validation": held, "test": x})
    assert {str(count) for count in clean.values()} == {"0 of 50", "0 of 120"}
    copied = torch.cat([train, x[:5] + blur * torch.rand(5, 3, generator=generator), held[:2]])
    found = shared_rows({"train": copied, "validation": held, "test": x})
    assert found == {
        "validation in train": Count(2, 50),
        "test in train": Count(5, 120),
        "test in validation": Count(0, 120),
    }
    audited = measure(oracle, x, y, PLAN, train={"train": copied}, generator=generator)
    assert raised(audited) == ["data-leakage"]
    assert "5 of 120 rows of test are in train" in judge(audited)[0].message


def test_coarse_data_counts_only_exact_copies():
    coarse = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    assert shared_rows({"train": coarse, "test": torch.tensor([[1.0], [0.99]])}) == {"test in train": Count(1, 2)}


def test_same_generator_same_evidence(data, oracle):
    found = [measure(oracle, *data, PLAN, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert found[0] == found[1]


def test_impossible_plans_are_refused():
    with pytest.raises(ThreatError, match="rising eps, got"):
        Plan(PGD(), Linf(0.1), curve=(Linf(0.2), Linf(0.1)))
    with pytest.raises(DataError, match="most >= 1, got 0"):
        Plan(PGD(), Linf(0.1), most=0)
