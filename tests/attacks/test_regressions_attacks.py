"""What once went wrong in the framework around the attacks, and must not again."""

from dataclasses import dataclass

import pytest
import torch

from robustq.attacks import EOT, PGD, Identity, QuantumAutoAttack, SearchProblem, UniformNoise, run_attack
from robustq.attacks.ledger import BudgetSpent
from robustq.attacks.nearest.fab import FAB
from robustq.attacks.nearest.fmn import FMN
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.models import QuantumNet
from robustq.threats import L0, L1, L2, Access, Linf
from robustq.threats.states import Fidelity


def sampled_net(generator, shots=20):
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    net = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    return net.under(shots=shots, generator=generator)


def test_a_jacobian_costs_a_gradient_for_every_class_in_shots_too(generator):
    model, x = sampled_net(generator), torch.rand(3, 2, generator=generator)
    problem = SearchProblem(model, x, torch.zeros(3, dtype=torch.int64), Linf(0.1), generator)
    problem.jacobian(x)
    assert (problem.ledger.queries, problem.ledger.gradients) == (3, 6)
    assert problem.ledger.shots == 3 * (model.shots_per_answer + 2 * model.shots_per_gradient)


@dataclass(frozen=True)
class Jacobians:
    """Asks for as many Jacobians as it gets."""

    def search(self, problem):
        while True:
            problem.jacobian(problem.x)


@pytest.mark.parametrize(("allowed", "asked"), [(1, (1, 0)), (5, (2, 3)), (8, (2, 6)), (9, (3, 6))])
def test_a_jacobian_keeps_to_the_budget(allowed, asked, generator):
    """Three classes: one question and three gradients each."""
    x, y = torch.rand(1, 2, generator=generator), torch.zeros(1, dtype=torch.int64)
    access = Access(queries=allowed)
    problem = SearchProblem(torch.nn.Linear(2, 3), x, y, Linf(0.1), generator, access)
    problem.best(Jacobians())
    assert (problem.ledger.queries, problem.ledger.gradients) == asked
    with pytest.raises(BudgetSpent):
        problem.jacobian(x)


def test_averaged_jacobians_count_every_answer(generator):
    x, y = torch.rand(1, 2, generator=generator), torch.zeros(1, dtype=torch.int64)
    problem = SearchProblem(torch.nn.Linear(2, 3), x, y, Linf(0.1), generator, Access(queries=16 + 4))
    with pytest.raises(BudgetSpent):
        problem.run(Jacobians(), samples=4)
    assert (problem.ledger.queries, problem.ledger.gradients) == (8, 12)


def coin(probability, generator):
    """Two classes; an input is answered wrong with the given probability, each by itself."""

    def model(x):
        wrong = torch.rand(len(x), generator=generator) < probability
        return 2 * torch.stack([(~wrong).float(), wrong.float()], 1)

    return model


def test_averages_of_averages_count_every_answer(generator):
    asked = []

    def model(x):
        asked.append(len(x))
        return torch.stack([x[:, 0], torch.rand(len(x), generator=generator)], 1)

    x, y = torch.rand(3, 2, generator=generator), torch.zeros(3, dtype=torch.int64)
    problem = SearchProblem(model, x, y, Linf(0.1), generator)
    problem.run(EOT(EOT(PGD(steps=2, restarts=1), samples=2), samples=3))
    assert problem.ledger.queries == sum(asked) == 3 * 6 * 3
    assert problem.ledger.gradients == 2 * 6 * 3


def test_averaged_labels_are_a_vote(generator):
    """Two answers of three are class 0; their mean logits would say class 1."""
    answers = iter([[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]])
    seen = []

    @dataclass(frozen=True)
    class Asks:
        def search(self, problem):
            seen.append(problem.logits(problem.x))
            return problem.x

    x, y = torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)
    problem = SearchProblem(lambda x: torch.tensor([next(answers)]), x, y, Linf(0.1), generator, Access("labels"))
    problem.run(Asks(), samples=3)
    assert seen[0].tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("norm", [L1, L2, Linf])
@pytest.mark.parametrize("features", [4, 784])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_large_budget_allows_its_own_projections(norm, features, dtype, generator):
    """Far from the input, what rounds is the change and not the input."""
    x = torch.rand(200, features, generator=generator, dtype=dtype)
    for eps in (30.0, 1e4, 1e9):
        threat = norm(eps)
        noise = torch.randn(x.shape, generator=generator, dtype=dtype)
        far = x + 3 * eps * (noise + noise.sign())
        assert threat.contains(threat.project(far, x), x).all()
        assert not threat.contains(x + 1.01 * (threat.project(far, x) - x), x).any()


