"""A noise model: channels after gates, and read-out error."""

from __future__ import annotations

from dataclasses import dataclass

from robustq.errors import CircuitError
from robustq.noise.channels import Channel


@dataclass(frozen=True)
class Readout:
    """Read-out error of every qubit, independently.

    Attributes:
        p01: probability that a 0 is read as 1.
        p10: probability that a 1 is read as 0.
    """

    p01: float = 0.0
    p10: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("p01", self.p01), ("p10", self.p10)):
            if not 0 <= value <= 1:
                raise CircuitError(f"read-out: expected {name} in [0, 1], got {value}")

    @property
    def confusion(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """``confusion[observed][prepared]``; columns sum to one."""
        return ((1 - self.p01, self.p10), (self.p01, 1 - self.p10))


@dataclass(frozen=True)
class NoiseModel:
    """Channels applied to every qubit a gate touched, after the gate, then read-out error.

    Amplitude loading is taken as perfect, because it has no gates here.

    >>> NoiseModel.uniform(gate_error=0.01, readout_error=0.02)
    NoiseModel(after_gates=(Channel(name='depolarising', p=0.01),), readout=Readout(p01=0.02, p10=0.02))
    """

    after_gates: tuple[Channel, ...] = ()
    readout: Readout = Readout()

    @staticmethod
    def uniform(*, gate_error: float = 0.0, readout_error: float = 0.0) -> NoiseModel:
        """Depolarising noise of ``gate_error`` after every gate, symmetric read-out flips."""
        channels = (Channel("depolarising", gate_error),) if gate_error else ()
        return NoiseModel(channels, Readout(readout_error, readout_error))

    @property
    def is_trivial(self) -> bool:
        """Whether the model changes nothing."""
        return not self.after_gates and self.readout == Readout()
