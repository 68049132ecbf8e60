"""A circuit is frozen data: gates on qubits, with angles that are slots to be filled later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from robustq.circuits.angles import Angle
from robustq.circuits.gates import gate
from robustq.errors import CircuitError

MOST_QUBITS = 64  # far beyond any state vector; keeps 2**qubits a number


@dataclass(frozen=True)
class Operation:
    """One gate on named qubits.

    >>> op("rx", 0, angles=[0.5]).has_inputs
    False
    """

    gate: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()

    def __post_init__(self) -> None:
        row = gate(self.gate)
        if len(self.qubits) != row.qubits or len(set(self.qubits)) != len(self.qubits):
            raise CircuitError(f"gate {self.gate!r}: expected {row.qubits} different qubit(s), got {self.qubits}")
        if len(self.angles) != row.parameters:
            raise CircuitError(f"gate {self.gate!r}: expected {row.parameters} angle(s), got {len(self.angles)}")

    @property
    def has_inputs(self) -> bool:
        """Whether any angle depends on the input features."""
        return any(angle.has_inputs for angle in self.angles)

    def inverse(self) -> Operation:
        """The operation that undoes this one."""
        negated = tuple(-angle for angle in self.angles)
        if self.gate == "rot":
            negated = negated[::-1]
        elif self.gate == "u3":
            negated = (negated[0], negated[2], negated[1])
        return Operation(gate(self.gate).inverse, self.qubits, negated)


def op(name: str, *qubits: int, angles: Iterable[Angle | float] = ()) -> Operation:
    """An operation, with numbers taken as constant angles.

    >>> op("cx", 0, 1).qubits
    (0, 1)
    """
    return Operation(name, qubits, tuple(Angle.of(angle) for angle in angles))


@dataclass(frozen=True)
class Circuit:
    """A sequence of operations, starting from |0...0> or from amplitudes of the input.

    Attributes:
        qubits: number of qubits; qubit 0 is the most significant bit.
        operations: in order of application.
        inputs: length of the feature vector it takes.
        parameters: number of trainable slots.
        amplitudes: how many leading features are loaded as (normalised, zero-padded) amplitudes
            of the starting state; 0 starts from |0...0>.

    >>> from robustq.circuits import theta, x
    >>> circuit = Circuit.of(2, [op("ry", 0, angles=[x(0)]), op("cx", 0, 1)])
    >>> circuit.inputs, circuit.parameters
    (1, 0)
    """

    qubits: int
    operations: tuple[Operation, ...]
    inputs: int = 0
    parameters: int = 0
    amplitudes: int = 0
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        _check(self)
        key = (self.qubits, self.operations, self.inputs, self.parameters, self.amplitudes)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Circuit], tuple[object, ...]]:
        # The hash of a string differs from process to process, so it is made anew.
        fields = (self.qubits, self.operations, self.inputs, self.parameters, self.amplitudes)
        return Circuit, fields

    @staticmethod
    def of(qubits: int, operations: Iterable[Operation], amplitudes: int = 0) -> Circuit:
        """A circuit whose slot counts are the highest index used, plus one."""
        listed = tuple(operations)
        inputs, parameters = _slot_counts(listed)
        return Circuit(qubits, listed, max(inputs, amplitudes), parameters, amplitudes)

    def then(self, other: Circuit) -> Circuit:
        """The circuit followed by ``other``: inputs shared, trainable slots renumbered."""
        if other.qubits != self.qubits:
            raise CircuitError(f"expected {self.qubits} qubits, got {other.qubits}")
        if other.amplitudes:
            raise CircuitError("expected amplitude loading to come first, got it in the middle")
        moved = tuple(
            Operation(o.gate, o.qubits, tuple(a.shifted(self.parameters) for a in o.angles)) for o in other.operations
        )
        return Circuit(
            self.qubits,
            self.operations + moved,
            max(self.inputs, other.inputs),
            self.parameters + other.parameters,
            self.amplitudes,
        )

    def inverse(self) -> Circuit:
        """The circuit that undoes this one (only for circuits that start from |0...0>)."""
        if self.amplitudes:
            raise CircuitError("expected a circuit without amplitude loading, got one with it")
        undone = tuple(o.inverse() for o in reversed(self.operations))
        return Circuit(self.qubits, undone, self.inputs, self.parameters)

    @property
    def counts(self) -> dict[str, int]:
        """How often each gate occurs."""
        return dict(Counter(o.gate for o in self.operations))

    @property
    def two_qubit_gates(self) -> int:
        """How many operations touch two or more qubits."""
        return sum(len(o.qubits) > 1 for o in self.operations)

    @property
    def depth(self) -> int:
        """Length of the longest chain of operations that must follow one another."""
        level = [0] * self.qubits
        for o in self.operations:
            deepest = 1 + max(level[q] for q in o.qubits)
            for q in o.qubits:
                level[q] = deepest
        return max(level)


def _slot_counts(operations: Iterable[Operation]) -> tuple[int, int]:
    counts = {"x": 0, "theta": 0}
    for operation in operations:
        for angle in operation.angles:
            for slot in angle.slots:
                counts[slot.kind] = max(counts[slot.kind], slot.number + 1)
    return counts["x"], counts["theta"]


def _check(circuit: Circuit) -> None:
    if not 1 <= circuit.qubits <= MOST_QUBITS:
        raise CircuitError(f"expected 1 to {MOST_QUBITS} qubits, got {circuit.qubits}")
    if not 0 <= circuit.amplitudes <= 2**circuit.qubits:
        raise CircuitError(f"expected at most {2**circuit.qubits} amplitudes, got {circuit.amplitudes}")
    for operation in circuit.operations:
        if not all(0 <= q < circuit.qubits for q in operation.qubits):
            raise CircuitError(
                f"expected qubits in 0..{circuit.qubits - 1}, got {operation.qubits} for gate {operation.gate!r}"
            )
    inputs, parameters = _slot_counts(circuit.operations)
    if max(inputs, circuit.amplitudes) > circuit.inputs:
        raise CircuitError(f"expected inputs >= {max(inputs, circuit.amplitudes)}, got {circuit.inputs}")
    if parameters > circuit.parameters:
        raise CircuitError(f"expected parameters >= {parameters}, got {circuit.parameters}")
