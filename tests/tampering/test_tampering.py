"""Every tampering beats chance on a trained model, keeps its budget, and rests where nothing is touched."""

import math
from dataclasses import dataclass

import pytest
import torch
from scipy.stats import binomtest

from robustq import stats
from robustq.attacks import FGSM, PGD, Identity, UniformNoise
from robustq.attacks.catalogue import ATTACKS
from robustq.circuits import Circuit, Projector, ansaetze, encodings, op, parity, pauli, per_qubit_z, theta, z
from robustq.errors import CircuitError, DataError, ModelError, RobustQError, SpecError, ThreatError
from robustq.models import HybridNet, QuantumNet
from robustq.models.perceptron import Perceptron
from robustq.noise import NoiseModel
from robustq.noise.model import Readout
from robustq.tampering import (
    CircuitTrojan,
    Crosstalk,
    EncodingMismatch,
    FeatureSwap,
    GateInsertion,
    GateRemoval,
    Greedy,
    ManyStarts,
    ParameterDrift,
    ReadoutTamper,
    Tampering,
    UniversalUnitary,
    Untouched,
    plant,
    smallest_drift,
    tamper,
)
from robustq.tampering.catalogue import SEARCHES, TAMPERINGS
from robustq.tampering.crosstalk import layers
from robustq.tampering.problem import Flip, SharedProblem
from robustq.tampering.readout import as_pauli_words
from robustq.threats import Access, Rates, Switches
from trained_models import trained

CONTINUOUS = [
    ParameterDrift(0.2),
    ParameterDrift(0.4, "l2"),
    ParameterDrift(0.5, at_most=3),
    GateInsertion(0.5, 3),
    GateInsertion(0.1, None),
    EncodingMismatch(0.2, 0.05),
    EncodingMismatch(0.3, 0.1, at_most=2),
    ReadoutTamper(0.1),
    ReadoutTamper(0.1, at_most=2),
    ReadoutTamper(0.2, biased=True),
    Crosstalk(0.2),
    Crosstalk(0.3, couplings=((0, 2), (1, 2))),
    UniversalUnitary(0.3),
    UniversalUnitary(0.3, "linf", at_most=2),
    Untouched(),
]
DISCRETE = [GateRemoval(2), FeatureSwap(2)]
EVERY = CONTINUOUS + DISCRETE


def search_for(tampering):
    return Greedy() if isinstance(tampering, GateRemoval | FeatureSwap) else ManyStarts()


@pytest.fixture
def small(generator):
    """A three-class model that misreads words as well as projectors, in float64."""
    circuit = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
    read = [0.5 * z(0, 2) + pauli("XY", 1, 2), Projector(("01", "10"), (0, 2)), -z(1)]
    noise = NoiseModel.uniform(readout_error=0.03)
    model = QuantumNet(circuit, read, generator=generator, noise=noise).double()
    x = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    return model, x, torch.tensor([0, 1, 2, 0, 1])


@pytest.fixture
def dressed(generator):
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    core = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    model = HybridNet(5, 3, core, generator=generator).double()
    x = torch.rand(5, 5, generator=generator, dtype=torch.float64)
    return model, x, torch.tensor([0, 1, 2, 0, 1])


BEATEN = [
    *(
        ("breast-cancer", t)
        for t in (
            ParameterDrift(0.3, "l2"),
            ParameterDrift(0.5, at_most=3),
            GateInsertion(0.5, 3),
            GateInsertion(0.1, None),
            EncodingMismatch(0.1, 0.05),
            EncodingMismatch(0.3, 0.1, at_most=2),
            ReadoutTamper(0.1),
            Crosstalk(0.3),
            UniversalUnitary(0.3),
        )
    ),
    *(
        ("iris", t)
        for t in (
            GateInsertion(0.5, 3),
            GateInsertion(0.1, None),
            EncodingMismatch(0.1, 0.05),
            Crosstalk(0.3),
            UniversalUnitary(0.3),
        )
    ),
    *(
        ("hybrid", t)
        for t in (
            ParameterDrift(0.3, "l2"),
            GateInsertion(0.1, None),
            EncodingMismatch(0.1, 0.05),
            ReadoutTamper(0.1),
            UniversalUnitary(0.3),
        )
    ),
    ("wide", GateRemoval(4)),
]


