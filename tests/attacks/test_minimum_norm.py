"""The minimum-norm attacks against exact radii: angles (every norm) and amplitudes (l2)."""

import math
import re

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from cases import pairwise
from oracles import amplitude, one_qubit
from robustq.attacks import DDN, FAB, FMN, CarliniWagner, DeepFool, run_attack
from robustq.attacks.catalogue import ATTACKS
from robustq.attacks.nearest.hyperplane import projection
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import SpecError, ThreatError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.threats import L0, L1, L2, Access, Knobs, Linf

BOXES = {"none": None, "unit": (0.0, 1.0), "signed": (-1.0, 1.0), "angles": (-math.pi, math.pi)}
KINDS = {"l0": L0, "l1": L1, "l2": L2, "linf": Linf}
ORDERS = {"l1": 1, "l2": 2, "linf": math.inf}
ATTACKS_OF = {"carlini-wagner": CarliniWagner(), "ddn": DDN(), "deepfool": DeepFool(), "fab": FAB(), "fmn": FMN()}
MEANT = [(name, norm) for name in ATTACKS_OF for norm in ATTACKS[name].norms]
CLOSE = [(name, norm) for name, norm in MEANT if norm != "l0"]
BASE = (1.3, -0.7, 0.4)


def angle_oracle(box, generator, noisy=False):
    """Phases through a whole period in the box, its boundaries off the middle."""
    low, high = box or (-1.0, 1.0)
    weights = tuple(2 * w / (high - low) for w in BASE)
    bias = math.pi / 2 + 0.6 - sum(weights) * (low + high) / 2
    model = one_qubit.model(weights, bias, generator).double()
    if noisy:
        model.noise = NoiseModel.uniform(gate_error=0.05, readout_error=0.02)
    return weights, bias, model


def angle_points(weights, bias, box, norm, count, generator):
    """Inputs anywhere in the box, up to the summits, whose nearest boundary the box does not cut off."""
    low, high = box or (-1.0, 1.0)
    drawn = torch.rand(512, len(weights), generator=generator, dtype=torch.float64)
    x = low + (high - low) * drawn
    near = one_qubit.optimum(weights, bias, x, norm)
    kept = ((near >= low) & (near <= high)).all(1)
    kept &= one_qubit.radius(weights, bias, x, norm) > 1e-3 * (high - low)
    return x[kept][:count]


def assert_near(radius, exact):
    ratio = radius / exact
    assert float(ratio.min()) >= 1 - 1e-6
    assert float(ratio.max()) <= 1.25
    assert float(ratio.median()) <= 1.05


@pytest.mark.parametrize(
    ("close", "box", "batch", "noisy"),
    pairwise({"-".join(case): case for case in CLOSE}, BOXES, [64, 3, 1], {"pure": False, "noisy": True}),
)
def test_angles_meet_the_exact_radius(close, box, batch, noisy, generator):
    name, norm = close
    weights, bias, model = angle_oracle(box, generator, noisy)
    x = angle_points(weights, bias, box, norm, batch, generator)
    y = one_qubit.label(weights, bias, x)
    exact = one_qubit.radius(weights, bias, x, norm)
    threat = KINDS[norm](4 * float(exact.max()), box)
    found = run_attack(ATTACKS_OF[name], model, x, y, threat, generator=generator)
    assert len(x) == batch
    assert found.success.all()
    assert threat.contains(found.nearest, x).all()
    assert_near(found.radius, exact)


@pytest.mark.parametrize("norm", ORDERS)
def test_the_oracles_optimum_is_where_its_radius_says(norm, generator):
    weights, bias, _ = angle_oracle(None, generator)
    x = 4 * torch.randn(50, 3, generator=generator, dtype=torch.float64)
    moved = one_qubit.optimum(weights, bias, x, norm) - x
    exact = one_qubit.radius(weights, bias, x, norm)
    torch.testing.assert_close(torch.linalg.vector_norm(moved, ORDERS[norm], dim=1), exact)
    phase = (x + moved) @ torch.tensor(weights, dtype=torch.float64) + bias
    assert float(torch.cos(phase).abs().max()) < 1e-12


