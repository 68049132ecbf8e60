"""Devices for the tests: small ones by hand, random ones with any connected map."""

from hypothesis import strategies as st

from robustq.noise import Coupling, Device, Qubit

GOOD = Qubit(t1=100e-6, t2=80e-6, p01=0.01, p10=0.03, readout_duration=1e-6, gate_error=3e-4, gate_duration=35e-9)


def line(count, error=8e-3, zz=0.0):
    """A chain of equal qubits."""
    joined = tuple(Coupling((k, k + 1), error, 300e-9, zz) for k in range(count - 1))
    return Device("line", "2026-01-01", "made up", (GOOD,) * count, joined)


@st.composite
def devices(draw, qubits):
    """Any connected map: a random tree and some more edges, with errors of every size."""
    edges = {(draw(st.integers(0, k - 1)), k) for k in range(1, qubits)}
    pairs = [(a, b) for b in range(qubits) for a in range(b)]
    edges |= set(draw(st.lists(st.sampled_from(pairs), max_size=3))) if pairs else set()
    errors = st.floats(0, 0.1)
    some = tuple(
        Qubit(1e-4, draw(st.floats(1e-5, 2e-4)), draw(errors), draw(errors), 1e-6, draw(errors), 35e-9)
        for _ in range(qubits)
    )
    joined = tuple(Coupling(e, draw(errors), 3e-7, draw(st.floats(-1e5, 1e5))) for e in sorted(edges))
    return Device("drawn", "2026-01-01", "made up", some, joined)
