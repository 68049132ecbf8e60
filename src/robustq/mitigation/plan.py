"""What a technique of mitigation is: circuits to run instead of one, and how their answers combine.

A technique is given a :class:`Problem` (a circuit as a noisy device runs it) and answers with a
:class:`Plan`. It never runs the ideal circuit: what may be known of the noise, and what is run to learn about
it, is the technique's to say and is counted in its cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from robustq import engine
from robustq.circuits import Circuit, Observable
from robustq.errors import DataError
from robustq.mitigation.signed_shots import signed_means
from robustq.noise import Device, Mapped, NoiseModel

NOISELESS = NoiseModel()

Function = Callable[[Tensor], Tensor]
Combine = Callable[[Sequence[Tensor]], Tensor]


@runtime_checkable
class Runnable(Protocol):
    """One thing that is run; several of them make a plan."""

    @property
    def circuits(self) -> int:
        """Different circuits and settings a device runs for one input."""
        ...

    def values(
        self,
        inputs: Tensor,
        parameters: Tensor,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """What is read, ``(batch, observables)``; differentiable unless ``shots`` are drawn."""
        ...

    def frozen(self, parameters: Tensor) -> Function:
        """The same function of the inputs with everything else done once."""
        ...

    def sampled(self, parameters: Tensor, shots: int, generator: torch.Generator) -> Function:
        """The same from finite shots, with input gradients from shots of their own."""
        ...


@dataclass(frozen=True)
class Run:
    """A circuit on a noisy device.

    Attributes:
        circuit: what is run.
        observables: whose ideal expectations are wanted.
        noise: what strikes it.
        read: what is read in their place; None for the observables themselves.
        cost: by how much signs multiply the outcomes of single shots (quasi-probabilities), at least 1.
    """

    circuit: Circuit
    observables: tuple[Observable, ...]
    noise: NoiseModel = NOISELESS
    read: tuple[Observable, ...] | None = None
    cost: float = 1.0

    @staticmethod
    def of(fit: Mapped) -> Run:
        """A circuit fitted to a device."""
        return Run(fit.circuit, fit.observables, fit.noise)

    @property
    def seen(self) -> tuple[Observable, ...]:
        """What is read."""
        return self.observables if self.read is None else self.read

    @property
    def circuits(self) -> int:
        """Measurement settings."""
        return engine.settings(self.circuit, self.seen)

    def ideal(self, inputs: Tensor, parameters: Tensor) -> Tensor:
        """What a perfect device would give, ``(batch, observables)``."""
        return engine.expectations(self.circuit, self.observables, inputs=inputs, parameters=parameters)

    def values(
        self,
        inputs: Tensor,
        parameters: Tensor,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """What the device gives; see :class:`Runnable`."""
        if shots is not None and self.cost > 1:
            return self._signed(inputs, parameters, shots, generator)
        return engine.expectations(
            self.circuit,
            self.seen,
            inputs=inputs,
            parameters=parameters,
            noise=self.noise,
            shots=shots,
            generator=generator,
        )

    def frozen(self, parameters: Tensor) -> Function:
        """See :class:`Runnable`."""
        return engine.FrozenModel(self.circuit, self.seen, parameters, noise=self.noise)

    def sampled(self, parameters: Tensor, shots: int, generator: torch.Generator) -> Function:
        """See :class:`Runnable`; signed shots carry no gradients."""
        if self.cost > 1:
            angles = parameters.detach()
            return lambda x: self.values(x, angles.to(x.dtype), shots=shots, generator=generator).detach()
        return engine.ShotModel(
            self.circuit, self.seen, parameters, noise=self.noise, shots=shots, generator=generator
        )

    def _signed(self, inputs: Tensor, parameters: Tensor, shots: int, generator: torch.Generator | None) -> Tensor:
        def exact(words: tuple[Observable, ...]) -> Tensor:
            return replace(self, read=words, cost=1.0).values(inputs, parameters).detach()

        drawn = signed_means(exact, self.seen, self.cost, shots, generator)
        return drawn.to(inputs)


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be cleaned up.

    Attributes:
        run: the circuit on its device.
        parameters: its trained angles ``(circuit.parameters,)``.
        inputs: inputs like those it will be asked about, ``(rows, circuit.inputs)``, for techniques that
            learn; its own features.
        generator: all of a technique's randomness.
        shots: in every circuit that is run to learn; None for exact expectations.
        fit: the circuit as it was fitted, before any technique changed it, for those that need a clock.
        device: what it was fitted to, likewise.
    """

    run: Run
    parameters: Tensor
    inputs: Tensor
    generator: torch.Generator
    shots: int | None = None
    fit: Mapped | None = None
    device: Device | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What to run for one answer, and what to make of it.

    Attributes:
        runs: what is run; shots are shared among them.
        combine: from what each gave, ``(batch, read)``, to estimates ``(batch, observables)``.
        linear: whether ``combine`` is affine, so that estimates and gradients from shots are unbiased whenever
            the runs' are.
        training: circuits run once, before any answer.

    """

    runs: tuple[Runnable, ...]
    combine: Combine = field(default=lambda parts: parts[0])
    linear: bool = True
    training: int = 0

    @cached_property
    def circuits(self) -> int:
        """Different circuits and settings for one answer."""
        return sum(run.circuits for run in self.runs)

    @property
    def random(self) -> bool:
        """Whether every shot runs a random circuit of its own."""
        return any(isinstance(run, Run) and run.cost > 1 for run in self.runs)

    def values(
        self,
        inputs: Tensor,
        parameters: Tensor,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Mitigated expectations ``(batch, observables)``; ``shots`` is the sum over all runs."""
        each = self.share(shots)
        return self.combine([r.values(inputs, parameters, shots=each, generator=generator) for r in self.runs])

    def frozen(self, parameters: Tensor) -> Function:
        """The mitigated expectations as a function of the inputs, everything else done once."""
        functions = [run.frozen(parameters) for run in self.runs]
        return lambda x: self.combine([f(x) for f in functions])

    def sampled(self, parameters: Tensor, shots: int, generator: torch.Generator) -> Function:
        """The same from finite shots, each run with its share of them."""
        each = self.share(shots)
        assert each is not None
        functions = [run.sampled(parameters, each, generator) for run in self.runs]
        return lambda x: self.combine([f(x) for f in functions])

    def share(self, shots: int | None) -> int | None:
        """Shots of each run.

        Raises:
            DataError: if there are fewer shots than runs.
        """
        if shots is None:
            return None
        if shots < len(self.runs):
            raise DataError(f"expected at least {len(self.runs)} shots, one for each circuit, got {shots}")
        return shots // len(self.runs)


@runtime_checkable
class Technique(Protocol):
    """A way to estimate what a perfect device would have given."""

    def plan(self, problem: Problem, /) -> Plan:
        """What to run instead.

        Raises:
            RobustQError: where the technique does not apply, with what would.
        """
        ...


@runtime_checkable
class Rewriting(Technique, Protocol):
    """A technique that runs one other thing in the place of one: others can build on it."""

    def rewrite(self, problem: Problem, /) -> Run:
        """What is run in its place."""
        ...


@dataclass(frozen=True)
class Unmitigated:
    """Nothing is done: what the device gives.

    >>> print(Unmitigated())
    none
    """

    def __str__(self) -> str:
        return "none"

    def rewrite(self, problem: Problem) -> Run:
        """The same."""
        return problem.run

    def plan(self, problem: Problem) -> Plan:
        """The run itself."""
        return Plan((problem.run,))