@pytest.mark.parametrize(("name", "tampering"), BEATEN, ids=lambda v: str(v))
def test_attacks_beat_random_settings_of_equal_budget(name, tampering, generator):
    model, x, y = trained(name)
    found = tamper(tampering, model, x, y, attack=search_for(tampering), generator=generator)
    assert found.correct.double().mean() > 0.9
    assert found.success.sum() > found.random_success.sum()
    assert found.p_value < 0.01
    threat = tampering.threat(model)
    assert threat.contains(found.settings[None], (found.settings - found.change)[None]).all()
    assert found.queries % len(x) == 0


@pytest.mark.parametrize("name", ["breast-cancer", "iris", "hybrid"])
def test_greedy_swaps_are_the_best_swaps(name, generator):
    """Against all pairs of swaps, tried one by one."""
    model, x, y = trained(name)
    found = tamper(FeatureSwap(2), model, x, y, attack=Greedy(), generator=generator)
    surface = FeatureSwap(2).open(model, x)
    goal = Flip.of(surface.logits(surface.rest[0]), y)
    pairs = len(surface.names)
    flips = [
        int(goal.reached(surface.logits(torch.eye(pairs)[[i, j]].amax(0))).sum())
        for i in range(pairs)
        for j in range(i, pairs)
    ]
    assert int(found.success.sum()) == max(flips) > 0.5 * len(x)


@pytest.mark.parametrize("given", ["small", "dressed"])
@pytest.mark.parametrize("tampering", EVERY, ids=str)
def test_at_rest_nothing_is_touched(tampering, given, request):
    model, x, _ = request.getfixturevalue(given)
    if isinstance(tampering, Crosstalk) and given == "dressed":
        tampering = Crosstalk(0.2)
    surface = tampering.open(model, x)
    with torch.no_grad():
        torch.testing.assert_close(surface.logits(surface.rest[0]), model(x), atol=1e-12, rtol=0)
    assert len(surface.names) == surface.rest.shape[1] == len(set(surface.names))
    assert isinstance(tampering, Tampering)


