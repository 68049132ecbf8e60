"""What was measured against a model's numbers: raw counts, never rates and never opinions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from robustq.errors import DataError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

STRICT = {"extra": "forbid", "strict": False}


@dataclass(frozen=True)
class Count:
    """So many ``of`` those looked at.

    >>> Count(1, 10) + Count(2, 10)
    Count(found=3, of=20)
    """

    found: int
    of: int
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    def __add__(self, other: Count) -> Count:
        """Both counts together."""
        return Count(self.found + other.found, self.of + other.of)

    def __str__(self) -> str:
        return f"{self.found} of {self.of}"


@dataclass(frozen=True)
class Pair:
    """Two searches on the same ``of`` inputs: what the first alone, the second alone, and both flipped.

    >>> Pair(first=7, second=1, both=2, of=20).firsts
    9
    """

    first: int
    second: int
    both: int
    of: int
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    @property
    def firsts(self) -> int:
        """All that the first flipped."""
        return self.first + self.both

    @property
    def seconds(self) -> int:
        """All that the second flipped."""
        return self.second + self.both


@dataclass(frozen=True)
class Level:
    """The attack at one eps, without credit for what a smaller eps flipped.

    Attributes:
        eps: the budget.
        noise: the attack (first) against random noise of the same size (second).
        smaller: the attack here (first) against itself at the next smaller eps (second).

    >>> Level(0.1, noise=Pair(9, 0, 1, 20)).smaller is None
    True
    """

    eps: float
    noise: Pair
    smaller: Pair | None = None
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True)
class Plateau:
    """Variance of the gradients of a logit over random angles, for each width.

    Attributes:
        qubits: the widths.
        inputs: variance of the gradient in a feature, on average over the features that matter.
        parameters: variance of the gradient in an angle, on average over the angles that matter.

    >>> Plateau((2, 4, 6), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1)).qubits
    (2, 4, 6)
    """

    qubits: tuple[int, ...]
    inputs: tuple[float, ...]
    parameters: tuple[float, ...]
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything the checks look at; None is not measured.

    Attributes:
        labels: inputs of each class.
        answers: inputs for which each class was answered.
        correct: inputs answered correctly.
        normalised: rows of logits that lie in [0, 1] and sum to one.
        differing: inputs answered differently the second time.
        randomised: whether randomness was declared.
        averaged: answers the attack averages for each query.
        vanished: inputs where the margin has no usable gradient.
        levels: the attack at every eps, rising, each a search of its own.
        steps: the attack (first) against itself with fewer steps (second).
        blackbox: the attack (first) against one that sees answers only (second).
        ensemble: the attack (first) against QuantumAutoAttack (second).
        twin: the attack that follows the noisy gradients (first) against examples made on the noise-free
            twin (second), both judged by the noisy model.
        boundless: inputs whose whole box lies within the budget.
        overruns: adversarial inputs outside the threat set.
        certified: inputs flipped inside their certified radius.
        witnessed: the attack (first) against the certificate's own witnesses (second), where it has them.
        shared: rows of one part of the data that are, almost or exactly, in another; by "test in train".
        plateau: gradient variance over widths.

    >>> Evidence.from_data(Evidence(correct=3, labels=(2, 2)).to_data()).labels
    (2, 2)
    """

    labels: tuple[int, ...] | None = None
    answers: tuple[int, ...] | None = None
    correct: int | None = None
    normalised: Count | None = None
    differing: Count | None = None
    randomised: bool | None = None
    averaged: int | None = None
    vanished: Count | None = None
    levels: tuple[Level, ...] | None = None
    steps: Pair | None = None
    blackbox: Pair | None = None
    ensemble: Pair | None = None
    twin: Pair | None = None
    boundless: Count | None = None
    overruns: Count | None = None
    certified: Count | None = None
    witnessed: Pair | None = None
    shared: Mapping[str, Count] | None = None
    plateau: Plateau | None = None
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    def to_data(self) -> dict[str, Any]:
        """As plain data for a JSON file."""
        data: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return data

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Evidence:
        """The inverse of :meth:`to_data`.

        Raises:
            DataError: naming the first entry that is wrong.
        """
        from pydantic import ValidationError

        try:
            return _adapter().validate_python(data)
        except ValidationError as failure:
            first = failure.errors()[0]
            where = ".".join(map(str, first["loc"])) or "whole"
            raise DataError(f"expected audit evidence, got {where}: {first['msg']}") from None


@cache
def _adapter() -> TypeAdapter[Evidence]:
    from pydantic import TypeAdapter

    return TypeAdapter(Evidence)
