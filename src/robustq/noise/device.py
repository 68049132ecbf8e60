"""A device as its calibration snapshot: read from JSON, turned into noise, drifted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from robustq.atomic import write_atomically
from robustq.catalogue import resolve
from robustq.errors import CircuitError, DataError, unknown_name
from robustq.noise.calibration import ENTANGLERS, PULSES, Coupling, Qubit, gate_channels
from robustq.noise.channels import Channel
from robustq.noise.drift import SCENARIOS
from robustq.noise.model import NoiseModel, Rule

FORMAT = 1  # of the JSON file; a reader refuses what it does not know


@dataclass(frozen=True)
class Device:
    """A calibration snapshot of a device: what one can know about it on one day.

    Attributes:
        name: what the device is called.
        date: the day of the calibration, ISO 8601.
        source: where the numbers come from, with their licence.
        qubits: one calibration a qubit.
        couplings: one calibration a pair that can share a gate; together a connected map.

    >>> device = Device.bundled("guadalupe")
    >>> len(device.qubits), len(device.couplings), device.date
    (16, 16, '2021-04-20')
    """

    name: str
    date: str
    source: str
    qubits: tuple[Qubit, ...]
    couplings: tuple[Coupling, ...] = ()

    def __post_init__(self) -> None:
        try:
            _check_map(self)
        except CircuitError as failure:
            raise CircuitError(f"device {self.name!r}: {failure}") from None

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Every coupled pair, the lower qubit first."""
        return tuple((min(c.qubits), max(c.qubits)) for c in self.couplings)

    def noise(self, layout: Sequence[int] | None = None, *, crosstalk: bool = True) -> NoiseModel:
        """The noise of a circuit whose qubit ``k`` sits on physical qubit ``layout[k]``.

        After every gate come thermal relaxation for the gate's duration and the depolarising
        channel that brings its infidelity up to the calibrated one, as often as the gate costs
        physical gates (``PULSES``, ``ENTANGLERS``); after a two-qubit gate also the ZZ phase that
        each of its neighbours picked up meanwhile. Idle qubits do not relax.

        Args:
            layout: physical qubits; all of them in order by default.
            crosstalk: whether ZZ shifts act.

        Raises:
            CircuitError: if a physical qubit does not exist or is named twice.

        >>> noise = Device.bundled("manila").noise([2, 3])
        >>> noise.couplings, [round(r.p10, 4) for r in noise.readouts_of(2)]
        (((0, 1),), [0.1226, 0.0204])
        """
        places = tuple(range(len(self.qubits)) if layout is None else layout)
        if len(set(places)) != len(places) or not set(places) <= set(range(len(self.qubits))):
            raise CircuitError(
                f"device {self.name!r}: expected different physical qubits in 0..{len(self.qubits) - 1}, got {places}"
            )
        position = {physical: k for k, physical in enumerate(places)}
        inside = [c for c in self.couplings if set(c.qubits) <= set(places)]
        rules = [r for k, q in enumerate(places) for r in _pulse_rules(self.qubits[q], k)]
        for coupling in inside:
            rules += _entangler_rules(self, coupling, position)
            rules += _crosstalk_rules(coupling, inside, position) if crosstalk else []
        pairs = tuple((position[c.qubits[0]], position[c.qubits[1]]) for c in inside)
        readouts = tuple((k, self.qubits[q].readout) for k, q in enumerate(places))
        return NoiseModel(tuple(rules), readouts=readouts, couplings=pairs)

    def drifted(self, scenario: str, **options: Any) -> Device:
        """The device after a named drift of ``drift.SCENARIOS``; options are the scenario's.

        >>> device = Device.bundled("manila")
        >>> device.drifted("t1-drop", amount=0.5).qubits[0].t1 / device.qubits[0].t1
        0.5
        """
        make = resolve("drift scenario", scenario, SCENARIOS).make
        try:
            qubits, couplings = make(self.qubits, self.couplings, **options)
        except TypeError as failure:
            raise CircuitError(f"drift {scenario!r}: {failure}") from None
        return replace(self, qubits=qubits, couplings=couplings)

    def to_data(self) -> dict[str, Any]:
        """The snapshot as JSON-able data."""
        return {"format": FORMAT, **asdict(self)}

    @staticmethod
    def from_data(data: object) -> Device:
        """The inverse of :meth:`to_data`.

        Raises:
            DataError: on an unknown version, missing or unknown keys, or impossible values.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            got = data.get("format") if isinstance(data, Mapping) else type(data).__name__
            raise DataError(f"device: expected a snapshot of format {FORMAT}, got {got!r}")
        body = {key: value for key, value in data.items() if key != "format"}
        _check_keys("device", body, Device)
        try:
            qubits = tuple(_part(Qubit, f"qubit {k}", q) for k, q in enumerate(body["qubits"]))
            couplings = tuple(_part(Coupling, f"coupling {k}", c) for k, c in enumerate(body.get("couplings", ())))
            texts = {key: str(body[key]) for key in ("name", "date", "source")}
            return Device(**texts, qubits=qubits, couplings=couplings)
        except (CircuitError, TypeError) as failure:
            raise DataError(str(failure)) from None

    def save(self, path: str | Path) -> None:
        """Write the snapshot as JSON, whole or not at all."""
        text = json.dumps(self.to_data(), indent=1) + "\n"
        try:
            write_atomically(Path(path), text.encode())
        except OSError as failure:
            raise DataError(f"device: cannot write {path}: {failure.strerror}") from failure

    @staticmethod
    def load(path: str | Path) -> Device:
        """Read a snapshot written by :meth:`save`.

        Raises:
            DataError: if the file is missing, damaged or describes an impossible device.
        """
        try:
            return Device._parsed(Path(path).read_text(encoding="utf-8"))
        except OSError as failure:
            raise DataError(f"device: cannot read {path}: {failure.strerror}") from failure
        except (DataError, UnicodeDecodeError) as failure:
            raise DataError(f"{path}: {failure}") from None

    @staticmethod
    def bundled(name: str) -> Device:
        """A snapshot that ships with the library (``robustq list devices``)."""
        folder = resources.files("robustq.noise") / "devices"
        names = [file.name.removesuffix(".json") for file in folder.iterdir()]
        if name not in names:
            raise unknown_name("device", name, names)
        return Device._parsed((folder / f"{name}.json").read_text(encoding="utf-8"))

    @staticmethod
    def _parsed(text: str) -> Device:
        try:
            return Device.from_data(json.loads(text))
        except json.JSONDecodeError as failure:
            raise DataError(f"device: expected JSON, got {failure}") from None


def _pulse_rules(qubit: Qubit, position: int) -> list[Rule]:
    """What follows a one-qubit gate at ``position``."""
    return [
        Rule(channel, _costing(PULSES, count), (position,), width=1)
        for count in (1, 2)
        for channel in gate_channels((qubit,), qubit.gate_error, qubit.gate_duration, count)
    ]


def _entangler_rules(device: Device, coupling: Coupling, position: Mapping[int, int]) -> list[Rule]:
    """What follows a two-qubit gate on ``coupling``: relaxation of each qubit, then the rest."""
    pair = (position[coupling.qubits[0]], position[coupling.qubits[1]])
    calibrated = tuple(device.qubits[q] for q in coupling.qubits)
    rules = []
    for count in (1, 2, 3):
        gates = _costing(ENTANGLERS, count)
        channels = gate_channels(calibrated, coupling.gate_error, coupling.gate_duration, count)
        places = iter(pair)
        for channel in channels:
            on = pair if channel.qubits == 2 else (next(places),)
            rules.append(Rule(channel, gates, pair, on=on))
    return rules


def _crosstalk_rules(coupling: Coupling, inside: Sequence[Coupling], position: Mapping[int, int]) -> list[Rule]:
    """ZZ phases ``pi * zz * duration`` between each qubit of a gate and its other neighbours."""
    pair = (position[coupling.qubits[0]], position[coupling.qubits[1]])
    rules = []
    for other in inside:
        turn = math.pi * other.zz * coupling.gate_duration
        if turn and len(set(other.qubits) & set(coupling.qubits)) == 1:
            on = (position[other.qubits[0]], position[other.qubits[1]])
            for count in (1, 2, 3):
                channel = Channel("zz-crosstalk", count * turn)
                rules.append(Rule(channel, _costing(ENTANGLERS, count), pair, on=on))
    return rules


def _costing(table: Mapping[str, int], count: int) -> tuple[str, ...]:
    return tuple(name for name, cost in table.items() if cost == count)


def _check_map(device: Device) -> None:
    count = len(device.qubits)
    if not count:
        raise CircuitError("expected at least one qubit, got none")
    edges = device.edges
    for edge in edges:
        if not all(0 <= q < count for q in edge):
            raise CircuitError(f"expected couplings of qubits 0..{count - 1}, got {edge}")
    if len(set(edges)) != len(edges):
        twice = next(edge for edge in edges if edges.count(edge) > 1)
        raise CircuitError(f"expected every coupling once, got {twice} twice")
    reached, frontier = {0}, [0]
    while frontier:
        here = frontier.pop()
        near = {q for edge in edges if here in edge for q in edge} - reached
        reached |= near
        frontier += sorted(near)
    if len(reached) < count:
        lost = sorted(set(range(count)) - reached)
        raise CircuitError(f"expected a connected map, got qubits {lost} out of reach of qubit 0")


def _check_keys(what: str, data: object, kind: type) -> None:
    if not isinstance(data, Mapping):
        raise DataError(f"{what}: expected an object, got {type(data).__name__}")
    allowed = {f.name: f for f in fields(kind)}
    for key in data:
        if key not in allowed:
            raise unknown_name(f"key of {what}", key, allowed)
    missing = [name for name, f in allowed.items() if f.default is MISSING and name not in data]
    if missing:
        raise DataError(f"{what}: expected {', '.join(missing)}, got none")


def _part(kind: type[Any], what: str, data: Any) -> Any:
    """One calibration, with errors that say which."""
    _check_keys(what, data, kind)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    try:
        return kind(**values)
    except CircuitError as failure:
        raise DataError(f"{what}: {failure}") from None
