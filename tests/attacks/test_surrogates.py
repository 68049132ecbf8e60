"""Attacks through a surrogate: given, or learnt from answers."""

import pytest
import torch
from scipy.stats import binomtest

from oracles import one_qubit
from robustq.attacks import FGSM, PGD, SearchProblem, Transfer, UniformNoise, run_attack
from robustq.attacks.transfer import Surrogate
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import SpecError
from robustq.models import QuantumNet
from robustq.threats import L2, Access, Linf

UNIT = (0.0, 1.0)


@pytest.fixture
def victim(generator):
    """A deep random circuit on four qubits and inputs it labels itself."""
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=3))
    model = QuantumNet(circuit, per_qubit_z(2, 4), generator=generator).requires_grad_(False)
    x = torch.rand(150, 4, generator=generator)
    return model, x, model(x).argmax(1)


def better(first, second):
    """McNemar's exact test: the chance that as many inputs fall to the first attack alone by luck."""
    alone = int((first.success & ~second.success).sum())
    other = int((second.success & ~first.success).sum())
    return binomtest(alone, max(1, alone + other), 0.5, alternative="greater").pvalue


@pytest.mark.parametrize("knowledge", ["scores", "labels"])
@pytest.mark.parametrize("kind", [Linf, L2])
def test_a_trained_surrogate_beats_as_much_noise(victim, knowledge, kind, generator):
    model, x, y = victim
    threat, access = kind(0.08 if kind is Linf else 0.12, UNIT), Access(knowledge, queries=33)
    transfer, noise = (
        run_attack(attack, model, x, y, threat, generator=generator, access=access)
        for attack in (Transfer(PGD(steps=10, restarts=1), queries=32), UniformNoise(32))
    )
    assert better(transfer, noise) < 0.01
    assert transfer.queries == 33 * len(x)
    assert transfer.gradients == 0


def test_a_given_surrogate_is_asked_everything_and_the_victim_once(victim, generator):
    model, x, y = victim
    twin = QuantumNet(model.circuit, per_qubit_z(2, 4), generator=generator)
    twin.load_state_dict({k: v + 0.05 for k, v in model.state_dict().items()})
    access = Access("labels", queries=1)
    attack = Transfer(PGD(), surrogate=twin)
    found = run_attack(attack, model, x, y, Linf(0.08, UNIT), generator=generator, access=access)
    noise = run_attack(UniformNoise(1), model, x, y, Linf(0.08, UNIT), generator=generator)
    white = run_attack(PGD(), model, x, y, Linf(0.08, UNIT), generator=generator)
    assert (found.queries, found.gradients) == (len(x), 0)
    assert better(found, noise) < 1e-6
    assert int(found.success.sum()) > 0.8 * int(white.success.sum())


def test_the_victim_itself_as_surrogate_is_the_white_box_attack(victim, generator):
    model, x, y = victim
    attack = FGSM()
    direct = run_attack(attack, model, x, y, Linf(0.08, UNIT), generator=generator)
    through = run_attack(Transfer(attack, surrogate=model), model, x, y, Linf(0.08, UNIT), generator=generator)
    assert torch.equal(direct.success, through.success)
    torch.testing.assert_close(direct.x_adv, through.x_adv)


@pytest.mark.parametrize("batch", [1, 16])
def test_the_exact_radius_is_met_from_answers_alone(batch, generator):
    weights, bias = (1.3, -0.7, 0.4), 0.2
    model = one_qubit.model(weights, bias, generator).double()
    x = torch.rand(batch, 3, generator=generator, dtype=torch.float64)
    y = one_qubit.label(weights, bias, x)
    exact = float(one_qubit.radius(weights, bias, x, "linf").max())
    attack, access = Transfer(PGD(steps=10, restarts=1)), Access("scores")
    hit = run_attack(attack, model, x, y, Linf(1.25 * exact), generator=generator, access=access)
    assert hit.success.double().mean() > 0.9
    least = float(one_qubit.radius(weights, bias, x, "linf").min())
    missed = run_attack(attack, model, x, y, Linf(0.999 * least), generator=generator, access=access)
    assert not missed.success.any()


def test_the_surrogate_learns_a_function_it_can_represent(generator):
    """Its own kind, drawn at random: nine tenths of the variance within 600 steps, on held-back rows."""
    x = torch.rand(2000, 5, generator=generator)
    teacher = Surrogate.drawn(x, torch.randn(2000, 3, generator=generator), 4, generator)
    logits = 7 * teacher(x) + 100
    pupil = Surrogate.drawn(x[:1500], logits[:1500], 32, generator)
    pupil.learn(x[:1500], logits[:1500], 600, generator)
    truth, guess = (v - v.mean(1, keepdim=True) for v in (logits[1500:], pupil(x[1500:])))
    assert float(((truth - guess) ** 2).mean() / (truth - truth.mean(0)).square().mean()) < 0.1


def test_same_generator_same_surrogate_and_nobody_elses_chance(victim):
    model, x, y = victim
    before = torch.random.get_rng_state()

    def run():
        stream = torch.Generator().manual_seed(4)
        attack = Transfer(PGD(steps=3, restarts=1), queries=4, steps=20)
        return run_attack(attack, model, x, y, Linf(0.1, UNIT), generator=stream).x_adv

    assert torch.equal(run(), run())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_and_constant_features(generator):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    x = torch.rand(20, 3, 4, generator=generator)
    x[:, 0] = 0.0
    y = net(x).argmax(1)
    problem = SearchProblem(net, x, y, Linf(0.2, UNIT), generator, Access("scores"))
    found = Transfer(PGD(steps=3, restarts=1), queries=8, steps=50).search(problem)
    assert found.shape == x.shape
    assert problem.ledger.queries == 8 * len(x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Transfer(queries=0), "transfer: expected queries as a whole number >= 1"),
        (lambda: Transfer(hidden=2.5), "transfer: expected hidden as a whole number"),
        (lambda: Transfer(reach=0.0), "transfer: expected reach > 0"),
    ],
)
def test_impossible_transfers_are_refused(build, message):
    with pytest.raises(SpecError, match=message):
        build()
