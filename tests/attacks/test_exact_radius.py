"""Every attack of the catalogue around the exact radius: found just outside, nothing ever inside.

All inputs of a batch are put at the same exact radius, so that one budget is just outside, or just inside,
for each of them: angles by choosing their phase, amplitudes by their length, which the model ignores.
"""

import math

import numpy as np
import pytest
import torch

from cases import few, pairwise
from oracles import amplitude, one_qubit
from robustq.attacks import APGD, PGD, ExactL2, QuantumAutoAttack, run_attack
from robustq.attacks.catalogue import ATTACKS
from robustq.attacks.quantum_auto import MEMBERS, content_id
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.errors import ThreatError
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.threats import L0, L1, L2, Access, Linf

WEIGHTS, BIAS, RADIUS = (1.3, -0.7, 0.4), 0.3, 0.2
KINDS = {"linf": Linf, "l2": L2, "l1": L1}
PUBLISHED = PGD(loss="cross-entropy")
STRONG = (PGD(steps=100, restarts=2, targets=9), APGD(steps=50, targets=9), QuantumAutoAttack())
PINNED = "9dfdbff97d2931af0f0d0a08a9ffcc3f031716a5549022d7f630511cba96eb31"
FEW = {
    "square": {"queries": 100},
    "spsa": {"steps": 5},
    "transfer": {"queries": 20, "steps": 20},
    "hopskipjump": {"steps": 3},
    "universal": {"steps": 10},
}


def angles(norm, batch, generator, noise=None):
    """Random inputs moved along the weights until a boundary is exactly ``RADIUS`` away."""
    model = one_qubit.model(WEIGHTS, BIAS, generator).double()
    model.noise = noise
    w = torch.tensor(WEIGHTS, dtype=torch.float64)
    dual = {"linf": w.abs().sum(), "l2": w.norm(), "l1": w.abs().max()}[norm]
    x = torch.randn(batch, 3, generator=generator, dtype=torch.float64)
    side = torch.randint(0, 2, (batch,), generator=generator) * 2 - 1
    phase = math.pi / 2 + side * RADIUS * dual
    x = x + ((phase - BIAS - x @ w) / (w @ w))[:, None] * w
    assert torch.allclose(one_qubit.radius(WEIGHTS, BIAS, x, norm), torch.tensor(RADIUS).double())
    return model, x, one_qubit.label(WEIGHTS, BIAS, x)


