"""Hypothesis strategies for circuits that hold any gate, any angle and any wiring."""

import numpy as np
from hypothesis import strategies as st

from robustq.circuits import GATES, Circuit, Projector, op, pauli, theta, x
from robustq.circuits.angles import Angle
from robustq.noise import CHANNELS, Channel, NoiseModel, Readout, Rule

NUMBERS = st.floats(-3, 3, allow_nan=False, width=32)


@st.composite
def angles(draw, inputs=3, parameters=4):
    """A constant, plus slots, plus maybe a product of two slots."""
    angle = Angle.of(draw(NUMBERS))
    slots = [x(i) for i in range(inputs)] + [theta(j) for j in range(parameters)]
    for slot in draw(st.lists(st.sampled_from(slots), max_size=2)):
        angle = angle + draw(NUMBERS) * slot
    if draw(st.booleans()):
        angle = angle + draw(st.sampled_from(slots)) * draw(st.sampled_from(slots))
    return angle


@st.composite
def operations(draw, qubits):
    name = draw(st.sampled_from([n for n, g in GATES.items() if g.qubits <= qubits]))
    wires = draw(st.permutations(range(qubits)))[: GATES[name].qubits]
    return op(name, *wires, angles=[draw(angles()) for _ in range(GATES[name].parameters)])


@st.composite
def circuits(draw, max_qubits=4, max_operations=12, amplitudes=True):
    qubits = draw(st.integers(1, max_qubits))
    chosen = draw(st.lists(operations(qubits), max_size=max_operations))
    loaded = draw(st.integers(0, min(3, 2**qubits))) if amplitudes else 0
    return Circuit(qubits, tuple(chosen), inputs=3, parameters=4, amplitudes=loaded)


@st.composite
def observables(draw, qubits):
    """A weighted sum of Pauli words, or a projector."""
    if draw(st.booleans()):
        width = draw(st.integers(1, qubits))
        wires = draw(st.permutations(range(qubits)))[:width]
        states = draw(st.sets(st.integers(0, 2**width - 1), min_size=1))
        return Projector(tuple(format(s, f"0{width}b") for s in sorted(states)), tuple(wires))
    words = draw(st.lists(st.text("IXYZ", min_size=qubits, max_size=qubits), min_size=1, max_size=3))
    terms = [draw(NUMBERS) * pauli(word, *range(qubits)) for word in words]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


PROBABILITIES = st.floats(0, 1)
VALUES = {
    "probability": PROBABILITIES,
    "lifetime": st.floats(1e-6, 1e-3),
    "duration": st.floats(0, 1e-5),
    "angle": st.floats(-7, 7),
    "axis": st.sampled_from("xyz"),
}


def isometry(rng, qubits, operators):
    """Random Kraus operators: the blocks of a random isometry."""
    side = 2**qubits
    shape = (operators * side, side)
    tall = np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))[0]
    return [tall[k * side : (k + 1) * side] for k in range(operators)]


def channels():
    """One channel of every row of the table, none of them trivial."""
    rng = np.random.default_rng(5)
    own = {
        "pauli": (0.1, 0.02, 0.05),
        "thermal-relaxation": (1e-4, 1.5e-4, 3e-5, 0.1),
        "generalised-amplitude-damping": (0.2, 0.3),
        "over-rotation": ("y", 0.2),
        "kraus": isometry(rng, 2, 3),
        "unitary": isometry(rng, 1, 1),
    }
    return [Channel(name, *own.get(name, (0.2,))) for name in CHANNELS]


@st.composite
def any_channel(draw, most_qubits=2):
    """Any row of the table with any allowed values."""
    fits = [name for name, row in CHANNELS.items() if row.qubits <= most_qubits]
    name = draw(st.sampled_from(fits))
    row = CHANNELS[name]
    if not row.parameters:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        qubits = draw(st.integers(1, most_qubits))
        return Channel(name, *isometry(rng, qubits, draw(st.integers(1, row.most))))
    values = {key: draw(VALUES[kind]) for key, kind in row.parameters.items()}
    if name == "pauli":
        values = {key: value / 3 for key, value in values.items()}
    if name == "thermal-relaxation":
        values["t2"] = min(values["t2"], 2 * values["t1"])
    return Channel(name, **values)


@st.composite
def noise_models(draw, qubits):
    """Up to three rules of every kind, and a read-out error for every qubit."""
    rules = []
    for channel in draw(st.lists(any_channel(min(qubits, 2)), max_size=3)):
        wires = tuple(draw(st.permutations(range(qubits))))
        on = wires[: channel.qubits] if draw(st.booleans()) else ()
        rules.append(Rule(channel, width=draw(st.sampled_from([None, 1, 2])), on=on))
    pairs = [Readout(draw(PROBABILITIES), draw(PROBABILITIES)) for _ in range(qubits)]
    return NoiseModel(tuple(rules), pairs[0], tuple(enumerate(pairs))[1:])


def everything(rng, qubits=4, repeats=2):
    """A random circuit that holds every gate of the table ``repeats`` times."""
    chosen = []
    slot = 0
    for name in [name for name in GATES for _ in range(repeats)]:
        wires = [int(q) for q in rng.permutation(qubits)[: GATES[name].qubits]]
        filled = []
        for _ in range(GATES[name].parameters):
            angle = rng.normal() * theta(slot) + rng.normal()
            if rng.random() < 0.5:
                angle = angle + rng.normal() * x(int(rng.integers(3)))
            if rng.random() < 0.3:
                angle = angle + x(int(rng.integers(3))) * theta(slot)
            filled.append(angle)
            slot += 1
        chosen.append(op(name, *wires, angles=filled))
    order = rng.permutation(len(chosen))
    used = Circuit.of(qubits, [chosen[k] for k in order])
    return Circuit(qubits, used.operations, inputs=3, parameters=slot)


def data(rng, circuit, batch=4):
    """Inputs ``(batch, F)`` and parameters ``(P,)`` as NumPy arrays."""
    return rng.normal(size=(batch, circuit.inputs)), np.array(rng.normal(size=circuit.parameters))
