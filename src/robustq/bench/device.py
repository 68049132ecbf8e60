"""What is measured of one trained model on a calibrated device, simulated exactly.

Noise is not a defence: an attacker may know it, or ignore it. So the device is attacked twice, through
its own noisy gradients and with examples made on the noise-free model, and an input counts as
robust only if neither flips it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from robustq.attacks import run_attack
from robustq.bench.measurement import AttackLevel
from robustq.bench.results import DeviceRecord
from robustq.bench.spec import Specification
from robustq.bench.stages import Stage, pack
from robustq.bench.survivors import Survivors, right
from robustq.contracts import Attack, AttackResult, Classifier, Threat
from robustq.data import Dataset
from robustq.errors import CircuitError, SpecError
from robustq.models import HybridNet, QuantumNet
from robustq.noise import Device, Mapped
from robustq.noise.drift import SCENARIOS
from robustq.seeding import numpy_generator, torch_generator

Quantum = QuantumNet | HybridNet


class DriftOutcome(Stage):
    """Correctness after one drift, from exact expectations and from shots of them."""

    scenario: str
    exact: str
    shots: str


class DeviceStage(Stage):
    """Correctness on the device, under both attacks for every eps, and after every drift."""

    file: ClassVar[str] = "device.json"
    record: DeviceRecord
    exact: str
    shots: str
    informed: list[AttackLevel]
    transfer: list[AttackLevel]
    drift: list[DriftOutcome]


def check_fits(model: object, device: Device | None) -> None:
    """Refuse a device that cannot run the model's circuit; a classical model needs none.

    Raises:
        SpecError: naming both numbers of qubits.
    """
    if device is not None and isinstance(model, Quantum):
        try:
            model.fitted(device)
        except CircuitError as failure:
            raise SpecError(f"noise.device: {failure}") from None


def on_device(model: Quantum, device: Device, data: Dataset, spec: Specification, seed: int) -> DeviceStage:
    """Correctness on the device, under both attacks for every eps, and after every drift.

    The circuit is fitted to the device once; a drifted device runs the same fit.
    """
    fit = model.fitted(device)
    noisy, twin = model.freeze(fit), model.freeze()
    later = {name: fit.on(drifted(device, name, spec.seed)) for name in spec.noise.drift or ()}
    return DeviceStage(
        record=record(device, fit),
        **_clean(model, fit, data, spec, (seed, "device")),
        informed=_curve(noisy, noisy, data, spec, (seed, "informed")),
        transfer=_curve(twin, noisy, data, spec, (seed, "transfer")),
        drift=[
            DriftOutcome(scenario=name, **_clean(model, other, data, spec, (seed, "drift", name)))
            for name, other in later.items()
        ],
    )


def attack_on(
    model: Quantum,
    device: Device,
    attack: Attack,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    generator: torch.Generator,
) -> AttackResult:
    """The verdict on the device: for each input the attack that flips it, noise known or transferred."""
    noisy = model.freeze(device)
    informed, transfer = (
        run_attack(attack, target, x, y, threat, generator=generator) for target in (noisy, model.freeze())
    )
    flipped = informed.correct & ~right(noisy, transfer.x_adv, y)
    moved = flipped & ~informed.success
    return replace(
        informed,
        x_adv=torch.where(moved[:, None], transfer.x_adv, informed.x_adv),
        success=informed.success | flipped,
        distance=torch.where(moved, transfer.distance, informed.distance),
        nearest=torch.where(moved[:, None], transfer.nearest, informed.nearest),
        radius=torch.where(moved, transfer.radius, informed.radius),
        queries=informed.queries + transfer.queries,
        gradients=informed.gradients + transfer.gradients,
    )


def record(device: Device, fit: Mapped) -> DeviceRecord:
    """Which device, and what running the circuit on it takes."""
    content = json.dumps(device.to_data(), sort_keys=True)
    return DeviceRecord(
        name=device.name,
        date=device.date,
        source=device.source,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        qubits=len(device.qubits),
        layout=list(fit.layout),
        swaps=fit.swaps,
        gates=len(fit.circuit.operations),
        two_qubit_gates=fit.circuit.two_qubit_gates,
        depth=fit.circuit.depth,
    )


def drifted(device: Device, scenario: str, seed: int) -> Device:
    """The device after a drift; what the drift draws, it draws from the one seed.

    >>> device = Device.bundled("manila")
    >>> drifted(device, "random-walk", 0) == drifted(device, "random-walk", 0) != device
    True
    """
    options: dict[str, Any] = {}
    if "generator" in inspect.signature(SCENARIOS[scenario].make).parameters:
        options["generator"] = numpy_generator(seed, "drift", scenario)
    return device.drifted(scenario, **options)


def _clean(
    model: Quantum, fit: Mapped, data: Dataset, spec: Specification, path: tuple[str | int, ...]
) -> dict[str, str]:
    """Correctness from exact noisy expectations and from shots of them."""
    x, y = data.tensors("test")
    machine = model.under(fit, shots=spec.noise.shots, generator=torch_generator(spec.seed, *path, "shots"))
    return {"exact": pack(right(model.freeze(fit), x, y)), "shots": pack(right(machine, x, y))}


def _curve(
    target: Classifier, device: Classifier, data: Dataset, spec: Specification, path: tuple[str | int, ...]
) -> list[AttackLevel]:
    """Which inputs the device still gets right when examples are made on ``target``, for every eps."""
    x, y = data.tensors("test")
    attack, standing = spec.attack.build(), Survivors(x, y, right(device, x, y))
    curve = []
    for eps in spec.threat.eps:
        stream = torch_generator(spec.seed, *path, repr(eps))
        result = standing.attack(attack, target, spec.threat.build(eps), stream, judge=device)
        queries, gradients = (result.queries, result.gradients) if result else (0, 0)
        curve.append(AttackLevel(eps=eps, queries=queries, gradients=gradients, robust=pack(standing.alive)))
    return curve
