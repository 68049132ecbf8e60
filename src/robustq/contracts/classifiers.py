"""What a classifier promises: any torch callable, and what quantum ones can do besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq.circuits import Circuit, Observable
from robustq.errors import ModelError
from robustq.noise import Noise
from robustq.trigonometric import Trigonometric


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

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Classifier:
        """The same function of ``x`` with everything that does not depend on ``x`` done once.

        ``uses`` is how many inputs it will be asked about, where that is known and small: preparing
        has to pay.
        """
        ...

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Classifier:
        """The model as a noisy device with finite shots would run it."""
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
class CircuitClassifier(QuantumClassifier, Protocol):
    """A quantum classifier that is one circuit: angles and read-out can be run otherwise than trained.

    A layer and a sigmoid may stand in front of the circuit, and what is read may be mixed behind it.
    """

    @property
    def circuit(self) -> Circuit:
        """The circuit, as it is before any device."""
        ...

    @property
    def observables(self) -> tuple[Observable, ...]:
        """What is read."""
        ...

    @property
    def angles(self) -> Tensor:
        """The trained angles ``(circuit.parameters,)``."""
        ...

    @property
    def front(self) -> tuple[Tensor, Tensor] | None:
        """Weight and bias in front of a sigmoid, float64, differentiable; None if there is none."""
        ...

    def encoder_inputs(self, x: Tensor) -> Tensor:
        """What reaches the encoder, ``(batch, circuit.inputs)``."""
        ...

    def measured(
        self,
        features: Tensor,
        angles: Tensor,
        *,
        circuit: Circuit | None = None,
        observables: tuple[Observable, ...] | None = None,
    ) -> Tensor:
        """Expectations ``(batch, observables)``, differentiable in features and angles."""
        ...

    def read(self, values: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` from expectations."""
        ...

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on what reaches the circuit, float64, differentiable."""
        ...

    def logit_ranges(self) -> Tensor:
        """Largest minus smallest value of each difference of two logits, ``(classes, classes)``."""
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
class FrozenClassifier(StateClassifier, Protocol):
    """What freezing a circuit gives: besides its states, how its features turn gates.

    Methods raise ModelError where a circuit does not have what they are asked for.
    """

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, features)`` to logits ``(batch, classes)``."""
        ...

    @property
    def front(self) -> tuple[Tensor, Tensor] | None:
        """``W (circuit's inputs, features)`` and ``b`` of ``sigmoid(W x + b)``, float64; None without."""
        ...

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on what reaches the circuit, float64."""
        ...

    def trigonometric(self) -> Trigonometric:
        """The logits as trigonometric polynomials of what reaches the circuit."""
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


@runtime_checkable
class RejectingClassifier(Protocol):
    """A classifier that may refuse to answer: its last logit is the alarm's.

    Where the alarm wins, no class is answered. An adversary wins where a wrong class is; a clean input that
    raises the alarm is not classified correctly.
    """

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, *features)`` to logits ``(batch, classes + 1)``, the alarm's last."""
        ...

    @property
    def rejects(self) -> bool:
        """Always true; marks the last column."""
        ...


@runtime_checkable
class TwinnedClassifier(Protocol):
    """A defended classifier that names the models on which an adversary would prepare instead.

    Noise and secrets hide gradients, they do not remove adversarial inputs: what is found on a twin is
    tried on the defended model.
    """

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, *features)`` to logits ``(batch, classes)``."""
        ...

    def twins(self) -> tuple[Classifier, ...]:
        """The model without its noise, without its guard, with another key, ..."""
        ...


@runtime_checkable
class RandomisedClassifier(Protocol):
    """A classifier whose defence is chance: it answers the same question differently every time."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Map ``(batch, *features)`` to logits ``(batch, classes)``."""
        ...

    @property
    def answers(self) -> int:
        """How many answers make one verdict, by majority."""
        ...

    def restart(self) -> None:
        """Begin its randomness anew, so that what is asked next is answered as after loading it."""
        ...


def frozen(model: Classifier, noise: Noise | None = None, uses: int | None = None) -> Classifier:
    """The model frozen, where it can be; itself otherwise.

    Args:
        model: any classifier.
        noise: what it runs under, besides its own.
        uses: see :meth:`QuantumClassifier.freeze`.

    >>> frozen(torch.nn.Linear(2, 2))
    Linear(in_features=2, out_features=2, bias=True)
    """
    return model.freeze(noise, uses=uses) if isinstance(model, QuantumClassifier) else model


def check_logits(logits: Tensor, batch: int) -> Tensor:
    """Return ``logits`` if they are a finite ``(batch, classes >= 2)`` tensor.

    Raises:
        ModelError: naming the shape or the value that was wrong.

    >>> check_logits(torch.zeros(3, 2), 3).shape
    torch.Size([3, 2])
    """
    if logits.ndim != 2 or logits.shape[0] != batch or logits.shape[1] < 2:
        raise ModelError(f"expected logits of shape ({batch}, classes >= 2), got {tuple(logits.shape)}")
    if not bool(torch.isfinite(logits).all()):
        raise ModelError("expected finite logits, got NaN or infinity from the model")
    return logits