@pytest.mark.parametrize("given", ["small", "dressed"])
@pytest.mark.parametrize("tampering", CONTINUOUS, ids=str)
def test_gradients_of_the_settings(tampering, given, request, generator):
    """Against central differences, away from rest, in random directions."""
    model, x, _ = request.getfixturevalue(given)
    if isinstance(tampering, Crosstalk) and given == "dressed":
        tampering = Crosstalk(0.2)
    surface = tampering.open(model, x)
    place = tampering.threat(model).sample(surface.rest, generator)[0].requires_grad_(True)
    weights = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * surface.logits(place)).sum(), place)
    for _ in range(3):
        way = torch.randn(place.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            ahead, behind = ((weights * surface.logits(place + h * way)).sum() for h in (1e-5, -1e-5))
        torch.testing.assert_close((ahead - behind) / 2e-5, gradient @ way, atol=1e-7, rtol=1e-6)


def test_waiting_gates_are_refused_under_gate_noise(small):
    """They would be struck; what inserts no gates works under any noise, and rests there too."""
    model, x, _ = small
    model.noise = NoiseModel.uniform(gate_error=0.01, readout_error=0.03)
    for tampering in EVERY:
        if isinstance(tampering, GateInsertion | Crosstalk | UniversalUnitary):
            with pytest.raises(ModelError, match="without gate noise"):
                tampering.open(model, x)
        else:
            surface = tampering.open(model, x)
            torch.testing.assert_close(surface.logits(surface.rest[0]), model(x), atol=1e-12, rtol=0)


@dataclass(frozen=True)
class Cheat:
    """Turns everything far too much."""

    def search(self, problem):
        problem.x.add_(5)
        return problem.x + 100


@pytest.mark.parametrize("attack", [Cheat(), FGSM(), PGD(steps=3), UniformNoise(4), Identity()], ids=str)
@pytest.mark.parametrize("tampering", CONTINUOUS, ids=str)
def test_budgets_are_never_exceeded(tampering, attack, small, generator):
    model, x, y = small
    found = tamper(tampering, model, x, y, attack=attack, generator=generator)
    threat, rest = tampering.threat(model), (found.settings - found.change)[None]
    assert torch.equal(rest, torch.zeros_like(rest))
    assert threat.contains(found.settings[None], rest).all()
    assert not (found.success & ~found.correct).any()
    if tampering.threat(model).at_most is not None:
        assert int((found.change != 0).sum()) <= tampering.threat(model).at_most


@pytest.mark.parametrize("attack", [Cheat(), Greedy(), UniformNoise(4), Identity()], ids=str)
@pytest.mark.parametrize("tampering", DISCRETE, ids=str)
def test_few_switches_are_on(tampering, attack, small, generator):
    model, x, y = small
    found = tamper(tampering, model, x, y, attack=attack, generator=generator)
    assert int(found.settings.sum()) <= 2
    assert set(found.settings.tolist()) <= {0.0, 1.0}


def test_a_null_tampering_and_a_null_attack_flip_nothing(small, generator):
    model, x, y = small
    for touched, attack in ((Untouched(), PGD(steps=2)), (ParameterDrift(1.0), Identity())):
        found = tamper(touched, model, x, y, attack=attack, generator=generator)
        assert not found.success.any()
        assert torch.equal(found.correct, model(x).argmax(1) == y)
        assert "turned most: nothing" in str(found)


@pytest.mark.parametrize("noise", [None, NoiseModel.uniform(gate_error=0.02, readout_error=0.04)])
def test_misread_bits_are_those_of_the_engine(noise, generator):
    """Read-out error as settings against read-out error as a noise model, parity and words included."""
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=2))
    read = (*parity(2, 4), pauli("XYZ", 0, 1, 3) + 0.3 * z(2), Projector(("11",), (3, 1)))
    model = QuantumNet(circuit, read, generator=generator, noise=noise).double()
    x = torch.rand(6, 4, generator=generator, dtype=torch.float64)
    for biased in (False, True):
        tampered = ReadoutTamper(0.3, biased=biased)
        surface = tampered.open(model, x)
        settings = tampered.threat(model).sample(surface.rest, generator)[0]
        rates = settings.reshape(-1, 4)
        p01, p10 = rates[0].tolist(), ([0.0] * 4 if biased else rates[1].tolist())
        own = noise.readout if noise else Readout()
        after = [
            Readout(_then(own.p01, 1 - own.p01, a, b), 1 - _then(1 - own.p10, own.p10, a, b))
            for a, b in zip(p01, p10, strict=True)
        ]
        rules = noise.rules if noise else ()
        wrong = NoiseModel(rules, readouts=tuple(enumerate(after)))
        with torch.no_grad():
            expected = model.under(wrong)(x)
            torch.testing.assert_close(surface.logits(settings), expected, atol=1e-10, rtol=0)


def _then(one, zero, p01, p10):
    """The chance to end up as a one, from the chances before a second misreading."""
    return one * (1 - p10) + zero * p01


@pytest.mark.parametrize("observable", [*parity(3, 4), Projector(("010", "111"), (3, 0, 2)), z(0, 3)])
def test_diagonal_observables_as_words(observable):
    words = as_pauli_words(observable)
    assert words.diagonal(4) == pytest.approx(observable.diagonal(4), abs=1e-14)