@pytest.mark.parametrize(("name", "norm"), CLOSE)
def test_a_summit_without_gradient_is_left(name, norm, generator):
    """Where the cosine is one, its gradient is zero and every boundary a quarter turn away."""
    model = one_qubit.model((1.0, 0.5), 0.0, generator).double()
    x = torch.zeros(2, 2, dtype=torch.float64)
    exact = one_qubit.radius((1.0, 0.5), 0.0, x, norm)
    threat = KINDS[norm](4 * float(exact[0]))
    found = run_attack(ATTACKS_OF[name], model, x, torch.zeros(2).long(), threat, generator=generator)
    assert found.success.all()
    assert_near(found.radius, exact)


def amplitude_case(features, classes, generator, count=16):
    circuit = encodings.amplitude(features)
    circuit = circuit.then(ansaetze.strongly_entangling(circuit.qubits, layers=2))
    model = QuantumNet(circuit, per_qubit_z(classes, circuit.qubits), generator=generator).double()
    x = torch.randn(count, features, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = model(x).argmax(1)
    return model, x, y, model.freeze().forms(torch.float64).detach().numpy()


@pytest.mark.parametrize(
    ("name", "features", "classes"), pairwise([name for name, norm in CLOSE if norm == "l2"], [8, 24, 64], [2, 3])
)
def test_amplitudes_meet_the_exact_radius(name, features, classes, generator):
    model, x, y, forms = amplitude_case(features, classes, generator)
    exact = torch.from_numpy(amplitude.radius(forms, x.numpy(), y.numpy()))
    threat = L2(4 * float(exact.max()))
    found = run_attack(ATTACKS_OF[name], model, x, y, threat, generator=generator)
    assert found.success.all()
    assert_near(found.radius, exact)


def search_cone(form, x, rng):
    """The nearest point of the cone by SLSQP from many starts."""
    best = np.inf
    for _ in range(12):
        start = x + np.linalg.norm(x) * rng.normal(size=len(x))
        found = minimize(
            lambda z: (z - x) @ (z - x),
            start,
            jac=lambda z: 2 * (z - x),
            method="SLSQP",
            constraints={"type": "eq", "fun": lambda z: z @ form @ z, "jac": lambda z: 2 * form @ z},
            options={"maxiter": 500, "ftol": 1e-14},
        )
        if abs(found.x @ form @ found.x) < 1e-8:
            best = min(best, np.linalg.norm(found.x - x))
    return best


def test_the_amplitude_oracle_agrees_with_a_general_solver(rng):
    for features in (2, 3, 6):
        for _ in range(4):
            form = rng.normal(size=(features, features))
            form = form + form.T
            form -= np.eye(features) * (np.linalg.eigvalsh(form)[[0, -1]].sum() / 2)
            x = rng.normal(size=features)
            form = form if x @ form @ x > 0 else -form
            distance, near = amplitude.to_cone(form, x)
            assert abs(near @ form @ near) < 1e-9
            assert distance == pytest.approx(search_cone(form, x, rng), rel=1e-5)


def test_the_amplitude_oracle_knows_its_hard_case_and_its_hopeless_one(rng):
    form = np.diag([2.0, 1.0, -3.0])  # x has nothing along the last axis
    x = np.array([1.0, 1.0, 0.0])
    distance, near = amplitude.to_cone(form, x)
    assert near @ form @ near == pytest.approx(0, abs=1e-12)
    assert distance == pytest.approx(search_cone(form, x, rng), rel=1e-6)
    assert amplitude.to_cone(np.eye(3), x)[0] == np.inf


@pytest.mark.parametrize("order", [1, 2, math.inf])
def test_the_foot_is_the_nearest_point_of_the_hyperplane_in_the_box(order, rng):
    """Against SLSQP on ``min |z| s.t. slope . z = gain`` with slack variables for l1 and linf."""
    for _ in range(6):
        n = 4
        slope, low, high = rng.normal(size=n), -rng.random(n), rng.random(n)
        gain = 0.7 * np.maximum(slope * low, slope * high).sum() * rng.random()
        room = (torch.tensor(low)[None], torch.tensor(high)[None])
        z = projection(torch.zeros(1, n).double(), torch.tensor(slope)[None], torch.tensor([gain]), room, order)
        z = z[0].numpy()
        assert slope @ z == pytest.approx(gain)
        assert (z >= low - 1e-12).all()
        assert (z <= high + 1e-12).all()
        assert np.linalg.norm(z, order) == pytest.approx(least(order, slope, gain, low, high), rel=1e-5)


def least(order, slope, gain, low, high):
    """The same optimum by a general solver: variables (z, s) with |z_i| <= s_i, or one s for linf."""
    n, slacks = len(slope), {1: len(slope), 2: 0, math.inf: 1}[order]
    bounds = [*zip(low, high, strict=True), *[(0, None)] * slacks]
    limits = [{"type": "eq", "fun": lambda v: slope @ v[:n] - gain}]
    if slacks:
        limits.append({"type": "ineq", "fun": lambda v: np.concatenate([v[n:] - v[:n], v[n:] + v[:n]])})
    cost = (lambda v: v @ v) if order == 2 else (lambda v: v[n:].sum())
    corner = np.where(slope > 0, high, low)
    start = np.concatenate([corner * gain / (slope @ corner), np.ones(slacks)])
    found = minimize(
        cost, start, bounds=bounds, constraints=limits, method="SLSQP", options={"maxiter": 500, "ftol": 1e-14}
    )
    return math.sqrt(found.fun) if order == 2 else found.fun


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_one_feature_is_enough_where_it_is(box, batch, generator):
    """l0: inputs that some single feature can take over a boundary within the box."""
    weights, bias, model = angle_oracle(box, generator)
    low, high = box or (-50.0, 50.0)
    x = torch.rand(256, 3, generator=generator, dtype=torch.float64)
    x = (low + (high - low) * x) if box else x
    y = one_qubit.label(weights, bias, x)
    enough = torch.zeros(len(x), dtype=torch.bool)
    for feature in range(3):
        for value in torch.linspace(low, high, 201):
            moved = x.clone()
            moved[:, feature] = value
            enough |= one_qubit.label(weights, bias, moved) != y
    x, y = x[enough][:batch], y[enough][:batch]
    found = run_attack(FMN(), model, x, y, L0(3, box), generator=generator)
    assert len(x) == batch
    assert found.success.all()
    assert (found.radius == 1).all()
    assert ((found.nearest != x).sum(1) == 1).all()


@pytest.mark.parametrize(("name", "norm"), MEANT)
def test_units_and_frozen_features_are_kept(name, norm, generator):
    """Features in units of their own are the oracle with weights in those units."""
    weights, units = (1.3, -0.7, 0.4, 5.0), (0.5, 2.0, 1.0, 3.0)
    model = one_qubit.model(weights, 0.3, generator).double()
    x = torch.rand(8, 4, generator=generator, dtype=torch.float64)
    y = one_qubit.label(weights, 0.3, x)
    own = tuple(w * u for w, u in zip(weights, units, strict=True))[:3]
    threat = KINDS[norm](3 if norm == "l0" else 8.0, None, scale=units, frozen=(3,))
    found = run_attack(ATTACKS_OF[name], model, x, y, threat, generator=generator)
    assert found.success.all()
    assert torch.equal(found.nearest[:, 3], x[:, 3])
    if norm == "l0":
        assert (found.radius == 1).all()
        return
    reduced = (x / torch.tensor(units))[:, :3]
    bias = 0.3 + 5.0 * x[:, 3]
    assert_near(found.radius, one_qubit.radius(own, bias, reduced, norm))


@pytest.mark.parametrize("name", ATTACKS_OF)
def test_other_threats_are_refused(name, generator):
    model = one_qubit.model((1.0,), 0.0, generator)
    x, y = torch.tensor([[0.3]]), torch.tensor([0])
    meant = ATTACKS[name].norms
    others = [kind(1) for norm, kind in KINDS.items() if norm not in meant]
    for threat in [*others, Knobs(0.1)]:
        message = f"expected an {' or '.join(meant)} threat, got {re.escape(str(threat))}"
        with pytest.raises(ThreatError, match=message):
            run_attack(ATTACKS_OF[name], model, x, y, threat, generator=generator)


class Saturated(torch.nn.Module):
    """Logits of hundreds that a tanh holds flat but for a narrow slope."""

    def forward(self, x):
        score = 300 * torch.tanh(200 * (0.5 - x.sum(1)))
        return torch.stack([score, -score, score - 500], 1)


@pytest.mark.parametrize(("name", "norm"), MEANT)
def test_saturated_models_are_no_trouble(name, norm, generator):
    x = torch.full((4, 3), -0.5)
    x[0] = 0.166
    y = torch.zeros(4).long()
    threat = KINDS[norm](3, (-1.0, 1.0))
    found = run_attack(ATTACKS_OF[name], Saturated(), x, y, threat, generator=generator)
    assert torch.isfinite(found.x_adv).all()
    assert threat.contains(found.x_adv, x).all()
    assert found.success[0]


@pytest.mark.parametrize(("name", "norm"), MEANT)
def test_pixels_on_the_edges_of_their_box(name, norm, generator):
    """Images (not flat), every pixel on an edge: half of them can only rise, half only fall."""
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    x = torch.randint(0, 2, (8, 3, 4), generator=generator).float()
    y = plain(x).argmax(1)
    threat = KINDS[norm](12, (0.0, 1.0))
    found = run_attack(ATTACKS_OF[name], plain, x, y, threat, generator=generator)
    assert found.nearest.shape == x.shape
    assert threat.contains(found.nearest, x).all()
    reachable = run_attack(ATTACKS["pgd"].make(), plain, x, y, Linf(1.0, (0.0, 1.0)), generator=generator).success
    assert (found.success | ~reachable).all()


@pytest.mark.parametrize(("name", "norm"), MEANT)
def test_no_budget_and_inputs_that_are_wrong_or_on_the_boundary(name, norm, generator):
    """Of three inputs the first is right, the second wrong, and the third ties (class 0 then)."""
    model = lambda x: torch.stack([x.sum(1), -x.sum(1)], 1)  # noqa: E731
    x, y = torch.tensor([[0.5, 0.1], [-0.5, 0.1], [0.0, 0.0]]), torch.zeros(3).long()
    for eps, flipped in ((0, [False, False, False]), (1, [True, False, True])):
        threat = KINDS[norm](eps)
        found = run_attack(ATTACKS_OF[name], model, x, y, threat, generator=generator)
        assert found.correct.tolist() == [True, False, True]
        assert found.success.tolist() == flipped
        assert threat.contains(found.x_adv, x).all()


@pytest.mark.parametrize("name", ATTACKS_OF)
def test_a_query_budget_is_kept_and_what_was_found_counts(name, generator):
    weights, bias, model = angle_oracle(None, generator)
    x = angle_points(weights, bias, None, "l2", 4, generator)
    y = one_qubit.label(weights, bias, x)
    found = run_attack(ATTACKS_OF[name], model, x, y, L2(8.0), generator=generator, access=Access(queries=40))
    assert found.queries + found.gradients <= 4 * (40 + 2)
    assert found.success.all()


@pytest.mark.parametrize(
    "build",
    [
        lambda: CarliniWagner(searches=0),
        lambda: DDN(gamma=0.0),
        lambda: DeepFool(overshoot=-1.0),
        lambda: FAB(bias=2.0),
        lambda: FMN(steps=1.5),
        lambda: FMN(slides=-1),
    ],
)
def test_impossible_options_are_refused(build):
    with pytest.raises(SpecError, match="expected"):
        build()
