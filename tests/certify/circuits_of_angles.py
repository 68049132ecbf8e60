"""Random circuits whose features turn gates by commensurate angles, as hypothesis draws them."""

import torch
from hypothesis import strategies as st

from robustq.circuits import Circuit, op, per_qubit_z, x
from robustq.circuits.ansaetze import brickwork
from robustq.circuits.encodings import angle, dense_angle
from robustq.models import QuantumNet
from robustq.noise import NoiseModel


def uploaded_again(features, qubits):
    """Every feature turns two gates, one of them twice as far, one of them controlled."""
    first = [op("ry", k % qubits, angles=[1.3 * x(k)]) for k in range(features)]
    wires = [(k % qubits, (k + 1) % qubits) for k in range(features)]
    again = [op("crx", *pair, angles=[2.6 * x(k)]) for k, pair in enumerate(wires)]
    return Circuit(qubits, (*first, op("h", 0), *again), inputs=features)


@st.composite
def models(draw, most_features=3):
    """A frozen model with two to four classes, with noise or without."""
    features = draw(st.integers(1, most_features))
    kind = draw(st.sampled_from(["angle", "dense", "again"]))
    qubits = max(2, features)
    if kind == "again":
        encoding = uploaded_again(min(features, 2), qubits)
    else:
        # a feature more than is asked for, where one alone would leave a single qubit
        encoding = dense_angle(max(features, 3)) if kind == "dense" else angle(qubits)
    classes = draw(st.integers(2, min(4, encoding.qubits)))
    circuit = encoding.then(brickwork(encoding.qubits, layers=draw(st.integers(1, 2))))
    seed = draw(st.integers(0, 10**6))
    noise = draw(st.sampled_from([None, NoiseModel.uniform(gate_error=0.03)]))
    return QuantumNet(
        circuit,
        per_qubit_z(classes, encoding.qubits),
        spread=1.5,
        noise=noise,
        generator=torch.Generator().manual_seed(seed),
    ).double()
