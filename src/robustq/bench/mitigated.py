"""What error mitigation changes for one trained model on a calibrated device: raw outcomes per input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from robustq.attacks import run_attack
from robustq.bench.device import Quantum
from robustq.bench.spec import Spec
from robustq.bench.stages import pack
from robustq.contracts import Classifier
from robustq.data import Dataset
from robustq.errors import RobustQError
from robustq.mitigation import MitigatedNet, Technique
from robustq.mitigation.mitigated import run_of
from robustq.noise import Device, Mapped, NoiseModel
from robustq.seeding import torch_generator

LEARNT_FROM = 256  # training inputs that a technique may learn from
Advance = Callable[[str, int, int], None]


def mitigated(
    model: Quantum, device: Device, data: Dataset, spec: Spec, seed: int, *, advance: Advance | None = None
) -> dict[str, Any]:
    """For every technique: errors of expectations, clean and robust correctness, and what it costs.

    The same number of shots serves every technique: one that runs three circuits gives each a third. Techniques that
    learn do so from circuits with as many shots each.
    """
    fit, techniques = model.fitted(device), spec.mitigation.techniques()
    x, y = (rows[: spec.mitigation.inputs] for rows in data.tensors("test"))
    transferred = _adversarial(model.freeze(), x, y, spec, (seed, "mitigation", "twin"))
    rows = []
    for done, (name, technique) in enumerate(techniques.items()):
        if advance is not None:
            advance(name, done, len(techniques))
        rows.append({"name": name, "technique": str(technique)})
        try:
            net = _net(model, fit, device, technique, data, spec, (seed, "mitigation", name))
        except RobustQError as failure:
            rows[-1]["refused"] = str(failure)
            continue
        rows[-1] |= _measured(net, data, spec, (seed, "mitigation", name), transferred)
    if advance is not None:
        advance("done", len(techniques), len(techniques))
    return {"shots": spec.noise.shots, "rows": rows}


def _net(
    model: Quantum,
    fit: Mapped,
    device: Device,
    technique: Technique,
    data: Dataset,
    spec: Spec,
    path: tuple[str | int, ...],
) -> MitigatedNet:
    inputs = data.tensors("train")[0][:LEARNT_FROM]
    stream = torch_generator(spec.seed, *path, "learn")
    return MitigatedNet(model, fit, technique, inputs=inputs, generator=stream, shots=spec.noise.shots, device=device)


def _measured(
    net: MitigatedNet, data: Dataset, spec: Spec, path: tuple[str | int, ...], transferred: Tensor
) -> dict[str, Any]:
    everything, labels = data.tensors("test")
    x, y = everything[: len(transferred)], labels[: len(transferred)]
    frozen, stream = net.freeze(), torch_generator(spec.seed, *path, "shots")
    with torch.no_grad():
        drawn = net.under(shots=spec.noise.shots, generator=stream)(everything)
    informed = _adversarial(frozen, x, y, spec, (*path, "attack"))
    alive = _right(frozen, x, y) & _right(frozen, informed, y) & _right(frozen, transferred, y)
    return {
        "circuits": net.plan.circuits,
        "random": net.plan.random,
        "training": net.plan.training,
        "clean": pack(drawn.argmax(1) == labels),
        "robust": pack(alive),
        **_errors(net, x, spec, torch_generator(spec.seed, *path, "repeats")),
    }


@torch.no_grad()
def _errors(net: MitigatedNet, x: Tensor, spec: Spec, stream: torch.Generator) -> dict[str, Any]:
    """Distances of expectations from the ideal ones, exact and over draws; means over the observables."""
    features = net.model.encoder_inputs(x.double())
    angles = net.model.angles.detach().double()
    ideal = run_of(net.model, NoiseModel()).values(features, angles)
    exact = net.plan.frozen(angles)(features)
    sampled = net.plan.sampled(angles, spec.noise.shots, stream)
    draws = torch.stack([sampled(features) for _ in range(spec.mitigation.repeats)])
    away, variance = (draws - ideal).abs().mean((0, 2)), draws.var(0).mean(1)
    return {
        "bias": _listed((exact - ideal).abs().mean(1)),
        "error": _listed(away),
        "spread": _listed(variance.sqrt()),
        "variance": float(variance.mean()),
    }


def _listed(values: Tensor) -> list[float]:
    return [round(float(v), 9) for v in values]


def _adversarial(target: Classifier, x: Tensor, y: Tensor, spec: Spec, path: tuple[str | int, ...]) -> Tensor:
    """The worst inputs that the attack finds on ``target`` at the reference budget."""
    threat = spec.threat.build(spec.threat.reference)
    stream = torch_generator(spec.seed, *path)
    return run_attack(spec.attack.build(), target, x, y, threat, generator=stream).x_adv


def _right(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x).argmax(1) == y
