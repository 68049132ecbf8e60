"""Read-out error undone: on the observables, or on the histogram of every input's outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from robustq import engine
from robustq.circuits import Projector
from robustq.errors import CircuitError, DataError, unknown_name
from robustq.mitigation.confusion import calibrated, check_invertible, inverted
from robustq.mitigation.histograms import METHODS
from robustq.mitigation.plan import Function, Plan, Problem, Run
from robustq.noise import NoiseModel, Readout

WIDEST = 10  # qubits whose joint outcomes are counted


@dataclass(frozen=True)
class ReadoutInversion:
    """Other observables are read, whose means under read-out error are the true ones.

    Unbiased, linear, any depth, any number of qubits; the variance grows by ``1 / (1 - p01 - p10)**2`` a qubit
    that is read. Bravyi et al., PRA 103, 042605 (2021).

    Args:
        shots: of each of the two calibration circuits; None where the device's numbers are taken as exact.

    >>> print(ReadoutInversion(), "|", ReadoutInversion(shots=1000))
    read-out inversion | read-out inversion, 1000 calibration shots
    """

    shots: int | None = None

    def __post_init__(self) -> None:
        _check_shots(self.shots)

    def __str__(self) -> str:
        return "read-out inversion" + _of_shots(self.shots)

    def rewrite(self, problem: Problem) -> Run:
        """The run with other observables read."""
        run = problem.run
        readouts = known(run, self.shots, problem.generator)
        return replace(run, read=tuple(inverted(o, readouts) for o in run.seen))

    def plan(self, problem: Problem) -> Plan:
        """One run, two calibration circuits if they are not known."""
        return Plan((self.rewrite(problem),), training=0 if self.shots is None else 2)


@dataclass(frozen=True)
class ReadoutHistogram:
    """The histogram of every input's outcomes is corrected, then read.

    Args:
        method: ``inversion``, ``least-squares`` or ``m3`` (:mod:`robustq.mitigation.histograms`).
        shots: of each of the two calibration circuits; None where the device's numbers are taken as exact.

    >>> print(ReadoutHistogram("m3"))
    read-out by m3
    """

    method: str = "m3"
    shots: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("read-out method", self.method, METHODS)
        _check_shots(self.shots)

    def __str__(self) -> str:
        return f"read-out by {self.method}" + _of_shots(self.shots)

    def plan(self, problem: Problem) -> Plan:
        """One run whose outcomes are all counted.

        Raises:
            CircuitError: unless all observables are diagonal, and few qubits are read.
        """
        run = problem.run
        used = tuple(sorted({q for o in run.observables for q in o.qubits}))
        if len(used) > WIDEST or not all(o.is_diagonal for o in run.observables):
            raise CircuitError(
                f"read-out by {self.method}: expected diagonal observables on at most {WIDEST} qubits, got "
                f"{[str(o) for o in run.observables]}"
            )
        readouts = known(run, self.shots, problem.generator)
        counted = Counted(run, used, tuple(readouts[q] for q in used), self.method)
        return Plan((counted,), linear=self.method == "inversion", training=0 if self.shots is None else 2)


@dataclass(frozen=True)
class Counted:
    """A run whose joint outcomes are counted and corrected; see :class:`robustq.mitigation.plan.Runnable`.

    Attributes:
        run: what is run.
        used: the qubits that are counted.
        readouts: what is believed of their read-out.
        method: how the histogram is corrected.
    """

    run: Run
    used: tuple[int, ...]
    readouts: tuple[Readout, ...]
    method: str

    @property
    def circuits(self) -> int:
        """One setting."""
        return 1

    @property
    def _linear(self) -> Run:
        return replace(self.run, read=tuple(inverted(o, self._everywhere) for o in self.run.observables))

    @property
    def _everywhere(self) -> tuple[Readout, ...]:
        readouts = dict(zip(self.used, self.readouts, strict=True))
        return tuple(readouts.get(q, Readout()) for q in range(self.run.circuit.qubits))

    def values(
        self,
        inputs: Tensor,
        parameters: Tensor,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Without shots every method is the inverse: then the histogram is exact."""
        if shots is None:
            return self._linear.values(inputs, parameters)
        words = [format(k, f"0{len(self.used)}b") for k in range(2 ** len(self.used))]
        outcomes = [Projector((word,), self.used) for word in words]
        with torch.no_grad():
            drawn = engine.expectations(
                self.run.circuit,
                outcomes,
                inputs=inputs,
                parameters=parameters,
                noise=self.run.noise,
                shots=shots,
                generator=generator,
            )
        correct = METHODS[self.method]
        rows = np.array([correct(row / row.sum(), self.readouts) for row in drawn.double().cpu().numpy()])
        return torch.as_tensor(rows @ self._diagonals()).to(inputs)

    def frozen(self, parameters: Tensor) -> Function:
        """The exact histogram's."""
        return self._linear.frozen(parameters)

    def sampled(self, parameters: Tensor, shots: int, generator: torch.Generator) -> Function:
        """Counted values; where gradients are asked for, those of the plain inverse, which are unbiased."""
        linear = self._linear.sampled(parameters, shots, generator)

        def answers(x: Tensor) -> Tensor:
            if x.requires_grad and torch.is_grad_enabled():
                return linear(x)
            return self.values(x, parameters.detach().to(x.dtype), shots=shots, generator=generator)

        return answers

    def _diagonals(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """The observables on the counted outcomes, ``(2**used, observables)``."""
        qubits = self.run.circuit.qubits
        places = sum(
            (np.arange(2 ** len(self.used)) >> (len(self.used) - 1 - k) & 1) << (qubits - 1 - q)
            for k, q in enumerate(self.used)
        )
        table = []
        for observable in self.run.observables:
            diagonal = observable.diagonal(qubits)
            assert diagonal is not None
            table.append(diagonal[places])
        return np.array(table).T


def known(run: Run, shots: int | None, generator: torch.Generator) -> Sequence[Readout]:
    """The read-out of every qubit: the device's numbers, or two circuits that estimate them.

    Raises:
        DataError: if a qubit's cannot be inverted.
    """
    true = run.noise.readouts_of(run.circuit.qubits)
    if shots is None:
        check_invertible(true)
        return true
    flips = torch.tensor([[r.p01, r.p10] for r in true], dtype=torch.float64)
    # what the two calibration circuits, all zeros and all ones, would be read as
    wrong = torch.binomial(torch.full_like(flips, float(shots)), flips, generator=generator).numpy()
    zeros = np.stack([shots - wrong[:, 0], wrong[:, 0]], 1)
    return calibrated(zeros, np.stack([wrong[:, 1], shots - wrong[:, 1]], 1))


def perfect_readout(noise: NoiseModel) -> NoiseModel:
    """The same channels, read without error.

    >>> perfect_readout(NoiseModel.uniform(gate_error=0.1, readout_error=0.1)).readout
    Readout(p01=0.0, p10=0.0)
    """
    return NoiseModel(noise.rules, couplings=noise.couplings)


def _check_shots(shots: int | None) -> None:
    if shots is not None and shots < 1:
        raise DataError(f"read-out: expected calibration shots >= 1, got {shots}")


def _of_shots(shots: int | None) -> str:
    return "" if shots is None else f", {shots} calibration shots"
