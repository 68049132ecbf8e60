"""Ordered rules from signals to actions, as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import Classifier, ShotClassifier
from robustq.defences.response.signals import BUILT_IN, Signal
from robustq.errors import ModelError, SpecError, unknown_name

ACTIONS = ("accept", "recompute", "abstain", "alarm")
SIDES = ("above", "below")


@dataclass(frozen=True)
class Rule:
    """An action for inputs whose signal lies beyond a threshold.

    Args:
        signal: a built-in signal (``"margin"``, ``"confidence"``, ``"entropy"``) or one that is given.
        side: ``"above"`` or ``"below"`` the threshold, which itself is not beyond it.
        threshold: in the units of the signal.
        action: one of ``accept``, ``recompute``, ``abstain``, ``alarm``.

    >>> Rule("margin", "below", 0.2, "abstain").action
    'abstain'
    """

    signal: str
    side: str
    threshold: float
    action: str

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise unknown_name("side of a threshold", self.side, SIDES)
        if self.action not in ACTIONS:
            raise unknown_name("action", self.action, ACTIONS)
        number = isinstance(self.threshold, int | float) and not isinstance(self.threshold, bool)
        if not isinstance(self.signal, str) or not number or self.threshold != self.threshold:
            raise SpecError(
                f"rule: expected a signal's name and a number as threshold, got {self.signal!r} and "
                f"{self.threshold!r}"
            )

    def holds(self, values: Tensor) -> Tensor:
        """Where the signal is beyond the threshold, ``(batch,)``."""
        return values > self.threshold if self.side == "above" else values < self.threshold


@dataclass(frozen=True, eq=False)
class Response:
    """What was done about each input of a batch.

    Attributes:
        labels: the class answered, int64 ``(batch,)``; -1 where none is.
        actions: ``accept``, ``abstain`` or ``alarm`` for each input.
        recomputed: which inputs were asked a second time, bool ``(batch,)``.
        rules: number of the rule that decided, -1 where none applied, ``(batch,)``.
        shots: circuit executions of each input, ``(batch,)``; 0 for models that take none.
    """

    labels: Tensor
    actions: tuple[str, ...]
    recomputed: Tensor
    rules: Tensor
    shots: Tensor

    def where(self, action: str) -> Tensor:
        """The inputs on which an action was taken, bool ``(batch,)``."""
        if action == "recompute":
            return self.recomputed
        if action not in ACTIONS:
            raise unknown_name("action", action, ACTIONS)
        return torch.tensor([done == action for done in self.actions], dtype=torch.bool)


@dataclass(frozen=True)
class Policy:
    """Rules in order: the first that holds decides; where none does, the answer is accepted.

    ``recompute`` asks a second model (the same with more shots, a hardened circuit) and applies the rules once
    more to its answers; a rule that would recompute again takes ``exhausted`` instead.

    Args:
        rules: in order.
        exhausted: what is done where recomputing did not help: ``accept``, ``abstain`` or ``alarm``.

    >>> policy = Policy((Rule("margin", "below", 0.2, "abstain"),))
    >>> policy.respond(torch.tensor([[0.0, 0.1], [0.0, 4.0]]), lambda x: x).labels.tolist()
    [-1, 1]
    """

    rules: tuple[Rule, ...] = ()
    exhausted: str = "abstain"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise SpecError(f"policy: expected rules, got {type(rule).__name__}")
        if self.exhausted not in ACTIONS or self.exhausted == "recompute":
            raise SpecError(f"policy: expected exhausted as accept, abstain or alarm, got {self.exhausted!r}")

    def respond(
        self,
        x: Tensor,
        model: Classifier,
        signals: Mapping[str, Signal] | None = None,
        second: Classifier | None = None,
    ) -> Response:
        """Answer a batch.

        Args:
            x: inputs ``(batch, *features)``.
            model: what answers first.
            signals: further signals by name, functions of inputs and logits.
            second: what answers where a rule says ``recompute``.

        Raises:
            SpecError: on a signal that nobody gives.
            ModelError: if a rule recomputes and there is no second model, or a signal is not finite.
        """
        available = {**BUILT_IN, **(signals or {})}
        self._check(available, second)
        first = self._pass(x, model, available)
        again = first.codes == ACTIONS.index("recompute")
        labels, codes, rules, shots = first.labels, first.codes, first.rules, first.shots
        if second is not None and bool(again.any()):
            later = self._pass(x[again], second, available)
            stuck = later.codes == ACTIONS.index("recompute")
            later.codes[stuck] = ACTIONS.index(self.exhausted)
            labels[again], codes[again], rules[again] = later.labels, later.codes, later.rules
            shots[again] += later.shots
        labels[codes != ACTIONS.index("accept")] = -1
        return Response(labels, tuple(ACTIONS[c] for c in codes.tolist()), again, rules, shots)

    def _check(self, available: Mapping[str, Signal], second: Classifier | None) -> None:
        for rule in self.rules:
            if rule.signal not in available:
                raise unknown_name("signal", rule.signal, available)
        if second is None and any(rule.action == "recompute" for rule in self.rules):
            raise ModelError("policy: expected a second model for a rule that recomputes, got none")

    def _pass(self, x: Tensor, model: Classifier, available: Mapping[str, Signal]) -> _Pass:
        """One answer of one model, and what the rules make of it."""
        with torch.no_grad():
            logits = model(x)
            codes = torch.zeros(len(x), dtype=torch.int64)
            rules = torch.full((len(x),), -1)
            for number, rule in enumerate(self.rules):
                holds = rule.holds(_values(rule.signal, available[rule.signal], x, logits)).cpu()
                open_ = holds & (rules == -1)
                codes[open_], rules[open_] = ACTIONS.index(rule.action), number
        shots = model.shots_per_answer if isinstance(model, ShotClassifier) else 0
        return _Pass(logits.argmax(1).cpu(), codes, rules, torch.full((len(x),), shots))

    def to_data(self) -> dict[str, Any]:
        """JSON-able."""
        return {"rules": [asdict(rule) for rule in self.rules], "exhausted": self.exhausted}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Policy:
        """The inverse of :meth:`to_data`.

        Raises:
            SpecError: if the data is no policy.

        >>> policy = Policy((Rule("entropy", "above", 0.5, "alarm"),))
        >>> Policy.from_data(policy.to_data()) == policy
        True
        """
        try:
            rules = tuple(Rule(**rule) for rule in data["rules"])
            extra = set(data) - {"rules", "exhausted"}
            exhausted = data.get("exhausted", "abstain")
        except (KeyError, TypeError, AttributeError) as failure:
            raise SpecError(f"policy: expected rules as tables, got {data!r}: {failure}") from None
        if extra:
            raise SpecError(f"policy: expected rules and exhausted, got {sorted(extra)} too")
        return Policy(rules, exhausted)


@dataclass(frozen=True, eq=False)
class _Pass:
    """What came of asking one model."""

    labels: Tensor
    codes: Tensor
    rules: Tensor
    shots: Tensor


def _values(name: str, signal: Callable[[Tensor, Tensor], Tensor], x: Tensor, logits: Tensor) -> Tensor:
    values = signal(x, logits)
    if values.shape != (len(x),) or not bool(torch.isfinite(values).all()):
        raise ModelError(
            f"signal {name!r}: expected a finite number for each of {len(x)} inputs, got shape {tuple(values.shape)}"
        )
    return values
