"""Mitigated models and posteriors on a CUDA device: the same numbers, on tensors that stay where they are."""

import pytest
import torch

from robustq import engine
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.mitigation import MitigatedNet
from robustq.mitigation.catalogue import build
from robustq.models import QuantumNet
from robustq.noise import Device
from robustq.uncertainty import Members, Panel
from robustq.uncertainty.scores import SCORES

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]
CIRCUIT = encodings.angle(3).then(ansaetze.strongly_entangling(3, layers=2))
NOISE = Device.bundled("manila")


def made(device, seed=5):
    model = QuantumNet(CIRCUIT, per_qubit_z(2, 3), generator=torch.Generator().manual_seed(seed))
    return model.double().to(device)


@pytest.fixture
def x(generator):
    return torch.rand(5, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "readout",
        "readout-m3",
        "zne",
        "readout+zne",
        "readout+pec",
        "readout+cdr",
        "virtual-distillation",
        "readout+regression",
    ],
)
def test_techniques_agree_on_both_devices(name, x):
    found, drawn = [], []
    for device in ("cpu", "cuda"):
        net = MitigatedNet(
            made(device),
            NOISE,
            build(name, {"regression": {"circuits": 40}}),
            inputs=x.to(device),
            generator=torch.Generator().manual_seed(1),
        )
        given = x.to(device).requires_grad_()
        logits = net(given)
        assert logits.device.type == device
        (slope,) = torch.autograd.grad(logits[:, 0].sum(), given)
        found.append((logits.detach().cpu(), slope.cpu(), net.freeze()(x.to(device)).cpu()))
        answered = net.under(shots=4000, generator=torch.Generator().manual_seed(2))(x.to(device))
        assert answered.device.type == device
        drawn.append(answered.cpu())
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    assert float((drawn[0] - drawn[1]).abs().max().detach()) < 1


def test_final_states_agree(x):
    states = [
        engine.pauli_states(CIRCUIT, inputs=x.to(device), parameters=made(device).theta.detach()).cpu()
        for device in ("cpu", "cuda")
    ]
    torch.testing.assert_close(states[0], states[1])


def test_posteriors_agree(x):
    found = []
    for device in ("cpu", "cuda"):
        posterior = Members.of([made(device, seed) for seed in range(3)])
        logits = posterior.members(x.to(device))
        assert logits.device.type == device
        scores = [score(logits).cpu() for score in SCORES.values()]
        found.append([posterior(x.to(device)).cpu(), posterior.freeze()(x.to(device)).cpu(), *scores])
        assert isinstance(posterior.freeze(), Panel)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
