"""None, partial or full error correction of a classifier, as noise models and as counts.

The two-qubit gates of common ansaetze are Clifford gates, which a surface code runs cheaply; rotations by
trained angles would need distilled magic states. *Partial* correction (Kang, Kim, Adermann, Sevior &
Usman, "Almost fault-tolerant quantum machine learning with drastic overhead reduction",
arXiv:2507.18954) protects the former and leaves the latter at the physical rate.

Rates are in the library's convention: with probability ``p`` the qubits of a gate are replaced by the maximally
mixed state. That paper's 0.2 % goes with an infidelity of 0.13 % a gate, so it is the chance of a Pauli
error: 0.27 % here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from robustq.circuits.circuit import Circuit, Operation
from robustq.errors import CircuitError, DataError
from robustq.mitigation.correction.surface import Memory, patch_qubits
from robustq.noise import Channel, NoiseModel, Rule


@dataclass(frozen=True)
class LogicalRates:
    """Depolarising rates of gates on patches of a surface code.

    Attributes:
        one: of a gate on one patch, ``depolarising``.
        two: of a gate on two patches, ``depolarising-2``.
    """

    one: float
    two: float


def logical_rates(flip: float, phase: float) -> LogicalRates:
    """Gate rates from the failures of memories that run for as long as a gate takes.

    The model of a gate is a wait: a transversal or lattice-surgery CNOT takes about ``d`` rounds, in which each of
    its patches suffers a logical X with probability ``flip`` (the rate of the memory of basis "z" over
    ``d`` rounds) and, independently, a logical Z with probability ``phase`` (basis "x"). Some error strikes
    ``n`` patches with probability ``f = 1 - ((1 - flip)(1 - phase))^n``; the depolarising channel of the
    same average infidelity has ``p = f 4^n / (4^n - 1)``. A CNOT through a third patch costs about twice that.

    Raises:
        DataError: unless both are in [0, 1/2].

    >>> rates = logical_rates(1e-3, 1e-3)
    >>> round(rates.one, 6), round(rates.two, 6)
    (0.002665, 0.00426)
    >>> logical_rates(0.5, 0.5).two
    1.0
    """
    if not (0 <= flip <= 0.5 and 0 <= phase <= 0.5):
        raise DataError(f"expected logical rates in [0, 0.5], got {flip} and {phase}")
    struck = math.log1p(-flip) + math.log1p(-phase)  # of no error on one patch
    one, two = (-math.expm1(n * struck) * 4**n / (4**n - 1) for n in (1, 2))
    return LogicalRates(min(1.0, one), min(1.0, two))


def logical_interval(flips: Memory, phases: Memory, confidence: float = 0.95) -> tuple[LogicalRates, LogicalRates]:
    """The least and the largest rates that two memories leave open (Bonferroni: half the risk each).

    Raises:
        DataError: if the memories are not of bases "z" and "x", in this order.

    >>> low, high = logical_interval(Memory(3, 3, "z", .001, 9, 9000), Memory(3, 3, "x", .001, 9, 9000))
    >>> low.two < logical_rates(0.001, 0.001).two < high.two
    True
    """
    if (flips.basis, phases.basis) != ("z", "x"):
        raise DataError(f"expected memories of bases z and x, got {flips.basis}, {phases.basis}")
    ends = zip(*(m.interval(0.5 + confidence / 2) for m in (flips, phases)), strict=True)
    low, high = (logical_rates(min(a, 0.5), min(b, 0.5)) for a, b in ends)
    return low, high


def uncorrected(p: float, two: float | None = None) -> NoiseModel:
    """Depolarising noise after every gate: ``p`` on one qubit, ``two`` (by default ``p``) on two.

    Gates on three qubits have none, here and below: take them apart first (:func:`robustq.noise.mapped` does).

    >>> uncorrected(0.01).rules[1].channel
    Channel('depolarising-2', p=0.01)
    """
    return _after_gates(p, p if two is None else two)


def partially_corrected(p: float, logical: float) -> NoiseModel:
    """Gates on one qubit at the physical rate ``p``, gates on two at the logical one.

    >>> [rule.channel.p for rule in partially_corrected(0.01, 1e-4).rules]
    [0.01, 0.0001]
    """
    return _after_gates(p, logical)


def fully_corrected(rates: LogicalRates) -> NoiseModel:
    """Every gate at its logical rate; magic states are taken as perfect.

    >>> len(fully_corrected(LogicalRates(1e-5, 2e-5)).rules)
    2
    """
    return _after_gates(rates.one, rates.two)


def _after_gates(one: float, two: float) -> NoiseModel:
    for name, p in (("one qubit", one), ("two qubits", two)):
        if not 0 <= p <= 1:
            raise CircuitError(f"expected a depolarising rate on {name} in [0, 1], got {p}")
    rules = (Rule(Channel("depolarising", one), width=1), Rule(Channel("depolarising-2", two), width=2))
    return NoiseModel(tuple(rule for rule in rules if rule.channel.p))


@dataclass(frozen=True)
class Overhead:
    """What correcting a circuit costs.

    Attributes:
        qubits: physical qubits of its patches; routing space and factories come on top.
        corrected: two-qubit gates that partial correction protects.
        rotations: turns by an angle, taken as arbitrary.
        magic_states: T states that full correction has to distil for them, at a precision.
    """

    qubits: int
    corrected: int
    rotations: int
    magic_states: int


def overhead(circuit: Circuit, distance: int, *, precision: float = 1e-4) -> Overhead:
    """Counts for one run of ``circuit`` at a code distance; partial correction needs no magic states.

    A turn about z to within ``precision`` takes about ``3 log2(1 / precision)`` T gates (Ross & Selinger,
    Quantum Inf. Comput. 16, 901 (2016)); a controlled rotation is two turns.

    Raises:
        DataError: on an even distance or a precision outside (0, 1).

    >>> from robustq.circuits import ansaetze
    >>> overhead(ansaetze.strongly_entangling(10, layers=10), 5)
    Overhead(qubits=490, corrected=100, rotations=300, magic_states=12000)
    """
    if not 0 < precision < 1:
        raise DataError(f"expected a precision in (0, 1), got {precision}")
    turns = sum(map(_turns, circuit.operations))
    return Overhead(
        qubits=circuit.qubits * patch_qubits(distance),
        corrected=circuit.two_qubit_gates,
        rotations=turns,
        magic_states=turns * math.ceil(3 * math.log2(1 / precision)),
    )


def _turns(operation: Operation) -> int:
    """Turns about z by any angle that a gate is made of, next to Clifford gates."""
    controlled = operation.gate in ("crx", "cry", "crz", "cp")
    return len(operation.angles) * (2 if controlled else 1)
