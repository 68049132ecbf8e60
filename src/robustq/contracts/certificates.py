"""What certifiers promise, and the verdict on their claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.contracts.attacks import Threat
from robustq.contracts.classifiers import Classifier

SAME = 1e-12  # relative: a witness at the budget's edge is measured with some roundings


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """What a certifier claims of each input of a batch, in the threat's norm.

    Attributes:
        label: the class it speaks about, ``(batch,)`` of int64; -1 where it abstains.
        lower: no allowed change of this size or less alters the answer, ``(batch,)`` of float64;
            zero where nothing is claimed, infinite where no change at all does.
        upper: size of a change that does, ``(batch,)``; infinite where none is known.
        witness: such inputs, shape of ``x``; None if none is known.
    """

    label: Tensor
    lower: Tensor
    upper: Tensor
    witness: Tensor | None = None


@runtime_checkable
class Prover(Protocol):
    """A certifier made ready for one model and one threat; everything in float64."""

    @property
    def model(self) -> Classifier:
        """The classifier that the claims are about."""
        ...

    def prove(self, x: Tensor, /) -> Bounds:
        """Claims about inputs ``(batch, *features)`` of float64."""
        ...


@runtime_checkable
class Certifier(Protocol):
    """A method of proof; what its claims are worth is the framework's to say."""

    @property
    def confidence(self) -> float:
        """How sure a claim is: 1 for a proof, ``1 - alpha`` for a statistical one."""
        ...

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator, /) -> Prover:
        """What does not depend on the inputs, done once.

        Args:
            model: a frozen model, or any classifier.
            threat: its norm and box; ``eps`` is the largest budget of interest.
            generator: all of its randomness.

        Raises:
            RobustQError: if the method does not apply to the model or the threat.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate:
    """The framework's verdict on the claims of a certifier.

    Attributes:
        label: the certified class, ``(batch,)``; -1 where the certifier abstained.
        correct: whether that is the true class, ``(batch,)``.
        lower: certified radius, ``(batch,)``: no change of this size or less alters the label.
        upper: size of the change to ``witness``, re-computed; infinite where there is none.
        witness: inputs whose other answer was seen, shape of ``x``; the clean ones elsewhere.
        confidence: of each claim by itself.
        seconds: wall time, preparation left out.
        preparation: wall time of what is done once a model.
    """

    label: Tensor
    correct: Tensor
    lower: Tensor
    upper: Tensor
    witness: Tensor
    confidence: float
    seconds: float
    preparation: float

    def certified(self, eps: float) -> Tensor:
        """Correct, and proved at this budget, ``(batch,)`` of bool."""
        return self.correct & (self.lower >= eps)

    def refuted(self, eps: float) -> Tensor:
        """Wrong, or with a witness within this budget, ``(batch,)`` of bool."""
        return ~self.correct | (self.upper <= eps * (1 + SAME))
