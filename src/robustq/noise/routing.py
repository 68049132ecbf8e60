"""Fitting a circuit to a device: which physical qubits, which plays which part, where to swap.

The search is a small, deterministic relative of SABRE (Li, Ding & Xie, ASPLOS 2019): regions grow
greedily from every qubit, the best assignment in each is found by exchanging pairs and by routing
there and back, and each SWAP is the one that leaves the waiting gates and those behind them closest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.circuit import Circuit, Operation, op
from robustq.circuits.observables import Observable, PauliSum, Projector
from robustq.errors import CircuitError
from robustq.noise.calibration import PULSES
from robustq.noise.device import Device
from robustq.noise.model import NoiseModel

RealMatrix = NDArray[np.float64]

LOOKAHEAD, BEHIND = 20, 1.0  # how many gates behind the waiting ones count, and how much
OWN = 0.3  # how much a SWAP's own error counts
PATIENCE = 2  # SWAPs a qubit without progress before only those count that surely help
ROUTED, PASSES = 3, 2  # the best layouts are routed to the end, after passes there and back
LEAST_ERROR = 1e-4  # of a gate: where errors are unknown, fewer hops are still better


@dataclass(frozen=True)
class Mapped:
    """A circuit as a device would run it.

    Attributes:
        circuit: on as many qubits as before; same inputs, parameters and amplitudes, every gate on
            at most two qubits that are coupled.
        observables: the old ones on the positions where their qubits ended up.
        noise: the device's noise for these positions.
        layout: ``layout[k]`` is the physical qubit at position ``k``; qubit ``k`` starts there.
        final: ``final[q]`` is the position where qubit ``q`` ends.
        swaps: how many SWAPs were inserted.
    """

    circuit: Circuit
    observables: tuple[Observable, ...]
    noise: NoiseModel
    layout: tuple[int, ...]
    final: tuple[int, ...]
    swaps: int

    def on(self, device: Device) -> Mapped:
        """The same fit on a later snapshot of its device: nothing routed anew, other noise.

        >>> from robustq.circuits import ansaetze, z
        >>> device = Device.bundled("manila")
        >>> fitted = mapped(ansaetze.brickwork(2), [z(0)], device)
        >>> later = fitted.on(device.drifted("readout-shift"))
        >>> later.circuit == fitted.circuit, later.noise == fitted.noise
        (True, False)
        """
        return replace(self, noise=device.noise(self.layout))


Noise = NoiseModel | Device | Mapped  # what a circuit can run under; to a device it is fitted first


def mapped(circuit: Circuit, observables: Sequence[Observable], device: Device) -> Mapped:
    """Fit ``circuit`` to ``device`` so that expected errors are low; without randomness.

    Without noise the result has exactly the expectations of the original.

    Raises:
        CircuitError: if the device has too few qubits.

    >>> from robustq.circuits import ansaetze, z
    >>> fitted = mapped(ansaetze.strongly_entangling(4, layers=2), [z(0)], Device.bundled("manila"))
    >>> sorted(fitted.layout), fitted.circuit.parameters
    ([1, 2, 3, 4], 24)
    """
    if circuit.qubits > len(device.qubits):
        raise CircuitError(
            f"device {device.name!r}: expected at most {len(device.qubits)} qubits, got a circuit of {circuit.qubits}"
        )
    for observable in observables:
        if any(q >= circuit.qubits for q in observable.qubits):
            raise CircuitError(f"expected an observable on qubits 0..{circuit.qubits - 1}, got {observable.qubits}")
    operations = tuple(part for o in circuit.operations for part in _two_qubit_parts(o))
    counts = _CircuitCounts.of(circuit.qubits, operations, observables)
    losses = _DeviceLosses.of(device)
    layouts = {_settled(counts, losses, r): None for r in regions(device, circuit.qubits)}
    best = sorted(layouts, key=lambda layout: (_price(counts, losses, layout), layout))[:ROUTED]
    # dicts keep order and drop duplicates: the result does not depend on hashing
    refined = {other: None for layout in best for other in _refined(operations, losses, layout)}
    routes = [(_route(operations, losses, layout), layout) for layout in refined]
    (routed, final), layout = min(routes, key=lambda r: (_total(r[0], counts, losses, r[1]), r[1]))
    fitted = Circuit(circuit.qubits, routed, circuit.inputs, circuit.parameters, circuit.amplitudes)
    seen = tuple(_moved(o, final) for o in observables)
    swaps = len(routed) - len(operations)
    return Mapped(fitted, seen, device.noise(layout), layout, final, swaps)


def regions(device: Device, size: int) -> Iterator[tuple[int, ...]]:
    """Connected sets of ``size`` physical qubits, one grown from every qubit, best neighbour first.

    >>> next(regions(Device.bundled("manila"), 3))
    (0, 1, 2)
    """
    errors = {c.qubits: c.gate_error for c in device.couplings}
    # couplings are listed once; routing goes both ways
    errors |= {(b, a): error for (a, b), error in errors.items()}
    for seed in range(len(device.qubits)):
        region = [seed]
        while len(region) < size:
            frontier = [(e, b) for (a, b), e in errors.items() if a in region and b not in region]
            costs = [(e + _reading(device, b), b) for e, b in frontier]
            region.append(min(costs)[1])
        yield tuple(sorted(region))


def _reading(device: Device, qubit: int) -> float:
    return (device.qubits[qubit].p01 + device.qubits[qubit].p10) / 2


@dataclass(frozen=True, eq=False)
class _CircuitCounts:
    """What a circuit asks of its qubits: gates of each pair, pulses and reads of each qubit."""

    pairs: RealMatrix
    pulses: RealMatrix
    reads: RealMatrix

    @staticmethod
    def of(qubits: int, operations: Sequence[Operation], observables: Sequence[Observable]) -> _CircuitCounts:
        pairs, pulses, reads = np.zeros((qubits, qubits)), np.zeros(qubits), np.zeros(qubits)
        for o in operations:
            if len(o.qubits) == 2:
                pairs[o.qubits] += 1
                pairs[o.qubits[::-1]] += 1
            else:
                pulses[o.qubits[0]] += PULSES.get(o.gate, 1)
        for observable in observables:
            reads[list(observable.qubits)] = 1
        return _CircuitCounts(pairs, pulses, reads)


@dataclass(frozen=True, eq=False)
class _DeviceLosses:
    """What a device offers, by physical qubit: distances, and errors as ``-log(1 - error)``.

    Distances leave a region where a shorter way leads through other qubits, so the routing
    computes them anew inside the chosen one.
    """

    gates: RealMatrix  # infinite where there is no coupling
    pulses: RealMatrix
    reads: RealMatrix

    @staticmethod
    def of(device: Device) -> _DeviceLosses:
        gates = np.full((len(device.qubits),) * 2, math.inf)
        for c in device.couplings:
            a, b = c.qubits
            gates[a, b] = gates[b, a] = _loss(c.gate_error) + LEAST_ERROR
        pulses = [_loss(q.gate_error) for q in device.qubits]
        reads = [_loss(_reading(device, q)) for q in range(len(device.qubits))]
        return _DeviceLosses(gates, np.array(pulses), np.array(reads))

    def inside(self, layout: Sequence[int]) -> tuple[RealMatrix, RealMatrix, RealMatrix]:
        """Gate losses, their shortest-path sums and hops, by position in ``layout``."""
        gates = self.gates[np.ix_(layout, layout)]
        return gates, _shortest(gates), _shortest(np.where(np.isfinite(gates), 1.0, math.inf))


def _loss(error: float) -> float:
    # logarithms of success add up along a path; a dead gate costs much, not infinitely much
    return -math.log(max(1 - error, 1e-9))


def _shortest(steps: RealMatrix) -> RealMatrix:
    """All shortest paths (Floyd and Warshall)."""
    best = steps.copy()
    np.fill_diagonal(best, 0.0)
    for k in range(len(best)):
        best = np.minimum(best, best[:, k, None] + best[None, k])
    return best


def _settled(counts: _CircuitCounts, losses: _DeviceLosses, region: tuple[int, ...]) -> tuple[int, ...]:
    """The region in the order in which its qubits play their parts: exchanges until none helps."""
    layout, price = region, _price(counts, losses, region)
    improved = True
    while improved:
        improved = False
        for i, j in itertools.combinations(range(len(region)), 2):
            other = list(layout)
            other[i], other[j] = other[j], other[i]
            cheaper = _price(counts, losses, tuple(other))
            # beyond rounding, so that equal layouts cannot be exchanged for ever
            if cheaper < price - 1e-12:
                layout, price, improved = tuple(other), cheaper, True
    return layout


def _price(counts: _CircuitCounts, losses: _DeviceLosses, layout: tuple[int, ...]) -> float:
    """The expected loss: a gate between qubits at a distance pays three gates a further hop."""
    gates, ways, _ = losses.inside(layout)
    # a SWAP is three two-qubit gates
    apart = np.where(np.isfinite(gates), gates, 3 * ways)
    np.fill_diagonal(apart, 0.0)
    chosen = list(layout)
    return float(
        (counts.pairs * apart).sum() / 2 + counts.pulses @ losses.pulses[chosen] + counts.reads @ losses.reads[chosen]
    )


def _refined(
    operations: Sequence[Operation], losses: _DeviceLosses, layout: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """The layout, and those found by routing the circuit there and back again."""
    for _ in range(PASSES):
        yield layout
        # the reversed circuit ends where the forward one would like to begin (SABRE's reverse traversal)
        for way in (operations, operations[::-1]):
            _, final = _route(way, losses, layout)
            layout = tuple(layout[position] for position in final)
    yield layout


def _route(
    operations: Sequence[Operation], losses: _DeviceLosses, layout: tuple[int, ...]
) -> tuple[tuple[Operation, ...], tuple[int, ...]]:
    """The operations on positions with SWAPs between, and where every qubit ends."""
    gates, ways, hops = losses.inside(layout)
    place, waiting, waited = list(range(len(layout))), list(operations), 0
    routed: list[Operation] = []
    while waiting:
        ready, waiting = _ready(waiting, place, hops)
        routed += [Operation(o.gate, tuple(place[q] for q in o.qubits), o.angles) for o in ready]
        waited = 0 if ready else waited + 1
        if waiting:
            front, ahead = _ahead(waiting)
            swaps = _swaps(front, place, gates)
            if waited > PATIENCE * len(layout):  # going round in circles: only what must help
                swaps = [swap for swap in swaps if _closer(front[0], place, swap, hops)]
            a, b = min(swaps, key=lambda swap: _worth(swap, place, front, ahead, gates, ways))
            routed.append(op("swap", a, b))
            place = _exchanged(place, a, b)
    return tuple(routed), tuple(place)


def _ready(
    waiting: Sequence[Operation], place: Sequence[int], hops: RealMatrix
) -> tuple[list[Operation], list[Operation]]:
    """What can run now, in order, and what has to wait for a SWAP or for what waits."""
    ready: list[Operation] = []
    left: list[Operation] = []
    blocked: set[int] = set()
    for o in waiting:
        apart = len(o.qubits) == 2 and hops[place[o.qubits[0]], place[o.qubits[1]]] > 1
        # behind a gate that waits, everything on its qubits waits, in order
        if apart or not blocked.isdisjoint(o.qubits):
            blocked.update(o.qubits)
            left.append(o)
        else:
            ready.append(o)
    return ready, left


def _ahead(waiting: Sequence[Operation]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The pairs that wait for nothing but a SWAP, and the next ones behind them."""
    front: list[tuple[int, ...]] = []
    behind: list[tuple[int, ...]] = []
    blocked: set[int] = set()
    for o in waiting:
        if len(o.qubits) == 2:
            (front if blocked.isdisjoint(o.qubits) else behind).append(o.qubits)
        blocked.update(o.qubits)
        if len(behind) == LOOKAHEAD:
            break
    return front, behind


