"""The complete verifier beside closed forms, attacks, and what it was told to leave alone."""

import pytest
import torch

from oracles import one_qubit
from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.certify import Complete, certify
from robustq.certify.catalogue import CERTIFICATES
from robustq.certify.verifier import Effort, Region, decide
from robustq.certify.verifier.roots import Roots
from robustq.certify.verifier.sigmoid import sigmoid_box
from robustq.circuits import encodings, per_qubit_z
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.threats import L0, L1, L2, Linf
from trained_models import trained

NORMS = {"linf": Linf, "l2": L2, "l1": L1}


def labels(model, inputs):
    with torch.no_grad():
        return model(inputs).argmax(1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("weights", [[1.3], [1.0, 2.0], [1.0, 1.0, -2.0]])
def test_radii_of_one_qubit_are_exact_to_the_tolerance(norm, weights, generator):
    model = one_qubit.model(weights, 0.4, generator)
    x = torch.randn(12, len(weights), generator=generator).double()
    y = one_qubit.label(weights, 0.4, x)
    found = certify(Complete(), model, x, y, NORMS[norm](1.2), generator=generator)
    exact = one_qubit.radius(weights, 0.4, x, norm)
    near = exact < 1.2
    assert bool(found.correct.all())
    assert bool(near.any())
    assert bool((found.lower <= exact).all())
    assert bool((exact.clamp(max=1.2) - found.lower <= 1.3e-3).all())
    assert bool((found.upper[near] - found.lower[near] <= 1.2e-3 + 1e-9).all())
    assert bool((found.upper >= exact - 1e-9).all())


@pytest.mark.parametrize("name", ["breast-cancer", "iris", "wide"])
@pytest.mark.parametrize("norm", NORMS)
def test_no_attack_gets_past_a_proof_and_none_comes_nearer(name, norm, generator):
    model, x, _ = trained(name, torch.float64)
    x = x[:: len(x) // 12][:12]
    y, threat = labels(model, x), NORMS[norm](0.08, box=(0, 1))
    certifier = Complete(tolerance=0.05) if name != "wide" else Complete(decide_only=True, nodes=2000)
    found = certify(certifier, model, x, y, threat, generator=generator)
    attacked = run_attack(PGD(), model, x, y, threat, generator=generator)
    assert bool((found.certified(0.08) | (found.upper < 0.081)).all())
    assert not bool((found.certified(0.08) & attacked.success).any())
    assert bool((found.lower <= attacked.radius + 1e-9).all())
    assert bool((found.upper[attacked.success] <= 0.08 * (1 + 1e-9)).all())


def test_the_whole_ensemble_of_attacks_agrees(generator):
    model, x, _ = trained("breast-cancer", torch.float64)
    x = x[::60]
    y, threat = labels(model, x), Linf(0.15, box=(0, 1))
    found = certify(Complete(tolerance=0.01), model, x, y, threat, generator=generator)
    attacked = run_attack(QuantumAutoAttack(), model, x, y, threat, generator=generator)
    assert torch.equal(found.certified(0.15), ~attacked.success)
    assert bool((found.lower <= attacked.radius).all())


def test_one_box_is_not_enough_and_says_so(generator):
    model, x, _ = trained("breast-cancer", torch.float64)
    frozen = model.freeze()
    y = labels(frozen, x)
    eps = torch.full((len(x),), 0.25)
    region = Region.around(L2(0.25, box=(0, 1)), x, eps)
    little = decide(frozen.trigonometric(), y, region, Effort(nodes=1))
    enough = decide(frozen.trigonometric(), y, region, Effort())
    open_ = ~little.proved & ~little.refuted
    assert bool(open_.any())
    assert bool((enough.proved | enough.refuted).all())
    assert not bool((little.proved & ~enough.proved).any())
    assert not bool((little.refuted & ~enough.refuted).any())
    late = decide(frozen.trigonometric(), y, region, Effort(seconds=1e-12))
    assert not bool(late.proved.any())
    assert not bool(late.refuted.any())


@pytest.mark.parametrize("norm", NORMS)
def test_frozen_features_and_scales_change_the_radius_as_they_must(norm, generator):
    weights, scale = [1.0, 2.0, 0.5], (0.5, 1.0, 2.0)
    x = torch.randn(8, 3, generator=generator).double()
    model, y = one_qubit.model(weights, 0.4, generator), one_qubit.label(weights, 0.4, x)
    threat = NORMS[norm](3.0, scale=scale, frozen=(1,))
    found = certify(Complete(), model, x, y, threat, generator=generator)
    left = [w * s for w, s in zip(weights, scale, strict=True)]
    held = 0.4 + 2.0 * x[:, 1]
    moving = (x / torch.tensor(scale))[:, [0, 2]]
    exact = torch.stack(
        [one_qubit.radius([left[0], left[2]], float(b), p[None], norm)[0] for b, p in zip(held, moving, strict=True)]
    )
    exact = exact.clamp(max=3.0)
    assert bool((found.lower <= exact).all())
    assert bool((exact - found.lower <= 3.1e-3).all())
    assert bool((found.witness[:, 1] == x[:, 1]).all())


def test_nothing_is_found_outside_the_box(generator):
    model = one_qubit.model([1.0], 0.0, generator)
    x = torch.tensor([[0.5], [1.0]]).double()
    y = torch.zeros(2, dtype=torch.int64)
    found = certify(
        Complete(), model, x, y, Linf(5.0, box=(0.0, 1.5)), generator=generator
    )  # pi/2 lies beyond the box
    assert found.lower.tolist() == [5.0, 5.0]
    assert bool(torch.isinf(found.upper).all())


def test_a_slack_takes_from_the_radius_what_it_must(generator):
    model, x = one_qubit.model([1.0], 0.0, generator), torch.tensor([[0.3]]).double()
    scale = float(model.scale.detach())  # logits +- scale cos x: the margin is twice that
    y = torch.zeros(1, dtype=torch.int64)
    found = certify(Complete(slack=scale), model, x, y, Linf(2.0), generator=generator)
    assert abs(float(found.lower) - (torch.pi / 3 - 0.3)) < 2.1e-3
    assert float(found.upper) >= torch.pi / 2 - 0.3 - 1e-9


def test_what_a_hybrid_proves_no_attack_denies(generator):
    model, x, _ = trained("hybrid", torch.float64)
    x = x[::20]
    y = labels(model, x)
    for norm, eps in ((Linf, 0.1), (L2, 0.2), (L1, 0.3)):
        threat = norm(eps, box=(0, 1))
        found = certify(Complete(tolerance=0.02), model, x, y, threat, generator=generator)
        attacked = run_attack(PGD(), model, x, y, threat, generator=generator)
        assert bool((found.lower > 0).any())
        assert bool((found.lower <= attacked.radius).all())
        assert bool(torch.isinf(found.upper).all())


@pytest.mark.parametrize("norm", NORMS)
def test_the_box_behind_a_sigmoid_holds_what_the_ball_becomes(norm, generator):
    weight = torch.randn(3, 4, generator=generator).double()
    bias = torch.randn(3, generator=generator).double()
    x = torch.rand(5, 4, generator=generator).double()
    threat = NORMS[norm](0.4, box=(0, 1), scale=(1.0, 0.5, 2.0, 1.0), frozen=(3,))
    box = sigmoid_box(threat, weight, bias, x, torch.full((5,), 0.4, dtype=torch.float64))
    for _ in range(200):
        image = torch.sigmoid(threat.sample(x, generator) @ weight.T + bias)
        assert bool(((image >= box.low) & (image <= box.high)).all())
    assert bool(((box.high - box.low) < 0.8).all())


def test_it_refuses_what_it_cannot_decide(generator):
    amplitudes = QuantumNet(encodings.amplitude(4), per_qubit_z(2, 2), generator=generator)
    reuploading = QuantumNet(encodings.zz_feature_map(2), per_qubit_z(2, 2), generator=generator)
    angles = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=generator)
    linear = torch.nn.Linear(2, 2)
    for model, threat, told in (
        (amplitudes, Linf(0.1), "got features loaded as amplitudes"),
        (reuploading, Linf(0.1), "products of features"),
        (linear, Linf(0.1), "got Linear"),
        (angles, L0(1), "expected an l-inf, l2 or l1 threat"),
    ):
        frozen = model.freeze() if hasattr(model, "freeze") else model
        with pytest.raises(CertificateError, match=told):
            Complete().prepare(frozen, threat, generator)


@pytest.mark.parametrize("wrong", [{"tolerance": 0}, {"eps": -1.0}, {"slack": -1.0}, {"nodes": 0}, {"seconds": 0.0}])
def test_it_refuses_impossible_settings(wrong):
    with pytest.raises(CertificateError, match="complete: expected"):
        Complete(**wrong)


def test_it_is_in_the_catalogue():
    assert CERTIFICATES["complete"].make is Complete


def test_settled_inputs_leave_no_boxes_to_take(generator):
    model = QuantumNet(encodings.angle(3), per_qubit_z(3, 3), generator=generator).freeze()
    x = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    region = Region.around(Linf(9.0), x, torch.full((5,), 9.0, dtype=torch.float64))
    roots = Roots(model.trigonometric(), model(x).argmax(1), region, 10)
    assert len(roots.take(4, torch.ones(5, dtype=torch.bool))) == 0
    assert len(roots.take(4, torch.zeros(5, dtype=torch.bool))) == 4


@pytest.mark.parametrize("norm", [Linf, L2, L1])
def test_slack_counts_where_nothing_moves_too(norm, generator):
    model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=generator)
    x = torch.rand(4, 2, generator=generator)
    threat = norm(0.3, frozen=(0, 1))
    found = certify(Complete(slack=100.0), model, x, torch.zeros(4).long(), threat, generator=generator)
    assert found.lower.tolist() == [0.0] * 4
