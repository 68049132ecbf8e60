"""Qiskit back ends as devices, and our channels against Qiskit Aer's."""

from dataclasses import replace

import numpy as np
import pytest

from robustq import engine
from robustq.circuits import Circuit, op, pauli, z
from robustq.errors import DataError
from robustq.interop.qiskit import device_from_backend
from robustq.noise import Channel, Device
from robustq.noise.catalogue import DEVICES
from strategies import isometry

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def aer():
    return pytest.importorskip("qiskit_aer.noise", reason="qiskit-aer is not installed")


# ours, and Aer's as a function of its module
PAIRS = [
    (Channel("thermal-relaxation", 1e-4, 8e-5, 3e-5), lambda m: m.thermal_relaxation_error(1e-4, 8e-5, 3e-5)),
    (Channel("thermal-relaxation", 1e-4, 1.7e-4, 3e-5), lambda m: m.thermal_relaxation_error(1e-4, 1.7e-4, 3e-5)),
    (
        Channel("thermal-relaxation", 1e-4, 1.7e-4, 3e-5, 0.2),
        lambda m: m.thermal_relaxation_error(1e-4, 1.7e-4, 3e-5, 0.2),
    ),
    (
        Channel("thermal-relaxation", 1e-4, 9e-5, 3e-5, 0.2),
        lambda m: m.thermal_relaxation_error(1e-4, 9e-5, 3e-5, 0.2),
    ),
    (Channel("depolarising", 0.1), lambda m: m.depolarizing_error(0.1, 1)),
    (Channel("depolarising-2", 0.1), lambda m: m.depolarizing_error(0.1, 2)),
    (Channel("amplitude-damping", 0.2), lambda m: m.amplitude_damping_error(0.2)),
    (Channel("generalised-amplitude-damping", 0.2, 0.3), lambda m: m.amplitude_damping_error(0.2, 0.3)),
    (Channel("phase-damping", 0.2), lambda m: m.phase_damping_error(0.2)),
    (Channel("pauli", 0.1, 0.2, 0.05), lambda m: m.pauli_error([("X", 0.1), ("Y", 0.2), ("Z", 0.05), ("I", 0.65)])),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda p: getattr(p, "name", ""))
def test_channels_agree_with_aer(ours, theirs):
    from qiskit.quantum_info import PTM

    np.testing.assert_allclose(ours.ptm, PTM(theirs(aer())).data.real, atol=1e-10)


@pytest.mark.parametrize("qubits", [1, 2])
def test_kraus_channels_agree_with_qiskit(qubits):
    info = pytest.importorskip("qiskit.quantum_info", reason="qiskit is not installed")
    operators = isometry(np.random.default_rng(qubits), qubits, 3)
    np.testing.assert_allclose(
        Channel("kraus", *operators).ptm, info.PTM(info.Kraus(operators)).data.real, atol=1e-12
    )


def generic():
    provider = pytest.importorskip("qiskit.providers.fake_provider", reason="qiskit is not installed")
    ring = [[k, (k + 1) % 5] for k in range(5)]
    return provider.GenericBackendV2(5, coupling_map=ring + [p[::-1] for p in ring], seed=3)


def test_a_back_end_becomes_a_device():
    backend = generic()
    device = device_from_backend(backend)
    assert sorted(device.edges) == [(0, 1), (0, 4), (1, 2), (2, 3), (3, 4)]
    target = backend.target
    for k, qubit in enumerate(device.qubits):
        assert qubit.t1 == target.qubit_properties[k].t1
        assert qubit.t2 == min(target.qubit_properties[k].t2, 2 * qubit.t1)
        assert qubit.gate_error == target["sx"][(k,)].error
        assert qubit.p01 == qubit.p10 == target["measure"][(k,)].error
    errors = [target["cx"][pair].error for pair in ((0, 1), (1, 0))]
    assert device.couplings[0].gate_error == min(errors)
    assert Device.from_data(device.to_data()) == device


@pytest.mark.parametrize(("gate", "qubits"), [("sx", (0,)), ("sx", (2,)), ("cx", (1, 2)), ("cx", (0, 4))])
def test_a_device_makes_the_noise_aer_makes(gate, qubits):
    """A gate of a back end: our channels and Aer's ``NoiseModel.from_backend``, as matrices."""
    from qiskit.quantum_info import PTM

    backend = generic()
    either = [qubits, qubits[::-1]]  # a device keeps the better direction
    qubits = min(either, key=lambda places: backend.target[gate][places].error)
    noise = aer().NoiseModel.from_backend(backend)
    theirs = PTM(noise._local_quantum_errors[gate][qubits]).data.real
    ours = np.eye(4 ** len(qubits))
    device = device_from_backend(backend)
    for channel, on in device.noise(crosstalk=False).after(op(gate, *qubits)):
        own = channel.ptm
        if channel.qubits < len(qubits):  # Qiskit's first qubit is the last factor
            own = np.kron(*[own if (q,) == on else np.eye(4) for q in reversed(qubits)])
        ours = own @ ours
    assert np.abs(theirs - np.eye(len(theirs))).max() > 1e-4
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_fake_back_end_gives_the_bundled_snapshot():
    runtime = pytest.importorskip("qiskit_ibm_runtime.fake_provider", reason="qiskit-ibm-runtime is not installed")
    device, bundled = device_from_backend(runtime.FakeGuadalupeV2()), DEVICES["guadalupe"].make()
    assert device.edges == bundled.edges
    for ours, kept in zip(device.qubits, bundled.qubits, strict=True):
        assert ours.p10 == pytest.approx(kept.p10, rel=1e-4)
        assert ours.gate_error == pytest.approx(kept.gate_error, rel=1e-4)


def test_what_is_no_back_end_is_named():
    with pytest.raises(DataError, match="expected a Qiskit BackendV2 with a target, got dict"):
        device_from_backend({})


def test_a_noisy_circuit_means_what_aer_says():
    """Whole circuits of native gates under a back end's noise: expectations against Aer's."""
    noise = aer().NoiseModel.from_backend(generic())
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer import AerSimulator

    backend, rng = generic(), np.random.default_rng(2)
    device = device_from_backend(backend)
    ours, theirs = [], QuantumCircuit(5)
    for _ in range(40):
        a, angle = int(rng.integers(5)), float(rng.normal())
        pair = min(((a, (a + 1) % 5), ((a + 1) % 5, a)), key=lambda p: backend.target["cx"][p].error)
        ours += [op("sx", a), op("rz", a, angles=[angle]), op("cx", *pair)]
        theirs.sx(a)
        theirs.rz(angle, a)
        theirs.cx(*pair)
    theirs.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=noise)
    rho = simulator.run(theirs).result().data()["density_matrix"]
    seen = [z(0), z(1, 2), pauli("XYZ", 0, 3, 4)]
    words = ["ZIIII"[::-1], "IZZII"[::-1], "XIIYZ"[::-1]]  # Qiskit's qubit 0 is the last letter
    expected = [float(rho.expectation_value(SparsePauliOp(w)).real) for w in words]
    perfect_readout = replace(device.noise(crosstalk=False), readouts=())
    found = engine.expectations(Circuit.of(5, ours), seen, noise=perfect_readout)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-7)
