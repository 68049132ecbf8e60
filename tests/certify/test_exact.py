"""Exact radii of states and of amplitude-encoded inputs: witnesses, attacks, closed forms."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.attacks.exact import ExactL2
from robustq.attacks.exact import ExactState as StateAttack
from robustq.certify import Auto, ExactAmplitude, ExactState, Strongest, Vacuous, certify
from robustq.circuits import Circuit, ansaetze, encodings, op, per_qubit_z, x, z
from robustq.contracts import Bounds
from robustq.engine import reference
from robustq.errors import CertificateError, DataError, ModelError
from robustq.models import QuantumNet
from robustq.noise import Device, NoiseModel
from robustq.states import StateView
from robustq.threats import L2, Fidelity, Linf, TraceDistance
from trained_models import trained


def net(encoding, qubits, classes, seed, layers=2, noise=None):
    generator = torch.Generator().manual_seed(seed)
    circuit = encoding.then(ansaetze.brickwork(qubits, layers=layers))
    return QuantumNet(circuit, per_qubit_z(classes, qubits), generator=generator, spread=1.5, noise=noise)


def labels(model, inputs):
    with torch.no_grad():
        return model(inputs).argmax(1)


def resimulated(model, inputs):
    """Labels by the slow reference."""
    found = reference.expectations(
        model.circuit,
        model.observables,
        inputs.numpy(),
        model.theta.detach().double().numpy(),
        model.noise or NoiseModel(),
    )
    return torch.as_tensor(found).argmax(1)


NOISES = [None, NoiseModel.uniform(gate_error=0.02, readout_error=0.03)]


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.integers(2, 5), st.sampled_from(NOISES), st.data())
def test_a_witness_flips_and_nothing_inside_does(qubits, noise, data):
    classes = data.draw(st.integers(2, min(5, qubits)))
    seed = data.draw(st.integers(0, 10**6))
    model = net(encodings.amplitude(2**qubits), qubits, classes, seed, noise=noise)
    frozen, generator = model.freeze(), torch.Generator().manual_seed(seed)
    rows = torch.randn(8, 2**qubits, generator=generator, dtype=torch.float64)
    y = labels(frozen, rows)
    found = certify(ExactAmplitude(), model, rows, y, L2(9.0), generator=generator)
    assert bool(found.correct.all())
    seen = torch.isfinite(found.upper)
    assert bool((found.upper <= found.lower * (1 + 1e-6) + 1e-9)[seen].all())
    assert bool((labels(frozen, found.witness) != y)[seen].all())
    drawn = torch.randn(8, 50, 2**qubits, generator=generator, dtype=torch.float64)
    drawn = torch.nn.functional.normalize(drawn, dim=2)
    inside = rows[:, None] + found.lower.clamp(max=9)[:, None, None] * drawn
    assert torch.equal(labels(frozen, inside.flatten(0, 1)), y.repeat_interleave(50))


@pytest.mark.parametrize("noise", NOISES)
def test_the_slow_reference_agrees_that_witnesses_flip(noise, generator):
    model = net(encodings.amplitude(8), 3, 3, 5, noise=noise)
    rows = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    y = labels(model.freeze(), rows)
    found = certify(ExactAmplitude(), model, rows, y, L2(9.0), generator=generator)
    assert bool(torch.isfinite(found.upper).all())
    assert torch.equal(resimulated(model, rows), y)
    assert bool((resimulated(model, found.witness) != y).all())
    just_inside = rows + (1 - 1e-5) * (found.witness - rows)
    assert torch.equal(resimulated(model, just_inside), y)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("noise", NOISES)
def test_state_radii_meet_their_witnesses_and_no_attack_gets_inside(classes, noise, generator):
    model = net(encodings.angle(3), 3, classes, 7)
    model.noise = None
    view = StateView(model.freeze(), 3)
    if noise is not None:  # behind the last encoding gate
        late = NoiseModel.uniform(readout_error=0.05)
        view = StateView(model.freeze(late), 3)
    states = view.encoded(torch.rand(10, 3, generator=generator, dtype=torch.float64))
    y = labels(view, states)
    found = certify(ExactState(), view, states, y, Fidelity(1.0), generator=generator)
    assert bool((found.upper <= found.lower * (1 + 1e-6) + 1e-12).all())
    assert bool((labels(view, found.witness) != y).all())
    there = certify(ExactState(), view, states, y, TraceDistance(1.0), generator=generator)
    torch.testing.assert_close(there.lower**2, found.lower, rtol=1e-9, atol=1e-12)
    for row in range(len(states)):
        inside = Fidelity(float(found.lower[row]) * 0.9999)
        one = slice(row, row + 1)
        for attack in (PGD(steps=30, restarts=2), StateAttack()):
            result = run_attack(attack, view, states[one], y[one], inside, generator=generator)
            assert not bool(result.success.any())


def test_one_qubit_in_closed_form(generator):
    """The plane <Z> = 0 cuts the Bloch sphere: infidelity to it is (1 - |sin|)/2 of the polar angle."""
    circuit = Circuit.of(1, [op("ry", 0, angles=[x(0)])])
    model = QuantumNet(circuit, [z(0), -z(0)], generator=generator)
    view = StateView(model.freeze(), 1)
    angles = torch.tensor([0.1, 0.7, 1.3, 2.9], dtype=torch.float64)
    states = view.encoded(angles[:, None])
    found = certify(ExactState(), view, states, labels(view, states), Fidelity(1.0), generator=generator)
    expected = (1 - angles.sin()) / 2
    torch.testing.assert_close(found.lower, expected, rtol=1e-9, atol=1e-12)
    real = certify(ExactState(real=True), view, states, labels(view, states), Fidelity(1.0), generator=generator)
    torch.testing.assert_close(real.lower, expected, rtol=1e-9, atol=1e-12)


def test_a_real_adversary_is_weaker(generator):
    circuit = encodings.amplitude(16).then(ansaetze.strongly_entangling(4, layers=2))
    model = QuantumNet(circuit, per_qubit_z(2, 4), generator=generator, spread=1.5)
    view = StateView(model.freeze(), 4)
    rows = torch.randn(20, 16, generator=generator, dtype=torch.float64)
    states = view.encoded(rows)
    y = labels(view, states)
    both = [certify(ExactState(real=r), view, states, y, Fidelity(1.0), generator=generator) for r in (True, False)]
    real, free = (found.lower for found in both)
    assert bool((real >= free - 1e-12).all())
    assert bool((real > free * 1.01).any())
    length = rows.norm(dim=1)
    cone = certify(ExactAmplitude(), model, rows, y, L2(99.0), generator=generator)
    torch.testing.assert_close(length * real.sqrt(), cone.lower, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("device", ["manila", "guadalupe"])
def test_amplitude_models_on_a_device(device, generator):
    model = net(encodings.amplitude(16), 4, 2, 11)
    target = Device.bundled(device)
    frozen = model.freeze(target)
    rows = torch.rand(20, 16, generator=generator, dtype=torch.float64)
    y = labels(frozen, rows)
    found = certify(ExactAmplitude(), frozen, rows, y, L2(9.0), generator=generator)
    assert bool((labels(frozen, found.witness) != y)[torch.isfinite(found.upper)].all())
    for row in range(5):
        threat = L2(float(found.lower[row]) * 0.9999)
        one = slice(row, row + 1)
        assert not bool(run_attack(ExactL2(), frozen, rows[one], y[one], threat, generator=generator).success.any())


def test_nothing_of_the_ensemble_gets_inside(generator):
    model, rows, y = trained("breast-cancer", torch.float64)
    view = StateView(model.freeze(), 4)
    states = view.encoded(rows[:40])
    found = certify(ExactState(), view, states, y[:40], Fidelity(1.0), generator=generator)
    for eps in (0.003, 0.05):
        inside = found.certified(eps).nonzero()[:, 0]
        result = run_attack(QuantumAutoAttack(), view, states[inside], y[inside], Fidelity(eps), generator=generator)
        assert not bool(result.success.any())
        refuted = (found.correct & (found.upper <= eps)).nonzero()[:, 0]
        if len(refuted):
            result = run_attack(StateAttack(), view, states[refuted], y[refuted], Fidelity(eps), generator=generator)
            assert bool(result.success.all())


def test_slack_is_a_weaker_claim(generator):
    model = net(encodings.amplitude(8), 3, 2, 1)
    rows = torch.randn(10, 8, generator=generator, dtype=torch.float64)
    y = labels(model.freeze(), rows)
    plain, weak, gone = (
        certify(ExactAmplitude(slack=s), model, rows, y, L2(9.0), generator=generator) for s in (0.0, 0.05, 100.0)
    )
    assert bool((weak.lower < plain.lower).all())
    assert bool((gone.lower == 0).all())
    shifted = model.freeze()
    gap = shifted(rows + 0)
    assert bool((weak.lower > 0)[(gap[:, 0] - gap[:, 1]).abs() > 0.06].all())


def test_wrong_inputs_are_neither_right_nor_robust(generator):
    model = net(encodings.amplitude(8), 3, 2, 1)
    rows = torch.randn(10, 8, generator=generator, dtype=torch.float64)
    y = 1 - labels(model.freeze(), rows)
    found = certify(ExactAmplitude(), model, rows, y, L2(9.0), generator=generator)
    assert not bool(found.correct.any())
    assert not bool(found.certified(0.0).any())
    assert bool(found.refuted(0.0).all())


def test_a_class_that_cannot_be_reached_has_an_infinite_radius(generator):
    always = _Constant()
    rows = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    found = certify(ExactAmplitude(), always, rows, torch.zeros(3, dtype=torch.int64), L2(9.0), generator=generator)
    assert bool(torch.isinf(found.lower).all())
    assert bool(torch.isinf(found.upper).all())
    assert bool(found.certified(1e6).all())


class _Constant:
    """Class 0 everywhere: forms 1 and 0."""

    def __call__(self, rows):
        return torch.stack([torch.ones(len(rows)), torch.zeros(len(rows))], 1).double()

    def forms(self, dtype):
        return torch.stack([torch.eye(4), torch.zeros(4, 4)]).to(dtype)


class _Liar:
    """Claims what it likes."""

    confidence = 1.0

    def __init__(self, lower, upper, witness):
        self.claim = (lower, upper, witness)

    def prepare(self, model, threat, generator):
        self.model = model
        return self

    def prove(self, rows):
        lower, upper, witness = self.claim
        values = (torch.full((len(rows),), v, dtype=torch.float64) for v in (lower, upper))
        return Bounds(
            label=self.model(rows).argmax(1),
            lower=next(values),
            upper=next(values),
            witness=torch.full_like(rows, witness),
        )


def linear(rows):
    return torch.cat([rows, -rows], 1)


def test_the_framework_measures_witnesses_again(generator):
    rows, y = torch.tensor([[1.0]]).double(), torch.tensor([0])

    def ask(lower, upper, witness, threat=None):
        return certify(_Liar(lower, upper, witness), linear, rows, y, threat or L2(9.0), generator=generator)

    honest = ask(0.5, 0.1, -1.0)
    assert float(honest.upper) == 2.0  # measured, not believed
    assert float(ask(0.5, 0.1, 0.5).upper) == math.inf  # does not flip
    assert float(ask(0.5, 0.1, -1.0, L2(9.0, box=(0.0, 2.0))).upper) == math.inf  # not allowed
    level = ask(2.0 * (1 + 1e-10), 2.0, -1.0)  # apart by less than what refutes
    assert float(level.lower) == float(level.upper) == 2.0
    with pytest.raises(CertificateError, match="the certificate is wrong"):
        ask(3.0, 2.0, -1.0)
    with pytest.raises(CertificateError, match="expected lower >= 0"):
        ask(math.nan, 2.0, -1.0)


def test_chunks_make_no_difference(generator):
    model = net(encodings.amplitude(8), 3, 2, 1)
    rows = torch.randn(10, 8, generator=generator, dtype=torch.float64)
    y, told = labels(model.freeze(), rows), []
    one = certify(ExactAmplitude(), model, rows, y, L2(9.0), generator=generator)
    few = certify(
        ExactAmplitude(),
        model,
        rows,
        y,
        L2(9.0),
        generator=generator,
        chunk=3,
        advance=lambda done, of: told.append((done, of)),
    )
    torch.testing.assert_close(one.lower, few.lower, rtol=1e-12, atol=0)
    assert told == [(3, 10), (6, 10), (9, 10), (10, 10)]
    empty = certify(ExactAmplitude(), model, rows[:0], y[:0], L2(9.0), generator=generator)
    assert empty.lower.shape == (0,)


def test_bad_input_is_named(generator):
    model = net(encodings.angle(2), 2, 2, 1)
    rows, y = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)

    def ask(certifier, threat, target=model, inputs=rows):
        return certify(certifier, target, inputs, y, threat, generator=generator)

    for certifier, threat, message in [
        (ExactAmplitude(), L2(1.0), "loaded as amplitudes"),
        (ExactAmplitude(), Linf(1.0), "expected an l2 threat"),
        (ExactAmplitude(), L2(1.0, frozen=(0,)), "expected an l2 threat"),
        (ExactState(), Fidelity(0.1), "expected a view of a model's states"),
    ]:
        with pytest.raises(CertificateError, match=message):
            ask(certifier, threat)
    with pytest.raises(CertificateError, match="infidelity or trace-distance threat"):
        ask(ExactState(), L2(1.0), StateView(model.freeze(), 2))
    with pytest.raises(CertificateError, match="slack >= 0"):
        ExactState(slack=-1.0)
    with pytest.raises(DataError, match="finite inputs"):
        ask(ExactAmplitude(), L2(1.0), inputs=rows * math.nan)
    view = StateView(net(encodings.angle(2, axis="x"), 2, 2, 1).freeze(), 2)
    states = view.encoded(rows.double() + 0.3)
    with pytest.raises(CertificateError, match="expected real amplitudes"):
        certify(ExactState(real=True), view, states, y, Fidelity(0.1), generator=generator)


def test_auto_takes_what_is_exact_and_joins_what_is_not(generator):
    model = net(encodings.amplitude(4), 2, 2, 1).freeze()
    assert Auto().choose(model, L2(1.0), generator) != Vacuous()
    joined = Auto(groups=((Vacuous(), ExactAmplitude()),)).choose(model, L2(1.0), generator)
    assert joined == Strongest((Vacuous(), ExactAmplitude()))
    rows = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    y = labels(model, rows)
    one = certify(joined, model, rows, y, L2(9.0), generator=generator)
    two = certify(ExactAmplitude(), model, rows, y, L2(9.0), generator=generator)
    assert torch.equal(one.lower, two.lower)
    assert torch.equal(one.upper, two.upper)
    with pytest.raises(CertificateError, match="no certificate applies"):
        Auto(groups=((ExactState(),),)).choose(model, L2(1.0), generator)


def test_labels_that_are_no_class_are_named(generator):
    model = net(encodings.amplitude(4), 2, 2, 1)
    x = torch.rand(3, 4, generator=generator)
    with pytest.raises(DataError, match="labels below 2, got 7"):
        certify(ExactAmplitude(), model, x, torch.full((3,), 7), L2(1.0), generator=generator)


def test_a_broken_model_is_named(generator):
    model = net(encodings.amplitude(4), 2, 2, 1)
    with torch.no_grad():
        model.theta[0] = math.nan
    rows, y = torch.ones(2, 4), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ModelError, match="finite logits"):
        certify(ExactAmplitude(), model, rows, y, L2(1.0), generator=generator)
