"""Techniques one upon the other: read-out first, then what works on the circuit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from robustq.errors import SpecError
from robustq.mitigation.plan import Plan, Problem, Rewriting, Run, Technique


@dataclass(frozen=True)
class Stack:
    """``first`` changes what is run, ``second`` works on that.

    >>> from robustq.mitigation.readout import ReadoutInversion
    >>> from robustq.mitigation.zne import ZNE
    >>> print(Stack(ReadoutInversion(), ZNE()))
    read-out inversion + zne, local, richardson at 1, 3
    """

    first: Technique
    second: Technique

    def __post_init__(self) -> None:
        if not isinstance(self.first, Rewriting):
            raise SpecError(
                f"stack: expected a technique that runs one circuit in the place of one to come first (read-out "
                f"inversion, decoupling, pec), got {self.first}"
            )

    def __str__(self) -> str:
        return f"{self.first} + {self.second}"

    def plan(self, problem: Problem) -> Plan:
        """The second's plan for what the first runs."""
        before = self.first.plan(problem)
        (inner,) = before.runs
        assert isinstance(inner, Run)
        plan = self.second.plan(replace(problem, run=inner))
        return replace(plan, training=plan.training + before.training)