def _swaps(front: Sequence[tuple[int, ...]], place: Sequence[int], gates: RealMatrix) -> list[tuple[int, int]]:
    """Every coupling of a position that waits, in order."""
    pairs = set()
    for a in {place[q] for pair in front for q in pair}:
        for b in np.flatnonzero(np.isfinite(gates[a])).tolist():
            pairs.add((min(a, b), max(a, b)))
    return sorted(pairs)


def _closer(pair: tuple[int, ...], place: list[int], swap: tuple[int, int], hops: RealMatrix) -> bool:
    first, second = pair
    after = _exchanged(place, *swap)
    return bool(hops[after[first], after[second]] < hops[place[first], place[second]])


def _worth(
    swap: tuple[int, int],
    place: list[int],
    front: Sequence[tuple[int, ...]],
    ahead: Sequence[tuple[int, ...]],
    gates: RealMatrix,
    ways: RealMatrix,
) -> float:
    """The price of a SWAP and of the distances it leaves (equation 2 of Li, Ding & Xie)."""
    after = np.array(_exchanged(place, *swap))
    left = ways[tuple(after[np.array(front).T])].mean()
    later = ways[tuple(after[np.array(ahead).T])].mean() if ahead else 0.0
    return float(OWN * gates[swap] + left + BEHIND * later)