def test_settings_do_what_their_names_say(generator):
    """Insertion, removal, crosstalk and a shared unitary against circuits written out by hand."""
    circuit = encodings.angle(2).then(Circuit.of(2, [op("ry", 0, angles=[theta(0)]), op("cx", 0, 1)]))
    model = QuantumNet(circuit, [z(0), z(1)], generator=generator).double()
    x = torch.rand(4, 2, generator=generator, dtype=torch.float64)
    first, second, turn, entangle = circuit.operations
    by_hand = {
        (GateInsertion(), "rx on 1 after gate 1 (ry on 1)"): [
            first,
            second,
            op("rx", 1, angles=[0.3]),
            turn,
            entangle,
        ],
        (Crosstalk(), "ZZ on 0, 1"): [
            first,
            second,
            op("rzz", 0, 1, angles=[0.3]),
            turn,
            op("rzz", 0, 1, angles=[0.3]),
            entangle,
            op("rzz", 0, 1, angles=[0.3]),
        ],
        (UniversalUnitary(), "ryy on 0, 1"): [first, second, op("ryy", 0, 1, angles=[0.3]), turn, entangle],
        (ParameterDrift(), "angle 0 (ry on 0)"): [first, second, op("ry", 0, angles=[theta(0) + 0.3]), entangle],
    }
    for (tampering, name), operations in by_hand.items():
        surface = tampering.open(model, x)
        settings = surface.rest[0].clone()
        settings[surface.names.index(name)] = 0.3
        expected = model.read(model.measured(x, model.angles, circuit=Circuit.of(2, operations)))
        torch.testing.assert_close(surface.logits(settings), expected, atol=1e-12, rtol=0)
    surface = GateRemoval().open(model, x)
    kept = Circuit(2, (first, second, turn), 2, 1)
    gone = torch.eye(4, dtype=torch.float64)[surface.names.index("gate 3 (cx on 0, 1)")]
    expected = model.read(model.measured(x, model.angles, circuit=kept))
    torch.testing.assert_close(surface.logits(gone), expected, atol=1e-12, rtol=0)


def test_encodings_are_mismatched_as_told(small):
    model, x, _ = small
    surface = EncodingMismatch(0.2, 0.1).open(model, x)
    scale, shift = torch.tensor([[0.5, -1, 0], [1, 0, -0.5]], dtype=torch.float64)
    found = surface.logits(torch.cat([scale, shift]))
    torch.testing.assert_close(found, model(x * (1 + 0.2 * scale) + 0.1 * shift), atol=1e-12, rtol=0)
    swapped = FeatureSwap().open(model, x).logits(torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(swapped, model(x[:, [2, 1, 0]]), atol=1e-12, rtol=0)


def test_layers_keep_every_gate_in_its_order(generator):
    circuit = encodings.angle(4).then(ansaetze.strongly_entangling(4))
    found = layers(circuit)
    assert len(found) == circuit.depth
    for qubit in range(4):
        there = [o for o in circuit.operations if qubit in o.qubits]
        assert [o for layer in found for o in layer if qubit in o.qubits] == there


def test_the_smallest_drift_is_the_angle_to_the_boundary(generator):
    """One angle a: the scores are cos(a + x) and its opposite, so pi/2 - a - x flips an input."""
    circuit = encodings.angle(1, scale=1.0).then(Circuit.of(1, [op("ry", 0, angles=[theta(0)])]))
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator).double()
    with torch.no_grad():
        model.theta.fill_(0.2)
    x = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None]
    y = torch.zeros(11, dtype=torch.long)
    for norm, share in (("l2", 0.25), ("linf", 0.5)):
        drift = ParameterDrift(1.5, norm)
        found = smallest_drift(
            model,
            x,
            y,
            share=share,
            generator=generator,
            drift=drift,
            attack=ManyStarts(draws=4, restarts=1, steps=10),
        )
        needed = math.pi / 2 - 0.2 - float(x[-math.ceil(11 * share)])
        assert needed <= found.distance <= needed + 0.01
        assert int(found.success.sum()) >= 11 * share
    with pytest.raises(ThreatError, match="found none"):
        smallest_drift(model, x, y, share=1.0, generator=generator, drift=ParameterDrift(0.1))
    with pytest.raises(ThreatError, match="share in"):
        smallest_drift(model, x, y, share=0.0, generator=generator)


def test_the_smallest_drift_of_a_trained_model_is_smaller_than_a_random_one(generator):
    model, x, y = trained("breast-cancer")
    found = smallest_drift(model, x, y, share=0.25, generator=generator)
    chance = UniformNoise(200)
    drawn = tamper(ParameterDrift(found.distance, "l2"), model, x, y, attack=chance, generator=generator)
    assert int(found.success.sum()) >= 0.25 * int(found.correct.sum())
    assert int(drawn.success.sum()) < 0.25 * int(drawn.correct.sum())


