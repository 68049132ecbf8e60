"""Encodings as defences: coded qubits, secret circuits, trained scales."""

import pytest
import torch
from small_models import dressed, no_weaker, points, small

from robustq.attacks import EOT, PGD, Adaptive, run_attack
from robustq.circuits import Operation, encodings
from robustq.circuits.angles import Angle
from robustq.contracts import QuantumClassifier, RandomisedClassifier, TwinnedClassifier
from robustq.defences import (
    AdversarialTraining,
    ErrorDetecting,
    FeatureSqueezing,
    Fronted,
    NoiseInjection,
    RandomisedEncoding,
    Recipe,
    SmoothedEncoding,
    TrainableEncoding,
)
from robustq.defences.encoding.randomisation import Keyed, Redrawn, keyed, scrambled
from robustq.defences.encoding.smooth_step import SmoothStep
from robustq.defences.encoding.trainable import Affine
from robustq.defences.noise.cores import encoded, rewired, spliced
from robustq.errors import ModelError, SpecError
from robustq.models import Training
from robustq.models.catalogue import qnn
from robustq.noise import Channel, Device, NoiseModel, Rule
from robustq.seeding import torch_generator
from robustq.stats import mcnemar
from robustq.threats import Linf

BOX = (0.0, 1.0)
PLAN = Training(epochs=10, lr=0.1, validation=0.0)


def guarded(guard, model, features=3):
    """The guard around the model, without training."""
    return guard.around(model, torch.zeros(1, features), torch.tensor([0]), torch_generator(0))


def fitted(guard, *, layers=3, seed=0, rows=80):
    """The guard around a small model, trained, and its training data."""
    x, y = points(rows, 3)
    model, _ = Recipe((guard,)).fit(
        small(seed=seed, layers=layers).float(), x, y, generator=torch_generator(seed), training=PLAN
    )
    return model, x, y


# the code


@pytest.mark.parametrize("make", [lambda: small(encodings.angle(4)), dressed])
def test_without_noise_the_code_changes_nothing(make):
    model, x = make(), points(4, 4)[0].double()
    found = guarded(ErrorDetecting(0.0), model, 4)
    torch.testing.assert_close(found(x), model(x))
    assert found.acceptance == 1


def test_the_control_is_the_bare_channel_between_encoder_and_ansatz():
    """An RY encoder: X, Y, Z of equal chances commute with nothing but themselves, so place matters."""
    model, x = small(), points(4, 3)[0].double()
    rule = Rule(Channel("pauli", *[0.1] * 3), gates=("ry",))  # the encoder's gates only
    assert model.circuit.counts["ry"] == 3
    expected = model.under(NoiseModel((rule,)))(x)
    torch.testing.assert_close(guarded(ErrorDetecting(0.3, code=False), model)(x), expected)


def test_the_code_brings_the_model_nearer_to_its_noise_free_self():
    """The gap falls from first to second order in p; the unpaired qubit of three keeps the first."""
    model, x = small(encodings.angle(4)), points(30, 4)[0].double()

    def gap(p, code):
        noisy = guarded(ErrorDetecting(p, code), model, 4)(x)
        return float((noisy - model(x)).abs().mean().detach())

    assert gap(0.02, True) < 0.1 * gap(0.02, False)
    assert gap(0.02, True) / gap(0.01, True) == pytest.approx(4, rel=0.1)
    assert gap(0.02, False) / gap(0.01, False) == pytest.approx(2, rel=0.1)
    odd = small()
    left = guarded(ErrorDetecting(0.02), odd)(x[:, :3]) - odd(x[:, :3])
    bare = guarded(ErrorDetecting(0.02, code=False), odd)(x[:, :3]) - odd(x[:, :3])
    assert 0 < float(left.abs().mean().detach()) < 0.8 * float(bare.abs().mean().detach())


def test_acceptance_is_that_of_all_pairs():
    guard = ErrorDetecting(0.05)
    assert guarded(guard, small(encodings.angle(4)), 4).acceptance == guard.acceptance**2
    assert guarded(guard, small()).acceptance == guard.acceptance
    assert ErrorDetecting(0.05, code=False).acceptance == 1
    assert 1 - 4 * 0.05 < guard.acceptance < 1


