"""Training on the verifier's first box: a true bound, the verifier's own, and certified accuracy."""

import itertools
import math

import pytest
import torch

from oracles import one_qubit
from robustq.certify import Complete, certify
from robustq.certify.verifier.region import Region
from robustq.certify.verifier.roots import Roots
from robustq.circuits import ansaetze, encodings, per_qubit_z, z
from robustq.contracts import Step
from robustq.defences import CertifiedBound, Plain
from robustq.defences.training.certified_bound import margin_bounds
from robustq.errors import CertificateError, SpecError
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import hybrid, mlp, qnn, reuploading
from robustq.noise import Device
from robustq.threats import L2, Linf
from steps import mean_loss

BOX = (0.0, 1.0)


def twice_loaded(classes, generator, noise=None):
    """Two features, each loaded twice: degree 2."""
    load = encodings.angle(2).then(ansaetze.brickwork(2, layers=1))
    circuit = load.then(load)
    read = per_qubit_z(classes, circuit.qubits)
    return QuantumNet(circuit, read, generator=generator, noise=noise)


def half_planes(generator):
    """Two features, each loaded twice, and one qubit read."""
    load = encodings.angle(2).then(ansaetze.strongly_entangling(2, layers=1))
    circuit = load.then(load).then(ansaetze.strongly_entangling(2, layers=1))
    return QuantumNet(circuit, [z(0), -z(0)], generator=generator)


def batch(features, classes, generator, count=10):
    x = torch.rand(count, features, generator=generator)
    return x, torch.arange(count) % classes


def test_one_qubit_by_hand(generator):
    """``cos(a)`` over a box that ends short of its extremes is least at an end, and the bound is tight."""
    model = one_qubit.model([0.5], 0.4, generator)
    x, y = torch.tensor([[0.6]]), torch.tensor([0])
    found = margin_bounds(model, x, y, Linf(0.3), 0.3) / model.scale
    worst = 2 * math.cos(0.5 * 0.9 + 0.4)
    torch.testing.assert_close(found.detach(), torch.tensor([[0.0, worst]]).double())


@pytest.mark.parametrize("noise", [None, Device.bundled("manila")], ids=["pure", "device"])
def test_it_is_the_verifiers_first_bound(noise, generator):
    model, (x, y) = twice_loaded(2, generator, noise).double(), batch(2, 2, generator)
    threat = Linf(0.1, box=BOX)
    found = margin_bounds(model, x.double(), y, threat, 0.1).detach()
    region = Region.around(threat, x.double(), torch.full((len(x),), 0.1))
    roots = Roots(model.freeze().trigonometric(), y, region, 100)
    first = roots.take(100, torch.zeros(len(x), dtype=torch.bool))
    assert len(first) == len(x)
    lowest = first.values.flatten(1).amin(1)
    torch.testing.assert_close(found[torch.arange(len(x)), 1 - y], lowest, rtol=0, atol=1e-10)


@pytest.mark.parametrize("build", [hybrid, qnn])
def test_no_point_of_the_box_lies_lower(build, generator):
    """All of a grid, corners included, within what the bound gives away: O(eps^2)."""
    model = build(3, 3, generator=generator).double()
    x, y = batch(3, 3, generator)
    x, own = x.double(), (torch.arange(10), y)
    for eps, gap in ((0.1, 0.6), (0.02, 0.05)):
        bound = margin_bounds(model, x, y, Linf(eps), eps).detach()
        least = torch.full_like(bound, torch.inf)
        with torch.no_grad():
            for move in itertools.product(torch.linspace(-eps, eps, 5).tolist(), repeat=3):
                logits = model(x + torch.tensor(move).double())
                least = torch.minimum(least, logits[own][:, None] - logits)
        assert bool((bound <= least + 1e-12).all())
        assert bool((bound >= least - gap).all())


