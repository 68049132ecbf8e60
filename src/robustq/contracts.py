"""What the parts of the library promise each other.

Shapes: the batch axis comes first everywhere. Angles are in radians, probabilities in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.errors import ModelError


@runtime_checkable
class Classifier(Protocol):
    """Any torch callable: ours, PennyLane's ``TorchLayer``, a plain ``torch.nn.Module``."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, *features)`` to logits ``(batch, classes)``."""
        ...


@runtime_checkable
class QuantumClassifier(Protocol):
    """A classifier that can fix its parameters and noise once, for many inputs."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    def freeze(self, noise: Any = None, *, uses: int | None = None) -> Classifier:
        """The same function of ``x`` with everything that does not depend on ``x`` done once.

        ``uses`` is how many inputs it will be asked about, where that is known and small: preparing
        has to pay.
        """
        ...

    def under(
        self,
        noise: Any = None,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Classifier:
        """The model as a noisy device with finite shots would run it."""
        ...


class Threat(Protocol):
    """What an adversary may do to an input, as a value."""

    @property
    def eps(self) -> float:
        """The budget, in the units of the input."""
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


class Problem(Protocol):
    """What an attack sees: it asks, the framework answers, counts and remembers."""

    x: Tensor
    y: Tensor
    threat: Threat
    generator: torch.Generator

    def logits(self, candidate: Tensor) -> Tensor:
        """The model's logits ``(batch, classes)`` at the projected candidate."""
        ...

    def loss(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """The loss to raise, ``(batch,)``, at the projected candidate."""
        ...

    def gradient(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """The gradient of :meth:`loss` with respect to the candidate, shape of ``x``."""
        ...


@runtime_checkable
class Attack(Protocol):
    """A search for an adversarial input; the verdict is the framework's."""

    def search(self, problem: Problem, /) -> Tensor:
        """The last candidate of the search, shape of ``problem.x``."""
        ...


@runtime_checkable
class Defence(Protocol):
    """Turns one training step into a safer one."""

    def loss(self, model: Any, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """The scalar loss to minimise on one batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """The framework's verdict on one attack.

    Attributes:
        x_adv: the best input found, inside the threat set, shape of ``x``.
        correct: whether the clean input was classified correctly, ``(batch,)``.
        success: whether a *correct* input was flipped, ``(batch,)``; wrong inputs are never
            successes, and never robust either.
        distance: size of the perturbation in the threat's norm, ``(batch,)``.
        queries: forward passes of one input, over the batch.
        gradients: input gradients of one input, over the batch.
    """

    x_adv: Tensor
    correct: Tensor
    success: Tensor
    distance: Tensor
    queries: int
    gradients: int

    @property
    def robust(self) -> Tensor:
        """Correct and not flipped, ``(batch,)``."""
        return self.correct & ~self.success


def check_logits(logits: Tensor, batch: int) -> Tensor:
    """Return ``logits`` if they are a finite ``(batch, classes >= 2)`` tensor.

    Raises:
        ModelError: naming the shape or the value that was wrong.

    >>> check_logits(torch.zeros(3, 2), 3).shape
    torch.Size([3, 2])
    """
    if logits.ndim != 2 or logits.shape[0] != batch or logits.shape[1] < 2:
        raise ModelError(
            f"expected logits of shape ({batch}, classes >= 2), got {tuple(logits.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        raise ModelError("expected finite logits, got NaN or infinity from the model")
    return logits
