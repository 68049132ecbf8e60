"""A penalty on how fast inputs turn gates: by hand, on top of others, and what it does to a model."""

import math

import pytest
import torch

from oracles import one_qubit
from robustq.attacks import FGSM
from robustq.certify.slopes.falls import largest_swing
from robustq.circuits import encodings, op, per_qubit_z, x, z
from robustq.circuits.circuit import Circuit
from robustq.defences import AdversarialTraining, LipschitzPenalty, Plain, Recipe
from robustq.defences.training.lipschitz_penalty import gate_speeds
from robustq.errors import CertificateError, SpecError
from robustq.models import HybridNet, QuantumNet, Training, fit
from robustq.models.catalogue import mlp, reuploading
from robustq.threats import L2, Linf
from steps import mean_loss


def test_one_qubit_by_hand(generator):
    """Rotations by ``w x``: ``H = X / 2``, so each adds ``(w / 2)^2``."""
    model = one_qubit.model([0.7, -1.1], 0.3, generator)
    points, y = torch.rand(3, 2, generator=generator), torch.tensor([0, 1, 0])
    plain = mean_loss(Plain(), model, points, y, generator)
    expected = plain + 0.2 * (0.7**2 + 1.1**2) / 4
    torch.testing.assert_close(mean_loss(LipschitzPenalty(0.2), model, points, y, generator), expected)
    torch.testing.assert_close(mean_loss(LipschitzPenalty(0.0), model, points, y, generator), plain)


def test_products_and_a_layer_in_front_by_hand(generator):
    """``RX(x0 x1)`` has the slope ``(x1, x0)``; in front of it a sigmoid of ``W x + b``."""
    circuit = Circuit.of(1, [op("rx", 0, angles=[x(0) * x(1)])])
    core = QuantumNet(circuit, [z(0), -z(0)], generator=generator)
    points = torch.rand(4, 2, generator=generator).double()
    expected = points.norm(dim=1, keepdim=True) / 2
    torch.testing.assert_close(gate_speeds(core, points).detach(), expected)
    model = HybridNet(3, 2, core, generator=generator).double()
    points = torch.rand(4, 3, generator=generator).double()
    inner = model.encoder_inputs(points).flip(1)
    slopes = inner @ model.before.weight / 4
    torch.testing.assert_close(gate_speeds(model, points), slopes.norm(dim=1, keepdim=True) / 2)


def test_the_sum_of_the_speeds_is_the_published_bound(generator):
    """Of the l2 constant: ``2 sum |w||H|``, which the certificate's own, feature by feature, never exceeds."""
    model = reuploading(3, 2, generator=generator)
    points = torch.zeros(1, 3).double()
    with torch.no_grad():
        bound = 2 * gate_speeds(model, points).sum()
        swing = largest_swing(model.gate_angles(), None, points, L2(1.0))
    assert float(swing) <= float(bound) * (1 + 1e-9)
    assert float(swing) > 0.3 * float(bound)


def test_it_adds_to_any_defence(generator):
    model = reuploading(2, 2, generator=generator)
    points, y = torch.rand(4, 2, generator=generator), torch.tensor([0, 1, 1, 0])
    inner = AdversarialTraining(FGSM(), Linf(0.1))
    extra = 0.5 * gate_speeds(model, points).square().sum(1).mean().float()
    layered = Recipe((inner, LipschitzPenalty(0.5))).training
    torch.testing.assert_close(
        mean_loss(layered, model, points, y, generator), mean_loss(inner, model, points, y, generator) + extra
    )


def test_it_slows_the_gates(generator):
    points = torch.rand(80, 2, generator=generator)
    y = (points.sum(1) > 1).long()
    speeds = []
    for strength in (0.0, 0.02, 0.2):
        draw = torch.Generator().manual_seed(2)
        model = reuploading(2, 2, generator=draw, qubits=2, layers=2)
        fit(model, points, y, generator=draw, defence=LipschitzPenalty(strength), training=Training(epochs=10))
        speeds.append(float(gate_speeds(model, points[:1]).sum().detach()))
    assert speeds[0] > 1.3 * speeds[1] > 1.69 * speeds[2]


def test_what_does_not_apply_is_refused(generator):
    points, y = torch.full((2, 4), 0.5), torch.tensor([0, 1])
    amplitude = QuantumNet(encodings.amplitude(4), per_qubit_z(2, 2), generator=generator)
    for model in (mlp(4, 2, generator=generator), amplitude):
        with pytest.raises(CertificateError, match=r"features (that )?turn gates"):
            mean_loss(LipschitzPenalty(), model, points, y, generator)
    for strength in (-0.1, math.nan, math.inf):
        with pytest.raises(SpecError, match="strength >= 0"):
            LipschitzPenalty(strength)
