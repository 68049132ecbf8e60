"""What ``robustq list`` shows of noise: channels, bundled device snapshots, drift scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from robustq.catalogue import Entry
from robustq.noise.channels import CHANNELS, Channel
from robustq.noise.device import Device
from robustq.noise.drift import SCENARIOS as DRIFTS

__all__ = ["CHANNEL_LIST", "DEVICES", "DRIFTS"]

_RUNTIME = "qiskit-ibm-runtime (Apache-2.0)"


def _device(name: str, summary: str, facts: tuple[str, str, str, str, str]) -> Entry:
    keys = ("qubits", "two-qubit error", "read-out error", "t1", "date")
    return Entry(partial(Device.bundled, name), summary, _RUNTIME, dict(zip(keys, facts, strict=True)))


# The facts are medians; a test compares them with the snapshots.
DEVICES: Mapping[str, Entry] = {
    "manila": _device(
        "manila", "IBM Falcon, five qubits in a row", ("5", "1.0e-02", "2.2e-02", "145 us", "2024-05-27")
    ),
    "melbourne": _device(
        "melbourne",
        "IBM Canary, a ladder; poor gates and read-out",
        ("15", "2.9e-02", "4.8e-02", "53 us", "2021-03-15"),
    ),
    "guadalupe": _device(
        "guadalupe", "IBM Falcon, a ring with tails", ("16", "1.0e-02", "1.6e-02", "72 us", "2021-04-20")
    ),
    "kolkata": _device("kolkata", "IBM Falcon, heavy hexagons", ("27", "7.5e-03", "9.6e-03", "111 us", "2021-12-09")),
    "sherbrooke": _device(
        "sherbrooke",
        "20 good qubits of the 127 of an IBM Eagle",
        ("20", "6.2e-03", "1.1e-02", "269 us", "2025-02-26"),
    ),
    "boston": _device(
        "boston", "20 good qubits of the 156 of an IBM Heron", ("20", "1.0e-03", "3.7e-03", "288 us", "2026-04-17")
    ),
}

CHANNEL_LIST: Mapping[str, Entry] = {
    name: Entry(
        partial(Channel, name),
        row.summary,
        row.reference,
        {"qubits": str(row.qubits or "1 or 2"), "parameters": ", ".join(row.parameters) or "matrices"},
    )
    for name, row in CHANNELS.items()
}
