"""What ``robustq list`` shows of noise: channels, bundled device snapshots, drift scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from robustq.catalogue import Entry
from robustq.noise.channels import CHANNELS, Channel
from robustq.noise.device import Device
from robustq.noise.drift import SCENARIOS as DRIFTS

__all__ = ["CHANNEL_LIST", "DEVICES", "DRIFTS"]

_RUNTIME = "qiskit-ibm-runtime (Apache-2.0)"


@dataclass(frozen=True, kw_only=True)
class DeviceEntry(Entry[Device]):
    """One snapshot: its qubits and the medians of its numbers, T1 in microseconds."""

    qubits: int
    two_qubit_error: float
    readout_error: float
    t1_us: int
    date: str


@dataclass(frozen=True, kw_only=True)
class ChannelEntry(Entry[Channel]):
    """One channel: the qubits it may act on, and its parameters."""

    qubits: tuple[int, ...]
    parameters: tuple[str, ...]


# A test compares the numbers with the snapshots.
DEVICES: Mapping[str, DeviceEntry] = {
    "manila": DeviceEntry(
        partial(Device.bundled, "manila"),
        "IBM Falcon, five qubits in a row",
        _RUNTIME,
        qubits=5,
        two_qubit_error=1.0e-02,
        readout_error=2.2e-02,
        t1_us=145,
        date="2024-05-27",
    ),
    "melbourne": DeviceEntry(
        partial(Device.bundled, "melbourne"),
        "IBM Canary, a ladder; poor gates and read-out",
        _RUNTIME,
        qubits=15,
        two_qubit_error=2.9e-02,
        readout_error=4.8e-02,
        t1_us=53,
        date="2021-03-15",
    ),
    "guadalupe": DeviceEntry(
        partial(Device.bundled, "guadalupe"),
        "IBM Falcon, a ring with tails",
        _RUNTIME,
        qubits=16,
        two_qubit_error=1.0e-02,
        readout_error=1.6e-02,
        t1_us=72,
        date="2021-04-20",
    ),
    "kolkata": DeviceEntry(
        partial(Device.bundled, "kolkata"),
        "IBM Falcon, heavy hexagons",
        _RUNTIME,
        qubits=27,
        two_qubit_error=7.5e-03,
        readout_error=9.6e-03,
        t1_us=111,
        date="2021-12-09",
    ),
    "sherbrooke": DeviceEntry(
        partial(Device.bundled, "sherbrooke"),
        "20 good qubits of the 127 of an IBM Eagle",
        _RUNTIME,
        qubits=20,
        two_qubit_error=6.2e-03,
        readout_error=1.1e-02,
        t1_us=269,
        date="2025-02-26",
    ),
    "boston": DeviceEntry(
        partial(Device.bundled, "boston"),
        "20 good qubits of the 156 of an IBM Heron",
        _RUNTIME,
        qubits=20,
        two_qubit_error=1.0e-03,
        readout_error=3.7e-03,
        t1_us=288,
        date="2026-04-17",
    ),
}

CHANNEL_LIST: Mapping[str, ChannelEntry] = {
    name: ChannelEntry(
        partial(Channel, name),
        row.summary,
        row.reference,
        qubits=(row.qubits,) if row.qubits else (1, 2),
        parameters=tuple(row.parameters) or ("matrices",),
    )
    for name, row in CHANNELS.items()
}
