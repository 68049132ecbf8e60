"""The order in which the native kernel runs a circuit: few passes over the state.

Primitives are put into the earliest of alternating slots (phases, turns, relabellings) that keeps the
order on every qubit; what shares a slot is done in one pass. Leading gates on a single qubit form the
*opening*: a product state, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from robustq.circuits.circuit import Circuit
from robustq.engine.lowering import permutation
from robustq.engine.primitives import Phase, Primitive, Relabelling, Turn, primitives

KINDS: tuple[type, ...] = (Phase, Turn, Relabelling)  # slot s holds KINDS[s % 3]
MOST_TURNS = 40  # without phases between, after which the norm that turns leave out is put back
Places = NDArray[np.int32]


@dataclass(frozen=True)
class Step:
    """One pass: turns on different qubits or phases, all of them ``batched`` or none.

    ``places[b]`` is where the amplitude of basis state ``b`` is kept while it runs.
    """

    batched: bool
    places: Places = field(repr=False)
    factors: tuple[Turn | Phase, ...]
    turns: bool

    @property
    def qubits(self) -> int:
        """How many qubits turn, or share a phase."""
        return len({f.qubit if isinstance(f, Turn) else f.qubits for f in self.factors})


@dataclass(frozen=True)
class Schedule:
    """The opening, the steps, and where the amplitudes lie at the end."""

    opening: tuple[Turn | Phase, ...]
    steps: tuple[Step, ...]
    places: Places = field(repr=False)


@lru_cache(maxsize=256)
def schedule(circuit: Circuit) -> Schedule:
    """The passes of ``circuit``.

    >>> from robustq.circuits import ansaetze, encodings
    >>> made = schedule(encodings.angle(4).then(ansaetze.strongly_entangling(4, layers=2)))
    >>> len(made.opening), [(s.turns, s.qubits) for s in made.steps]
    (16, [(False, 4), (True, 4), (False, 4)])
    """
    listed = [p for o in circuit.operations for p in primitives(o)]
    opening, rest = _opening(listed, circuit.qubits) if not circuit.amplitudes else ((), listed)
    places = np.arange(2**circuit.qubits, dtype=np.int32)
    steps: list[Step] = []
    turned = 0
    for slot in _slots(rest, circuit.qubits):
        for primitive in slot:
            if isinstance(primitive, Relabelling):
                places = places[permutation(primitive.operation, circuit.qubits)]
        for step in _passes(slot, places):
            if step.turns and not step.batched:
                turned += len(step.factors)
            elif not step.batched:
                turned = 0
            # an empty pass of phases puts the norm back before the factors left out over- or underflow
            if turned > MOST_TURNS:
                steps.append(Step(False, places, (), turns=False))
                turned = len(step.factors)
            steps.append(step)
    return Schedule(opening, tuple(steps), places)


def _on(primitive: Primitive) -> tuple[int, ...]:
    if isinstance(primitive, Turn):
        return (primitive.qubit,)
    return primitive.qubits if isinstance(primitive, Phase) else primitive.operation.qubits


def _opening(listed: list[Primitive], qubits: int) -> tuple[tuple[Turn | Phase, ...], list[Primitive]]:
    entangled = [False] * qubits
    opening: list[Turn | Phase] = []
    rest: list[Primitive] = []
    for primitive in listed:
        on = _on(primitive)
        if not isinstance(primitive, Relabelling) and len(on) == 1 and not entangled[on[0]]:
            opening.append(primitive)
        else:
            rest.append(primitive)
            for q in on:
                entangled[q] = True
    return tuple(opening), rest


def _slots(listed: list[Primitive], qubits: int) -> Iterator[list[Primitive]]:
    """The primitives by slot, in order of slots."""
    last = [-1] * qubits  # the latest slot that touches each qubit
    slots: dict[int, list[Primitive]] = {}
    for primitive in listed:
        kind = next(k for k, cls in enumerate(KINDS) if isinstance(primitive, cls))
        after = max(last[q] for q in _on(primitive))
        # A slot's members run in their order, and all but relabellings of one slot commute.
        slot = after if after % 3 == kind and after >= 0 else after + 1 + (kind - after - 1) % 3
        slots.setdefault(slot, []).append(primitive)
        for q in _on(primitive):
            last[q] = slot
    for slot in sorted(slots):
        yield slots[slot]


def _passes(slot: list[Primitive], places: Places) -> Iterator[Step]:
    """Shared and batched members apart; the turns of a qubit side by side."""
    turns = isinstance(slot[0], Turn)
    # members of a slot commute, so shared ones may go first: one table for the whole batch
    for batched in (False, True):
        members = [p for p in slot if not isinstance(p, Relabelling) and p.angle.has_inputs == batched]
        if members:
            yield Step(batched, places, tuple(sorted(members, key=_on)), turns=turns)
