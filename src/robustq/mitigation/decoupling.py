"""Dynamical decoupling, where idle time is modelled: pulses that undo what a waiting qubit picks up.

A device's noise strikes after gates (:meth:`robustq.noise.Device.noise`); nothing happens to a qubit that
waits. :func:`timed` adds the clock: every gate as late as possible, every waiting qubit filled with explicit
identities ``i``, one for each slot of half a pulse, and rules by which it relaxes, drifts and couples to its
neighbours in them. :func:`decoupled` then puts pairs of pulses into the waits (Viola, Knill & Lloyd, PRL 82,
2417 (1999)); neighbours flip out of step, so that their ZZ coupling cancels too (Tripathi et al.,
arXiv:2108.04530; Niu, Todri-Sanial & Bronn, arXiv:2403.05391).

The ZZ coupling is always on: in every slot, for every coupled pair that does not share a gate. Its place is an
identity too, a two-qubit rotation by zero of a kind that the circuit does not use.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from robustq.circuits.circuit import Circuit, Operation, op
from robustq.errors import CircuitError, unknown_name
from robustq.noise import Channel, Coupling, Device, Mapped, NoiseModel, Rule
from robustq.noise.calibration import ENTANGLERS, PULSES

HALVES = 2  # slots a pulse: its flip is in the middle
ROOM = 4  # slots from flip to flip at least, so that half of a wait is free of pulses
RARE = 8  # the same where pulses come in trains
MARKS = ("rzz", "cp", "crz", "rxx", "ryy", "crx", "cry")  # two-qubit rotations; one marks a ZZ slot


@dataclass(frozen=True)
class PulseSequence:
    """One row of the table of sequences.

    Attributes:
        pulses: gates in order; together the identity.
        train: whether they are repeated as often as there is room.
        summary: one sentence.
        reference: where it comes from.
    """

    pulses: tuple[str, ...]
    train: bool
    summary: str
    reference: str


SEQUENCES: Mapping[str, PulseSequence] = {
    "xx": PulseSequence(("x", "x"), False, "one pair of X a wait", "Viola, Knill & Lloyd, PRL 82, 2417 (1999)"),
    "xy4": PulseSequence(
        ("x", "y", "x", "y"), False, "X Y X Y, once a wait", "Maudsley, J. Magn. Reson. 69, 488 (1986)"
    ),
    "cpmg": PulseSequence(
        ("y", "y"),
        True,
        "pairs of Y, as many as there is room for",
        "Meiboom & Gill, Rev. Sci. Instrum. 29, 688 (1958)",
    ),
}


@dataclass(frozen=True)
class Placed:
    """An operation on the clock: its first slot, how many it takes, and the slot before which it acts."""

    operation: Operation
    start: int
    length: int
    at: int


@dataclass(frozen=True)
class Window:
    """Slots ``start .. start + length`` in which a qubit waits between two of its gates."""

    qubit: int
    start: int
    length: int


@dataclass(frozen=True)
class Timed:
    """A fit to a device with its waits filled in.

    Attributes:
        fitted: circuit, observables and noise; runs wherever a fit does (``QuantumNet.freeze`` too). After a
            drift of the device fit it anew: ``fitted.on`` knows no slots.
        slot: seconds of one slot, half a pulse.
        slots: of the whole circuit.
        windows: where qubits wait between gates, or after amplitude loading.
        pulses: how many decoupling pulses were put into them.
    """

    fitted: Mapped
    slot: float
    slots: int
    windows: tuple[Window, ...]
    pulses: int
    _schedule: tuple[Placed, ...]
    _pairs: tuple[tuple[int, int], ...]  # that couple
    _mark: str

    @property
    def duration(self) -> float:
        """Seconds of the whole circuit, without read-out."""
        return self.slot * self.slots


def timed(fitted: Mapped, device: Device, *, detuning: Sequence[float] = ()) -> Timed:
    """Put a fitted circuit on the clock of its device.

    Gates last as long as their physical gates (``PULSES``, ``ENTANGLERS``), rounded up to whole pulses of the slowest
    qubit, and start as late as possible. What strikes after gates is the device's, without its lumped
    crosstalk; a waiting qubit relaxes for the slot, and so does a gate's for what was rounded up.

    Args:
        fitted: what :func:`robustq.noise.mapped` returned for this device.
        device: its calibration.
        detuning: by how many hertz each position is off, the same in every shot; none by default. Average
            over draws for a drift that is slow but not constant.

    Raises:
        CircuitError: if durations of pulses or of used couplings are zero, or detunings do not fit.

    >>> from robustq.circuits import ansaetze, z
    >>> from robustq.noise import mapped
    >>> device = Device.bundled("guadalupe")
    >>> waiting = timed(mapped(ansaetze.brickwork(4), [z(0)], device), device)
    >>> waiting.pulses, len(waiting.windows) > 0, decoupled(waiting, "xx").pulses > 0
    (0, True, True)
    """
    clock = _Clock.of(fitted, device)
    if detuning and len(detuning) != fitted.circuit.qubits:
        raise CircuitError(f"expected a detuning for each of {fitted.circuit.qubits} positions, got {len(detuning)}")
    operations = [o for o in fitted.circuit.operations if o.gate != "i"]
    schedule = _latest(operations, fitted.circuit.qubits, clock)
    slots = max((p.start + p.length for p in schedule), default=0)
    mark = _free({o.gate for o in operations})
    noisy = replace(fitted, noise=clock.noise(mark, detuning))
    windows = tuple(_windows(schedule, fitted.circuit, slots))
    coupled = tuple(pair for pair, c in clock.couplings.items() if c.zz)
    return _written(Timed(noisy, clock.slot, slots, windows, 0, tuple(schedule), coupled, mark))


def _free(used: Set[str]) -> str:
    """A two-qubit rotation that the circuit does not use."""
    for name in MARKS:
        if name not in used:
            return name
    raise CircuitError(f"timing: expected one of {', '.join(MARKS)} to be free, got all in use")


def decoupled(waiting: Timed, sequence: str = "xx") -> Timed:
    """Put a sequence of pulses into every wait that is long enough.

    Each flips the qubit for exactly half of the wait, so that a constant detuning cancels, whatever it is. Qubits
    whose ZZ coupling is not zero flip a quarter of a period apart, or twice as often: over a common wait
    their coupling cancels, to within one pulse. Pulses have the device's noise. White noise (T1, and T2 as a rate)
    has no memory that a pulse could undo.

    Raises:
        SpecError: if there is no such sequence.
        CircuitError: if there are pulses already.
    """
    if sequence not in SEQUENCES:
        raise unknown_name("decoupling sequence", sequence, SEQUENCES)
    if waiting.pulses:
        raise CircuitError(f"expected a circuit without decoupling, got {waiting.pulses} pulses")
    row, colours = SEQUENCES[sequence], _colours(waiting._pairs, waiting.fitted.circuit.qubits)
    added = [
        Placed(op(name, window.qubit), at - 1, HALVES, at)
        for window in waiting.windows
        for name, at in _pulses(window, row, colours[window.qubit])
    ]
    schedule = (*waiting._schedule, *added)
    return _written(replace(waiting, pulses=len(added), _schedule=schedule))


@dataclass(frozen=True)
class _Clock:
    """Durations by position, in slots, and the noise that follows from them."""

    device: Device
    layout: tuple[int, ...]
    slot: float
    couplings: Mapping[tuple[int, int], Coupling]  # by positions, the lower first

    @staticmethod
    def of(fitted: Mapped, device: Device) -> _Clock:
        position = {physical: k for k, physical in enumerate(fitted.layout)}
        inside = {}
        for coupling in device.couplings:
            if set(coupling.qubits) <= set(position):
                a, b = (position[q] for q in coupling.qubits)
                inside[min(a, b), max(a, b)] = coupling
        used = {tuple(sorted(o.qubits)) for o in fitted.circuit.operations if len(o.qubits) == 2}
        pulses = [device.qubits[q].gate_duration for q in fitted.layout]
        joint = [c.gate_duration for pair, c in inside.items() if pair in used]
        if min(pulses + joint) <= 0:
            raise CircuitError(
                f"device {device.name!r}: expected durations > 0 of every pulse and coupling in use, got 0; "
                "without timing there is nothing to decouple"
            )
        return _Clock(device, fitted.layout, max(pulses) / HALVES, inside)

    def length(self, operation: Operation) -> int:
        """Slots of a gate: whole pulses."""
        if len(operation.qubits) == 1:
            return HALVES * PULSES[operation.gate]
        coupling = self.couplings.get((min(operation.qubits), max(operation.qubits)))
        if coupling is None or len(operation.qubits) > 2:
            raise CircuitError(
                f"device {self.device.name!r}: expected gates on coupled qubits, got {operation.gate!r} on "
                f"{operation.qubits}; fit the circuit to the device with noise.mapped first"
            )
        return self._joint(coupling, ENTANGLERS[operation.gate])

    def _joint(self, coupling: Coupling, count: int) -> int:
        pulse = HALVES * self.slot
        # less a rounding, so that an exact multiple of a pulse is not rounded up by one
        return HALVES * math.ceil(count * coupling.gate_duration / pulse - 1e-9)

    def noise(self, mark: str, detuning: Sequence[float]) -> NoiseModel:
        """The device's noise after gates, and what happens in slots."""
        after = self.device.noise(self.layout, crosstalk=False)
        gates = _except(mark, (*after.rules, *self._rounding()))
        return replace(after, rules=(*gates, *self._waiting(detuning), *self._coupling(mark)))

    def _rounding(self) -> Iterator[Rule]:
        """Relaxation for the time by which a gate was rounded up."""
        for k, physical in enumerate(self.layout):
            qubit = self.device.qubits[physical]
            for count in (1, 2):
                left = count * (HALVES * self.slot - qubit.gate_duration)
                if left > 0:
                    yield Rule(qubit.relaxation(left), _costing(PULSES, count), (k,), width=1)
        for pair, coupling in self.couplings.items():
            for count in (1, 2, 3):
                left = self.slot * self._joint(coupling, count) - count * coupling.gate_duration
                for k in pair if left > 1e-15 else ():
                    relaxed = self.device.qubits[self.layout[k]].relaxation(left)
                    yield Rule(relaxed, _costing(ENTANGLERS, count), pair, on=(k,))

    def _waiting(self, detuning: Sequence[float]) -> Iterator[Rule]:
        """What a qubit suffers in a slot of its own."""
        for k, physical in enumerate(self.layout):
            relaxed = self.device.qubits[physical].relaxation(self.slot)
            yield Rule(relaxed, ("i",), (k,))
            if detuning and detuning[k]:
                turn = 2 * math.pi * detuning[k] * self.slot
                yield Rule(Channel("over-rotation", "z", turn), ("i",), (k,))

    def _coupling(self, mark: str) -> Iterator[Rule]:
        """What a pair suffers in a slot."""
        for pair, coupling in self.couplings.items():
            if coupling.zz:
                turn = math.pi * coupling.zz * self.slot
                yield Rule(Channel("zz-crosstalk", turn), (mark,), pair, on=pair)