@pytest.mark.parametrize(
    ("name", "target", "trigger"),
    [
        ("iris", 2, ((0, 0.0),)),
        ("iris", 2, ((2, 1.0),)),
        ("breast-cancer", 1, ((0, 1.0),)),
        ("breast-cancer", 0, ((2, 1.0),)),
    ],
)
def test_a_trojan_sleeps_until_it_is_triggered(name, target, trigger, generator):
    model, x, y = trained(name)
    trojan = CircuitTrojan(target, trigger)
    found = plant(trojan, model, x, y, attack=PGD(steps=20, restarts=3), generator=generator)
    assert found.attack_success > 0.9 > 0.2 > found.trigger_success
    assert found.trojan_accuracy > found.clean_accuracy - 0.15
    assert found.p_value < 0.01
    assert found.planted.sum() > found.random_planted.sum()
    assert int((found.settings != 0).sum()) <= 8
    assert float(found.settings.abs().max()) <= 1.5 * (1 + 1e-6)
    surface = trojan.gates.open(model, x)
    plain = surface.logits(found.settings).argmax(1) == y
    assert found.trojan_accuracy == pytest.approx(float(plain.double().mean()))


def test_costs_and_randomness(small):
    model, x, y = small

    def run(attack, access=None):
        stream = torch.Generator().manual_seed(3)
        touched = GateInsertion(0.5, 2)
        return tamper(touched, model, x, y, attack=attack, generator=stream, access=access)

    found = run(PGD(steps=4, restarts=2))
    assert (found.gradients, found.queries) == (5 * 8, 5 * (8 + 2 + 1))
    assert torch.equal(found.settings, run(PGD(steps=4, restarts=2)).settings)
    short = run(PGD(steps=4, restarts=2), Access(queries=6))
    assert (short.gradients, short.queries) == (5 * 3, 5 * 3)
    assert run(UniformNoise(3), Access("labels")).gradients == 0
    with pytest.raises(ModelError, match="needs no gradients"):
        run(PGD(), Access("scores"))


def test_what_flips_most_is_remembered(generator):
    """A search that finds something and then returns to rest keeps what it found."""

    @dataclass(frozen=True)
    class Forgetful:
        def search(self, problem):
            problem.loss(problem.x + 2.0)
            return problem.x

    circuit = Circuit.of(1, [op("ry", 0, angles=[theta(0)])])
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator, spread=0.0)
    x, y = torch.zeros(2, 0), torch.tensor([0, 1])
    found = tamper(ParameterDrift(2.0), model, x, y, attack=Forgetful(), generator=generator)
    assert found.correct.tolist() == [True, False]
    assert found.success.tolist() == [True, False]
    assert str(found) == "accuracy 50.0 % -> 0.0 %; turned most: angle 0 (ry on 0) by +2"


def test_a_rate_only_rises_and_is_drawn_over_its_range(generator):
    rest = torch.zeros(4000, 3, dtype=torch.float64)
    drawn = Rates(0.2).sample(rest, generator)
    assert float(drawn.min()) > 0
    assert float(drawn.mean()) == pytest.approx(0.1, abs=0.005)
    assert float(drawn.max()) == pytest.approx(0.2, abs=0.001)
    assert not Rates(0.2).contains(torch.tensor([[0.1, -0.1]]), torch.zeros(1, 2)).any()
    few = Rates(0.2, at_most=1).sample(rest, generator)
    assert ((few > 0).sum(1) == 1).all()


def test_switches_are_drawn_at_random(generator):
    threat, rest = Switches(2), torch.zeros(6000, 4)
    drawn = threat.sample(rest, generator)
    assert (drawn.sum(1) == 2).all()
    assert drawn.mean(0).tolist() == pytest.approx([0.5] * 4, abs=0.03)
    assert threat.contains(drawn, rest).all()
    assert not threat.contains(torch.ones(1, 4), torch.zeros(1, 4)).any()


