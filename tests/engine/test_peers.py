"""Every path against the reference, PennyLane and Qiskit Aer: every gate, every channel, every read-out."""

from functools import lru_cache

import numpy as np
import pennylane as qml
import pytest
import torch

from cases import pairwise
from pennylane_gates import pennylane_gate
from robustq import engine
from robustq.circuits import GATES, Circuit, Projector, encodings, pauli, z
from robustq.engine import measurement, native, reference, transfer
from robustq.noise import Channel, NoiseModel, Readout, Rule
from strategies import channels, data, everything

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
OBSERVABLES = (
    z(0),
    z(1, 2),
    pauli("XY", 0, 3) + 0.5 * pauli("ZX", 1, 2),
    Projector(("01", "11"), (2, 0)),
    pauli("YXZY", 0, 1, 2, 3),
)
READOUTS = tuple((q, Readout(0.02 * q, 0.05 + 0.01 * q)) for q in (0, 1, 3))


def by_method(method):
    def run(circuit, x, theta, noise):
        return engine.expectations(circuit, OBSERVABLES, inputs=x, parameters=theta, noise=noise, method=method)

    return run


def native_forwards(circuit, x, theta, noise):
    plan = measurement.exact(OBSERVABLES, circuit.qubits, noise.readouts_of(circuit.qubits))
    return measurement.combine(transfer.rows(circuit, plan, noise, x, theta, forwards=True), plan)


def frozen(circuit, x, theta, noise):
    return engine.FrozenModel(circuit, OBSERVABLES, theta, noise=noise)(x)


PATHS = {
    "native": by_method("native"),
    "native-forwards": native_forwards,
    "density": by_method("density"),
    "heisenberg": by_method("heisenberg"),
    "statevector": by_method("statevector"),
    "frozen": frozen,
}


def paths(circuit, noise):
    """Those of ``PATHS`` that can run the circuit here."""
    skipped = {"statevector"} if noise.has_channels else {"native-forwards"}
    if not native.available() or (noise.has_channels and not transfer.fits(circuit)):
        skipped |= {"native", "native-forwards"}
    return PATHS.keys() - skipped


def by_reference(circuit, x, theta, noise):
    return reference.density(circuit, x, theta, noise)


def by_pennylane(circuit, x, theta, noise):
    device = "default.mixed" if noise.has_channels else "default.qubit"

    @qml.qnode(qml.device(device, wires=circuit.qubits))
    def node():
        if circuit.amplitudes:
            qml.StatePrep(reference.start(circuit, x), wires=range(circuit.qubits))
        for o in circuit.operations:
            pennylane_gate(o, [reference.angle_value(a, x, theta) for a in o.angles])
            for channel, on in noise.after(o):
                qml.QubitChannel(list(channel.kraus), wires=on)
        return qml.density_matrix(wires=range(circuit.qubits))

    return np.asarray(node())


AER_NAMES = {"i": "id", "u3": "u"}


def by_aer(circuit, x, theta, noise):
    """Our qubit 0 is the most significant bit and Qiskit's the least, within matrices too."""
    aer = pytest.importorskip("qiskit_aer", reason="qiskit-aer is not installed")
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import library
    from qiskit.quantum_info import Kraus

    built, top = QuantumCircuit(circuit.qubits), circuit.qubits - 1
    begun = reference.start(circuit, x)
    built.set_density_matrix(np.outer(begun, begun.conj()))
    for o in circuit.operations:
        on = [top - q for q in o.qubits]
        angles = [reference.angle_value(a, x, theta) for a in o.angles]
        if o.gate == "rot":
            for name, angle in zip(("rz", "ry", "rz"), angles, strict=True):
                getattr(built, name)(angle, *on)
        elif o.gate == "iswapdg":
            built.append(library.iSwapGate().inverse(), on)
        else:
            getattr(built, AER_NAMES.get(o.gate, o.gate))(*angles, *on)
        for channel, struck in noise.after(o):
            built.append(Kraus(list(channel.kraus)), [top - q for q in struck[::-1]])
    built.save_density_matrix()
    simulator = aer.AerSimulator(method="density_matrix")
    run = simulator.run(transpile(built, simulator, optimization_level=0))
    return np.asarray(run.result().data()["density_matrix"])


PEERS = {"reference": by_reference, "pennylane": by_pennylane, "aer": by_aer}


def narrow(seed):
    """Every gate on at most two qubits, after loaded amplitudes or not."""
    rng = np.random.default_rng(seed)
    made = everything(rng, repeats=1)
    kept = tuple(o for o in made.operations if len(o.qubits) <= 2)
    return Circuit(4, kept, made.inputs, made.parameters, amplitudes=3 * (seed % 2))


CIRCUITS = {
    "all-gates": lambda: everything(np.random.default_rng(7)),
    "one-and-two": lambda: narrow(1),
    "narrow": lambda: narrow(2),
    "encoded-first": lambda: Circuit(4, encodings.angle(3).operations, 3).then(narrow(4)),
}


def mixed_rules():
    """One model with every channel: on single qubits, on pairs, on spectators, after some gates only."""
    rules = [
        Rule(channel, width=(None, 1, 2)[k % 3] if channel.qubits == 1 else 2) for k, channel in enumerate(channels())
    ]
    rules += [
        Rule(Channel("amplitude-damping", 0.1), gates=("h", "cx"), on=(3,)),
        Rule(Channel("depolarising-2", 0.1), gates=("rx", "swap"), on=(2, 0)),
        Rule(Channel("bit-flip", 0.05), qubits=(1,)),
    ]
    return NoiseModel(tuple(rules), Readout(0.03, 0.08), READOUTS)