def _except(gate: str, rules: Iterable[Rule]) -> Iterator[Rule]:
    """The rules of named gates, without one of these gates."""
    for rule in rules:
        left = tuple(name for name in rule.gates if name != gate)
        if left:
            yield replace(rule, gates=left)


def _costing(table: Mapping[str, int], count: int) -> tuple[str, ...]:
    return tuple(name for name, cost in table.items() if cost == count)


def _latest(operations: Sequence[Operation], qubits: int, clock: _Clock) -> list[Placed]:
    """Every operation as late as the ones behind it allow; the whole starts in slot 0."""
    free = [0] * qubits  # counted backwards from the end
    backwards: list[tuple[Operation, int, int]] = []
    for operation in reversed(operations):
        length = clock.length(operation)
        reach = max(free[q] for q in operation.qubits) + length
        for q in operation.qubits:
            free[q] = reach
        backwards.append((operation, reach, length))
    total = max(free)
    return [Placed(o, total - reach, n, total - reach) for o, reach, n in reversed(backwards)]


def _windows(schedule: Sequence[Placed], circuit: Circuit, slots: int) -> Iterator[Window]:
    """Waits of each qubit. Before its first gate a qubit is in |0>, where nothing is to be kept."""
    for q in range(circuit.qubits):
        busy = [p for p in schedule if q in p.operation.qubits and p.length]
        edges = [(p.start, p.start + p.length) for p in busy]
        if circuit.amplitudes:
            edges.insert(0, (0, 0))
        for (_, end), (start, _) in itertools.pairwise([*edges, (slots, slots)]):
            if start > end:
                yield Window(q, end, start - end)