def test_its_gradient_is_that_of_its_differences(generator):
    x, y = batch(3, 2, generator)
    for model in (hybrid(3, 2, generator=generator).double(), qnn(3, 2, generator=generator).double()):
        margin_bounds(model, x.double(), y, Linf(0.05), 0.05).sum().backward()
        weights = [w for w in model.parameters() if w.grad is not None and bool(w.grad.any())]
        assert len(weights) >= 2
        for weight in weights:
            step = 1e-7 * torch.randn(weight.shape, generator=generator).double()
            ends = []
            with torch.no_grad():
                for sign in (1, -2, 1):
                    weight.add_(sign * step)
                    bound = margin_bounds(model, x.double(), y, Linf(0.05), 0.05)
                    ends.append(float(bound.sum()))
            change = float((weight.grad * step).sum())
            assert ends[0] - ends[1] == pytest.approx(2 * change, rel=1e-3, abs=1e-12)


def test_weight_and_growth(generator):
    model, (x, y) = qnn(2, 2, generator=generator), batch(2, 2, generator)

    def loss(progress=1.0, **options):
        defence = CertifiedBound(Linf(0.2), **options)
        return mean_loss(defence, model, x, y, generator, progress=progress)

    plain = mean_loss(Plain(), model, x, y, generator)
    torch.testing.assert_close(loss(weight=0.0), plain)
    torch.testing.assert_close(loss(progress=0.0), plain)
    torch.testing.assert_close(loss(weight=0.3), 0.3 * loss() + 0.7 * plain)
    half = mean_loss(CertifiedBound(Linf(0.1)), model, x, y, generator)
    torch.testing.assert_close(loss(progress=0.25), half)
    torch.testing.assert_close(loss(progress=0.5), loss())
    torch.testing.assert_close(loss(progress=0.0, growth=0.0), loss())
    assert bool((plain < half) & (half < loss()))


def test_it_raises_certified_accuracy():
    """Two half-planes; the circuit can bend its boundary as it likes."""
    draw = torch.Generator().manual_seed(1)
    x = torch.rand(400, 2, generator=draw)
    x = x[(x.sum(1) - 1).abs() > 0.1]
    y, threat, certified = (x.sum(1) > 1).long(), Linf(0.1, box=BOX), []
    for defence in (Plain(), CertifiedBound(threat)):
        generator = torch.Generator().manual_seed(2)
        model = half_planes(generator)
        plan = Training(epochs=15, patience=0)
        fit(model, x[:120], y[:120], generator=generator, defence=defence, training=plan)
        complete = Complete(decide_only=True)
        found = certify(complete, model, x[120:], y[120:], threat, generator=generator)
        certified.append(float(found.certified(0.1).double().mean()))
    assert certified[1] > certified[0] + 0.05


def test_what_does_not_apply_is_refused(generator):
    x, y = torch.full((2, 2), 0.5), torch.tensor([0, 1])
    step = Step(x=x, y=y, generator=generator)
    amplitude = QuantumNet(encodings.amplitude(2), per_qubit_z(2, 2), generator=generator)
    for model, told in (
        (mlp(2, 2, generator=generator), "features turn gates"),
        (amplitude, "amplitudes"),
        (reuploading(2, 2, generator=generator), "multiples of the lowest"),
    ):
        with pytest.raises(CertificateError, match=told):
            CertifiedBound(Linf(0.1)).losses(model, step)
    with pytest.raises(CertificateError, match="less than pi / 2"):
        CertifiedBound(Linf(0.5)).losses(qnn(2, 2, generator=generator), step)
    wide = Step(x=torch.full((1, 9), 0.5), y=y[:1], generator=generator)
    with pytest.raises(CertificateError, match="at most 16384 frequencies"):
        CertifiedBound(Linf(0.1)).losses(qnn(9, 2, generator=generator, layers=1), wide)
    with pytest.raises(SpecError, match="l-inf threat"):
        CertifiedBound(L2(0.1))
    for options in ({"weight": 1.5}, {"growth": -0.1}):
        with pytest.raises(SpecError, match=r"in \[0, 1\]"):
            CertifiedBound(Linf(0.1), **options)
