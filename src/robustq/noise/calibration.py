"""What a calibration measures: qubits, couplings, and the noise that follows from the numbers.

A physical gate of duration ``t`` and average gate infidelity ``e`` is thermal relaxation of its
qubits for ``t``, then the depolarising channel that brings the infidelity up to ``e``; if the
relaxation alone is worse than ``e``, nothing is added (the construction of Qiskit Aer's
``NoiseModel.from_backend``; Georgopoulos et al., PRA 104, 062432).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robustq.errors import CircuitError
from robustq.noise.channels import Channel, average_infidelity
from robustq.noise.model import Readout

# How many physical pulses a gate costs: a pulse is one sx or x; rotations about z are changes of
# frame, free and exact (McKay et al., PRA 96, 022330), and any one-qubit gate is at most two sx.
PULSES: Mapping[str, int] = {
    **dict.fromkeys(("i", "z", "s", "sdg", "t", "tdg", "rz", "p"), 0),
    **dict.fromkeys(("x", "y", "h", "sx", "sxdg"), 1),
    **dict.fromkeys(("rx", "ry", "rot", "u3"), 2),
}
# How many physical two-qubit gates (cx, cz or ecr alike) a gate costs; the one-qubit pulses that
# dress them are an order of magnitude better and are left out.
ENTANGLERS: Mapping[str, int] = {
    **dict.fromkeys(("cx", "cy", "cz", "ch"), 1),
    **dict.fromkeys(("crx", "cry", "crz", "cp", "rxx", "ryy", "rzz", "iswap", "iswapdg"), 2),
    "swap": 3,
}


@dataclass(frozen=True)
class Qubit:
    """The calibration of one qubit.

    Attributes:
        t1: energy relaxation time in seconds.
        t2: coherence time in seconds, at most ``2 * t1``.
        p01: probability that a 0 is read as 1.
        p10: probability that a 1 is read as 0.
        readout_duration: seconds.
        gate_error: average gate infidelity of one pulse (sx or x).
        gate_duration: seconds of one pulse.

    >>> Qubit(t1=100e-6, t2=80e-6, p01=0.01, p10=0.02, gate_error=3e-4, gate_duration=35e-9).p10
    0.02
    """

    t1: float
    t2: float
    p01: float = 0.0
    p10: float = 0.0
    readout_duration: float = 0.0
    gate_error: float = 0.0
    gate_duration: float = 0.0

    def __post_init__(self) -> None:
        _positive("t1", self.t1)
        _positive("t2", self.t2)
        if self.t2 > 2 * self.t1 * (1 + 1e-9):
            raise CircuitError(f"expected t2 <= 2 * t1 = {2 * self.t1:g} s, got {self.t2:g} s")
        for name in ("p01", "p10", "gate_error"):
            _probability(name, getattr(self, name))
        for name in ("readout_duration", "gate_duration"):
            _duration(name, getattr(self, name))

    @property
    def readout(self) -> Readout:
        """Its read-out error."""
        return Readout(self.p01, self.p10)

    def relaxation(self, duration: float) -> Channel:
        """Thermal relaxation for ``duration`` seconds."""
        return Channel("thermal-relaxation", self.t1, min(self.t2, 2 * self.t1), duration)


@dataclass(frozen=True)
class Coupling:
    """The calibration of one pair of qubits that can share a gate.

    Attributes:
        qubits: the two qubits, either order.
        gate_error: average gate infidelity of one two-qubit gate.
        gate_duration: seconds of one two-qubit gate.
        zz: the always-on shift of one qubit's frequency when the other is excited, in hertz.

    >>> Coupling((0, 1), gate_error=8e-3, gate_duration=300e-9, zz=-50e3).qubits
    (0, 1)
    """

    qubits: tuple[int, int]
    gate_error: float = 0.0
    gate_duration: float = 0.0
    zz: float = 0.0

    def __post_init__(self) -> None:
        whole = all(isinstance(q, int) for q in self.qubits)
        if not whole or len(self.qubits) != 2 or self.qubits[0] == self.qubits[1]:
            raise CircuitError(f"expected a coupling of two different qubits, got {self.qubits}")
        _probability("gate_error", self.gate_error)
        _duration("gate_duration", self.gate_duration)
        if not math.isfinite(self.zz):
            raise CircuitError(f"expected a finite zz in hertz, got {self.zz}")


def coherence_limit(qubits: tuple[Qubit, ...], duration: float) -> float:
    """The average gate infidelity that relaxation alone causes in ``duration`` seconds.

    >>> qubit = Qubit(t1=100e-6, t2=100e-6)
    >>> round(coherence_limit((qubit,), 1e-6), 5)
    0.00498
    """
    return average_infidelity(_trace(qubits, duration), len(qubits))


def gate_channels(qubits: tuple[Qubit, ...], error: float, duration: float, count: int) -> tuple[Channel, ...]:
    """Relaxation of each qubit, then the depolarising rest, for ``count`` physical gates in a row.

    The relaxations of the row are one of ``count`` times the duration, and so are the depolarising
    channels; a channel that does nothing is left out.

    >>> qubit = Qubit(t1=100e-6, t2=100e-6)
    >>> [c.name for c in gate_channels((qubit,), 1e-3, 35e-9, 2)]
    ['thermal-relaxation', 'depolarising']
    """
    total = count * duration
    relaxed = tuple(qubit.relaxation(total) for qubit in qubits) if total else ()
    # F = (1 + (1 - p)(T - 1)) / d**2 for relaxation with trace T followed by depolarising p
    d, trace = 2 ** len(qubits), _trace(qubits, duration)
    # F_avg = (tr(PTM) / d + 1) / (d + 1), solved for the trace
    target = d * ((d + 1) * (1 - error) - 1)  # the trace that has this infidelity
    p = float(np.clip(1 - (target - 1) / (trace - 1), 0, 1)) if trace > 1 else 0.0
    if p < 1e-12:
        return relaxed
    name = "depolarising" if len(qubits) == 1 else "depolarising-2"
    return (*relaxed, Channel(name, 1 - (1 - p) ** count))


def _trace(qubits: tuple[Qubit, ...], duration: float) -> float:
    """The trace of the Pauli transfer matrix of relaxation, a product over the qubits."""
    return math.prod(1 + 2 * math.exp(-duration / qubit.t2) + math.exp(-duration / qubit.t1) for qubit in qubits)


def _positive(name: str, value: float) -> None:
    if not (_is_number(value) and 0 < value < math.inf):
        raise CircuitError(f"expected {name} > 0 seconds, got {value!r}")


def _duration(name: str, value: float) -> None:
    if not (_is_number(value) and 0 <= value < math.inf):
        raise CircuitError(f"expected {name} >= 0 seconds, got {value!r}")


def _probability(name: str, value: float) -> None:
    if not (_is_number(value) and 0 <= value <= 1):
        raise CircuitError(f"expected {name} in [0, 1], got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
