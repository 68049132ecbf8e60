"""TensorCircuit-NG under JAX's compiler, ``vmap`` over the batch; ``DMCircuit`` with noise."""

from __future__ import annotations

from typing import Any

from perf.peers.jax_step import gradient_step
from perf.workload import CLASSES, Step, Workload


def make(work: Workload) -> Step:
    """The circuit of one sample in complex64, mapped and compiled."""
    import jax
    import jax.numpy as jnp
    import tensorcircuit as tc

    tc.set_backend("jax")
    tc.set_dtype("complex64")
    kind = tc.DMCircuit if work.noise else tc.Circuit

    def one(x: Any, theta: Any) -> Any:
        circuit = kind(work.qubits)
        _fill(circuit, work, x, theta)
        return jnp.stack([jnp.real(circuit.expectation_ps(z=[k])) for k in range(CLASSES)])

    return gradient_step(jax.vmap(one, in_axes=(0, None)), work)


def _fill(circuit: Any, work: Workload, x: Any, theta: Any) -> None:
    quarter = work.noise / 4

    def channel(*wires: int) -> None:
        for wire in wires if work.noise else ():
            circuit.depolarizing(wire, px=quarter, py=quarter, pz=quarter)

    for q in range(work.qubits):
        circuit.ry(q, theta=x[q])
        channel(q)
    for layer, pairs in enumerate(work.entanglers()):
        for q in range(work.qubits):  # RZ(c) RY(b) RZ(a) is U(b, c, a) up to a phase
            a, b, c = (theta[layer, q, k] for k in range(3))
            circuit.u(q, theta=b, phi=c, lbd=a)
            channel(q)
        for pair in pairs:
            circuit.cnot(*pair)
            channel(*pair)
