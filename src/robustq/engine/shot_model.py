"""A frozen model read with finite shots: what an attacker of a real device can ask, thousands of times.

The chance of every joint outcome is exact and comes from a :class:`FrozenModel`, at any depth and any
noise; shots are drawn from it. Input gradients follow the parameter-shift rule, each shifted
circuit with shots of its own, on the frozen form of the circuit whose input angles are slots of their
own (see :mod:`robustq.engine.shot_gradients`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.observables import Observable
from robustq.engine import measurement as m
from robustq.engine.frozen_model import FrozenModel
from robustq.engine.shot_gradients import (
    AMPLITUDES,
    SampledExpectations,
    check_shots,
    row_observables,
    unfolded,
    wanted,
)
from robustq.noise.model import NoiseModel


class ShotModel:
    """Sampled expectations ``(batch, observables)`` as a function of the input, with sampled gradients.

    Args:
        circuit: what to run.
        observables: what to read.
        parameters: trainable angles ``(circuit.parameters,)``, taken as they are now.
        noise: channels after gates and read-out error; None for none.
        shots: for every circuit and measurement setting.
        generator: where the shots come from, forwards and backwards.

    Raises:
        CircuitError: on fewer shots than one; and when called with amplitude-encoded inputs that require
            gradients, which have no shift rule.

    >>> from robustq.circuits import encodings, z
    >>> model = ShotModel(encodings.angle(1), [z(0)], torch.zeros(0), shots=100_000,
    ...                   generator=torch.Generator().manual_seed(0))
    >>> x = torch.tensor([[0.5]], requires_grad=True)
    >>> model(x).sum().backward()
    >>> bool((x.grad + torch.pi).abs() < 0.05)
    True
    """

    def __init__(
        self,
        circuit: Circuit,
        observables: Sequence[Observable],
        parameters: Tensor,
        *,
        noise: NoiseModel | None = None,
        shots: int,
        generator: torch.Generator,
    ) -> None:
        check_shots(shots, generator)
        self.circuit, self._parameters = circuit, parameters.detach().clone()
        self._task = _FrozenTask(circuit, m.as_tuple(observables), noise or NoiseModel(), shots, generator)

    def __call__(self, x: Tensor) -> Tensor:
        """Sampled expectations for features ``(batch, circuit.inputs)``."""
        if x.requires_grad and torch.is_grad_enabled():
            wanted(self.circuit, ("inputs",))
        parameters = self._parameters.to(x.dtype)
        sampled: Tensor = SampledExpectations.apply(self._task, x, parameters)  # type: ignore[no-untyped-call]
        return sampled


def shifted_circuits(circuit: Circuit) -> int:
    """Circuits for the values and all input gradients of one sample; 1 if no gate turns with an input.

    >>> from robustq.circuits import encodings
    >>> shifted_circuits(encodings.angle(3))
    7
    """
    return len(unfolded(circuit, ("inputs",)).shifts)


@dataclass(frozen=True, eq=False)
class _FrozenTask:
    """Reads any rewriting of one circuit by freezing it at its first use."""

    circuit: Circuit
    observables: tuple[Observable, ...]
    noise: NoiseModel
    shots: int
    generator: torch.Generator
    _frozen: dict[tuple[Circuit, torch.dtype], FrozenModel] = field(default_factory=dict)

    @property
    def chunk(self) -> int:
        return max(1, AMPLITUDES // int(4**self.circuit.qubits))

    def read(self, circuit: Circuit, inputs: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Means of shots, and the variances of these means, each ``(batch, observables)``."""
        key = circuit, inputs.dtype
        if key not in self._frozen:
            rows = row_observables(self.observables, circuit.qubits)
            self._frozen[key] = FrozenModel(circuit, rows, parameters, noise=self.noise)
        plan = m.outcomes(self.observables, circuit.qubits, NoiseModel().readouts_of(circuit.qubits))
        with torch.no_grad():
            chances = torch.cat([self._frozen[key](part) for part in torch.split(inputs, self.chunk)])
        rows_seen = m.sample_rows(chances, plan, self.shots, self.generator)
        means = m.combine(rows_seen, plan)
        return means, torch.zeros_like(means)
