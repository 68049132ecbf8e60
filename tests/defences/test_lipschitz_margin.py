"""Lipschitz margin training: the loss it claims, its gradient, and certified accuracy that it buys."""

import math

import pytest
import torch

from oracles import one_qubit
from robustq.bench.entrants import entrants
from robustq.bench.spec import parse
from robustq.certify import Lipschitz, certify
from robustq.certify.slopes.falls import largest_falls, largest_swing
from robustq.circuits import ansaetze, encodings, pauli, per_qubit_z
from robustq.contracts import Defence
from robustq.defences import LipschitzMargin, Plain
from robustq.errors import CertificateError, SpecError
from robustq.models import HybridNet, QuantumNet, Training, fit
from robustq.models.catalogue import hybrid, mlp, qnn, reuploading
from robustq.threats import L0, L1, L2, Linf
from steps import mean_loss


def test_the_handicap_of_one_qubit_by_hand(generator):
    """``eps`` times the dual norm of the weights turns the qubit; the margin's slope is twice the scale."""
    model = one_qubit.model([0.7, -1.1], 0.3, generator)
    x, y = torch.rand(3, 2, generator=generator), torch.tensor([0, 1, 0])
    logits, scale = model(x), model.scale
    for threat, turn in ((Linf(0.2), 0.36), (L2(0.2), 0.2 * math.hypot(0.7, 1.1)), (L1(0.2), 0.22)):
        falls = largest_falls(model, x, y, threat)
        other = torch.nn.functional.one_hot(1 - y, 2)
        torch.testing.assert_close(falls, 2 * scale * turn * other, rtol=1e-5, atol=1e-6)
        expected = torch.nn.functional.cross_entropy(logits + 2 * scale * turn * other, y)
        found = mean_loss(LipschitzMargin(threat), model, x, y, generator)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_weight_mixes_and_no_budget_is_plain(generator):
    model = reuploading(2, 2, generator=generator)
    x, y = torch.rand(4, 2, generator=generator), torch.tensor([0, 1, 1, 0])

    def loss(eps, weight):
        return mean_loss(LipschitzMargin(Linf(eps), weight), model, x, y, generator)

    plain = mean_loss(Plain(), model, x, y, generator)
    torch.testing.assert_close(loss(0.0, 1.0), plain)
    torch.testing.assert_close(loss(0.1, 0.0), plain)
    torch.testing.assert_close(loss(0.1, 0.3), 0.3 * loss(0.1, 1.0) + 0.7 * plain)


@pytest.mark.parametrize("build", [reuploading, hybrid, qnn])
@pytest.mark.parametrize("ball", [Linf, L2, L1])
def test_margins_never_fall_further(build, ball, generator):
    options = {"encoding": "zz"} if build is qnn else {}
    model = build(3, 3, generator=generator, **options).double()
    x = torch.rand(10, 3, generator=generator).double()
    y = torch.arange(10) % 3
    threat = ball(0.3)
    with torch.no_grad():
        falls = largest_falls(model, x, y, threat)
        for _ in range(20):
            before, after = model(x), model(threat.sample(x, generator))
            own = torch.arange(10), y
            change = (before[own][:, None] - before) - (after[own][:, None] - after)
            assert bool((change <= falls + 1e-9).all())


def test_the_bound_has_the_gradient_of_its_differences(generator):
    model = HybridNet(3, 2, reuploading(2, 2, generator=generator), generator=generator).double()
    x, y = torch.rand(4, 3, generator=generator).double(), torch.tensor([0, 1, 1, 0])
    for threat in (Linf(0.2), L2(0.2)):
        model.zero_grad()
        largest_falls(model, x, y, threat).sum().backward()
        for weight in (model.core.theta, model.before.weight, model.after.weight):
            grad = weight.grad.clone()
            step = 1e-6 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                ends = []
                for sign in (1, -2, 1):
                    weight.add_(sign * step)
                    ends.append(float(largest_falls(model, x, y, threat).sum()))
            assert abs(ends[0] - ends[1] - 2 * float((grad * step).sum())) < 1e-9


def test_ranges_of_observables_that_are_not_diagonal(generator):
    read = [pauli("X", 0), 0.5 * pauli("ZZ", 0, 1)]
    model = QuantumNet(encodings.angle(2), read, generator=generator)
    exact = torch.linalg.eigvalsh(
        torch.as_tensor(read[0].matrix(2) - read[1].matrix(2))
    )  # an anticommuting pair: the bound, 3, is above the range, sqrt 5
    found = float((model.logit_ranges()[0, 1] / model.scale).detach())
    assert float(exact[-1] - exact[0]) <= found
    assert abs(found - 3) < 1e-5


def test_it_lowers_the_constant_and_raises_certified_accuracy():
    """Two half-planes and a circuit free to turn as fast as it likes."""
    draw = torch.Generator().manual_seed(1)
    x = torch.rand(120, 2, generator=draw)
    x = x[(x.sum(1) - 1).abs() > 0.15]
    y, threat = (x.sum(1) > 1).long(), Linf(0.05)
    swings, certified, right = [], [], []
    for defence in (Plain(), LipschitzMargin(threat)):
        generator = torch.Generator().manual_seed(2)
        model = reuploading(2, 2, generator=generator, qubits=2, layers=2)
        fit(model, x, y, generator=generator, defence=defence, training=Training(epochs=12))
        with torch.no_grad():
            swings.append(float(largest_swing(model.gate_angles(), None, x[:1].double(), threat)))
        found = certify(Lipschitz(), model, x, y, threat, generator=generator)
        right.append(float(found.correct.double().mean()))
        certified.append(float(found.certified(0.05).double().mean()))
    assert swings[1] < 0.7 * swings[0]
    assert right[1] > 0.9
    assert certified[1] > certified[0] + 0.2


def test_a_specification_can_name_it():
    spec = parse({"data": {"name": "iris"}, "defence": {"name": "lipschitz-margin", "options": {"weight": 0.5}}})
    defence = spec.defence.build(spec.threat).training
    assert isinstance(defence, LipschitzMargin)
    assert isinstance(defence, Defence)
    assert defence.weight == 0.5
    assert "mlp-defended" not in [entrant.key for entrant in entrants(spec)]
    assert "quantum-defended" in [entrant.key for entrant in entrants(spec)]


def test_what_does_not_apply_is_refused(generator):
    x, y = torch.full((2, 4), 0.5), torch.tensor([0, 1])
    amplitude = QuantumNet(encodings.amplitude(4).then(ansaetze.brickwork(2)), per_qubit_z(2, 2), generator=generator)
    for model in (mlp(4, 2, generator=generator), amplitude):
        with pytest.raises(CertificateError, match=r"features (that )?turn gates"):
            mean_loss(LipschitzMargin(Linf(0.1)), model, x, y, generator)
    with pytest.raises(CertificateError, match="l-inf, l2 or l1"):
        mean_loss(LipschitzMargin(L0(1)), qnn(4, 2, generator=generator), x, y, generator)
    with pytest.raises(SpecError, match=r"weight in \[0, 1\]"):
        LipschitzMargin(Linf(0.1), 1.5)