def amplitudes(classes, batch, generator, features=12, noise=None):
    """Random vectors scaled until their exact radius is ``RADIUS``."""
    circuit = encodings.amplitude(features)
    circuit = circuit.then(ansaetze.strongly_entangling(circuit.qubits, layers=3))
    model = QuantumNet(circuit, per_qubit_z(classes, circuit.qubits), generator=generator).double()
    model.noise = noise
    x = torch.randn(batch, features, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = model(x).argmax(1)
    forms = model.freeze().forms(torch.float64)
    exact = amplitude.radius(forms.numpy(), x.numpy(), y.numpy())
    x = x[np.isfinite(exact)] * torch.tensor(RADIUS / exact[np.isfinite(exact)])[:, None]
    return model, x, y[np.isfinite(exact)]


BATCHES = {64: 64, 3: 3, 1: 1}  # batch size -> inputs in all


def outcomes(attack, case, threat, batch, generator):
    """Success and radius of every input, searched in batches of this size."""
    model, x, y = case
    results = [
        run_attack(attack, model, *part, threat, generator=generator)
        for part in zip(x.split(batch), y.split(batch), strict=True)
    ]
    assert all(r.correct.all() for r in results)
    return torch.cat([r.success for r in results]), torch.cat([r.radius for r in results])


def check_around(attack, case, kind, batch, generator):
    """At least 95 % just outside, nothing just inside, and never nearer than the radius."""
    success, radius = outcomes(attack, case, kind(1.01 * RADIUS), batch, generator)
    assert success.double().mean() >= 0.95
    assert float(radius.min()) >= RADIUS * (1 - 1e-6)
    assert not outcomes(attack, case, kind(0.999 * RADIUS), batch, generator)[0].any()


@pytest.mark.parametrize(("attack", "norm", "batch"), pairwise([PUBLISHED, *STRONG], [*KINDS], [*BATCHES]))
def test_one_qubit(attack, norm, batch, generator):
    case = angles(norm, BATCHES[batch], generator)
    check_around(attack, case, KINDS[norm], batch, generator)


@pytest.mark.parametrize(("attack", "classes", "batch"), pairwise(STRONG, [2, 3], [*BATCHES]))
def test_amplitudes(attack, classes, batch, generator):
    """Not the published loss of PGD: at three classes its maximum lies elsewhere (see below)."""
    noise = NoiseModel.uniform(gate_error=0.01, readout_error=0.02) if batch == 3 else None
    case = amplitudes(classes, BATCHES[batch], generator, noise=noise)
    check_around(attack, case, L2, batch, generator)


def test_cross_entropy_has_its_maximum_elsewhere(generator):
    """Why the margin is the default: the published loss misses most of what it flips."""
    (model, x, y), threat = amplitudes(3, 64, generator), L2(1.01 * RADIUS)
    flipped = {}
    for loss in ("margin", "cross-entropy"):
        attack = PGD(steps=100, restarts=10, loss=loss)
        found = run_attack(attack, model, x, y, threat, generator=generator)
        flipped[loss] = int(found.success.sum())
    assert flipped["margin"] >= 0.95 * len(x)
    assert flipped["cross-entropy"] < 0.7 * flipped["margin"]


@pytest.mark.parametrize("name", [name for name, entry in ATTACKS.items() if entry.is_meant_for("l2")])
def test_nothing_ever_lands_inside(name, generator):
    """The whole catalogue, just inside, and never nearer than the radius with a generous budget."""
    attack = ATTACKS[name].make(**FEW.get(name, {}))
    for classes in (2, 3):
        model, x, y = amplitudes(classes, 16, generator)
        missed = run_attack(attack, model, x, y, L2(0.999 * RADIUS), generator=generator)
        assert not missed.success.any()
        generous = run_attack(attack, model, x, y, L2(3 * RADIUS), generator=generator)
        assert float(generous.radius.min()) >= RADIUS * (1 - 1e-6)


def test_the_closed_form_is_the_radius(generator):
    """Against the oracle written apart from the library, up to 64 features, noise included."""
    for features, classes, noise in ((4, 2, None), (30, 3, NoiseModel.uniform(gate_error=0.02)), (64, 4, None)):
        model, x, y = amplitudes(classes, 32, generator, features, noise)
        found = run_attack(ExactL2(), model, x, y, L2(10.0), generator=generator)
        assert found.success.all()
        torch.testing.assert_close(found.radius, torch.full_like(found.radius, RADIUS), rtol=1e-6, atol=0)
        assert found.gradients == 0
        single = run_attack(ExactL2(), model.float(), x.float(), y, L2(10.0), generator=generator)
        assert single.success.all()
        assert float(single.radius.max()) <= RADIUS * (1 + 1e-2)


def test_members_see_survivors_only(generator):
    """Flipped by the first member, an input costs nothing more: 16 easy inputs against 1 hard one."""
    model, x, y = angles("linf", 17, generator)
    alone = run_attack(QuantumAutoAttack(), model, x[:1], y[:1], Linf(0.9 * RADIUS), generator=generator)
    away = torch.tensor(WEIGHTS, dtype=torch.float64).sign() * RADIUS * 0.95
    sign = torch.where(y == 0, 1.0, -1.0)[1:, None]
    x[1:] += sign * away  # almost on the boundary
    mixed = run_attack(QuantumAutoAttack(), model, x, y, Linf(0.9 * RADIUS), generator=generator)
    assert mixed.success[1:].all()
    assert not mixed.success[0]
    assert mixed.gradients <= alone.gradients + 16 * 10


def test_wrong_inputs_cost_nothing(generator):
    model, x, y = angles("l2", 8, generator)
    result = run_attack(QuantumAutoAttack(), model, x, 1 - y, L2(0.1), generator=generator)
    assert not result.correct.any()
    assert result.gradients == 0


@pytest.mark.parametrize("knowledge", ["scores", "labels"])
def test_an_ensemble_without_members_is_refused(knowledge, generator):
    """Nothing searched would look like robustness."""
    model, x, y = angles("linf", 4, generator)
    with pytest.raises(ThreatError, match="expected a threat that a member searches"):
        run_attack(
            QuantumAutoAttack(), model, x, y, L0(1, (-10.0, 10.0)), generator=generator, access=Access(knowledge)
        )


@pytest.mark.parametrize("knowledge", ["scores", "labels"])
def test_the_ensemble_of_an_adversary_without_gradients(knowledge, generator):
    model, x, y = angles("linf", 8, generator)
    result = run_attack(
        QuantumAutoAttack(),
        model,
        x,
        y,
        Linf(1.5 * RADIUS),
        generator=generator,
        access=Access(knowledge, queries=600),
    )
    assert result.gradients == 0
    assert result.queries <= 8 * 600
    assert result.success.all()


def test_the_ensemble_on_a_random_model(generator):
    """Averaged questions, judged by majority: the mean answer decides, as without shots."""
    model, x, y = angles("linf", 4, generator)
    victim = model.under(shots=200, generator=torch.Generator().manual_seed(1))
    given = {"generator": generator, "answers": 25}
    hit = run_attack(QuantumAutoAttack(), victim, x, y, Linf(1.5 * RADIUS), **given)
    assert hit.success.all()
    assert hit.shots > 0
    safe = run_attack(QuantumAutoAttack(), victim, x, y, Linf(0.5 * RADIUS), **given)
    assert not safe.success.any()


@pytest.mark.parametrize("threat", few([L2(0.2), Linf(0.05, (0.0, 1.0)), L1(0.5, (0.0, 1.0))]))
def test_any_shape_and_threat(threat, generator):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 4))
    x = torch.rand(6, 2, 3, 4, generator=generator)
    y = net(x).argmax(1)
    result = run_attack(QuantumAutoAttack(), net, x, y, threat, generator=generator)
    assert threat.contains(result.x_adv, x).all()
    assert result.x_adv.shape == x.shape


def test_the_definition_is_pinned():
    """A change of any member or option is a new version: then this digest changes with VERSION."""
    assert [type(m.attack).__name__ for m in MEMBERS] == [
        "ExactL2",
        "PGD",
        "APGD",
        "APGD",
        "APGD",
        "FAB",
        "FMN",
        "APGD",
        "Square",
        "HopSkipJump",
    ]
    assert str(QuantumAutoAttack()) == f"QuantumAutoAttack v1 ({content_id()[:8]})"
    assert content_id() == PINNED
