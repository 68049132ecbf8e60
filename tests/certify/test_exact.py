"""Exact radii of states and of amplitude-encoded inputs: witnesses, attacks, closed forms."""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustq.certify import ExactAmplitude, certify
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.threats import L2


def net(encoding, qubits, classes, seed, layers=2):
    generator = torch.Generator().manual_seed(seed)
    circuit = encoding.then(ansaetze.brickwork(qubits, layers=layers))
    return QuantumNet(circuit, per_qubit_z(classes, qubits), generator=generator, spread=1.5)


def labels(model, inputs):
    with torch.no_grad():
        return model(inputs).argmax(1)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.integers(2, 5), st.data())
def test_a_witness_flips_and_nothing_inside_does(qubits, data):
    classes = data.draw(st.integers(2, min(5, qubits)))
    seed = data.draw(st.integers(0, 10**6))
    noise = data.draw(st.sampled_from([None, NoiseModel.uniform(gate_error=0.02)]))
    model = net(encodings.amplitude(2**qubits), qubits, classes, seed)
    model.noise = noise
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(16, 2**qubits, generator=generator, dtype=torch.float64)
    y = labels(model.freeze(), rows)
    found = certify(ExactAmplitude(), model, rows, y, L2(9.0), generator=generator)
    assert bool(found.correct.all())
    assert bool((found.upper <= found.lower * (1 + 1e-6) + 1e-9).all())
    seen = torch.isfinite(found.upper)
    assert bool((labels(model.freeze(), found.witness) != y)[seen].all())
    drawn = torch.nn.functional.normalize(
        torch.randn(16, 50, 2**qubits, generator=generator).double(), dim=2
    )
    inside = rows[:, None] + 0.9999 * found.lower.clamp(max=9)[:, None, None] * drawn
    assert torch.equal(labels(model.freeze(), inside.flatten(0, 1)), y.repeat_interleave(50))
