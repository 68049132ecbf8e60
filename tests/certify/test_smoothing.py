"""Smoothing: the closed form against samples and against dephasing, the sampled one against its own promise."""

import itertools
import math

import numpy as np
import pytest
import torch

from oracles import one_qubit
from robustq.attacks import FMN, run_attack
from robustq.certify import ExactSmoothing, GaussianSmoothing, certify
from robustq.certify.smoothing import smoothed
from robustq.certify.smoothing.envelope import envelope
from robustq.certify.spectrum import ranges
from robustq.circuits import ansaetze, encodings, per_qubit_z, z
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.noise import Channel, NoiseModel, Rule
from robustq.stats import at_least
from robustq.threats import L0, L1, L2, Fidelity, Linf
from robustq.trigonometric import Trigonometric


def net(encoding, generator, classes=2, layers=2):
    circuit = encoding.then(ansaetze.brickwork(encoding.qubits, layers=layers))
    read = per_qubit_z(classes, encoding.qubits)
    return QuantumNet(circuit, read, generator=generator, spread=1.5).double()


def uniform(batch, features, generator):
    return torch.rand(batch, features, generator=generator, dtype=torch.float64)


def prepared(certifier, model, threat, generator):
    with torch.no_grad():
        return certifier.prepare(model.freeze(), threat, generator)


# Exact


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(
    "encoding",
    [
        encodings.angle(3),
        encodings.angle(2, axis="z"),
        encodings.dense_angle(4),
        encodings.angle(2).then(encodings.angle(2)),
    ],
)
def test_the_closed_form_is_the_mean_over_noise(encoding, sigma, generator):
    model = net(encoding, generator).freeze()
    exact = smoothed(model.trigonometric(), sigma)
    x, samples = uniform(4, encoding.inputs, generator), 20_000
    noise = torch.randn(samples, encoding.inputs, generator=generator, dtype=torch.float64)
    for row in x:
        values = model(row + sigma * noise)
        error = values.std(0) / math.sqrt(samples)
        assert bool(((values.mean(0) - exact(row[None])[0]).abs() < 4 * error + 1e-12).all())


@pytest.mark.parametrize("sigma", [0.1, 0.4])
def test_smoothing_of_an_rz_encoding_is_dephasing(sigma, generator):
    model = net(encodings.angle(3, axis="z"), generator, classes=3)
    coherence = math.exp(-((math.pi * sigma) ** 2) / 2)
    channel = Channel("phase-damping", 1 - coherence**2)
    before, after = (NoiseModel(rules=(Rule(channel, gates=(gate,)),)) for gate in ("h", "rz"))
    x = uniform(20, 3, generator)
    exact = smoothed(model.freeze().trigonometric(), sigma)(x)
    assert (exact - model.freeze().trigonometric()(x)).abs().max() > 0.01
    for noise in (before, after):  # it commutes with RZ
        assert torch.allclose(model.freeze(noise)(x), exact, rtol=0, atol=1e-12)


