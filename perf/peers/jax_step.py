"""Loss and gradient by JAX, compiled, for every contender whose scores are JAX arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perf.workload import Answer, Step, Workload


def gradient_step(scores: Callable[[Any, Any], Any], work: Workload) -> Step:
    """A compiled call of ``scores(x, theta)`` of shape ``(batch, classes)``, waited for."""
    import jax
    import jax.numpy as jnp

    x, theta, y = (jnp.asarray(tensor.numpy()) for tensor in work.data())

    def loss(x: Any, theta: Any) -> Any:
        logs = jax.nn.log_softmax(scores(x, theta))
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], axis=1))

    arguments = (0, 1) if work.trains else (0,)
    compiled = jax.jit(jax.value_and_grad(loss, argnums=arguments))

    def step() -> Answer:
        value, found = jax.block_until_ready(compiled(x, theta))
        return value, found[0], found[1] if work.trains else None

    return step
