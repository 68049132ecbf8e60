"""What an adversary may see of the model, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from robustq.errors import ThreatError, unknown_name

Knowledge = Literal["white-box", "scores", "labels"]  # each sees more than the next
KNOWLEDGE: tuple[str, ...] = get_args(Knowledge)


@dataclass(frozen=True)
class Access:
    """The adversary's knowledge and budget.

    Attributes:
        knowledge: ``white-box`` sees gradients, ``scores`` the logits, ``labels`` the class only.
        queries: forward passes (a gradient counts as one more) allowed for each input; None for any number.
        shots: circuit executions allowed for each input, where the model runs with finite shots.

    >>> print(Access("labels", queries=1000))
    labels only, at most 1000 queries an input
    """

    knowledge: str = "white-box"
    queries: int | None = None
    shots: int | None = None

    def __post_init__(self) -> None:
        if self.knowledge not in KNOWLEDGE:
            raise unknown_name("knowledge", self.knowledge, KNOWLEDGE)
        for name in ("queries", "shots"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise ThreatError(f"access: expected {name} >= 1 or None, got {limit}")

    def shows(self, needed: Knowledge | None) -> bool:
        """Whether this adversary sees what a search needs at least; None is satisfied with anything.

        >>> Access("scores").shows("labels"), Access("scores").shows("white-box")
        (True, False)
        """
        return needed is None or KNOWLEDGE.index(self.knowledge) <= KNOWLEDGE.index(needed)

    def __str__(self) -> str:
        only = {"white-box": "white-box", "scores": "scores only", "labels": "labels only"}
        parts = [only[self.knowledge]]
        parts += [f"at most {self.queries} queries an input"] if self.queries else []
        parts += [f"at most {self.shots} shots an input"] if self.shots else []
        return ", ".join(parts)
