"""How far a device within its calibration's error may be from its snapshot, proved.

Channels in a row telescope: what a circuit's expectation can change is at most the sum, over the channels, of
half the range of the observable times the diamond norm of what each channel changes (Watrous, *The Theory of
Quantum Information*, 2018, chapter 3). Every parameter of every channel of a device rises with every
calibrated number (or, a ZZ phase, moves with it), so that two devices bound them all: one with every number
low, one with every number high.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.circuit import Operation
from robustq.circuits.observables import Observable, PauliSum, Projector
from robustq.errors import CircuitError
from robustq.noise.channels import Channel
from robustq.noise.device import Device
from robustq.noise.drift import rescaled
from robustq.noise.routing import Mapped

READOUT = "read-out"
ROUNDING = 1e-9  # relative: more than the simulation and these sums can be wrong


@dataclass(frozen=True)
class Part:
    """What one gate of the circuit, or one qubit's read-out, adds.

    Attributes:
        gate: its name, or ``"read-out"``.
        channel: the channel that is uncertain, or ``"read-out"``.
        qubits: the physical qubits it acts on.
        sizes: what it adds to each observable.
    """

    gate: str
    channel: str
    qubits: tuple[int, ...]
    sizes: tuple[float, ...]


@dataclass(frozen=True)
class Uncertainty:
    """How far each expectation of a circuit on a device of the interval may be from the snapshot's.

    Attributes:
        sizes: a bound for each observable, in operator norm of what is measured, for every input.
        parts: where they come from, in the circuit's order, read-out last.
    """

    sizes: tuple[float, ...]
    parts: tuple[Part, ...]

    def by(self, name: str) -> dict[str, float]:
        """The largest size over the observables, grouped by ``gate``, ``channel`` or ``qubits``.

        Largest first: the calibration that is most worth repeating.
        """
        groups: dict[str, list[float]] = {}
        for part in self.parts:
            sums = groups.setdefault(str(getattr(part, name)), [0.0] * len(part.sizes))
            sums[:] = [a + b for a, b in zip(sums, part.sizes, strict=True)]
        ordered = sorted(groups, key=lambda key: -max(groups[key]))
        return {key: max(groups[key]) for key in ordered}

    def slack(self, weights: NDArray[np.float64]) -> float:
        """How far the margin between any two classes may lie lower, for logits ``weights @ expectations``.

        Args:
            weights: ``(classes, observables)``; a bias changes nothing.

        >>> Uncertainty((0.25, 0.125), ()).slack(2 * np.eye(2))
        0.75
        """
        between = np.abs(weights[:, None, :] - weights[None, :, :])  # (classes, classes, observables)
        return float((between @ np.array(self.sizes)).max())


def uncertainty(fit: Mapped, device: Device, relative: float) -> Uncertainty:
    """Bounds on ``||M_k(true) - M_k(snapshot)||``, whatever the inputs and the trained angles.

    The true device is any whose T1, T2, gate errors, read-out errors and ZZ shifts each lie within
    ``relative`` of the snapshot's; durations are set, not measured, and exact. ``fit`` is kept: the same
    circuit on the same qubits.

    Args:
        fit: the circuit as the device runs it, :func:`robustq.noise.mapped`.
        device: the snapshot.
        relative: in [0, 1).

    Raises:
        CircuitError: unless ``0 <= relative < 1``.

    >>> from robustq.circuits import ansaetze, z
    >>> from robustq.noise import mapped
    >>> device = Device.bundled("manila")
    >>> fit = mapped(ansaetze.brickwork(2), [z(0)], device)
    >>> bounds = uncertainty(fit, device, 0.1)
    >>> round(bounds.sizes[0], 4), next(iter(bounds.by("gate")))
    (0.0161, 'cz')
    """
    if not 0 <= relative < 1:
        raise CircuitError(f"uncertainty: expected relative in [0, 1), got {relative}")
    low, high = (_all_numbers(device, 1 + sign * relative) for sign in (-1, 1))
    fits = tuple(fit.on(one) for one in (low, device, high))
    pieces = [tuple(_pieces(observable)) for observable in fit.observables]
    parts = (*_gate_parts(fits, pieces), *_readout_parts(fits, pieces))
    sizes = tuple(math.fsum(part.sizes[k] for part in parts) * (1 + ROUNDING) for k in range(len(pieces)))
    return Uncertainty(sizes, parts)


Piece = tuple[float, tuple[int, ...]]  # half the range of a term of an observable, and its qubits
Fits = Sequence[Mapped]  # every number low, as calibrated, high


def _all_numbers(device: Device, factor: float) -> Device:
    qubits, couplings = rescaled(device.qubits, device.couplings, lambda: factor)
    return replace(device, qubits=qubits, couplings=couplings)


def _pieces(observable: Observable) -> Iterator[Piece]:
    """The terms of an observable, whose light cones differ."""
    if isinstance(observable, PauliSum):
        yield from ((abs(c), tuple(q for q, _ in word)) for c, word in observable.terms)
    elif isinstance(observable, Projector):
        yield 0.5, observable.on
    else:
        raise CircuitError(f"uncertainty: expected Pauli sums or projectors, got {observable!r}")


def _gate_parts(fits: Fits, pieces: Sequence[Sequence[Piece]]) -> list[Part]:
    """One part for every channel that some observable can see, backwards through the circuit."""
    fit = fits[1]
    cones = [[set(on) for _, on in own] for own in pieces]
    parts = []
    for operation in reversed(fit.circuit.operations):
        for key, size in reversed(_changes(fits, operation).items()):
            name, on = key
            sizes = tuple(
                size * sum(half for (half, _), cone in zip(own, seen, strict=True) if cone & {*on})
                for own, seen in zip(pieces, cones, strict=True)
            )
            _widen(cones, on)
            if any(sizes):
                parts.append(Part(operation.gate, name, _physical(fit, on), sizes))
        _widen(cones, operation.qubits)
    return parts[::-1]


def _changes(fits: Fits, operation: Operation) -> dict[tuple[str, tuple[int, ...]], float]:
    """The diamond norm of what each channel behind a gate can change, by name and qubits."""
    low, middle, high = ({(c.name, on): c for c, on in f.noise.after(operation)} for f in fits)
    return {key: CHANGES[key[0]](low.get(key), middle.get(key), high[key]) for key in high}


def _readout_parts(fits: Fits, pieces: Sequence[Sequence[Piece]]) -> Iterator[Part]:
    """A flipped column of the confusion matrix moves twice its change in total variation."""
    tables = [f.noise.readouts_of(f.circuit.qubits) for f in fits]
    for q, (low, middle, high) in enumerate(zip(*tables, strict=True)):
        size = 2 * max(_far(*(getattr(r, n) for r in (low, middle, high))) for n in ("p01", "p10"))
        sizes = tuple(size * sum(half for half, on in own if q in on) for own in pieces)
        if any(sizes):
            yield Part(READOUT, READOUT, _physical(fits[1], (q,)), sizes)


def _physical(fit: Mapped, on: Sequence[int]) -> tuple[int, ...]:
    return tuple(fit.layout[k] for k in on)


def _widen(cones: Sequence[Sequence[set[int]]], on: Sequence[int]) -> None:
    """Whatever an observable can see behind a gate, it can see in front of all its qubits."""
    for own in cones:
        for cone in own:
            if cone & {*on}:
                cone |= {*on}


def _far(low: float, middle: float, high: float) -> float:
    return max(abs(middle - low), abs(high - middle))


Three = Channel | None  # a channel that does nothing is left out of a noise model


def _relaxed(low: Three, middle: Three, high: Three) -> float:
    """``2 |da| + |dc|``: affine in the survival ``a`` of a 1 and the coherence ``c``.

    In ``a`` it is ``rho_11 (|1><1| - |0><0|)``, of diamond norm 2; in ``c`` ``(rho - Z rho Z) / 2``, of 1.
    """
    survival, coherence = (_far(*(_kept(channel, which) for channel in (low, middle, high))) for which in (0, 1))
    return 2 * survival + coherence


def _kept(channel: Three, which: int) -> float:
    assert channel is not None  # relaxation is left out for no duration only, and that is exact
    lifetime, time = float(channel.values[which]), float(channel.values[2])  # type: ignore[arg-type]
    return math.exp(-time / lifetime)


def _depolarised(qubits: int) -> Callable[[Three, Three, Three], float]:
    """Affine in ``p``: replacement less identity, of diamond norm ``2 (1 - 1 / 4**qubits)``."""
    norm = 2 * (1 - 0.25**qubits)
    return lambda *three: norm * _far(*(0.0 if c is None else c.p for c in three))


def _turned(low: Three, middle: Three, high: Three) -> float:
    """Two unitaries: twice the sine of half the angle between their extreme eigenphases' middle."""
    angle = _far(*(0.0 if c is None else c.p for c in (low, middle, high)))
    return 2 * math.sin(min(angle, math.pi) / 2)


# Channel -> the largest diamond norm of its change, from every number low, as calibrated, high.
CHANGES: Mapping[str, Callable[[Three, Three, Three], float]] = {
    "thermal-relaxation": _relaxed,
    "depolarising": _depolarised(1),
    "depolarising-2": _depolarised(2),
    "zz-crosstalk": _turned,
}
