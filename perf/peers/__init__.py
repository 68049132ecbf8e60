"""The contenders, in one literal table; every one but ours is optional.

To add one: a file with ``make(work) -> step`` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from perf.peers import aer, lightning, ours, pennylane_jax, pennylane_torch, qulacs_loop, tensorcircuit_jax
from perf.workload import Step, Workload

OURS = "robustq"


@dataclass(frozen=True)
class Peer:
    """One contender.

    Attributes:
        make: everything that is done once; returns the call to be timed.
        needs: modules it imports.
        noisy: whether it takes part where there is noise.
        samples: the most samples of a batch it is asked for; its time is scaled up, and marked.
        forward_only: computes the loss and no gradient; never counts as the fastest peer.
    """

    make: Callable[[Workload], Step]
    needs: tuple[str, ...] = ()
    noisy: bool = True
    samples: int | None = None
    forward_only: bool = False

    @property
    def missing(self) -> list[str]:
        """The modules it needs that are not installed."""
        return [module for module in self.needs if find_spec(module) is None]


PEERS: Mapping[str, Peer] = {
    OURS: Peer(ours.make),
    "pennylane-torch": Peer(pennylane_torch.make, ("pennylane",)),
    "pennylane-jax": Peer(pennylane_jax.broadcast, ("pennylane", "jax")),
    "pennylane-jax-vmap": Peer(pennylane_jax.mapped, ("pennylane", "jax")),
    "tensorcircuit-jax": Peer(tensorcircuit_jax.make, ("tensorcircuit", "jax")),
    "qulacs": Peer(qulacs_loop.make, ("qulacs",), noisy=False),
    "lightning": Peer(lightning.make, ("pennylane", "pennylane_lightning"), noisy=False, samples=16),
    "aer": Peer(aer.make, ("qiskit", "qiskit_aer"), noisy=False, forward_only=True),
}
