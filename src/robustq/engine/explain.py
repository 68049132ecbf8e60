"""What the engine will do with a circuit, and what it should cost, before anything is run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import torch

from robustq.circuits.circuit import Circuit
from robustq.circuits.observables import Observable, z
from robustq.engine import cost, native, transfer
from robustq.engine.frozen_model import strategy_costs
from robustq.engine.schedule import Step, schedule
from robustq.errors import CircuitError
from robustq.noise.model import NoiseModel

SHARE = 0.6  # of the rate of a large matrix product that a pass over the state reaches


@dataclass(frozen=True)
class CostLine:
    """One pass, or several alike in a row."""

    what: str
    times: int
    operations: int  # floating-point operations a sample, all times together


@dataclass(frozen=True)
class Explanation:
    """The plan of a circuit; print it.

    Attributes:
        method: what evaluates it.
        rows: the passes of one evaluation, with their cost a sample.
        gradient: operations a sample of value and gradient in inputs and parameters.
        input_gradient: the same in the inputs alone.
        frozen: the strategies of a frozen model, operations a sample of an input gradient.
        batch: how many samples the times are for.
        seconds: predicted for value and gradient of the batch; None where no model of it exists.
    """

    method: str
    rows: tuple[CostLine, ...]
    gradient: int
    input_gradient: int
    frozen: dict[str, int]
    batch: int
    seconds: float | None

    @property
    def forward(self) -> int:
        """Operations a sample of the expectations alone."""
        return sum(row.operations for row in self.rows)

    def __str__(self) -> str:
        lines = [f"method: {self.method}", "one evaluation, operations a sample:"]
        lines += [f"  {_times(row):<46}{row.operations:>12,}" for row in self.rows]
        lines += [
            f"  {'together':<46}{self.forward:>12,}",
            f"gradient in inputs and parameters{self.gradient:>27,}",
            f"gradient in inputs{self.input_gradient:>42,}",
        ]
        if self.seconds is not None:
            lines.append(f"predicted for a batch of {self.batch}: {1000 * self.seconds:.3g} ms")
        best = min(self.frozen, key=lambda name: self.frozen[name])
        chosen = ", ".join(f"{name} {value:,}" for name, value in self.frozen.items())
        lines.append(f"frozen, gradient in inputs: {best} (of {chosen})")
        return "\n".join(lines)


def explain(
    circuit: Circuit,
    *,
    batch: int = 256,
    observables: tuple[Observable, ...] | None = None,
    noise: NoiseModel | None = None,
) -> Explanation:
    """The plan of ``circuit`` for a batch of float32 inputs on the CPU.

    Args:
        circuit: what would be run.
        batch: samples.
        observables: what would be read; two single-qubit Z by default.
        noise: channels and read-out error.

    Raises:
        RobustQError: if the batch is empty or the register too wide to plan for.

    >>> from robustq.circuits import ansaetze, encodings
    >>> plan = explain(encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=2)))
    >>> [row.what for row in plan.rows]
    ['product state of 16 gates', 'phases', 'turns of 4 qubits', 'phases', 'read-out']
    """
    if batch < 1:
        raise CircuitError(f"expected batch >= 1, got {batch}")
    if circuit.qubits > native.WIDEST:
        raise CircuitError(f"expected at most {native.WIDEST} qubits, got {circuit.qubits}")
    read = observables or tuple(z(k) for k in range(min(2, circuit.qubits)))
    model = noise or NoiseModel()
    noisy = model.has_channels
    frozen = strategy_costs(circuit, read, model)
    rows = transfer.cost_rows(circuit, model) if noisy else _pure_rows(circuit)
    table = tuple(CostLine(*row) for row in rows)
    full = 4 * sum(row.operations for row in table) if noisy else cost.circuit_gradient(circuit, parameters=True)
    part = full if noisy else cost.circuit_gradient(circuit, parameters=False)
    seconds = None if noisy or not native.available() else full * batch / (SHARE * rate())
    return Explanation(_method(circuit, model), table, full, part, frozen, batch, seconds)


def _method(circuit: Circuit, noise: NoiseModel) -> str:
    if noise.has_channels:
        fits = transfer.fits(circuit)
        return f"Pauli vectors, {native.description()}" if fits else "effective observables, torch"
    return native.description()


def _pure_rows(circuit: Circuit) -> list[tuple[str, int, int]]:
    steps, size = schedule(circuit), 2**circuit.qubits
    start = f"product state of {len(steps.opening)} gates" if not circuit.amplitudes else "amplitudes"
    rows = [(start, 1, cost.OPENING * size)]
    for step in steps.steps:
        what, operations = _describe(step), cost.step_cost(step) * size
        if rows[-1][0] == what:
            rows[-1] = (what, rows[-1][1] + 1, rows[-1][2] + operations)
        else:
            rows.append((what, 1, operations))
    return [*rows, ("read-out", 1, cost.READING * size)]


def _describe(step: Step) -> str:
    own = ", an angle a sample" if step.batched else ""
    if step.turns:
        return f"turns of {step.qubits} qubit{'s' * (step.qubits > 1)}{own}"
    return f"phases{own}" if step.factors else "norms put back"


def _times(row: CostLine) -> str:
    return row.what if row.times == 1 else f"{row.times} x {row.what}"


@lru_cache(maxsize=1)
def rate() -> float:
    """Operations a second of a complex64 matrix product of side 512: the best of five."""
    a = torch.ones(512, 512, dtype=torch.complex64)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 8 * 512**3 / best