def _exchanged(place: list[int], a: int, b: int) -> list[int]:
    return [b if p == a else a if p == b else p for p in place]


def _total(
    route: tuple[tuple[Operation, ...], tuple[int, ...]],
    counts: _CircuitCounts,
    losses: _DeviceLosses,
    layout: tuple[int, ...],
) -> float:
    """The loss of a whole route."""
    operations, final = route
    gates, _, _ = losses.inside(layout)
    pairs = [(3 if o.gate == "swap" else 1) * gates[o.qubits] for o in operations if len(o.qubits) == 2]
    pulses = [PULSES.get(o.gate, 1) * losses.pulses[layout[o.qubits[0]]] for o in operations if len(o.qubits) == 1]
    reads = losses.reads[[layout[p] for p in final]]
    return float(sum(pairs) + sum(pulses) + counts.reads @ reads)


def _two_qubit_parts(o: Operation) -> tuple[Operation, ...]:
    """The operation itself, or a three-qubit gate as gates of one and two qubits."""
    if o.gate == "ccx":
        return _toffoli(*o.qubits)
    if o.gate == "cswap":
        control, a, b = o.qubits
        return (op("cx", b, a), *_toffoli(control, a, b), op("cx", b, a))
    return (o,)


def _toffoli(a: int, b: int, c: int) -> tuple[Operation, ...]:
    """Six CNOTs (Nielsen & Chuang, figure 4.9)."""
    script = (
        ("h", c),
        ("cx", b, c),
        ("tdg", c),
        ("cx", a, c),
        ("t", c),
        ("cx", b, c),
        ("tdg", c),
        ("cx", a, c),
        ("t", b),
        ("t", c),
        ("h", c),
        ("cx", a, b),
        ("t", a),
        ("tdg", b),
        ("cx", a, b),
    )
    return tuple(op(str(name), *map(int, qubits)) for name, *qubits in script)


def _moved(observable: Observable, final: tuple[int, ...]) -> Observable:
    """The observable on the positions where its qubits are."""
    if isinstance(observable, Projector):
        return Projector(observable.states, tuple(final[q] for q in observable.on))
    if isinstance(observable, PauliSum):
        return PauliSum(
            tuple((c, tuple(sorted((final[q], letter) for q, letter in word))) for c, word in observable.terms)
        )
    raise CircuitError(f"expected a Pauli sum or a projector, got {type(observable).__name__}")
