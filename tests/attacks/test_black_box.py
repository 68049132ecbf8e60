"""Attacks that see scores or labels only, against exact radii and against white-box attacks."""

import math

import pytest
import torch
from scipy.stats import binomtest

from cases import pairwise
from oracles import one_qubit
from robustq.attacks import PGD, SPSA, HopSkipJump, SearchProblem, Square, UniformNoise, run_attack
from robustq.bench import parse
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import ModelError, SpecError, ThreatError
from robustq.models import QuantumNet, Training, fit
from robustq.threats import L0, L1, L2, Access, Fidelity, Linf

BOXES = {"none": None, "unit": (0.0, 1.0), "angles": (-math.pi, math.pi)}
BASE = (1.3, -0.7, 0.4)
ATTACKS = {
    "square": (Square(queries=150), "scores"),
    "spsa": (SPSA(steps=15, directions=8), "scores"),
    "hopskipjump": (HopSkipJump(tries=42), "labels"),
}


def level_points(box, count, generator):
    """An oracle, and inputs on both sides of its boundary, all at the same distance from it."""
    low, high = box or (-1.0, 1.0)
    weights = tuple(2 * w / (high - low) for w in BASE)
    bias = math.pi / 2 - sum(weights) * (low + high) / 2
    normal = torch.tensor(weights, dtype=torch.float64)
    drawn = 0.3 * (high - low) * (torch.rand(count, 3, generator=generator).double() - 0.5)
    side = 1.0 - 2.0 * (torch.arange(count) % 2).double()
    along = (0.15 * side - drawn @ normal)[:, None] * normal / (normal @ normal)
    return weights, bias, (low + high) / 2 + drawn + along


