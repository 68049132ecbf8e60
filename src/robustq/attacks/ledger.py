"""What a search has cost so far, and the end of its budget."""

from __future__ import annotations

from dataclasses import dataclass, replace

from robustq.errors import ModelError
from robustq.threats import Access


class BudgetSpent(Exception):
    """The adversary may not ask again; what was found so far counts."""


@dataclass(frozen=True)
class Ledger:
    """What an adversary may ask, and what it has asked: a value, so that no attack can change it.

    Attributes:
        access: what may be seen, and how often each input may be asked about.
        queries: forward passes of one input, over the batch.
        gradients: gradients of one input, over the batch.
        shots: circuit executions, over the batch.
        asked: forward passes and gradients of each input, which its budget counts.
        executed: circuit executions for each input, likewise.

    >>> ledger = Ledger(Access(queries=4)).charged(10, 1, 2)
    >>> ledger.queries, ledger.gradients, ledger.asked
    (10, 20, 3)
    >>> ledger.charged(10, 1, 1)
    Traceback (most recent call last):
        ...
    robustq.attacks.ledger.BudgetSpent
    """

    access: Access
    queries: int = 0
    gradients: int = 0
    shots: int = 0
    asked: int = 0
    executed: int = 0

    def charged(self, rows: int, questions: int, gradients: int, *, shots: int = 0) -> Ledger:
        """With so many more questions, gradients and circuit executions of each of ``rows`` inputs.

        Raises:
            BudgetSpent: if that is more than an input's budget.
        """
        self.check(questions + gradients, shots)
        return replace(
            self,
            queries=self.queries + questions * rows,
            gradients=self.gradients + gradients * rows,
            shots=self.shots + shots * rows,
            asked=self.asked + questions + gradients,
            executed=self.executed + shots,
        )

    def check(self, asked: int, shots: int = 0) -> None:
        """Raise :class:`BudgetSpent` unless each input may be asked about so often more."""
        limits = (self.access.queries, self.asked + asked), (self.access.shots, self.executed + shots)
        if any(most is not None and total > most for most, total in limits):
            raise BudgetSpent

    def check_gradients(self) -> None:
        """Refuse gradients to an adversary that sees none."""
        if self.access.knowledge != "white-box":
            raise ModelError(f"expected an attack that needs no gradients, for the adversary has {self.access}")