def test_accuracy_on_the_noisy_way_is_higher_with_the_code():
    """Models trained without noise, judged behind the noisy stretch on the same rows, over several starts."""
    (x, y), (x_test, y_test) = points(150, 4), points(4000, 4, seed=2)
    right = {True: [], False: []}
    for seed in range(3):
        model = qnn(4, 2, generator=torch_generator(seed, "init"), layers=4)
        model, _ = Recipe().fit(model, x, y, generator=torch_generator(seed), training=PLAN)
        for code, found in right.items():
            noisy = guarded(ErrorDetecting(0.15, code), model, 4)
            found.append((noisy(x_test).argmax(1) == y_test).numpy())
    assert mcnemar(right[True], right[False]) < 1e-3


def test_the_code_is_trained_through_and_frozen_alike():
    model, x, y = fitted(ErrorDetecting(0.05))
    assert isinstance(model, QuantumClassifier)
    assert isinstance(model, TwinnedClassifier)
    torch.testing.assert_close(model.freeze()(x), model(x))
    attack, threat = PGD(steps=8, restarts=1), Linf(0.1, BOX)
    adaptive = Adaptive(attack, model.twins())
    alone, both = (run_attack(a, model, x, y, threat, generator=torch_generator(1)) for a in (attack, adaptive))
    assert float(alone.correct.double().mean()) > 0.7
    assert bool((both.success | ~alone.success).all())
    assert int(both.success.sum()) > 0


# the secret circuit


def test_the_scrambler_stands_between_encoding_and_ansatz():
    circuit = small().circuit
    longer, place = scrambled(circuit), encoded(circuit)
    added = len(longer.operations) - len(circuit.operations)
    assert longer.operations[:place] == circuit.operations[:place]
    assert longer.operations[place + added :] == circuit.operations[place:]
    assert not any(o.has_inputs for o in longer.operations[place : place + added])
    assert encoded(small(encodings.amplitude(8)).circuit) == 0


def test_a_key_is_a_unitary_in_that_place():
    """The same gates with the key's numbers as constants."""
    model, x = small(), points(4, 3)[0].double()
    guarded_model = Keyed(model, 5, 0.7)
    free = model.circuit.parameters
    key = guarded_model._key.tolist()

    def filled(angle):
        return Angle.of(key[next(iter(angle.slots)).number - free])

    place, longer = encoded(model.circuit), scrambled(model.circuit)
    added = len(longer.operations) - len(model.circuit.operations)
    constants = [
        Operation(o.gate, o.qubits, tuple(map(filled, o.angles))) for o in longer.operations[place : place + added]
    ]
    circuit = spliced(model.circuit, place, constants)
    expected = model.read(model.measured(x, model.theta, circuit=circuit))
    torch.testing.assert_close(guarded_model(x), expected)


@pytest.mark.parametrize("make", [small, dressed])
def test_a_keyed_model_frozen_and_on_a_device(make):
    model = make()
    x = points(5, 3 if make is small else 4)[0].double()
    secret = Keyed(model, 3, 0.5)
    torch.testing.assert_close(secret.freeze()(x), secret(x))
    device = Device.bundled("manila")
    torch.testing.assert_close(secret.under(device)(x), secret.freeze(device)(x))
    assert not torch.allclose(secret.freeze(device)(x), secret(x))
    assert not any(torch.allclose(twin(x), secret(x)) for twin in secret.twins())


def test_a_stolen_model_without_its_key_is_a_worse_guide_than_with_it():
    """White box, the attack is as strong as on any model; through other keys it is weaker, on average."""
    model, x, y = fitted(RandomisedEncoding(strength=1.5), rows=100)
    assert isinstance(model, Keyed)
    assert isinstance(model, TwinnedClassifier)
    threat, attack = Linf(0.15, BOX), PGD(steps=10, restarts=1)

    def flipped(search):
        result = run_attack(search, model, x, y, threat, generator=torch_generator(2))
        return result.success, float(result.correct.double().mean())

    white, clean = flipped(attack)
    blind = [flipped(OnTwin(attack, twin))[0] for twin in model.twins()]
    adaptive = flipped(Adaptive(attack, model.twins()))[0]
    share = torch.stack(blind).double().mean()
    assert clean > 0.75
    assert float(share) < 0.7 * float(white.double().mean())
    assert bool((adaptive | ~white).all())


