"""One perturbation for many inputs: is it one, is it worth more than a random one, does it carry over?"""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from scipy.stats import binomtest

from oracles import one_qubit
from robustq.attacks import PGD, SearchProblem, Universal, run_attack
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import SpecError, ThreatError
from robustq.models import QuantumNet
from robustq.threats import L2, Fidelity, Linf


@dataclass(frozen=True)
class RandomShared:
    """The baseline: one random vector on the rim of the ball, for all inputs."""

    def search(self, problem):
        noise = torch.randn(problem.x[:1].shape, generator=problem.generator).to(problem.x)
        return problem.x + problem.threat.eps * problem.threat.steepest(noise)


@pytest.fixture
def drifting(generator):
    """A deep circuit, and inputs that share a class: there is a way out that they share, too."""
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=3))
    model = QuantumNet(circuit, per_qubit_z(2, 4), generator=generator).requires_grad_(False)
    x = torch.rand(600, 4, generator=generator)
    y = model(x).argmax(1)
    kept = y == y.mode().values
    return model, x[kept], y[kept]


@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_it_is_one_vector_and_beats_a_random_one(drifting, kind, box, generator):
    model, x, y = drifting
    threat = kind(0.1 if kind is Linf else 0.15, box)
    shared, random = (run_attack(a, model, x, y, threat, generator=generator) for a in (Universal(), RandomShared()))
    alone = int((shared.success & ~random.success).sum())
    other = int((random.success & ~shared.success).sum())
    assert binomtest(alone, alone + other, 0.5, alternative="greater").pvalue < 0.001
    delta = shared.x_adv - x
    if box is None:
        torch.testing.assert_close(delta, delta[:1].expand_as(delta), atol=1e-6, rtol=0)
    else:
        whole = delta.gather(0, delta.abs().argmax(0, keepdim=True))  # where the box cut least
        torch.testing.assert_close(shared.x_adv, (x + whole).clamp(*box), atol=1e-6, rtol=0)
    pgd = run_attack(PGD(), model, x, y, threat, generator=generator)
    assert int(shared.success.sum()) <= int(pgd.success.sum())


def test_it_carries_over_to_inputs_it_never_saw(drifting, generator):
    model, x, y = drifting
    seen, unseen = slice(0, len(x) // 2), slice(len(x) // 2, None)
    threat = Linf(0.1)
    found = run_attack(Universal(), model, x[seen], y[seen], threat, generator=generator)
    delta = (found.x_adv - x[seen])[:1]
    noise = RandomShared().search(SearchProblem(model, x, y, threat, generator)) - x
    carried, by_chance = (model(x[unseen] + d).argmax(1) != y[unseen] for d in (delta, noise[:1]))
    alone, other = int((carried & ~by_chance).sum()), int((by_chance & ~carried).sum())
    assert binomtest(alone, alone + other, 0.5, alternative="greater").pvalue < 0.001


@pytest.mark.parametrize("kind", [Linf, L2])
def test_the_exact_shared_radius_is_met(kind, generator):
    """On one side of a hyperplane the shared radius is that of the farthest input, and no less."""
    weights, bias = (1.3, -0.7, 0.4), math.pi / 4
    model = one_qubit.model(weights, bias, generator).double()
    x = 0.2 * torch.rand(20, 3, generator=generator, dtype=torch.float64)
    y = one_qubit.label(weights, bias, x)
    radii = one_qubit.radius(weights, bias, x, "linf" if kind is Linf else "l2")
    far = float(radii.max())
    assert not y.any()
    hit = run_attack(Universal(), model, x, y, kind(1.1 * far), generator=generator)
    assert hit.success.all()
    part = run_attack(Universal(), model, x, y, kind(0.999 * far), generator=generator)
    assert not part.success[radii.argmax()]


def test_what_another_vector_flipped_on_the_way_does_not_count(generator):
    """Two inputs that no one vector flips: each falls to its own, only one to the shared one."""

    def model(x):
        return torch.stack([0.5 - x[:, 1] * x[:, 0], torch.zeros(len(x))], 1)

    x, y = torch.tensor([[0.0, 1.0], [0.0, -1.0]]), torch.zeros(2).long()
    threat = Linf(0.7, scale=None, frozen=(1,))
    own = run_attack(PGD(), model, x, y, threat, generator=generator)
    shared = run_attack(Universal(restarts=6), model, x, y, threat, generator=generator)
    assert own.success.tolist() == [True, True]
    assert int(shared.success.sum()) == 1
    problem = SearchProblem(model, x, y, threat, generator)
    problem.run(PGD(), keep=False)
    assert not problem.flipped.any()
    assert problem.ledger.queries > 0


def test_costs_are_counted(generator):
    model = torch.nn.Linear(3, 2)
    x, y = torch.rand(5, 3, generator=generator), torch.zeros(5).long()
    found = run_attack(Universal(steps=7, restarts=2), model, x, y, Linf(0.1), generator=generator)
    assert found.gradients == 2 * 8 * 5
    assert found.queries == 2 * 8 * 5 + 5  # and the last candidate


def test_a_threat_without_a_ball_is_refused(generator):
    x = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    problem = SearchProblem(torch.nn.Flatten(), x, torch.zeros(1).long(), Fidelity(0.1), generator)
    with pytest.raises(ThreatError, match="universal: expected a norm ball, got state infidelity"):
        Universal().search(problem)


@pytest.mark.parametrize("change", [{"steps": 0}, {"restarts": 1.5}, {"clip": 0.0}])
def test_impossible_attacks_are_refused(change):
    with pytest.raises(SpecError, match="universal: expected"):
        replace(Universal(), **change)
