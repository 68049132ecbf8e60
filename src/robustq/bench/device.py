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
from typing import Any

import torch
from torch import Tensor

from robustq.attacks import run_attack
from robustq.bench.spec import Spec
from robustq.bench.stages import pack
from robustq.contracts import Attack, AttackResult, Classifier, Threat
from robustq.data import Dataset
from robustq.errors import CircuitError, SpecError
from robustq.models import HybridNet, QuantumNet
from robustq.noise import Device, Mapped
from robustq.noise.drift import SCENARIOS
from robustq.seeding import numpy_generator, torch_generator

Quantum = QuantumNet | HybridNet


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


def on_device(model: Quantum, device: Device, data: Dataset, spec: Spec, seed: int) -> dict[str, Any]:
    """Correctness on the device, under both attacks for every eps, and after every drift.

    The circuit is fitted to the device once; a drifted device runs the same fit.
    """
    fit = model.fitted(device)
    noisy, twin = model.freeze(fit), model.freeze()
    later = {name: fit.on(drifted(device, name, spec.seed)) for name in spec.noise.drift or ()}
    return {
        "record": record(device, fit),
        **_clean(model, fit, data, spec, (seed, "device")),
        "informed": _survivors(noisy, noisy, data, spec, (seed, "informed")),
        "transfer": _survivors(twin, noisy, data, spec, (seed, "transfer")),
        "drift": [
            {"scenario": name, **_clean(model, other, data, spec, (seed, "drift", name))}
            for name, other in later.items()
        ],
    }


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
    flipped = informed.correct & ~_right(noisy, transfer.x_adv, y)
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


def record(device: Device, fit: Mapped) -> dict[str, Any]:
    """Which device, and what running the circuit on it takes."""
    content = json.dumps(device.to_data(), sort_keys=True)
    return {
        "name": device.name,
        "date": device.date,
        "source": device.source,
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "qubits": len(device.qubits),
        "layout": list(fit.layout),
        "swaps": fit.swaps,
        "gates": len(fit.circuit.operations),
        "two_qubit_gates": fit.circuit.two_qubit_gates,
        "depth": fit.circuit.depth,
    }


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


def _clean(model: Quantum, fit: Mapped, data: Dataset, spec: Spec, path: tuple[str | int, ...]) -> dict[str, str]:
    """Correctness from exact noisy expectations and from shots of them."""
    x, y = data.tensors("test")
    stream = torch_generator(spec.seed, *path, "shots")
    with torch.no_grad():
        exact = model.freeze(fit)(x)
        drawn = model.under(fit, shots=spec.noise.shots, generator=stream)(x)
    return {"exact": pack(exact.argmax(1) == y), "shots": pack(drawn.argmax(1) == y)}


def _survivors(
    target: Classifier, device: Classifier, data: Dataset, spec: Spec, path: tuple[str | int, ...]
) -> list[dict[str, Any]]:
    """Which inputs the device still gets right when examples are made on ``target``, for every eps.

    An input flipped at a smaller eps stays flipped; only survivors are attacked again.
    """
    x, y = data.tensors("test")
    attack, alive = spec.attack.build(), _right(device, x, y)
    curve: list[dict[str, Any]] = []
    for eps in spec.threat.eps:
        level: dict[str, Any] = {"eps": eps, "queries": 0, "gradients": 0}
        rows = alive.nonzero()[:, 0]
        if len(rows):
            stream = torch_generator(spec.seed, *path, repr(eps))
            threat = spec.threat.build(eps)
            found = run_attack(attack, target, x[rows], y[rows], threat, generator=stream)
            level |= {"queries": found.queries, "gradients": found.gradients}
            alive[rows] = _right(device, found.x_adv, y[rows])
        curve.append(level | {"robust": pack(alive)})
    return curve


def _right(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x).argmax(1) == y