@pytest.mark.parametrize(
    ("name", "box", "kind", "batch"), pairwise([*ATTACKS], BOXES, {"linf": Linf, "l2": L2}, [1, 3, 64])
)
def test_the_exact_radius_is_met_without_gradients(name, box, kind, batch, generator):
    """Success at 1.25 times the exact radius, and none below it."""
    weights, bias, x = level_points(box, batch, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    exact = one_qubit.radius(weights, bias, x, "linf" if kind is Linf else "l2")
    torch.testing.assert_close(exact, exact[:1].expand(batch))
    attack, knowledge = ATTACKS[name]
    reach = 1.25 * float(exact[0])
    hit, missed = (
        run_attack(attack, model, x, y, kind(eps, box), generator=generator, access=Access(knowledge))
        for eps in (reach, 0.999 * float(exact[0]))
    )
    assert hit.success.all()
    assert (hit.radius >= exact * (1 - 1e-9)).all()
    assert not missed.success.any()
    assert hit.gradients == missed.gradients == 0


def test_l1_is_searched_too(generator):
    """The exact radius in l1 is the distance along the feature with the largest weight."""
    weights, bias, x = level_points((0.0, 1.0), 8, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    exact = 0.15 / max(map(abs, weights))
    for attack in (Square(queries=100), SPSA(steps=10)):
        hit, missed = (
            run_attack(attack, model, x, y, L1(eps, (0.0, 1.0)), generator=generator, access=Access("scores"))
            for eps in (1.25 * exact, 0.999 * exact)
        )
        assert hit.success.all()
        assert not missed.success.any()


def test_hopskipjump_walks_to_the_nearest_point_of_the_boundary(generator):
    """Far more room than it needs, and the median distance is within 1 % of the exact one."""
    weights, bias, x = level_points((0.0, 1.0), 32, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    for kind, norm in ((Linf, "linf"), (L2, "l2")):
        exact = one_qubit.radius(weights, bias, x, norm)
        threat = kind(4 * float(exact[0]), (0.0, 1.0))
        found = run_attack(HopSkipJump(), model, x, y, threat, generator=generator, access=Access("labels"))
        assert found.success.all()
        assert float((found.radius / exact).median()) < 1.01


@pytest.mark.parametrize("name", ATTACKS)
def test_units_and_frozen_features_are_kept(name, generator):
    """One feature is out of reach and one is measured in units of 10: the others must do."""
    weights, bias, x = level_points(None, 8, generator)
    model = one_qubit.model((weights[0], weights[1] / 10, weights[2]), bias, generator).double()
    x[:, 1] *= 10
    y = model(x).argmax(1)
    reach = 0.15 / (abs(weights[0]) + abs(weights[1]))
    threat = Linf(1.25 * reach, scale=(1.0, 10.0, 1.0), frozen=(2,))
    attack, knowledge = ATTACKS[name]
    found = run_attack(attack, model, x, y, threat, generator=generator, access=Access(knowledge))
    assert found.success.all()
    assert torch.equal(found.x_adv[:, 2], x[:, 2])


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("budget", [1, 7, 60])
def test_query_budgets_are_kept_exactly(name, budget, generator):
    weights, bias, x = level_points(None, 5, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    attack, knowledge = ATTACKS[name]
    access = Access(knowledge, queries=budget)
    asked = []

    def counting(inputs):
        asked.append(len(inputs))
        return model(inputs)

    found = run_attack(attack, counting, x, y, Linf(0.01), generator=generator, access=access)
    assert found.queries == budget * len(x)
    assert found.gradients == 0
    assert sum(asked) == found.queries + 4 * len(x)  # two for the clean labels, two for the verdict


def test_costs_are_what_the_parameters_say(generator):
    weights, bias, x = level_points(None, 4, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    for attack, cost in ((Square(queries=30), 30), (SPSA(steps=3, directions=5), 30)):
        found = run_attack(attack, model, x, y, Linf(0.01), generator=generator)
        assert found.queries == (cost + 1) * len(x)  # the framework asks about the last candidate


def test_label_access_hides_the_scores(generator):
    """One-hot answers inside the threat set and outside, and no gradient."""
    weights, bias, x = level_points(None, 6, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    problem = SearchProblem(model, x, y, Linf(0.1), generator, Access("labels"))
    for answer in (problem.logits(x), problem.ask(x + 1)):
        assert set(answer.flatten().tolist()) == {0.0, 1.0}
        assert (answer.sum(1) == 1).all()
    assert set(problem.loss(x).tolist()) == {-1.0}
    with pytest.raises(ModelError, match="labels only"):
        problem.gradient(x)


def test_questions_outside_the_threat_set_are_answered_counted_and_forgotten(generator):
    weights, bias, x = level_points((0.0, 1.0), 4, generator)
    model = one_qubit.model(weights, bias, generator).double()
    y = one_qubit.label(weights, bias, x)
    exact = float(one_qubit.radius(weights, bias, x, "linf")[0])
    normal = torch.tensor(weights).sign()
    across = x + torch.where(y == 0, 1.5, -1.5)[:, None] * exact * normal
    for eps, remembered in ((1.2 * exact, False), (1.6 * exact, True)):
        problem = SearchProblem(model, x, y, Linf(eps, (0.0, 1.0)), generator)
        assert (problem.ask(across).argmax(1) != y).all()
        assert problem.ledger.queries == len(x)
        assert problem.flipped.all() == remembered
    problem.ask(x + 5)  # cut by the box, so that nobody asks about what is no input
    assert problem.strongest.max() <= 1
    with pytest.raises(ModelError, match=r"inputs of shape \(4, 3\)"):
        problem.ask(x[:2])


@pytest.fixture(scope="module")
def cancer():
    """A QNN on four features of the breast-cancer data, and its test inputs."""
    stream = torch.Generator().manual_seed(1)
    data = parse({"data": {"name": "breast-cancer", "features": 4}}).dataset()
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=3))
    model = QuantumNet(circuit, per_qubit_z(2, 4), generator=stream)
    fit(model, *data.tensors("train"), generator=stream, training=Training(epochs=6))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model, *data.tensors("test")


@pytest.mark.parametrize("kind", [Linf, L2])
def test_square_comes_near_pgd_and_beats_noise_on_real_data(cancer, kind, generator):
    model, x, y = cancer
    threat = kind(0.1 if kind is Linf else 0.15, (0.0, 1.0))
    square = run_attack(Square(queries=150), model, x, y, threat, generator=generator, access=Access("scores"))
    pgd, noise = (run_attack(a, model, x, y, threat, generator=generator) for a in (PGD(), UniformNoise(50)))
    assert square.correct.double().mean() > 0.85
    assert abs(float(square.robust.double().mean() - pgd.robust.double().mean())) < 0.05
    assert better(square, noise) < 0.01


def better(first, second):
    """McNemar's exact test: the chance that as many inputs fall to the first attack alone by luck."""
    alone = int((first.success & ~second.success).sum())
    other = int((second.success & ~first.success).sum())
    return binomtest(alone, max(1, alone + other), 0.5, alternative="greater").pvalue


@pytest.mark.parametrize("answers", [1, 3])
def test_hard_labels_of_a_finite_shot_victim(cancer, answers, generator):
    """Two hundred shots, labels only: more flips than random points, by majority of fifteen answers."""
    model, x, y = cancer
    victim = model.under(shots=200, generator=torch.Generator().manual_seed(3))
    threat, access = Linf(0.12, (0.0, 1.0)), Access("labels", queries=300 * answers)
    attack = HopSkipJump(steps=4, tries=42, answers=answers)
    hop, noise = (
        run_attack(a, victim, x, y, threat, generator=generator, access=access, answers=15)
        for a in (attack, UniformNoise(40))
    )
    assert hop.queries <= access.queries * len(x)
    assert hop.shots == hop.queries * victim.shots_per_answer
    assert hop.gradients == 0
    assert better(hop, noise) < 0.02


def test_images_change_in_squares(generator):
    """After a first move the images of two candidates differ inside one square of every channel."""
    seen = []

    def model(x):
        seen.append(x.clone())
        return torch.stack([x.flatten(1).sum(1), torch.zeros(len(x))], 1)

    x = torch.full((3, 2, 8, 8), 0.5)
    problem = SearchProblem(model, x, torch.zeros(3).long(), Linf(0.1), generator)
    Square(queries=2, share=0.25).search(problem)
    moved = seen[1] != seen[0]
    for image in moved:
        rows, columns = image.any(0).any(1), image.any(0).any(0)
        assert int(rows.sum()) <= 4
        assert int(columns.sum()) <= 4
    assert moved.any()
    torch.testing.assert_close((seen[0] - x).abs(), torch.full_like(x, 0.1))


def test_spsa_needs_no_more_than_a_loss(generator):
    """A search for something that is no input: only ``x``, ``threat``, ``generator`` and ``loss``."""

    class Shared:
        x = torch.zeros(1, 6)
        threat = Linf(1.0)

        def loss(self, candidate, kind="margin"):
            return (candidate @ torch.tensor([1.0, -2.0, 3.0, -1.0, 1.0, 2.0])).tanh()

    search = Shared()
    search.generator = generator
    found = SPSA().search(search)
    assert found.sign().tolist() == [[1, -1, 1, -1, 1, 1]]
    assert float(search.loss(found)) > 0.99


def test_spsa_moves_states(generator):
    """Any threat with a steepest step: here pure states, of a fidelity that is bounded."""
    target = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    x = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])

    def model(states):
        found = (states * target).flatten(1).sum(1)
        return torch.stack([torch.full_like(found, 0.3), found], 1)

    y = torch.zeros(1).long()
    for eps, flips in ((0.2, True), (0.05, False)):  # sqrt(eps) is the amplitude that can be reached
        found = run_attack(SPSA(), model, x, y, Fidelity(eps), generator=generator)
        assert bool(found.success) == flips


def test_square_refuses_other_threats(generator):
    x, y = torch.zeros(2, 3), torch.zeros(2).long()
    model = torch.nn.Linear(3, 2)
    with pytest.raises(ThreatError, match="expected an l-inf, l2 or l1 ball, got l0"):
        Square().search(SearchProblem(model, x, y, L0(1), generator))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Square(queries=0), "square: expected queries as a whole number >= 1, got 0"),
        (lambda: Square(share=0.0), r"square: expected a share in \(0, 1\]"),
        (lambda: SPSA(directions=1.5), "spsa: expected directions as a whole number"),
        (lambda: SPSA(probe=0.0), "spsa: expected probe > 0"),
        (lambda: SPSA(loss="mse"), "unknown attack loss"),
        (lambda: HopSkipJump(answers=2), "expected an odd number of answers, got 2"),
        (lambda: HopSkipJump(probe=1.0), r"expected probe in \(0, 1\)"),
        (lambda: HopSkipJump(tries=True), "expected tries as a whole number"),
    ],
)
def test_impossible_attacks_are_refused(build, message):
    with pytest.raises(SpecError, match=message):
        build()