def _colours(pairs: Sequence[tuple[int, int]], qubits: int) -> list[tuple[int, bool]]:
    """The first colour that no coupled neighbour has, and whether a qubit has such neighbours."""
    colours: list[int] = []
    for q in range(qubits):
        near = {colours[min(pair)] for pair in pairs if max(pair) == q}
        colours.append(next(c for c in itertools.count() if c not in near))
    return [(colours[q], any(q in pair for pair in pairs)) for q in range(qubits)]


def _pulses(window: Window, row: PulseSequence, colour: tuple[int, bool]) -> Iterator[tuple[str, int]]:
    """The pulses of a wait and the slots before which they flip; none where there is no room."""
    number, staggered = colour
    half = window.length // 2  # a wait is a whole number of pulses, so this is exact
    pairs = max(1, half // RARE) if row.train else len(row.pulses) // 2
    pairs *= 2 ** (number // 2)
    if half < ROOM * pairs:
        return
    # even and odd colours flip at different eighths of a period: their ZZ terms average out
    period = window.length / pairs
    shift = period * (1 + 2 * (number % 2)) / 8 if staggered else period / 4
    names = itertools.cycle(row.pulses)
    for k in range(pairs):
        first = round(shift + k * period)
        flipped = half * (k + 1) // pairs - half * k // pairs  # slots; in all they are half of the wait
        for place in (first, first + flipped):
            yield next(names), window.start + place


def _written(timing: Timed) -> Timed:
    """The circuit of a schedule: in every slot first what acts there, then who waits, then who couples."""
    circuit = timing.fitted.circuit
    acting: dict[int, list[Operation]] = {}
    gates: list[dict[int, int]] = [{} for _ in range(timing.slots)]  # qubit -> its gate, by slot
    for number, placed in enumerate(timing._schedule):
        acting.setdefault(placed.at, []).append(placed.operation)
        for slot in range(placed.start, placed.start + placed.length):
            gates[slot].update(dict.fromkeys(placed.operation.qubits, number))
    operations: list[Operation] = []
    for slot, busy in enumerate(gates):
        operations += acting.get(slot, [])
        operations += [op("i", q) for q in range(circuit.qubits) if q not in busy]
        for a, b in timing._pairs:
            if a not in busy or busy[a] != busy.get(b):
                # the identity, to which the noise model attaches the pair's crosstalk of this slot
                operations.append(op(timing._mark, a, b, angles=[0.0]))
    operations += acting.get(timing.slots, [])
    return replace(timing, fitted=replace(timing.fitted, circuit=replace(circuit, operations=tuple(operations))))