def test_l0_changes_in_a_box_with_an_open_side_are_finite(generator):
    x = torch.rand(50, 3, generator=generator)
    for box in (
        (0.0, torch.inf),
        (-torch.inf, 1.0),
        (-torch.inf, torch.inf),
        ((0.0, -1.0, -torch.inf), (torch.inf, 2.0, torch.inf)),
    ):
        threat = L0(2, box)
        drawn = threat.sample(x, generator)
        assert threat.contains(drawn, x).all()
        assert torch.isfinite(drawn).all()
        assert (drawn != x).any(0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_l2_does_not_overshoot_after_a_short_first_length(dtype, generator):
    """On the box's edge, nearly all of the change is cut: what is left is measured with few digits."""
    threat = L2(0.1, (-torch.pi, torch.pi))
    x = torch.full((500, 3), -torch.pi, dtype=dtype)
    change = 0.1 * torch.rand(x.shape, generator=generator, dtype=dtype)
    change[:, 1] = -4.0
    assert threat.contains(threat.project(x + change, x), x).all()


def test_the_verdict_gives_a_candidate_one_trial(generator):
    """A coin that is right in the first vote is wrong in the next one half of the time, not oftener."""
    x, y = torch.rand(4000, 2, generator=generator), torch.zeros(4000, dtype=torch.int64)
    model = coin(0.5, generator)
    for attack in (Identity(), UniformNoise(tries=1)):
        threat = Linf(0.0)
        result = run_attack(attack, model, x, y, threat, generator=generator, answers=3)
        share = float(result.success.sum() / result.correct.sum())
        assert abs(share - 0.5) < 4 * 0.5 / 2000**0.5


def test_the_ensemble_is_not_fooled_by_a_lucky_clean_answer(generator):
    """Clean inputs are answered wrong one time in four, all of their neighbours nine times in ten."""

    def model(x):
        wrong = torch.rand(len(x), generator=generator) < 0.25 + 10 * x[:, 0].detach()
        logits = 2 * torch.stack([(~wrong).float(), wrong.float()], 1)
        return logits + x[:, :1] * torch.tensor([-1.0, 1.0])

    x, y = torch.zeros(60, 2), torch.zeros(60, dtype=torch.int64)
    result = run_attack(QuantumAutoAttack(), model, x, y, Linf(0.065), generator=generator, answers=25)
    assert result.correct.all()
    assert result.success.all()


def test_a_model_that_writes_to_its_input_behind_autograd_spoils_nothing(generator):
    def model(x):
        with torch.no_grad():
            x.mul_(0.5)
        return torch.stack([x[:, 0], -x[:, 0]], 1)

    x, y = torch.rand(5, 2, generator=generator), torch.zeros(5, dtype=torch.int64)
    problem = SearchProblem(model, x, y, Linf(0.1), generator)
    _, gradient = problem.loss_and_gradient(x)
    problem.jacobian(x)
    assert torch.equal(problem.strongest, x)
    assert (gradient[:, 0] != 0).all()


@dataclass(frozen=True)
class Double:
    """Works in another precision than its inputs."""

    def search(self, problem):
        problem.logits(problem.x.double() + 0.01)
        return problem.x.double() + 0.02


@pytest.mark.parametrize("attack", [Double(), EOT(Double(), samples=2)])
def test_candidates_of_another_precision_are_taken(attack, generator):
    x, y = torch.rand(5, 2, generator=generator), torch.zeros(5, dtype=torch.int64)
    model = torch.nn.Linear(2, 2)
    result = run_attack(attack, model, x, y, Linf(0.1), generator=generator)
    assert result.x_adv.dtype == x.dtype
    assert Linf(0.1).contains(result.x_adv, x).all()


def test_states_may_lie_in_memory_in_any_order(generator):
    parts = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    x = (parts / parts.square().sum((0, 2), keepdim=True).sqrt()).permute(1, 2, 0)
    drawn = Fidelity(0.1).sample(x, generator)
    assert Fidelity(0.1).contains(drawn, x).all()
    torch.testing.assert_close(Fidelity(0.1).distance(drawn, x), Fidelity(0.1).distance(drawn, x.contiguous()))


def test_a_sampled_model_follows_its_angles(generator):
    """As its scale does, and as the same model without shots does."""
    sampled, x = sampled_net(generator, shots=20_000), torch.rand(3, 2, generator=generator)
    sampled(x)
    with torch.no_grad():
        sampled.model.theta.add_(1.0)
        exact = sampled.model.under()(x)
        torch.testing.assert_close(sampled(x), exact, atol=0.15, rtol=0)


@pytest.mark.parametrize("attack", [FAB(steps=3, restarts=1), FMN(steps=3)])
@pytest.mark.parametrize("threat", [L0(2, (0.0, 1.0)), L1(1.0, (0.0, 1.0)), L2(1.0), Linf(0.5)])
def test_models_may_answer_in_another_precision(attack, threat, generator):
    if isinstance(attack, FAB) and isinstance(threat, L0):
        threat = L1(1.0)
    weight = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    x = torch.rand(8, 6, generator=generator)
    y = (x.double() @ weight).argmax(1)
    result = run_attack(attack, lambda x: x.double() @ weight, x, y, threat, generator=generator)
    assert result.success.any()
    assert result.x_adv.dtype == torch.float32