class OnTwin:
    """What an attack finds on another model, tried on this one."""

    def __init__(self, attack, twin):
        self.attack, self.twin = attack, twin

    def search(self, problem):
        return problem.against(self.attack, self.twin.freeze())


def test_strength_zero_is_no_defence_and_more_is_more():
    model, x = small(), points(20, 3)[0].double()
    torch.testing.assert_close(guarded(RandomisedEncoding(0.0), model)(x), model(x))
    gaps = [float((guarded(RandomisedEncoding(s), model)(x) - model(x)).abs().mean().detach()) for s in (0.05, 0.5)]
    assert 0 < gaps[0] < gaps[1]


def test_redrawn_keys_answer_differently_and_learn_all_the_same():
    model, x, y = fitted(RandomisedEncoding(strength=0.2, redrawn=True))
    assert isinstance(model, Redrawn)
    assert isinstance(model, RandomisedClassifier)
    assert not isinstance(model, QuantumClassifier)  # one frozen key would be no defence
    assert not torch.equal(model(x), model(x))
    again = [Redrawn(model.model, 9, 0.2)(x) for _ in range(2)]
    assert torch.equal(*again)  # a stream of its own, from its seed
    plain = PGD(steps=5, restarts=1)
    attack, threat = Adaptive(EOT(plain, samples=4), model.twins()), Linf(0.15, BOX)
    result, alone = (
        run_attack(a, model, x, y, threat, generator=torch_generator(1), answers=model.answers)
        for a in (attack, plain)
    )
    assert float(result.correct.double().mean()) > 0.7
    assert no_weaker(result, alone)
    assert int(result.success.sum()) > 10


def test_weights_receive_gradients_through_the_key():
    model, x = small(), points(4, 3)[0].double()
    Keyed(model, 1, 0.5)(x).sum().backward()
    found = model.theta.grad.clone()
    assert float(found.abs().sum()) > 0
    circuit = rewired(model, lambda core: keyed(core, Keyed(model, 1, 0.5)._key))
    assert circuit.theta.shape[0] == scrambled(model.circuit).parameters


# the trained scale


def test_a_trainable_encoding_starts_as_the_model_and_learns():
    model = small().float()
    x, y = points(80, 3)
    before = model(x).detach()
    front = guarded(TrainableEncoding(2.0), model)
    torch.testing.assert_close(front(x), before)
    trained, _ = Recipe((TrainableEncoding(2.0),)).fit(model, x, y, generator=torch_generator(0), training=PLAN)
    scale = trained.front.scale.detach()
    assert float((scale - 1).abs().max()) > 0.05
    assert float(trained.front.shift.detach().abs().max()) > 0.01
    assert float(scale.abs().max()) <= 2


def test_a_bounded_scale_bounds_what_reaches_the_encoder(generator):
    front = Affine(3, 0.5)
    with torch.no_grad():
        front.raw.copy_(torch.tensor([100.0, -100.0, 0.1]))
    assert front.scale.abs().max() <= 0.5
    a, b = torch.rand(2, 50, 3, generator=generator)
    moved = (front(a) - front(b)).abs().detach()
    assert bool((moved <= 0.5 * (a - b).abs() + 1e-6).all())
    assert float(moved[:, 0].max()) > 0.3
    unbounded = Affine(3)
    with torch.no_grad():
        unbounded.raw.fill_(3.0)
    assert float(unbounded.scale.detach().max()) == 3


@pytest.mark.parametrize("largest", [0.3, 0.95, 1.0, 3.0])
def test_a_scale_starts_within_its_bound_and_can_still_be_trained(largest):
    front = Affine(2, largest)
    front(torch.ones(1, 2)).sum().backward()
    assert 0.9 * min(1, largest) < float(front.scale.detach().max()) <= min(1.001, largest)
    assert float(front.raw.grad.abs().min()) > 1e-3


