"""Partial error correction of a device as a technique: its two-qubit Clifford gates are protected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from robustq.circuits.gates import GATES
from robustq.errors import CircuitError, DataError
from robustq.mitigation.plan import Plan, Problem, Run
from robustq.noise import Channel, Rule

PROTECTED = ("cx", "cy", "cz", "swap", "iswap", "iswapdg")  # two qubits, Clifford


@dataclass(frozen=True)
class PartialCorrection:
    """Two-qubit Clifford gates at a logical rate; everything else as the device has it.

    What strikes after such a gate, crosstalk to its neighbours too, is replaced by ``depolarising-2``. Two-qubit
    gates by an angle would need magic states and stay as they are. After Kang et al. (arXiv:2507.18954).

    Args:
        logical: rate of a protected gate (:func:`robustq.mitigation.correction.logical_rates`).

    >>> print(PartialCorrection(1e-4))
    partial correction, two-qubit gates at 0.0001
    """

    logical: float

    def __post_init__(self) -> None:
        if not 0 <= self.logical <= 1:
            raise DataError(f"partial correction: expected a logical rate in [0, 1], got {self.logical}")

    def __str__(self) -> str:
        return f"partial correction, two-qubit gates at {self.logical:g}"

    def rewrite(self, problem: Problem) -> Run:
        """The same circuit under other noise.

        Raises:
            CircuitError: if the circuit or its noise was changed before: on the clock, or by cancellation.
        """
        run = problem.run
        if run.cost > 1 or (problem.fit is not None and run.circuit != problem.fit.circuit):
            raise CircuitError(
                "partial correction: expected the circuit as it was fitted and its own noise, got changed ones; of "
                "techniques joined by + it comes first, or after read-out inversion"
            )
        rules = list(_without(run.noise.rules))
        if self.logical:
            rules.append(Rule(Channel("depolarising-2", self.logical), PROTECTED))
        return replace(run, noise=replace(run.noise, rules=tuple(rules)))

    def plan(self, problem: Problem) -> Plan:
        """One run."""
        return Plan((self.rewrite(problem),))


def _without(rules: Iterable[Rule]) -> Iterator[Rule]:
    """The rules, after no protected gate."""
    for rule in rules:
        left = tuple(name for name in rule.gates or GATES if name not in PROTECTED)
        if left:
            yield replace(rule, gates=left)
