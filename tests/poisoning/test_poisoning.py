"""Poisoned training data: budgets that hold, verdicts that repeat, poisons that beat chance."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oracles import one_qubit
from robustq.data import load, prepare
from robustq.errors import DataError, ModelError, RobustQError, SpecError, ThreatError
from robustq.models import Training, fit
from robustq.models.catalogue import qnn
from robustq.poisoning import Backdoor, LabelFlip, Poison, Quid, RandomFlip, TrainingData, Triggered, poison
from robustq.poisoning.catalogue import POISONINGS
from robustq.poisoning.quid import class_distances
from robustq.stats import mcnemar
from robustq.threats import Poisoning

SEEDS = 3


def nearest_mean(x, y, generator):
    """A victim that trains at once."""
    means = torch.stack([x[y == label].mean(0) for label in range(int(y.max()) + 1)])
    return lambda inputs: -torch.cdist(inputs, means)


@pytest.fixture
def blobs(generator):
    """Two classes of twenty rows each, far apart."""
    y = torch.arange(40) % 2
    x = 0.1 * torch.randn(40, 3, generator=generator) + y[:, None]
    return x, y


@dataclass(frozen=True, eq=False)
class Victim:
    """A quantum net on real data, and how it is trained."""

    train_rows: tuple
    test_rows: tuple
    encoding: str
    target: int  # a class that a clean model does not see in the trigger anyway

    def untrained(self, generator):
        x, y = self.train_rows
        return qnn(x.shape[1], int(y.max()) + 1, generator=generator, layers=4, encoding=self.encoding)

    def train(self, x, y, generator):
        model = self.untrained(generator)
        fit(model, x, y, generator=generator, training=Training(epochs=20, lr=0.1, validation=0))
        return model

    def poisoned(self, attack, budget):
        stream = torch.Generator().manual_seed(7)
        return poison(
            attack, self.train, *self.train_rows, *self.test_rows, budget=budget, generator=stream, repeats=SEEDS
        )


def victim(name):
    raw = load("digits").only(("0", "1", "3", "6")) if name == "digits" else load(name)
    features, how = (16, "resize") if name == "digits" else (4, "pca")
    data = prepare(raw, features=features, reduction=how, train_size=240)
    encoding, target = ("amplitude", 0) if name == "digits" else ("angle", 1)
    return Victim(data.tensors("train"), data.tensors("test"), encoding, target)


@pytest.fixture(scope="module", params=["breast-cancer", "digits"])
def quantum(request):
    """Four qubits, two classes by angles or four by amplitudes."""
    made = victim(request.param)
    assert made.untrained(torch.Generator()).circuit.qubits == 4
    return made


def accuracy(table):
    return float(table.double().mean())


def check_beats_chance(result):
    assert accuracy(result.clean) > 0.9
    assert accuracy(result.poisoned) < accuracy(result.random) - 0.03
    assert result.p_value < 0.01


def test_label_flips_beat_random_ones(quantum):
    result = quantum.poisoned(LabelFlip(), 0.2)
    check_beats_chance(result)
    assert accuracy(result.poisoned) < accuracy(result.random) - 0.15
    assert (result.touched == result.threat.allowed(len(quantum.train_rows[1]))).all()


def test_quid_beats_random_flips(quantum):
    encoder = quantum.untrained(torch.Generator().manual_seed(99)).freeze()
    check_beats_chance(quantum.poisoned(Quid(encoder), 0.2))


def test_quid_on_random_rows_needs_more_than_two_classes():
    """As in the paper: the label is chosen, the rows are not."""
    many = victim("digits")
    encoder = many.untrained(torch.Generator()).freeze()
    check_beats_chance(many.poisoned(Quid(encoder, rows="random"), 0.4))
    two = victim("breast-cancer")
    encoder = two.untrained(torch.Generator()).freeze()
    assert two.poisoned(Quid(encoder, rows="random"), 0.4).p_value > 0.05


def test_a_backdoor_opens_and_nobody_notices(quantum):
    result = quantum.poisoned(Backdoor(target=quantum.target), 0.1)
    assert accuracy(result.hits) >= 0.8
    assert accuracy(result.hits) > accuracy(result.clean_hits) + 0.5
    assert accuracy(result.clean) - accuracy(result.poisoned) <= 0.05
    assert result.p_value < 1e-6
    others = int((quantum.test_rows[1] != quantum.target).sum())
    assert result.hits.shape == result.clean_hits.shape == (SEEDS, others)


def test_random_flips_are_no_better_than_random_flips(quantum):
    assert quantum.poisoned(RandomFlip(), 0.2).p_value > 0.01


def test_the_same_generator_gives_the_same_verdict(blobs):
    x, y = blobs
    noisy = lambda x, y, g: nearest_mean(x + torch.randn(x.shape, generator=g), y, g)  # noqa: E731

    def run(attack, seed):
        stream = torch.Generator().manual_seed(seed)
        return poison(attack, noisy, x, y, x, y, budget=0.4, generator=stream, repeats=2)

    for attack in (LabelFlip(), RandomFlip(), Backdoor()):
        one, two = run(attack, 3), run(attack, 3)
        for name in ("touched", "clean", "random", "poisoned"):
            assert torch.equal(getattr(one, name), getattr(two, name))
    first, second = run(RandomFlip(), 3), run(RandomFlip(), 4)
    assert not torch.equal(first.poisoned, second.poisoned)
    assert torch.equal(run(LabelFlip(), 3).clean, run(Backdoor(), 3).clean)


@dataclass(frozen=True)
class Greedy:
    """Changes, adds or drops rows as told, whatever it is allowed."""

    flips: int = 0
    moves: int = 0
    adds: int = 0
    drops: int = 0

    def craft(self, data):
        data.x[: self.moves] += 0.5
        data.y[: self.flips] = 1 - data.y[: self.flips]
        x, y = (torch.cat([part, part[: self.adds]]) for part in (data.x, data.y))
        return x[self.drops :], y[self.drops :]


@pytest.mark.parametrize(
    ("attack", "allowed"),
    [
        (Greedy(flips=4), True),
        (Greedy(flips=5), False),
        (Greedy(moves=4), True),
        (Greedy(moves=5), False),
        (Greedy(adds=4), True),
        (Greedy(adds=5), False),
        (Greedy(flips=4, moves=4), True),
        (Greedy(flips=3, adds=1), True),
        (Greedy(flips=3, adds=2), False),
        (Greedy(drops=1), False),
        (Greedy(), True),
    ],
    ids=str,
)
def test_the_budget_is_enforced(attack, allowed, blobs, generator):
    (x, y), before = blobs, [part.clone() for part in blobs]
    given = {"budget": 0.1, "generator": generator}
    if allowed:
        result = poison(attack, nearest_mean, x, y, x, y, **given)
        assert result.touched.tolist() == [max(attack.flips, attack.moves) + attack.adds]
    else:
        with pytest.raises(ThreatError, match="at most 10 % of the rows"):
            poison(attack, nearest_mean, x, y, x, y, **given)
    assert all(torch.equal(a, b) for a, b in zip((x, y), before, strict=True))


@pytest.mark.parametrize("attack", [Greedy(moves=1), Greedy(adds=1)], ids=str)
def test_rights_are_enforced(attack, blobs, generator):
    with pytest.raises(ThreatError, match="labels, which is 4 of 40"):
        poison(attack, nearest_mean, *blobs, *blobs, budget=Poisoning(0.1), generator=generator)
    only = Poisoning(0.1, labels=False, features=(-9.0, 9.0))
    with pytest.raises(ThreatError, match="which is 4 of 40"):
        poison(LabelFlip(), nearest_mean, *blobs, *blobs, budget=only, generator=generator)


@dataclass(frozen=True)
class Nonsense:
    """Gives back what is no training data."""

    x: float = 0.0
    label: int = 0

    def craft(self, data):
        data.x[0, 0], data.y[0] = self.x, self.label
        return data.x, data.y


def forgetful(x, y, generator):
    return lambda inputs: torch.rand(len(inputs), 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"attack": Nonsense(x=math.nan)}, DataError, "finite floating-point"),
        ({"attack": Nonsense(label=-1)}, DataError, "int64 labels >= 0"),
        ({"attack": Nonsense(label=2)}, ThreatError, "expected poisoning of at most"),
        ({"attack": Backdoor(target=2)}, DataError, r"target in 0\.\.1, got 2"),
        ({"attack": Backdoor(((9, 1.0),))}, DataError, "features within 3, got 9"),
        ({"train": forgetful}, ModelError, "rows and the generator only"),
        ({"train": lambda x, y, g: torch.nn.Linear(3, 1)}, ModelError, "classes >= 2"),
        ({"y_test": torch.full((40,), 2)}, DataError, r"test labels in 0\.\.1, got 2"),
        ({"y": torch.zeros(40).long()}, DataError, "at least two classes"),
        ({"y": torch.zeros(39).long()}, DataError, "labels"),
        ({"x": torch.zeros(40, 3).long()}, DataError, "floating-point"),
        ({"repeats": 0}, DataError, "repeats >= 1"),
        ({"budget": 1.5}, ThreatError, r"budget in \[0, 1\]"),
    ],
)
def test_bad_input_is_named(change, error, message, blobs, generator):
    x, y = blobs
    arguments = {
        "attack": LabelFlip(),
        "train": nearest_mean,
        "x": x,
        "y": y,
        "x_test": x,
        "y_test": y,
        "budget": 0.1,
        "generator": generator,
    } | change
    with pytest.raises(error, match=message):
        poison(**arguments)


def test_impossible_poisons_are_refused():
    with pytest.raises(SpecError, match="softness > 0"):
        LabelFlip(softness=0)
    with pytest.raises(SpecError, match="at least one feature"):
        Backdoor(())
    with pytest.raises(SpecError, match="target >= 0"):
        Backdoor(target=-1)
    with pytest.raises(ModelError, match="shows its encoded states"):
        Quid(nearest_mean)
    with pytest.raises(RobustQError, match="did you mean 'farthest'"):
        Quid(one_qubit.model((1.0,), 0.0, torch.Generator()).freeze(), rows="farest")


def test_quid_distances_are_chords_of_the_bloch_sphere(generator):
    """On one qubit the Frobenius distance of two states is that of their Bloch vectors over sqrt(2)."""
    encoder = one_qubit.model((1.0,), 0.3, generator).double().freeze()
    x = 6 * torch.rand(12, 1, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1, 1, 3, 3, 3, 3, 0, 1, 0])
    states = encoder.states(x)
    bloch = torch.stack([(x[:, 0] + 0.3).sin(), (x[:, 0] + 0.3).cos()], 1)
    found = class_distances(states, y)
    rho = states[:, :, None] * states[:, None, :].conj()
    for label in (0, 1, 3):
        chord = (bloch - bloch[y == label].mean(0)).norm(dim=1) / math.sqrt(2)
        torch.testing.assert_close(found[:, label], chord)
        matrix = torch.linalg.matrix_norm(rho - rho[y == label].mean(0))
        torch.testing.assert_close(found[:, label], matrix)
    assert (found[:, 2] == -1).all()


def test_quid_gives_the_farthest_label_to_the_farthest_rows():
    encoder = one_qubit.model((1.0,), 0.0, torch.Generator()).freeze()
    x = torch.tensor([0.0, 0.1, 1.0, 1.1, math.pi, 3.0])[:, None]
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    data = TrainingData(x, y, Poisoning(0.5), torch.Generator())
    assert Quid(encoder).craft(data)[1].tolist() == [2, 2, 1, 1, 0, 2]
    random = Quid(encoder, rows="random").craft(data)[1]
    assert int((random != y).sum()) == 3
    wanted = torch.tensor([2, 2, 2, 2, 0, 0])
    assert torch.equal(random[random != y], wanted[random != y])


def test_label_flips_are_the_best_pair_there_is(generator):
    """Against every pair of flips, judged by a ridge regression solved from scratch."""
    x = torch.rand(10, 2, generator=generator, dtype=torch.float64)
    y = (x.sum(1) > 1).long()
    attack, data = LabelFlip(), TrainingData(x, y, Poisoning(0.2), generator)

    def harm(labels):
        rows = torch.cat([x - x.mean(0), torch.ones(10, 1)], 1)
        grown = torch.cat([rows, attack.ridge**0.5 * torch.eye(3)])
        goal = torch.cat([torch.eye(2)[labels], torch.zeros(3, 2)]).double()
        scores = rows @ torch.linalg.lstsq(grown, goal).solution
        margin = scores.gather(1, 1 - y[:, None]) - scores.gather(1, y[:, None])
        return float(torch.sigmoid(margin / attack.softness).sum())

    def flipped(*rows):
        labels = y.clone()
        labels[list(rows)] = 1 - labels[list(rows)]
        return labels

    pairs = sorted((harm(flipped(i, j)) for i in range(10) for j in range(i)), reverse=True)
    crafted = attack.craft(data)[1]
    assert int((crafted != y).sum()) == 2
    assert harm(crafted) >= pairs[2]  # greedy and to first order, so not always the very best


def test_a_backdoor_adds_triggered_rows_only(blobs, generator):
    x, y = blobs
    attack = Backdoor(((0, 0.7), (-1, 0.2)), target=1)
    new_x, new_y = attack.craft(TrainingData(x, y, Poisoning(0.1, features=(-9, 9)), generator))
    assert torch.equal(new_x[:40], x)
    assert torch.equal(new_y[:40], y)
    added = new_x[40:]
    assert new_y[40:].tolist() == [1] * 4
    assert torch.equal(added, attack.trigger(added))
    origins = [(x[:, 1] == row[1]).nonzero().item() for row in added]
    assert (y[origins] == 0).all()
    assert len(set(origins)) == 4
    image = torch.zeros(2, 4, 4)
    assert attack.trigger(image)[:, 0, 0].tolist() == [pytest.approx(0.7)] * 2
    assert attack.trigger(image)[:, 3, 3].tolist() == [pytest.approx(0.2)] * 2


@pytest.mark.parametrize("name", POISONINGS)
def test_catalogue_entries_are_poisons_and_values(name):
    encoder = one_qubit.model((1.0,), 0.0, torch.Generator()).freeze()
    options = {"encoder": encoder} if name == "quid" else {}
    made = POISONINGS[name].make(**options)
    assert isinstance(made, Poison)
    assert isinstance(made, Triggered) == (name == "backdoor")
    assert made == POISONINGS[name].make(**options)
    assert hash(made) == hash(POISONINGS[name].make(**options))
    assert str(made)


THREATS = [
    Poisoning(0.0),
    Poisoning(0.34),
    Poisoning(0.5, features=(0.0, 1.0)),
    Poisoning(0.5, labels=False, features=(0.0, 1.0)),
    Poisoning(1.0, features=(-torch.inf, 0.5)),
]
CELLS = st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0, 2.0])


@pytest.mark.parametrize("threat", THREATS, ids=str)
@given(
    x=arrays(np.float64, (6, 2), elements=CELLS),
    other=arrays(np.float64, (6, 2), elements=CELLS),
    labels=arrays(np.int64, 6, elements=st.integers(-1, 4)),
    added=st.integers(0, 3),
)
def test_projections_are_allowed_and_idempotent(threat, x, other, labels, added):
    clean = torch.tensor(x), torch.tensor([0, 1, 2, 0, 1, 2])
    wild = (torch.tensor(np.concatenate([other, x[:added]])), torch.tensor(np.concatenate([labels, labels[:added]])))
    kept = threat.project(wild, clean)
    assert threat.contains(kept, clean)
    assert threat.distance(kept, clean) <= threat.eps + 1e-9
    again = threat.project(kept, clean)
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
    if threat.contains(wild, clean):
        assert all(torch.equal(a, b) for a, b in zip(kept, wild, strict=True))
    assert threat.contains(clean, clean)


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_samples_spend_the_whole_budget(threat, generator):
    clean = torch.rand(50, 2, generator=generator), torch.arange(50) % 3
    drawn = threat.sample(clean, generator)
    assert threat.contains(drawn, clean)
    assert threat.touched(drawn, clean) == threat.allowed(50)
    assert torch.equal(drawn[1], clean[1]) == (not threat.labels or not threat.budget)


def test_projection_keeps_labels_first_then_the_largest_moves():
    clean = torch.zeros(4, 1), torch.tensor([0, 1, 0, 1])
    wild = torch.tensor([[0.1], [0.9], [0.0], [0.2], [5.0]]), torch.tensor([0, 1, 1, 1, 0])
    threat = Poisoning(0.5, features=(0.0, 1.0))
    x, y = threat.project(wild, clean)
    assert x[:, 0].tolist() == [0.0, pytest.approx(0.9), 0.0, 0.0]
    assert y.tolist() == [0, 1, 1, 1]
    x, y = Poisoning(1.0, features=(0.0, 1.0)).project((wild[0][[2, 2, 2, 2, 4]], wild[1]), clean)
    assert x[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert y.tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": -0.1}, "budget in"),
        ({"budget": math.nan}, "budget in"),
        ({"budget": True}, "as a number"),
        ({"budget": 0.1, "labels": False}, "got neither"),
        ({"budget": 0.1, "features": (1.0, 0.0)}, "low < high"),
        ({"budget": 0.1, "labels": False, "features": (0.0, math.inf)}, "finite box"),
    ],
)
def test_impossible_threats_are_refused(options, message):
    with pytest.raises(ThreatError, match=message):
        Poisoning(**options)


def test_a_threat_is_a_value_in_one_line():
    assert Poisoning(0.1) == Poisoning(0.1)
    assert str(Poisoning(0.1, features=(0, 1))) == (
        "poisoning of at most 10 % of the rows: labels and inputs in [0, 1]"
    )


def test_mcnemar_is_the_binomial_tail():
    first, second = [1] * 8 + [0] * 2 + [1] * 5, [0] * 8 + [1] * 2 + [1] * 5
    tail = sum(math.comb(10, k) for k in range(8, 11)) / 2**10
    assert mcnemar(first, second) == pytest.approx(tail)
    assert mcnemar([first] * 4, [second] * 4) == pytest.approx(tail)  # seeds are no new inputs
    assert mcnemar(first, first) == 1.0
    with pytest.raises(DataError, match="zeros and ones"):
        mcnemar([0.5], [1])
    with pytest.raises(DataError, match="equal shape"):
        mcnemar([1], [1, 0])


def test_mcnemar_over_seeds_is_the_sign_flip_test(rng):
    """Against every way to give the inputs' gaps their signs."""
    first, second = rng.integers(0, 2, (2, 3, 9))
    gap = (first - second).sum(0)
    signs = np.array(list(itertools.product((-1, 1), repeat=9)))
    expected = float((signs @ np.abs(gap) >= gap.sum()).mean())
    assert 0.0 < expected < 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
