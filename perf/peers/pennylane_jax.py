"""PennyLane under JAX's compiler, in the two ways a batch can be written."""

from __future__ import annotations

from typing import Any

from perf.peers.jax_step import gradient_step
from perf.peers.pennylane_node import node
from perf.workload import Step, Workload


def broadcast(work: Workload) -> Step:
    """The batch as an axis of PennyLane's own."""
    import jax.numpy as jnp

    circuit = node(work, "jax")
    return gradient_step(lambda x, theta: jnp.stack(circuit(x, theta), axis=1), work)


def mapped(work: Workload) -> Step:
    """The batch by ``jax.vmap`` over the circuit of one sample."""
    import jax
    import jax.numpy as jnp

    circuit = node(work, "jax")

    def one(x: Any, theta: Any) -> Any:
        return jnp.stack(circuit(x, theta))

    return gradient_step(jax.vmap(one, in_axes=(0, None)), work)