def test_no_point_inside_the_radius_is_answered_otherwise(generator):
    model = net(encodings.angle(2), generator)
    prover = prepared(ExactSmoothing(0.15), model, L2(1.0), generator)
    x = uniform(100, 2, generator)
    found = prover.prove(x)
    assert (found.lower > 0.01).float().mean() > 0.5
    angles = torch.linspace(0, 2 * math.pi, 121, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    for share in torch.linspace(0.05, 1, 20, dtype=torch.float64):
        at = x[:, None] + share * found.lower[:, None, None] * circle
        assert torch.equal(prover.model(at.flatten(0, 1)).argmax(1), found.label.repeat_interleave(121))


@pytest.mark.parametrize(("threat", "box"), [(L2, None), (L2, (0, 1)), (L1, None), (Linf, None), (Linf, (0, 1))])
def test_attacks_on_the_smoothed_model_stay_outside(threat, box, generator):
    model = net(encodings.angle(3), generator, classes=3)
    x, threat = uniform(60, 3, generator), threat(2.0, box=box)
    prover = prepared(ExactSmoothing(0.2), model, threat, generator)
    y = prover.model(x).argmax(1)
    found = certify(ExactSmoothing(0.2), model, x, y, threat, generator=generator)
    attacked = run_attack(FMN(), prover.model, x, y, threat, generator=generator)
    assert bool(found.correct.all())
    assert bool(attacked.success.any())
    assert bool((found.lower > 0).all())
    assert bool((found.lower <= attacked.radius).all())


def test_of_one_qubit_the_radius_is_known(generator):
    """The margin is a cosine, smoothed or not, so that its boundary stays where it was."""
    model = one_qubit.model((1.0,), 0.0, generator).double()
    x = torch.linspace(-1.5, 1.5, 31, dtype=torch.float64)[:, None]
    lower = prepared(ExactSmoothing(1.0), model, L2(1.0), generator).prove(x).lower
    assert bool((lower <= one_qubit.radius((1.0,), 0.0, x, "l2")).all())
    widths = torch.tensor([1.0, *(2 ** (k / 2) for k in range(1, 8))], dtype=torch.float64)
    share = (1 + torch.exp(-(widths[:, None] ** 2) / 2) * x.cos()[:, 0]) / 2
    heights = widths[:, None] * torch.special.ndtri(share)  # the widest cloud is best where the cosine is 1
    assert bool((lower >= heights[0] * (1 - 1e-9) - 1e-10).all())
    assert bool((lower <= heights.amax(0)).all())


def test_slack_only_shrinks_and_noise_in_the_model_is_smoothed_too(generator):
    model = net(encodings.angle(2), generator)
    x, radii = uniform(30, 2, generator), []
    for slack in (0.0, 0.01, 0.1, 100.0):
        radii.append(prepared(ExactSmoothing(0.2, slack), model, L2(1.0), generator).prove(x).lower)
    assert all(bool((a >= b).all()) for a, b in itertools.pairwise(radii))
    assert bool((radii[0] > radii[2]).any())
    assert bool((radii[3] == 0).all())
    noisy = model.freeze(NoiseModel.uniform(gate_error=0.05))
    prover = ExactSmoothing(0.2).prepare(noisy, L2(1.0), generator)
    assert torch.allclose(prover.model(x), smoothed(noisy.trigonometric(), 0.2)(x))


def test_norms_share_the_euclidean_radius(generator):
    model, x = net(encodings.angle(3), generator), uniform(10, 3, generator)

    def lower(threat):
        return prepared(ExactSmoothing(0.2), model, threat, generator).prove(x).lower

    assert torch.equal(lower(L1(1.0)), lower(L2(1.0)))
    assert torch.equal(lower(L2(1.0, box=(0, 1), frozen=(1,))), lower(L2(1.0)))
    assert torch.allclose(lower(Linf(1.0)), lower(L2(1.0)) / math.sqrt(3))
    assert torch.allclose(lower(Linf(1.0, frozen=(0, 2))), lower(L2(1.0)))


def test_a_class_that_never_wins_is_no_rival(generator):
    model = net(encodings.angle(2), generator).freeze()

    class Lifted:
        """The same, with one logit raised out of reach."""

        front, gate_angles, states, of_states = None, model.gate_angles, model.states, model.of_states

        def __call__(self, x):
            return model(x) + torch.tensor([10.0, 0.0]).double()

        def state_forms(self):
            lift = torch.zeros(2, 4, 4, dtype=torch.complex128)
            lift[0] = 10 * torch.eye(4)
            return model.state_forms() + lift

        def trigonometric(self):
            form = model.trigonometric()
            coefficients = form.coefficients.clone()
            coefficients[0].view(-1)[0] += 10
            return Trigonometric(coefficients, form.frequencies, 1e-12)

    found = ExactSmoothing(0.2).prepare(Lifted(), L2(1.0), generator).prove(uniform(5, 2, generator))
    assert bool(torch.isinf(found.lower).all())


@pytest.mark.parametrize(
    "encoding",
    [
        encodings.angle(3),
        encodings.angle(1).then(encodings.angle(1)),
        encodings.angle(2).then(ansaetze.brickwork(2)).then(encodings.angle(2)),
    ],
)
def test_the_range_of_the_margins_holds_everywhere_and_is_not_far(encoding, generator):
    classes = min(3, max(2, encoding.qubits))
    read = per_qubit_z(classes, encoding.qubits) if encoding.qubits > 1 else (z(0), -z(0))
    model = QuantumNet(encoding, read, generator=generator, spread=1.0).double()
    form = model.freeze().trigonometric()
    values = form(2 * uniform(20_000, encoding.inputs, generator))
    margins = values[:, :, None] - values[:, None]
    low, high = envelope(form).unbind(2)
    assert bool((low <= margins.amin(0)).all())
    assert bool((margins.amax(0) <= high).all())
    apart = ~torch.eye(classes, dtype=torch.bool)
    seen = margins.amax(0) - margins.amin(0)
    assert bool((high - low < 1.3 * seen)[apart].all())


def test_where_no_grid_fits_the_spectrum_remains(generator, monkeypatch):
    model, x = net(encodings.angle(3), generator), uniform(20, 3, generator)
    with_grid = prepared(ExactSmoothing(0.1), model, L2(1.0), generator)
    monkeypatch.setattr("robustq.certify.smoothing.envelope.POINTS", 2)
    without = prepared(ExactSmoothing(0.1), model, L2(1.0), generator)
    assert torch.equal(without.ranges[0], ranges(model.freeze().state_forms()))
    assert len(without.widths) == 1
    assert len(with_grid.widths) > 3
    lower = without.prove(x).lower
    assert bool((lower > 0).all())
    assert bool((lower < with_grid.prove(x).lower).all())


def test_what_it_does_not_apply_to(generator):
    model, amplitudes = (net(e, generator) for e in (encodings.angle(2), encodings.amplitude(4)))
    products = net(encodings.iqp(2), generator)
    for threat in (L0(1), Fidelity(0.1), L2(1.0, scale=(1.0, 2.0))):
        for method in (ExactSmoothing(0.1), GaussianSmoothing(0.1)):
            with pytest.raises(CertificateError, match="smoothing: expected an l2, l1 or linf"):
                prepared(method, model, threat, generator)
    for other in (amplitudes, products):
        with pytest.raises(CertificateError, match="exact-smoothing: expected"):
            prepared(ExactSmoothing(0.1), other, L2(1.0), generator)
    with pytest.raises(CertificateError, match="features turn gates"):
        ExactSmoothing(0.1).prepare(lambda x: x, L2(1.0), generator)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExactSmoothing(0.0),
        lambda: ExactSmoothing(math.nan),
        lambda: ExactSmoothing(1.0, slack=-1.0),
        lambda: GaussianSmoothing(-1.0),
        lambda: GaussianSmoothing(1.0, alpha=0.0),
        lambda: GaussianSmoothing(1.0, alpha=1.0),
        lambda: GaussianSmoothing(1.0, samples=0),
        lambda: GaussianSmoothing(1.0, guess=0),
    ],
)
def test_impossible_values(make):
    with pytest.raises(CertificateError, match="expected"):
        make()


