"""The search for one row of settings, the same for every input.

Implements :class:`robustq.contracts.Search`: what asks for losses and gradients only can search it. A
candidate is projected, counted and remembered here, as :class:`robustq.attacks.SearchProblem` does for
inputs, so no attack can leave the budget or lose what it once found.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import NoReturn, Protocol

import torch
from torch import Tensor

from robustq.attacks.answers import votes
from robustq.attacks.ledger import BudgetSpent, Ledger
from robustq.attacks.losses import check_loss, margin
from robustq.attacks.null import UniformNoise
from robustq.contracts import Problem, Threat, check_logits
from robustq.errors import ModelError, ThreatError
from robustq.tampering.surface import SettingsAttack, Surface
from robustq.threats import Access


class Goal(Protocol):
    """What the adversary wants of all inputs together."""

    def loss(self, logits: Tensor, kind: str) -> Tensor:
        """The loss to raise, a scalar, from the surface's logits."""
        ...

    def reached(self, logits: Tensor) -> Tensor:
        """Inputs that do as the adversary wants, ``(inputs,)`` of bool."""
        ...


def errors(logits: Tensor, labels: Tensor, kind: str, spread: float) -> Tensor:
    """How wrong each row is about its label, ``(batch,)``.

    ``"cross-entropy"``, or for ``"margin"`` a smooth 0/1 loss: ``sigmoid(margin / spread)``.
    """
    check_loss(kind)
    if kind == "margin":
        return torch.sigmoid(margin(logits, labels) / spread)
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def spread_of(logits: Tensor, labels: Tensor) -> float:
    """Half the typical size of a margin at rest, which makes :func:`errors` neither flat nor steep."""
    half = float(margin(logits, labels).abs().mean()) / 2
    return max(half, torch.finfo(logits.dtype).eps)


@dataclass(frozen=True, eq=False)
class Flip:
    """Wants the inputs that are classified correctly at rest to be misclassified.

    >>> goal = Flip.of(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
    >>> goal.reached(torch.tensor([[0.0, 1.0], [0.0, 1.0]])).tolist()
    [True, False]
    """

    y: Tensor
    correct: Tensor
    spread: float

    @staticmethod
    def of(logits: Tensor, y: Tensor) -> Flip:
        """From the logits at rest."""
        return Flip(y, logits.argmax(1) == y, spread_of(logits, y))

    def loss(self, logits: Tensor, kind: str) -> Tensor:
        """The mean error over the inputs that can still be flipped; over all if none can."""
        wrong = errors(logits, self.y, kind, self.spread)
        return wrong[self.correct].mean() if bool(self.correct.any()) else wrong.mean()

    def reached(self, logits: Tensor) -> Tensor:
        """Correct at rest and wrong now."""
        return self.correct & (logits.argmax(1) != self.y)


class SharedProblem:
    """Implements :class:`robustq.contracts.Search` for the settings of one surface."""

    def __init__(
        self, surface: Surface, goal: Goal, threat: Threat, generator: torch.Generator, access: Access | None = None
    ) -> None:
        self._surface, self._goal, self._ledger = surface, goal, Ledger(access or Access())
        self._rest = surface.rest.detach().clone()
        self.x = self._rest.clone()  # the attack's to read, and to spoil
        self.threat, self.generator = threat, generator
        self._best, self._score = self._rest.clone(), (-1, -torch.inf)

    @property
    def ledger(self) -> Ledger:
        """What the search has cost so far."""
        return self._ledger

    def loss(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """The goal's loss at the projected candidate, ``(1,)``."""
        with torch.no_grad():
            feasible = self._feasible(candidate)
            logits = self._ask(feasible, 0)
            self._remember(feasible, logits)
            return self._goal.loss(self._seen(logits), kind)[None]

    def gradient(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """Its gradient, ``(1, settings)``."""
        return self.loss_and_gradient(candidate, kind)[1]

    def loss_and_gradient(self, candidate: Tensor, kind: str = "margin") -> tuple[Tensor, Tensor]:
        """Both, for the price of one gradient."""
        self._ledger.check_gradients()
        with torch.enable_grad():
            feasible = self._feasible(candidate).requires_grad_(True)
            logits = self._ask(feasible, 1)
            loss = self._goal.loss(logits, kind)
            gradient = _gradient(loss, feasible)
        with torch.no_grad():
            self._remember(feasible.detach(), logits.detach())
        return loss.detach()[None], gradient

    def best(self, attack: SettingsAttack) -> Tensor:
        """Search, and return the best settings seen, ``(1, settings)``, the last ones included."""
        with contextlib.suppress(BudgetSpent):
            self.loss(attack.search(self))
        if not bool(self.threat.contains(self._best, self._rest).all()):
            raise ThreatError(f"{attack}: expected settings within {self.threat}, got others")
        return self._best.clone()

    @property
    def strongest(self) -> Tensor:
        """The best settings seen, ``(1, settings)``."""
        return self._best.clone()

    def rival(self) -> SharedProblem:
        """The same problem searched by as many random draws as were asked here."""
        drawn = SharedProblem(self._surface, self._goal, self.threat, self.generator)
        drawn.best(UniformNoise(max(1, self._ledger.asked)))
        return drawn

    def reached(self) -> Tensor:
        """What the best settings do, ``(inputs,)`` of bool, asked of the machine itself."""
        with torch.no_grad():
            return self._goal.reached(self._surface.logits(self._best[0]))

    def __getattr__(self, name: str) -> NoReturn:
        if name in Problem.__annotations__ or hasattr(Problem, name):
            raise ModelError(
                "expected an attack that asks for losses and gradients only, since settings are "
                f"shared by all inputs; got one that asks for {name!r}"
            )
        raise AttributeError(name)

    def _feasible(self, candidate: Tensor) -> Tensor:
        if candidate.shape != self._rest.shape:
            raise ModelError(f"expected settings {tuple(self._rest.shape)}, got {tuple(candidate.shape)}")
        return self.threat.project(candidate.detach(), self._rest).detach()

    def _ask(self, feasible: Tensor, gradients: int) -> Tensor:
        """Logits, once the price is known to be within the budget."""
        self._ledger.check(1 + gradients)
        logits = self._surface.logits(feasible[0])
        self._ledger = self._ledger.charged(len(logits), 1, gradients)
        return check_logits(logits, len(logits))

    def _seen(self, logits: Tensor) -> Tensor:
        return votes(logits) if self._ledger.access.knowledge == "labels" else logits

    def _remember(self, feasible: Tensor, logits: Tensor) -> None:
        score = int(self._goal.reached(logits).sum()), float(self._goal.loss(logits, "margin"))
        # by inputs reached first, by the loss among equals
        if score > self._score:
            self._best, self._score = feasible.clone(), score


def _gradient(loss: Tensor, settings: Tensor) -> Tensor:
    if not loss.requires_grad:
        raise ModelError("expected settings with gradients, got switches: search them with greedy or uniform-noise")
    (gradient,) = torch.autograd.grad(loss, settings)
    if not bool(torch.isfinite(gradient).all()):
        raise ModelError("expected finite gradients of the settings, got NaN or infinity")
    return gradient
