"""What the parts of the library promise each other.

Shapes: the batch axis comes first everywhere. Angles are in radians, probabilities in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.errors import ModelError
from robustq.threats import Access
from robustq.trigonometric import Trigonometric

SAME = 1e-12  # relative: a witness at the budget's edge is measured with some roundings


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


@runtime_checkable
class TamperableClassifier(Protocol):
    """A quantum classifier whose circuit, angles and read-out can be run otherwise than trained."""

    @property
    def circuit(self) -> Any:
        """The circuit, a :class:`robustq.circuits.Circuit`."""
        ...

    @property
    def observables(self) -> tuple[Any, ...]:
        """What is read."""
        ...

    @property
    def angles(self) -> Tensor:
        """The trained angles ``(circuit.parameters,)``."""
        ...

    def encoder_inputs(self, x: Tensor) -> Tensor:
        """What reaches the encoder, ``(batch, circuit.inputs)``."""
        ...

    def measured(
        self,
        features: Tensor,
        angles: Tensor,
        *,
        circuit: Any = None,
        observables: tuple[Any, ...] | None = None,
    ) -> Tensor:
        """Expectations ``(batch, observables)``, differentiable in features and angles."""
        ...

    def read(self, values: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` from expectations."""
        ...


@runtime_checkable
class StateClassifier(Protocol):
    """A frozen classifier that can be asked about a state in the place of an input."""

    def states(self, x: Tensor) -> Tensor:
        """The state after the last gate that depends on the input, complex ``(batch, dimension)``."""
        ...

    def of_states(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of such states."""
        ...

    def state_forms(self) -> Tensor:
        """Hermitian ``M_k``, complex128 ``(classes, dimension, dimension)``.

        The logits of a state ``psi`` of unit length are ``psi^dagger M_k psi``.
        """
        ...


@runtime_checkable
class AmplitudeClassifier(Protocol):
    """A classifier that may be a quadratic form of its features."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    def forms(self, dtype: torch.dtype) -> Tensor:
        """``Re M_k``, ``(classes, features, features)``; ModelError if it is not."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class GateAngles:
    """How inputs turn gates: angles ``constant + linear x + x^T quadratic x``, in radians.

    Attributes:
        constant: ``(angles,)``.
        linear: ``(angles, features)``.
        quadratic: ``(angles, features, features)``.
        spread: largest minus smallest eigenvalue of each gate's generator ``G``, where the gate is
            ``exp(-i angle G)``, ``(angles,)``.
    """

    constant: Tensor
    linear: Tensor
    quadratic: Tensor
    spread: Tensor


@runtime_checkable
class AngleClassifier(Protocol):
    """A frozen classifier whose features turn gates."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on the input, float64."""
        ...

    def state_forms(self) -> Tensor:
        """The read-out behind the last of those gates; see :class:`StateClassifier`."""
        ...

    def trigonometric(self) -> Trigonometric:
        """The logits as trigonometric polynomials; ModelError where they are none, or too large."""
        ...


@runtime_checkable
class SquashedClassifier(Protocol):
    """A frozen classifier behind ``sigmoid(W x + b)``."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    @property
    def front(self) -> tuple[Tensor, Tensor]:
        """``W (inner features, features)`` and ``b (inner features,)``, float64."""
        ...

    @property
    def inner(self) -> AngleClassifier:
        """From the sigmoid's values in (0, 1) to the logits of the whole."""
        ...


@runtime_checkable
class TurnableClassifier(Protocol):
    """A model in training that says how far its inputs can move its logits, differentiably."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    @property
    def front(self) -> tuple[Tensor, Tensor] | None:
        """Weight and bias in front of a sigmoid, float64; None if there is none."""
        ...

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on what reaches the circuit, float64."""
        ...

    def logit_ranges(self) -> Tensor:
        """Largest minus smallest value of each difference of two logits, ``(classes, classes)``."""
        ...


@runtime_checkable
class ShotClassifier(Protocol):
    """A classifier that runs circuits a finite number of times."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    @property
    def shots_per_answer(self) -> int:
        """Circuit executions for the logits of one input."""
        ...

    @property
    def shots_per_gradient(self) -> int:
        """Further executions for the gradient at one input."""
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

    def gradient(
        self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None
    ) -> Tensor:
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

    def run(
        self,
        attack: Attack,
        rows: Tensor | None = None,
        *,
        samples: int = 1,
        keep: bool = True,
    ) -> Tensor:
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
