"""What threats and attacks promise, and the verdict on an attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.contracts.classifiers import Classifier
from robustq.threats import Access, Box


class Threat(Protocol):
    """What an adversary may do to an input, as a value."""

    @property
    def eps(self) -> float:
        """The budget, in the units of the input."""
        ...

    @property
    def box(self) -> Box | None:
        """What inputs must stay in besides, ``(low, high)``; None if nothing else bounds them."""
        ...

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """A point of the threat set of ``x`` near ``candidate``; shapes ``(batch, features)``."""
        ...

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random point of the threat set of each input."""
        ...

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction of unit length (in this norm) that raises a linear function most."""
        ...

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The size of each perturbation, ``(batch,)``."""
        ...

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is allowed, ``(batch,)`` of bool."""
        ...


class Search(Protocol):
    """What every attack sees, whatever it moves: it asks, the framework answers, counts, remembers."""

    x: Tensor
    threat: Threat
    generator: torch.Generator

    def loss(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """The loss to raise, ``(batch,)``, at the projected candidate."""
        ...

    def loss_and_gradient(self, candidate: Tensor, kind: str = "margin") -> tuple[Tensor, Tensor]:
        """:meth:`loss` and its gradient with respect to the candidate, shape of ``x``."""
        ...

    def gradient(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """The gradient alone."""
        ...


class Problem(Search, Protocol):
    """A search for an input of its own for each row of a batch.

    Losses are ``margin`` (positive where flipped) and ``cross-entropy``, both towards the class
    ``target`` where one is given, away from ``y`` otherwise.
    """

    y: Tensor

    @property
    def access(self) -> Access:
        """What the adversary may see."""
        ...

    @property
    def strongest(self) -> Tensor:
        """The candidate with the largest margin so far, shape of ``x``."""
        ...

    @property
    def flipped(self) -> Tensor:
        """Inputs for which a candidate was clearly misclassified, ``(batch,)`` of bool."""
        ...

    @property
    def nearest(self) -> Tensor:
        """The nearest flipped candidate; the clean input where there was none."""
        ...

    @property
    def radius(self) -> Tensor:
        """Its distance, infinite where there was none, ``(batch,)``."""
        ...

    def logits(self, candidate: Tensor, *, keep: bool = True) -> Tensor:
        """Logits ``(batch, classes)`` at the projected candidate; one-hot if only labels are seen.

        Unless ``keep``, the question costs, but is no finding.
        """
        ...

    def loss(self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None) -> Tensor:
        """The loss to raise, ``(batch,)``, at the projected candidate."""
        ...

    def loss_and_gradient(
        self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """:meth:`loss` and its gradient with respect to the candidate, shape of ``x``."""
        ...

    def gradient(self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None) -> Tensor:
        """The gradient alone."""
        ...

    def jacobian(self, candidate: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(batch, classes)`` and their gradients ``(batch, classes, *features)``."""
        ...

    def forms(self) -> Tensor:
        """The quadratic forms of an amplitude-encoded model, ``(classes, features, features)``."""
        ...

    def ask(self, inputs: Tensor) -> Tensor:
        """Logits at inputs that may lie outside the threat set; only those inside are remembered."""
        ...

    def run(self, attack: Attack, rows: Tensor | None = None, *, samples: int = 1, keep: bool = True) -> Tensor:
        """Let another attack search on some rows, averaging ``samples`` answers at every question.

        Unless ``keep``, only its costs count, not what it found on the way.
        """
        ...

    def against(self, attack: Attack, model: Classifier) -> Tensor:
        """The strongest candidate of an attack on another model."""
        ...


@runtime_checkable
class Attack(Protocol):
    """A search for an adversarial input; the verdict is the framework's."""

    def search(self, problem: Problem, /) -> Tensor:
        """The last candidate of the search, shape of ``problem.x``."""
        ...


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """The framework's verdict on one attack.

    Attributes:
        x_adv: the strongest input found, inside the threat set, shape of ``x``.
        nearest: the nearest input found that flips, shape of ``x``; ``x_adv`` where none does.
        correct: whether the clean input was classified correctly, ``(batch,)``.
        success: whether a *correct* input was flipped, ``(batch,)``; wrong inputs are never
            successes, and never robust either.
        distance: size of the perturbation of ``x_adv`` in the threat's norm, ``(batch,)``.
        radius: the same of ``nearest``; infinite where the attack failed, ``(batch,)``.
        queries: forward passes of one input, over the batch.
        gradients: input gradients of one input, over the batch.
        shots: circuit executions, over the batch, where the model runs with finite shots.
    """

    x_adv: Tensor
    nearest: Tensor
    correct: Tensor
    success: Tensor
    distance: Tensor
    radius: Tensor
    queries: int
    gradients: int
    shots: int = 0

    @property
    def robust(self) -> Tensor:
        """Correct and not flipped, ``(batch,)``."""
        return self.correct & ~self.success
