"""Logical error rates of the rotated surface code, sampled with Stim and decoded by minimum-weight matching.

A memory holds one logical qubit for some rounds of syndrome measurement and is then read; it fails if
the decoded read-out is wrong (Fowler et al., PRA 86, 032324 (2012)). Stim (Gidney, Quantum 5, 497
(2021)) draws the errors of the whole circuit, PyMatching (Higgott & Gidney, Quantum 9, 1600 (2025))
decodes them. Both are optional: ``pip install robustq[correction]``.

Rates are in the library's convention: ``p`` of a depolarising channel *replaces* its qubits by the
maximally mixed state, so that <Z> shrinks by ``1 - p``. Stim's is the chance of any Pauli error:
``3/4 p`` on one qubit, ``15/16 p`` on two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustq.errors import DataError
from robustq.seeding import derive
from robustq.stats import clopper_pearson

CHUNK = 2**16  # shots drawn and decoded at once; fixed, because a chunk is what a seed reproduces


def patch_qubits(distance: int) -> int:
    """Physical qubits of one patch, measuring ones included: ``2 d^2 - 1``.

    >>> patch_qubits(3)
    17
    """
    _check_distance(distance)
    return 2 * distance**2 - 1


@dataclass(frozen=True)
class Memory:
    """How often a logical qubit was lost.

    Attributes:
        distance: of the code, odd.
        rounds: of syndrome measurement.
        basis: ``"z"`` if logical bit flips count as failures, ``"x"`` if logical phase flips do.
        p: the physical rate, in the library's convention.
        failures: shots whose decoded read-out was wrong.
        shots: how many were drawn.

    >>> Memory(3, 3, "z", 0.001, 20, 10_000).rate
    0.002
    """

    distance: int
    rounds: int
    basis: str
    p: float
    failures: int
    shots: int

    def __post_init__(self) -> None:
        if not 0 <= self.failures <= self.shots or self.shots < 1:
            raise DataError(f"memory: expected 0 <= failures <= shots >= 1, got {self.failures} of {self.shots}")

    @property
    def rate(self) -> float:
        """Share of the shots that failed, over all rounds together."""
        return self.failures / self.shots

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The exact two-sided interval of :attr:`rate` (Clopper & Pearson 1934).

        >>> [round(end, 5) for end in Memory(3, 3, "z", 0.001, 0, 1000).interval()]
        [0.0, 0.00368]
        """
        alpha = (1 - confidence) / 2
        low = float(clopper_pearson(self.failures, self.shots, alpha))
        return low, 1 - float(clopper_pearson(self.shots - self.failures, self.shots, alpha))

    @property
    def per_round(self) -> float:
        """The chance of a flip in one round that makes :attr:`rate` over all of them.

        ``(1 - (1 - 2 rate)^(1 / rounds)) / 2``, because two flips are none; 1/2 from a rate of 1/2 on.

        >>> round(Memory(3, 2, "z", 0.001, 18, 100).per_round, 6)
        0.1
        """
        left = max(0.0, 1 - 2 * self.rate)
        return float((1 - left ** (1 / self.rounds)) / 2)


def memory_circuit(distance: int, p: float, *, basis: str = "z", rounds: int | None = None) -> Any:
    """The ``stim.Circuit`` of a memory with every place of it noisy at the same ``p``.

    After each gate, and on data qubits before each round, comes the depolarising channel of ``p`` on
    what was touched; a reset or a measurement is wrong with probability ``p``.

    Args:
        distance: of the rotated surface code; odd, at least 3.
        p: the physical rate in the library's convention, at most 1/2.
        basis: what is kept, ``"z"`` or ``"x"``.
        rounds: of syndrome measurement; ``distance`` by default.

    Raises:
        DataError: on an even distance, an unknown basis, or a rate out of range.
        ImportError: if Stim is missing.
    """
    _check_distance(distance)
    if basis not in ("x", "z") or not 0 <= p <= 0.5:
        raise DataError(f"memory: expected basis 'x' or 'z' and p in [0, 0.5], got {basis!r}, {p}")
    stim, _ = _libraries()
    generated = stim.Circuit.generated(
        f"surface_code:rotated_memory_{basis}",
        distance=distance,
        rounds=distance if rounds is None else rounds,
        after_clifford_depolarization=15 / 16 * p,
        before_round_data_depolarization=3 / 4 * p,
        before_measure_flip_probability=p,
        after_reset_flip_probability=p,
    )
    # Stim's one number for gates of one and of two qubits is right for two only
    return _with_argument(generated, "DEPOLARIZE1", 3 / 4 * p) if p else generated


def measure(
    distance: int, p: float, *, seed: int, basis: str = "z", rounds: int | None = None, shots: int = 100_000
) -> Memory:
    """Sample a memory (see :func:`memory_circuit`) and count its failures.

    The seed reproduces the count on the same version of Stim and the same kind of processor: Stim's
    generator promises no more, because it draws as many shots at once as the processor's vectors hold.

    Raises:
        DataError: as :func:`memory_circuit`, or without shots.
        ImportError: if Stim or PyMatching is missing.

    >>> memory = measure(3, 0.01, seed=0, shots=2000)
    >>> 0.01 < memory.rate < 0.1 and memory == measure(3, 0.01, seed=0, shots=2000)
    True
    """
    turns = distance if rounds is None else rounds
    noisy = memory_circuit(distance, p, basis=basis, rounds=turns)
    failures = decoded_failures(noisy, shots=shots, seed=derive(seed, basis, distance, repr(p)))
    return Memory(distance, turns, basis, p, failures, shots)


def decoded_failures(circuit: Any, *, shots: int, seed: int) -> int:
    """Shots of a ``stim.Circuit`` with one observable that minimum-weight matching decodes wrongly.

    Raises:
        DataError: without shots.
        ImportError: if Stim or PyMatching is missing.
    """
    if shots < 1:
        raise DataError(f"memory: expected shots >= 1, got {shots}")
    _, pymatching = _libraries()
    matching = pymatching.Matching.from_detector_error_model(circuit.detector_error_model(decompose_errors=True))
    sampler = circuit.compile_detector_sampler(seed=seed)
    failures = 0
    for size in _chunks(shots):
        syndromes, flips = sampler.sample(size, separate_observables=True)
        wrong = np.any(matching.decode_batch(syndromes) != flips, axis=1)
        failures += int(wrong.sum())
    return failures


def _chunks(shots: int) -> Iterable[int]:
    yield from (CHUNK for _ in range(shots // CHUNK))
    if shots % CHUNK:
        yield shots % CHUNK


def _with_argument(circuit: Any, name: str, value: float) -> Any:
    """The circuit with the argument of every instruction ``name`` replaced, in loops too."""
    stim, _ = _libraries()
    changed = stim.Circuit()
    for part in circuit:
        if isinstance(part, stim.CircuitRepeatBlock):
            inner = _with_argument(part.body_copy(), name, value)
            changed.append(stim.CircuitRepeatBlock(part.repeat_count, inner))
        elif part.name == name:
            changed.append(stim.CircuitInstruction(name, part.targets_copy(), [value]))
        else:
            changed.append(part)
    return changed


def _libraries() -> tuple[Any, Any]:
    """Stim and PyMatching; slow to import and optional."""
    try:
        import pymatching
        import stim
    except ImportError as failure:
        raise ImportError(
            f"surface code: expected stim and pymatching, got {failure}; pip install robustq[correction]"
        ) from failure
    return stim, pymatching


def _check_distance(distance: int) -> None:
    if distance < 3 or distance % 2 == 0:
        raise DataError(f"surface code: expected an odd distance >= 3, got {distance}")
