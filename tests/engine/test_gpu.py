"""The torch paths on a CUDA device: same numbers, tensors that stay where they are."""

import pytest
import torch

from robustq import engine
from robustq.circuits import ansaetze, encodings, pauli, z
from robustq.noise import NoiseModel
from strategies import data

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]
NOISE = NoiseModel.uniform(gate_error=0.02, readout_error=0.03)
READ = [z(0), pauli("XY", 0, 1)]
CIRCUITS = {
    "angle": encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=2)),
    "amplitude": encodings.amplitude(9).then(ansaetze.hardware_efficient(4, layers=2)),
    "reuploading": encodings.reuploading(3, qubits=3, layers=2),
}


@pytest.fixture(params=CIRCUITS)
def case(request, rng):
    circuit = CIRCUITS[request.param]
    inputs, parameters = (torch.tensor(a) for a in data(rng, circuit, 6))
    return circuit, inputs, parameters


def check_agree(call, inputs, parameters):
    """The rows and their gradients on both devices."""
    found = []
    for device in ("cpu", "cuda"):
        given = [t.to(device).requires_grad_() for t in (inputs, parameters)]
        rows = call(*given)
        assert rows.device.type == device
        slopes = torch.autograd.grad(rows.square().sum(), given, allow_unused=True)
        found.append([rows, *(s for s in slopes if s is not None)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs.cpu(), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("noise", [None, NOISE], ids=["pure", "noisy"])
def test_expectations_and_gradients(case, noise):
    circuit, inputs, parameters = case
    check_agree(
        lambda x, t: engine.expectations(circuit, READ, inputs=x, parameters=t, noise=noise), inputs, parameters
    )


@pytest.mark.parametrize("noise", [None, NOISE], ids=["pure", "noisy"])
def test_frozen_models(case, noise):
    circuit, inputs, parameters = case
    check_agree(lambda x, t: engine.FrozenModel(circuit, READ, t, noise=noise)(x), inputs, parameters)


def test_fidelity_kernels(case):
    circuit, inputs, parameters = case
    check_agree(lambda x, t: engine.fidelity_kernel(circuit, x, parameters=t.detach()), inputs, parameters)