def weak_rules():
    """Half a dozen gentle channels, so that something is left of the state to compare."""
    return NoiseModel(
        (
            Rule(Channel("depolarising", 0.01)),
            Rule(Channel("depolarising-2", 0.02), width=2),
            Rule(Channel("amplitude-damping", 0.02), width=1),
            Rule(Channel("zz-crosstalk", 0.05), gates=("cx", "rzz"), on=(0, 3)),
            Rule(Channel("over-rotation", "y", 0.05), qubits=(2,)),
        ),
        Readout(0.01, 0.02),
        READOUTS,
    )


NOISE = {
    "none": NoiseModel,
    "read-out": lambda: NoiseModel((), Readout(0.03, 0.08), READOUTS),
    "weak": weak_rules,
    "mixed": mixed_rules,
    **{c.name: (lambda c=c: NoiseModel.after_every_gate(c)) for c in channels()},
}


@lru_cache(maxsize=1)
def case(circuit_name, noise_name):
    circuit, noise = CIRCUITS[circuit_name](), NOISE[noise_name]()
    inputs, parameters = data(np.random.default_rng(11), circuit, 2)
    return circuit, noise, inputs, parameters


def observed(peer, circuit, noise, inputs, parameters):
    """The peer's densities, read out as the reference reads them."""
    operators = [reference.read_out(o, circuit.qubits, noise) for o in OBSERVABLES]
    densities = [PEERS[peer](circuit, x, parameters, noise) for x in inputs]
    return np.einsum("kij,bji->bk", operators, densities).real


@pytest.mark.parametrize(
    ("circuit_name", "noise_name", "peer"), pairwise(["all-gates", "one-and-two"], [*NOISE], [*PEERS])
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_path_agrees_with_every_peer(circuit_name, noise_name, peer):
    check_paths(peer, *case(circuit_name, noise_name))


@pytest.mark.parametrize(
    ("circuit_name", "noise_name", "peer"), pairwise(["narrow", "encoded-first"], ["none", "weak", "mixed"], [*PEERS])
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_circuits_agree_too(circuit_name, noise_name, peer):
    check_paths(peer, *case(circuit_name, noise_name))


def check_paths(peer, circuit, noise, inputs, parameters):
    theirs = observed(peer, circuit, noise, inputs, parameters)
    for dtype, tolerance in TOLERANCE.items():
        x, theta = torch.tensor(inputs, dtype=dtype), torch.tensor(parameters, dtype=dtype)
        for name in paths(circuit, noise):
            ours = PATHS[name](circuit, x, theta, noise)
            assert ours.dtype == dtype
            np.testing.assert_allclose(ours.numpy(), theirs, atol=tolerance, rtol=0, err_msg=name)


def test_nothing_is_left_out():
    assert {o.gate for o in CIRCUITS["all-gates"]().operations} == set(GATES)
    assert {len(o.qubits) for o in narrow(1).operations} == {1, 2}
    quiet = NoiseModel()
    assert paths(narrow(1), quiet) | paths(narrow(1), weak_rules()) == PATHS.keys() - (
        set() if native.available() else {"native", "native-forwards"}
    )


@pytest.mark.statistical
@pytest.mark.parametrize("noise_name", ["weak", "mixed"])
def test_trajectories_agree_within_their_errors(generator, noise_name):
    circuit, noise, inputs, parameters = case("narrow", noise_name)
    found = engine.trajectory_expectations(
        circuit,
        OBSERVABLES,
        inputs=torch.tensor(inputs),
        parameters=torch.tensor(parameters),
        noise=noise,
        trajectories=1500,
        generator=generator,
    )
    theirs = torch.as_tensor(observed("reference", circuit, noise, inputs, parameters))
    assert bool(((found.mean - theirs).abs() <= 4 * found.standard_error + 1e-12).all())


@qml.qnode(qml.device("default.mixed", wires=4))
def confused(density, word, readouts):
    """Chances of the bits a device reports: each qubit of ``word`` rotated to Z, then misread."""
    qml.QubitDensityMatrix(density, wires=range(4))
    for q, letter in word:
        if letter == "Y":
            qml.adjoint(qml.S(q))
        if letter in "XY":
            qml.Hadamard(q)
    for q, readout in enumerate(readouts):
        kraus = []
        for observed, prepared in np.ndindex(2, 2):
            kraus.append(np.zeros((2, 2)))
            kraus[-1][observed, prepared] = readout.confusion[observed][prepared] ** 0.5
        qml.QubitChannel(kraus, wires=q)
    return qml.probs(wires=range(4))


def misread(observable, density, readouts):
    """An observable's mean from misread bits, word by word, without any operator of ours."""
    if isinstance(observable, Projector):
        return observable.diagonal(4) @ np.asarray(confused(density, (), readouts))
    total = 0.0
    for c, word in observable.terms:
        signs = z(*(q for q, _ in word)).diagonal(4) if word else np.ones(16)
        total += c * float(signs @ np.asarray(confused(density, word, readouts)))
    return total


@pytest.mark.parametrize("noise_name", ["read-out", "weak"])
def test_read_out_is_what_misread_bits_give(noise_name):
    circuit, noise, inputs, parameters = case("one-and-two", noise_name)
    readouts = noise.readouts_of(4)
    densities = [by_pennylane(circuit, x, parameters, noise) for x in inputs]
    expected = [[misread(o, rho, readouts) for o in OBSERVABLES] for rho in densities]
    x, theta = torch.tensor(inputs), torch.tensor(parameters)
    for path in paths(circuit, noise):
        found = PATHS[path](circuit, x, theta, noise).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-10, err_msg=path)