def test_a_small_bound_buys_robustness_at_equal_weights():
    """The same trained model behind half the scale: an attack reaches half as far into the circuit."""
    model, x, _y = fitted(TrainableEncoding(0.0))
    narrow, wide_x = Affine(3, 0.0), 0.5 * x
    with torch.no_grad():
        narrow.raw.copy_(0.5 * model.front.raw)
        narrow.shift.copy_(model.front.shift)
    half = Fronted(narrow, model.model)
    torch.testing.assert_close(half(x), model(wide_x))
    attack = PGD(steps=8, restarts=1)
    labels = half(x).argmax(1)
    on_half = run_attack(attack, half, x, labels, Linf(0.1), generator=torch_generator(1))
    on_full = run_attack(attack, model, wide_x, labels, Linf(0.1), generator=torch_generator(1))
    assert int(on_half.success.sum()) < int(on_full.success.sum())


# the smooth step


def test_the_step_rises_keeps_its_fixed_points_and_has_the_slopes_it_claims():
    x = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    for strength in (0.0, 0.6, 1.0):
        value = SmoothStep(strength)(x)
        (slope,) = torch.autograd.grad(value.sum(), x)
        assert bool((value.detach().diff() > 0).all())
        torch.testing.assert_close(value.detach()[[0, 50, 100]], x.detach()[[0, 50, 100]])
        expected = torch.tensor([1 - strength, 1 + strength, 1 - strength], dtype=torch.float64)
        torch.testing.assert_close(slope[[0, 50, 100]], expected)


@pytest.mark.parametrize(("centre", "eps"), [(0.02, 0.2), (0.48, 0.05)])
def test_the_step_helps_near_black_and_white_and_harms_in_the_grey(centre, eps):
    """The same weights with and without it, over several models, each judged on its own labels."""
    x = torch.full((60, 3), centre, dtype=torch.float64)
    x[torch.rand(60, 3, generator=torch_generator(1)) < 0.5] = 1 - centre
    x += 0.04 * (torch.rand(60, 3, generator=torch_generator(2)) - 0.5)
    flipped = {True: 0, False: 0}
    for seed in range(4):
        model = small(seed=seed, layers=3)
        for stepped in flipped:
            judged = guarded(SmoothedEncoding(1.0), model) if stepped else model
            labels = judged(x).argmax(1)
            result = run_attack(
                PGD(steps=20, restarts=1), judged, x, labels, Linf(eps, BOX), generator=torch_generator(3)
            )
            flipped[stepped] += int(result.success.sum())
    if centre < 0.25:
        assert flipped[True] < 0.7 * flipped[False]
    else:
        assert flipped[True] > 1.2 * flipped[False]


def test_randomised_defences_within_others_are_refused():
    random = guarded(RandomisedEncoding(0.1, redrawn=True), small())
    for guard in (ErrorDetecting(), RandomisedEncoding(), NoiseInjection(rate=0.1)):
        with pytest.raises(ModelError, match="as the last of a recipe"):
            guarded(guard, random)


def test_defences_compose(generator):
    """Squeezed, secret, noisy on the way and adversarially trained: one model."""
    x, y = points(40, 3)
    steps = (
        FeatureSqueezing(4),
        RandomisedEncoding(0.3),
        ErrorDetecting(0.05),
        AdversarialTraining(PGD(steps=2, restarts=1), Linf(0.05, BOX)),
    )
    model, history = Recipe(steps).fit(
        small().float(), x, y, generator=generator, training=Training(epochs=4, lr=0.1, validation=0.0)
    )
    assert history.epochs[-1].loss < history.epochs[0].loss
    torch.testing.assert_close(model.freeze()(x), model(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ErrorDetecting(-0.1), "p in"),
        (lambda: RandomisedEncoding(-1.0), "strength >= 0"),
        (lambda: TrainableEncoding(-1.0), "largest >= 0"),
        (lambda: SmoothedEncoding(1.5), "strength in"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


@pytest.mark.parametrize("guard", [ErrorDetecting(), RandomisedEncoding()])
def test_models_without_a_circuit_are_refused(guard):
    with pytest.raises(ModelError, match="one circuit"):
        guarded(guard, torch.nn.Linear(3, 2))
