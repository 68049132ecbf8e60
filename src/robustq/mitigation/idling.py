"""Waits as techniques: the circuit on its device's clock, as it is or with pulses in the waits.

Without a clock a waiting qubit does not relax at all (:mod:`robustq.mitigation.decoupling`), so that a circuit with
waits is worse than one without, whatever is done in them. ``decoupling`` is to be compared with ``idle``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from robustq.errors import CircuitError, unknown_name
from robustq.mitigation.decoupling import SEQUENCES, Timed, decoupled, timed
from robustq.mitigation.plan import Plan, Problem, Run
from robustq.noise import Device, Mapped


@dataclass(frozen=True)
class Idle:
    """The same circuit with its waits modelled and nothing in them: what decoupling is compared with.

    >>> print(Idle())
    waits modelled
    """

    def __str__(self) -> str:
        return "waits modelled"

    def rewrite(self, problem: Problem) -> Run:
        """The circuit on its device's clock; see :func:`timed_problem` for what is refused."""
        return _run(problem, timed_problem(problem))

    def plan(self, problem: Problem) -> Plan:
        """One run."""
        return Plan((self.rewrite(problem),))


@dataclass(frozen=True)
class Decoupling:
    """Waits modelled, and pulses in those that are long enough (:func:`robustq.mitigation.decoupling.decoupled`).

    Args:
        sequence: in ``SEQUENCES``.

    >>> print(Decoupling())
    decoupling by xx
    """

    sequence: str = "xx"

    def __post_init__(self) -> None:
        if self.sequence not in SEQUENCES:
            raise unknown_name("decoupling sequence", self.sequence, SEQUENCES)

    def __str__(self) -> str:
        return f"decoupling by {self.sequence}"

    def rewrite(self, problem: Problem) -> Run:
        """The circuit with its pulses; see :func:`timed_problem` for what is refused."""
        return _run(problem, decoupled(timed_problem(problem), self.sequence))

    def plan(self, problem: Problem) -> Plan:
        """One run."""
        return Plan((self.rewrite(problem),))


def timed_problem(problem: Problem) -> Timed:
    """The problem's fit with its waits filled in.

    Raises:
        CircuitError: unless the problem knows its fit and the device whose noise that has, and its run is still
            what was fitted; or if the device has no durations.
    """
    fit, device, run = problem.fit, problem.device, problem.run
    if fit is None or device is None:
        missing = [word for word, value in (("fit", fit), ("device", device)) if value is None]
        raise CircuitError(
            "decoupling: expected a circuit fitted to a device and that device, for durations of gates, got no "
            f"{' and no '.join(missing)}; give MitigatedNet a Device, or a fit and device=..."
        )
    _check(run, fit, device)
    return timed(fit, device)


def _check(run: Run, fit: Mapped, device: Device) -> None:
    if fit.on(device).noise != fit.noise:
        raise CircuitError(
            f"decoupling: expected the device that the circuit was fitted to, got {device.name!r}, whose noise "
            "differs from the fit's"
        )
    if (run.circuit, run.noise) != (fit.circuit, fit.noise) or run.cost > 1:
        raise CircuitError(
            "decoupling: expected the circuit and the noise of the fit, got changed ones; of techniques "
            "joined by + decoupling comes first, or after read-out inversion"
        )


def _run(problem: Problem, timing: Timed) -> Run:
    return replace(problem.run, circuit=timing.fitted.circuit, noise=timing.fitted.noise)
