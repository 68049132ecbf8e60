"""What error mitigation changes for one trained model on a calibrated device: raw outcomes per input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from robustq.attacks import run_attack
from robustq.bench.device import Quantum
from robustq.bench.mitigation_table import MitigationOutcome, MitigationStage
from robustq.bench.spec import MitigationSpec, Specification
from robustq.bench.stages import pack, rounded
from robustq.bench.survivors import right
from robustq.contracts import Classifier
from robustq.data import Dataset
from robustq.errors import RobustQError
from robustq.mitigation import MitigatedNet, Technique
from robustq.mitigation.net import run_of
from robustq.noise import Device, Mapped, NoiseModel
from robustq.seeding import torch_generator

LEARNT_FROM = 256  # training inputs that a technique may learn from
Advance = Callable[[str, int, int], None]


def mitigate(
    model: Quantum,
    device: Device,
    data: Dataset,
    spec: Specification,
    asked: MitigationSpec,
    seed: int,
    *,
    advance: Advance | None = None,
) -> MitigationStage:
    """For every technique: errors of expectations, clean and robust correctness, and what it costs.

    The same number of shots serves every technique: one that runs three circuits gives each a third. Techniques that
    learn do so from circuits with as many shots each.
    """
    fit, techniques = model.fitted(device), asked.techniques()
    x, y = (rows[: asked.inputs] for rows in data.tensors("test"))
    transferred = _adversarial(model.freeze(), x, y, spec, (seed, "mitigation", "twin"))
    rows = []
    for done, (name, technique) in enumerate(techniques.items()):
        if advance is not None:
            advance(name, done, len(techniques))
        path = (seed, "mitigation", name)
        about = {"name": name, "technique": str(technique)}
        try:
            net = _net(model, fit, device, technique, data, spec, path)
        except RobustQError as failure:
            rows.append(MitigationOutcome(**about, refused=str(failure)))
        else:
            measured = _outcomes(net, data, spec, path, transferred)
            errors = _errors(net, x, spec, asked.repeats, path)
            rows.append(MitigationOutcome(**about, **measured, **errors))
    if advance is not None:
        advance("done", len(techniques), len(techniques))
    return MitigationStage(shots=spec.noise.shots, rows=rows)


def _net(
    model: Quantum,
    fit: Mapped,
    device: Device,
    technique: Technique,
    data: Dataset,
    spec: Specification,
    path: tuple[str | int, ...],
) -> MitigatedNet:
    inputs = data.tensors("train")[0][:LEARNT_FROM]
    stream = torch_generator(spec.seed, *path, "learn")
    return MitigatedNet(model, fit, technique, inputs=inputs, generator=stream, shots=spec.noise.shots, device=device)


def _outcomes(
    net: MitigatedNet, data: Dataset, spec: Specification, path: tuple[str | int, ...], transferred: Tensor
) -> dict[str, Any]:
    """What it costs, and who is right and robust."""
    everything, labels = data.tensors("test")
    x, y = everything[: len(transferred)], labels[: len(transferred)]
    frozen, stream = net.freeze(), torch_generator(spec.seed, *path, "shots")
    answered = right(net.under(shots=spec.noise.shots, generator=stream), everything, labels)
    informed = _adversarial(frozen, x, y, spec, (*path, "attack"))
    alive = right(frozen, x, y) & right(frozen, informed, y) & right(frozen, transferred, y)
    return {
        "circuits": net.plan.circuits,
        "random": net.plan.random,
        "training": net.plan.training,
        "clean": pack(answered),
        "robust": pack(alive),
    }


@torch.no_grad()
def _errors(
    net: MitigatedNet, x: Tensor, spec: Specification, repeats: int, path: tuple[str | int, ...]
) -> dict[str, Any]:
    """Distances of expectations from the ideal ones, exact and over draws; means over the observables."""
    stream = torch_generator(spec.seed, *path, "repeats")
    features = net.model.encoder_inputs(x.double())
    angles = net.model.angles.detach().double()
    ideal = run_of(net.model, NoiseModel()).values(features, angles)
    exact = net.plan.frozen(angles)(features)
    sampled = net.plan.sampled(angles, spec.noise.shots, stream)
    draws = torch.stack([sampled(features) for _ in range(repeats)])
    away, variance = (draws - ideal).abs().mean((0, 2)), draws.var(0).mean(1)
    return {
        "bias": rounded((exact - ideal).abs().mean(1)),
        "error": rounded(away),
        "spread": rounded(variance.sqrt()),
        "variance": float(variance.mean()),
    }


def _adversarial(
    target: Classifier, x: Tensor, y: Tensor, spec: Specification, path: tuple[str | int, ...]
) -> Tensor:
    """The worst inputs that the attack finds on ``target`` at the reference budget."""
    threat = spec.threat.build(spec.threat.reference)
    stream = torch_generator(spec.seed, *path)
    return run_attack(spec.attack.build(), target, x, y, threat, generator=stream).x_adv