# Sampled


def half_space(x):
    """Class 0 where the sum of the features is positive; distance ``sum / sqrt(features)``."""
    score = x.sum(1, keepdim=True)
    return torch.cat([score, -score], 1)


def at_margin(margin, batch, features=3):
    """Inputs at this distance from the boundary of :func:`half_space`."""
    return torch.full((batch, features), margin / math.sqrt(features), dtype=torch.float64)


def claims(certifier, margin, repetitions, seed):
    """Labels and radii of that many independent claims about one input."""
    prover = certifier.prepare(half_space, L2(1.0), torch.Generator().manual_seed(seed))
    found = prover.prove(at_margin(margin, repetitions))
    return found.label, found.lower


@pytest.mark.parametrize("margin", [0.2, 0.5, 1.0])
def test_of_a_half_space_the_radius_is_its_distance(margin):
    """Cohen et al.: tight there, so that many samples come close from below."""
    label, lower = claims(GaussianSmoothing(0.5, samples=100_000), margin, 4, 7)
    assert bool((label == 0).all())
    assert bool((lower <= margin).all())
    assert bool((lower > 0.97 * margin - 0.005).all())


PLANS = [(0.05, 30, 0.4), (0.05, 100, 0.25), (0.2, 20, 0.5), (0.2, 200, 0.1), (0.01, 60, 0.6)]
RARE = 1e-4  # the chance that a sound bound fails a test here


