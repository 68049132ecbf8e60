"""What the command line may change, for every subject alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perf.peers import OURS, PEERS
from perf.workload import Workload


@dataclass(frozen=True)
class Options:
    """Overrides of a subject's own sizes; None keeps them.

    Attributes:
        qubits: instead of the subject's list of sizes.
        layers: instead of its depth.
        batch: instead of its batch, or of the rows that are attacked.
        repeats: rounds; the slow get fewer.
        against: names of peers, or of libraries of attacks; empty for all of them.
        limit_s: seconds each contender may use on one workload, or each attack on one model.
    """

    qubits: int | None = None
    layers: int | None = None
    batch: int | None = None
    repeats: int = 7
    against: tuple[str, ...] = ()
    limit_s: float = 240.0

    def resize(self, works: Sequence[Workload]) -> list[Workload]:
        """The workloads with the overrides in place, each once."""
        given = {"qubits": self.qubits, "layers": self.layers, "batch": self.batch}
        changes = {name: value for name, value in given.items() if value is not None}
        return list(dict.fromkeys(replace(work, **changes) for work in works))  # type: ignore[arg-type]

    def contenders(self, *, noisy: bool) -> list[str]:
        """Ours and the chosen peers, those that can take part."""
        chosen = self.against or tuple(PEERS)
        return [OURS] + [name for name in chosen if name != OURS and (PEERS[name].noisy or not noisy)]
