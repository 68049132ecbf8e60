"""A noise model: rules that say after which gates which channels strike, and read-out error."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import lru_cache

from robustq.circuits.circuit import Operation
from robustq.circuits.gates import gate
from robustq.errors import CircuitError
from robustq.noise.channels import Channel

PlacedChannel = tuple[Channel, tuple[int, ...]]  # a channel and the qubits it acts on, in order


@dataclass(frozen=True)
class Readout:
    """Read-out error of a qubit, independent of the others.

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
class Rule:
    """A channel and the gates after which it strikes.

    Without ``on`` the channel strikes what the gate touched: a one-qubit channel every touched
    qubit, a two-qubit channel every touched pair, in the gate's order. With ``on`` it strikes
    exactly those qubits, whether touched or not, which is how a gate disturbs its spectators.

    Attributes:
        channel: what happens.
        gates: names of the gates it follows; empty for any.
        qubits: without ``on``, only these qubits are struck; with ``on``, only gates on exactly
            these qubits count, in any order. Empty for any.
        width: only gates on this many qubits count; None for any.
        on: the qubits that are struck instead of the gate's own, in the channel's order.

    >>> from robustq.circuits import op
    >>> Rule(Channel("bit-flip", 0.1), gates=("cx",), qubits=(1,)).strikes(op("cx", 0, 1))
    ((Channel('bit-flip', p=0.1), (1,)),)
    """

    channel: Channel
    gates: tuple[str, ...] = ()
    qubits: tuple[int, ...] = ()
    width: int | None = None
    on: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.channel, Channel):
            raise CircuitError(f"rule: expected a Channel, got {type(self.channel).__name__}")
        if isinstance(self.gates, str):
            raise CircuitError(f"rule: expected a sequence of gate names, got {self.gates!r}")
        for name in ("gates", "qubits", "on"):  # lists are taken too, and made hashable
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in self.gates:
            gate(name)
        for places in (self.qubits, self.on):
            if len(set(places)) != len(places) or any(q < 0 for q in places):
                raise CircuitError(f"rule: expected different qubits >= 0, got {places}")
        if self.on and len(self.on) != self.channel.qubits:
            raise CircuitError(f"rule: expected {self.channel.qubits} qubit(s) to strike, got on={self.on}")

    def strikes(self, operation: Operation) -> tuple[PlacedChannel, ...]:
        """What happens after ``operation``: channels with the qubits they act on."""
        touched, only = operation.qubits, set(self.qubits)
        if self.gates and operation.gate not in self.gates:
            return ()
        if self.width is not None and len(touched) != self.width:
            return ()
        if self.on:
            return () if only and only != set(touched) else ((self.channel, self.on),)
        groups = itertools.combinations(touched, self.channel.qubits)
        return tuple((self.channel, group) for group in groups if not only or only >= set(group))


@dataclass(frozen=True)
class NoiseModel:
    """Rules in order of application, then read-out error.

    Amplitude loading is taken as perfect, because it has no gates here.

    Attributes:
        rules: what follows which gates; every rule that matches strikes, in this order.
        readout: read-out error of the qubits that ``readouts`` does not name.
        readouts: ``(qubit, Readout)`` for qubits with a read-out error of their own.
        couplings: pairs that may share a gate; None for any gate on any qubits. A circuit that
            breaks it is refused, because the rules say nothing about such a gate.

    >>> NoiseModel.uniform(gate_error=0.01, readout_error=0.02).rules
    (Rule(channel=Channel('depolarising', p=0.01), gates=(), qubits=(), width=None, on=()),)
    """

    rules: tuple[Rule, ...] = ()
    readout: Readout = Readout()
    readouts: tuple[tuple[int, Readout], ...] = ()
    couplings: tuple[tuple[int, int], ...] | None = None
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))  # a list is taken too
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise CircuitError(f"noise model: expected rules, got {type(rule).__name__}")
        if len(dict(self.readouts)) != len(self.readouts):
            raise CircuitError("noise model: expected one read-out a qubit, got two for one")
        ordered = tuple(sorted(self.readouts, key=lambda pair: pair[0]))
        object.__setattr__(self, "readouts", ordered)
        key = (self.rules, self.readout, ordered, self.couplings)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:  # made once: a device's model holds hundreds of rules
        return self._hash

    def __reduce__(self) -> tuple[type[NoiseModel], tuple[object, ...]]:
        # The hash of a string differs from process to process, so it is made anew.
        return NoiseModel, (self.rules, self.readout, self.readouts, self.couplings)

    @staticmethod
    def uniform(*, gate_error: float = 0.0, readout_error: float = 0.0) -> NoiseModel:
        """Depolarising noise of ``gate_error`` after every gate, symmetric read-out flips."""
        channels = (Channel("depolarising", gate_error),) if gate_error else ()
        return NoiseModel.after_every_gate(*channels, readout=Readout(readout_error, readout_error))

    @staticmethod
    def after_every_gate(*channels: Channel, readout: Readout | None = None) -> NoiseModel:
        """The channels, in order, on whatever any gate touched.

        >>> NoiseModel.after_every_gate(Channel("bit-flip", 0.1)).has_channels
        True
        """
        return NoiseModel(tuple(map(Rule, channels)), readout or Readout())

    def after(self, operation: Operation) -> tuple[PlacedChannel, ...]:
        """The channels after ``operation`` with the qubits they act on, in order.

        Raises:
            CircuitError: if the operation is on qubits that are not coupled, or on more than two.
        """
        return _after(self, operation)

    def readouts_of(self, qubits: int) -> tuple[Readout, ...]:
        """The read-out error of each qubit of a register.

        Raises:
            CircuitError: if the model names a qubit that the register does not have.
        """
        named = [q for q, _ in self.readouts] + [q for rule in self.rules for q in rule.on]
        if named and max(named) >= qubits:
            raise CircuitError(f"noise model: expected qubits 0..{qubits - 1}, got a rule for qubit {max(named)}")
        own = dict(self.readouts)
        return tuple(own.get(q, self.readout) for q in range(qubits))

    @property
    def has_channels(self) -> bool:
        """Whether any channel can follow a gate."""
        return bool(self.rules)

    @property
    def is_trivial(self) -> bool:
        """Whether the model changes nothing."""
        own = (r for _, r in self.readouts)
        return not self.rules and all(r == Readout() for r in (self.readout, *own))


@lru_cache(maxsize=16384)
def _after(model: NoiseModel, operation: Operation) -> tuple[PlacedChannel, ...]:
    if not _may_run(model.couplings, operation.qubits):
        raise CircuitError(
            f"noise model: expected gates on one or two coupled qubits, got {operation.gate!r} on "
            f"{operation.qubits}; fit the circuit to the device with noise.mapped first"
        )
    return tuple(strike for rule in model.rules for strike in rule.strikes(operation))


def _may_run(couplings: tuple[tuple[int, int], ...] | None, qubits: tuple[int, ...]) -> bool:
    if couplings is None or len(qubits) == 1:
        return True
    return qubits in couplings or qubits[::-1] in couplings