@pytest.mark.statistical
@pytest.mark.parametrize(("alpha", "samples", "margin"), PLANS)
def test_claims_are_wrong_no_more_often_than_promised(alpha, samples, margin):
    repetitions = 4000
    label, lower = claims(GaussianSmoothing(0.25, alpha, 10, samples), margin, repetitions, 11)
    wrong = int(((label == 1) | (lower > margin)).sum())
    assert at_least(wrong, repetitions, alpha) > RARE


@pytest.mark.statistical
def test_the_test_above_tells_a_broken_bound():
    """The observed share, and Wald's interval, in the place of Clopper and Pearson's bound."""
    from scipy.stats import norm

    alpha, samples, margin, sigma, repetitions = 0.05, 30, 0.4, 0.25, 4000
    rng = np.random.default_rng(5)
    share = rng.binomial(samples, norm.cdf(margin / sigma), repetitions) / samples
    wald = share - norm.ppf(1 - alpha) * np.sqrt(share * (1 - share) / samples)
    for bound in (share, wald):
        wrong = int((sigma * norm.ppf(np.minimum(bound, 1 - 1e-12)) > margin).sum())
        assert at_least(wrong, repetitions, alpha) < RARE


@pytest.mark.statistical
def test_it_abstains_near_the_boundary_and_is_seldom_wrong_there():
    plan = GaussianSmoothing(0.25, alpha=0.05, guess=10, samples=100)
    label, lower = claims(plan, 0.002, 2000, 3)
    assert (label == -1).float().mean() > 0.9
    assert bool((lower[label == -1] == 0).all())
    assert at_least(int((label == 1).sum()), 2000, 0.05) > RARE
    assert bool((claims(plan, 0.8, 100, 3)[0] == 0).all())


@pytest.mark.statistical
def test_a_wrong_guess_is_an_abstention():
    """Half a sigma off the boundary one sample in three lies beyond it; the votes are those of its class."""
    plan = GaussianSmoothing(0.5, alpha=0.01, guess=1, samples=400)
    label, _ = claims(plan, 0.25, 2000, 9)
    assert at_least(int((label == 1).sum()), 2000, 0.01) > RARE
    assert 0.2 < (label == -1).float().mean() < 0.4


@pytest.mark.statistical
def test_predictions_are_wrong_no_more_often_than_promised():
    plan = GaussianSmoothing(0.25, alpha=0.05, samples=50)
    prover = plan.prepare(half_space, L2(1.0), torch.Generator().manual_seed(1))
    label = prover.predict(at_margin(0.005, 4000))
    assert at_least(int((label == 1).sum()), 4000, 0.05) > RARE
    assert 0.5 < (label == -1).float().mean() < 1
    assert bool((prover.predict(at_margin(0.6, 200)) == 0).all())


def test_samples_limit_the_radius():
    plan = GaussianSmoothing(0.5, alpha=0.01, samples=100)
    label, lower = claims(plan, 50.0, 10, 0)
    assert bool((label == 0).all())
    assert bool((lower == plan.largest).all())
    assert plan.largest == pytest.approx(
        0.5 * float(torch.special.ndtri(torch.tensor(0.01**0.01).double())), rel=1e-6
    )
    assert plan.largest < GaussianSmoothing(0.5, alpha=0.01, samples=1000).largest < 0.5 * 3