def test_mcnemar_against_the_binomial():
    first = [True] * 9 + [False] * 4 + [True] * 5
    second = [True] * 3 + [False] * 6 + [True] * 4 + [True] * 5
    assert stats.mcnemar(first, second) == pytest.approx(binomtest(6, 10, alternative="greater").pvalue)
    assert stats.mcnemar([True, False], [True, False]) == 1.0
    with pytest.raises(DataError, match="equal shape"):
        stats.mcnemar([True], [True, False])


@pytest.mark.parametrize("name", TAMPERINGS)
def test_catalogue_entries_run_as_they_are(name, small, generator):
    model, x, y = small
    entry = TAMPERINGS[name]
    made, search = entry.make(), {**ATTACKS, **SEARCHES}[entry.search].make()
    assert made == entry.make()
    assert hash(made) == hash(entry.make())
    run = plant if isinstance(made, CircuitTrojan) else tamper
    found = run(made, model, x, y, attack=search, generator=generator)
    assert len(found.names) == len(found.settings)
    assert 0 < found.p_value <= 1


@dataclass(frozen=True)
class NeedsLabels:
    def search(self, problem):
        return problem.y


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": Perceptron(3, [], 3, generator=torch.Generator())}, ModelError, "quantum or hybrid"),
        ({"y": torch.tensor([0, 1, 2, 0, 7])}, DataError, r"labels in 0\.\.2"),
        ({"y": torch.tensor([0, 1])}, DataError, "int64 labels"),
        ({"tampering": GateRemoval(1)}, ModelError, "got switches"),
        ({"tampering": Crosstalk(0.1, ((0, 7),))}, CircuitError, "qubits in 0..2"),
        ({"tampering": CircuitTrojan(0, ((0, 1.0),))}, SpecError, "plant"),
        ({"attack": NeedsLabels()}, ModelError, "asks for 'y'"),
    ],
)
def test_bad_input_is_named(change, error, message, small, generator):
    model, x, y = small
    given = {"tampering": ParameterDrift(), "model": model, "y": y, "attack": PGD(steps=2), **change}
    with pytest.raises(error, match=message) as caught:
        tamper(given["tampering"], given["model"], x, given["y"], attack=given["attack"], generator=generator)
    assert isinstance(caught.value, RobustQError)


def test_bad_trojans_are_named(small, generator):
    model, x, y = small
    for trojan, message in (
        (CircuitTrojan(5, ((0, 1.0),)), "target in 0..2"),
        (CircuitTrojan(0, ((9, 1.0),)), "features below 3"),
    ):
        with pytest.raises(DataError, match=message):
            plant(trojan, model, x, y, attack=PGD(steps=1), generator=generator)
    with pytest.raises(DataError, match="inputs of other classes"):
        plant(CircuitTrojan(0), model, x, 0 * y, attack=PGD(steps=1), generator=generator)


@pytest.mark.parametrize(
    "build",
    [
        lambda: ParameterDrift(-1.0),
        lambda: GateInsertion(0.1, 0),
        lambda: GateInsertion(0.1, norm="l7"),
        lambda: GateRemoval(0),
        lambda: FeatureSwap(1.5),
        lambda: EncodingMismatch(-0.1),
        lambda: ReadoutTamper(1.5),
        lambda: Crosstalk(0.1, couplings=((1, 1),)),
        lambda: Crosstalk(0.1, couplings=3),
        lambda: UniversalUnitary(float("nan")),
        lambda: CircuitTrojan(0, ()),
        lambda: Greedy(loss="mse"),
    ],
)
def test_impossible_tamperings_are_refused(build):
    with pytest.raises(RobustQError, match=r"expected|unknown"):
        build()


def test_settings_of_another_shape_are_refused(small, generator):
    model, x, y = small
    surface = ParameterDrift().open(model, x)
    goal = Flip.of(surface.logits(surface.rest[0]).detach(), y)
    problem = SharedProblem(surface, goal, ParameterDrift().threat(model), generator)
    with pytest.raises(ModelError, match="expected settings"):
        problem.loss(torch.zeros(1, 1))
    with pytest.raises(AttributeError):
        problem.ledger.queries = -100
