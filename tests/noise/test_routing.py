"""Routing: the same expectations on any device, and every gate on a coupling."""

import time

import numpy as np
import pytest
import torch
from devices import devices, line
from hypothesis import given
from hypothesis import strategies as st

from robustq import engine
from robustq.circuits import Circuit, Projector, ansaetze, encodings, op, parity, pauli, z
from robustq.errors import CircuitError
from robustq.noise import Device, mapped
from robustq.noise.routing import regions
from strategies import circuits, observables


def values(circuit, seen, noise=None):
    inputs = torch.tensor([[0.5, 1.0, 0.25]], dtype=torch.float64)[:, : circuit.inputs]
    parameters = torch.linspace(-1, 2, circuit.parameters, dtype=torch.float64)
    return engine.expectations(circuit, seen, inputs=inputs, parameters=parameters, noise=noise).numpy()


def coupled(fitted, device):
    edges = {frozenset(edge) for edge in device.edges}
    return all(
        frozenset(fitted.layout[q] for q in o.qubits) in edges for o in fitted.circuit.operations if len(o.qubits) > 1
    )


@given(st.data())
def test_a_mapped_circuit_means_the_same(data):
    circuit = data.draw(circuits(max_qubits=5, max_operations=10))
    device = data.draw(devices(circuit.qubits + data.draw(st.integers(0, 2))))
    seen = [data.draw(observables(circuit.qubits)), z(0)]
    fitted = mapped(circuit, seen, device)
    assert coupled(fitted, device)
    assert sorted(fitted.final) == list(range(circuit.qubits))
    assert len(set(fitted.layout)) == circuit.qubits
    np.testing.assert_allclose(values(fitted.circuit, fitted.observables), values(circuit, seen), atol=1e-9)
    noisy = values(fitted.circuit, fitted.observables, fitted.noise)
    assert np.isfinite(noisy).all()


def test_three_qubit_gates_are_taken_apart_exactly():
    for name in ("ccx", "cswap"):
        circuit = Circuit.of(
            3,
            [op("h", 0), op("ry", 1, angles=[0.7]), op(name, 0, 1, 2), op("rx", 2, angles=[0.4]), op(name, 2, 0, 1)],
        )
        seen = [pauli("XYZ", 0, 1, 2), pauli("ZZ", 0, 2), Projector(("011",), (2, 0, 1))]
        fitted = mapped(circuit, seen, line(3))
        assert max(len(o.qubits) for o in fitted.circuit.operations) == 2
        np.testing.assert_allclose(values(fitted.circuit, fitted.observables), values(circuit, seen), atol=1e-12)


def test_a_ring_on_a_line_needs_swaps_and_a_line_none():
    chain = Circuit.of(5, [op("cx", k, k + 1) for k in (3, 1, 0, 2)])
    assert mapped(chain, [z(0)], line(7)).swaps == 0
    shuffled = Circuit.of(5, [op("cx", a, b) for a, b in [(4, 0), (0, 3), (3, 1), (1, 2)]])
    assert mapped(shuffled, [z(0)], line(5)).swaps == 0
    ring = mapped(ansaetze.strongly_entangling(5, layers=1), [z(0)], line(5))
    assert 0 < ring.swaps <= 4


def test_good_qubits_are_preferred():
    """Two pairs far apart; one has ten times the error of the other."""
    device = line(6)
    joined = [c if c.qubits == (4, 5) else type(c)(c.qubits, 0.08, 3e-7) for c in device.couplings]
    device = type(device)("uneven", "", "made up", device.qubits, tuple(joined))
    pair = Circuit.of(2, [op("cx", 0, 1)] * 3)
    assert sorted(mapped(pair, [z(0), z(1)], device).layout) == [4, 5]


def test_the_result_is_deterministic():
    circuit = encodings.angle(8).then(ansaetze.strongly_entangling(8, layers=2))
    device = Device.bundled("kolkata")
    assert mapped(circuit, parity(2, 8), device) == mapped(circuit, parity(2, 8), device)


def test_large_circuits_are_mapped_in_seconds():
    circuit = encodings.angle(12).then(ansaetze.strongly_entangling(12, layers=6))
    start = time.perf_counter()
    fitted = mapped(circuit, [z(0)], Device.bundled("kolkata"))
    assert time.perf_counter() - start < 20
    assert coupled(fitted, Device.bundled("kolkata"))
    assert fitted.circuit.parameters == circuit.parameters


def test_regions_are_connected():
    device = Device.bundled("guadalupe")
    for region in regions(device, 7):
        inside = [edge for edge in device.edges if set(edge) <= set(region)]
        reached = {region[0]}
        for _ in region:
            reached |= {q for edge in inside if reached & set(edge) for q in edge}
        assert reached == set(region)


def test_a_worse_device_loses_more():
    """<ZZ> of a Bell pair: noise-free 1, and in the order of the devices' quality below."""
    bell = Circuit.of(2, [op("h", 0), op("cx", 0, 1)])
    means = []
    for name in ("boston", "guadalupe", "melbourne"):
        fitted = mapped(bell, [z(0, 1)], Device.bundled(name))
        means.append(values(fitted.circuit, fitted.observables, fitted.noise)[0, 0])
    assert 1 > means[0] > means[1] > means[2] > 0.7


def test_what_cannot_be_mapped_is_named():
    with pytest.raises(CircuitError, match="at most 2 qubits, got a circuit of 3"):
        mapped(encodings.angle(3), [z(0)], line(2))
    with pytest.raises(CircuitError, match=r"observable on qubits 0\.\.1"):
        mapped(encodings.angle(2), [z(2)], line(3))