def test_the_same_seed_gives_the_same_claims(generator):
    model, x = net(encodings.angle(3), generator, classes=3), uniform(8, 3, generator)
    y = model(x).argmax(1)

    def run(seed):
        own = torch.Generator().manual_seed(seed)
        return certify(GaussianSmoothing(0.2, samples=500), model, x, y, L2(1.0), generator=own)

    first, again, other = run(1), run(1), run(2)
    assert torch.equal(first.lower, again.lower)
    assert torch.equal(first.label, again.label)
    assert not torch.equal(first.lower, other.lower)
    assert first.confidence == 0.999
    assert bool(torch.isinf(first.upper).all())


def test_the_voting_model_is_a_function_of_its_input(generator):
    model = net(encodings.angle(3), generator, classes=3).freeze()
    plan = GaussianSmoothing(0.2, samples=5000)
    prover, x = plan.prepare(model, L2(1.0), generator), uniform(6, 3, generator)
    votes = prover.model(x)
    assert torch.equal(votes, prover.model(x))
    assert torch.equal(votes[2:4], prover.model(x[2:4]))
    assert torch.allclose(votes.sum(1), torch.ones(6).double())
    label = prover.prove(x).label
    assert torch.equal(votes.argmax(1)[label >= 0], label[label >= 0])
    assert bool((label >= 0).any())


def test_votes_are_all_counted_across_chunks(generator):
    plan = GaussianSmoothing(1.0, samples=3001, guess=7)
    prover = plan.prepare(half_space, L2(1.0), generator)
    x = torch.cat([at_margin(50.0, 2), at_margin(-50.0, 3), at_margin(0.0, 1)])
    votes = prover._votes(x, 3001)
    assert votes[:5].tolist() == [[3001, 0]] * 2 + [[0, 3001]] * 3
    assert int(votes[5].sum()) == 3001
    assert abs(int(votes[5, 0]) - 1500) < 4 * 28


def test_images_are_smoothed_as_they_are(generator):
    x = torch.full((3, 1, 4, 4), 0.25, dtype=torch.float64)
    plan = GaussianSmoothing(0.5, samples=2000)
    prover = plan.prepare(lambda x: half_space(x.flatten(1)), Linf(1.0), generator)
    found = prover.prove(x)
    assert bool((found.label == 0).all())
    assert bool((found.lower <= 0.25).all())
    assert bool((found.lower > 0.2).all())
    assert bool((prover.model(x).argmax(1) == 0).all())


@pytest.mark.parametrize("sigma", [12.0, 20.0, 1e3, 1e8])
def test_so_much_noise_that_nothing_is_left_proves_nothing_false(sigma, generator):
    """Coefficients that vanish below the smallest number cannot be told apart from none."""
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    model = QuantumNet(circuit, per_qubit_z(2, 2), generator=generator)
    x = torch.rand(3, 2, generator=generator).double()
    prover = ExactSmoothing(sigma).prepare(model.freeze(), L2(1.0), generator)
    claim = prover.prove(x)
    assert not bool(torch.isnan(claim.lower).any())
    step = torch.randn(50, 1, 2, generator=generator).double()
    step = step / step.norm(dim=-1, keepdim=True) * claim.lower.clamp(max=100)[:, None] * 0.999
    moved = prover.model((x + step).reshape(-1, 2)).argmax(1).reshape(50, 3)
    assert bool((moved == claim.label)[:, claim.lower > 0].all())


@pytest.mark.parametrize("certifier", [ExactSmoothing(0.1), GaussianSmoothing(0.1, samples=9)])
def test_no_inputs_no_claims_and_no_votes(certifier, generator):
    model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=generator)
    prover = certifier.prepare(model.freeze(), L2(1.0), generator)
    nothing = torch.zeros(0, 2).double()
    assert prover.prove(nothing).lower.shape == (0,)
    assert prover.model(nothing).shape == (0, 2)
