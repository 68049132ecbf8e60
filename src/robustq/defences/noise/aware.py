"""Noise-aware learning: what is minimised is the loss on the device."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustq.contracts import Defence, Step
from robustq.defences.noise.cores import changed, joined, seen_under, viewed
from robustq.defences.training.plain import Plain
from robustq.errors import SpecError
from robustq.models import QuantumNet
from robustq.noise import Device
from robustq.noise.drift import SCENARIOS


@dataclass(frozen=True)
class NoiseAware:
    """Another defence's losses, with the model under the exact noise of a calibrated device.

    Whatever ``on`` does, an inner attack included, it does to the noisy model; gradients are those of the
    noisy expectations, without sampling.

    Args:
        device: where the model will run; the circuit is fitted to it.
        drift: whether every step sees the device after another drift of the catalogue, drawn uniformly
            (domain randomisation); held-back rows are judged on the device as calibrated.
        on: the defence in training whose losses are taken.

    >>> NoiseAware(Device.bundled("manila")).on
    Plain()
    """

    device: Device
    drift: bool = False
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        if not isinstance(self.device, Device):
            raise SpecError(f"noise-aware: expected a calibrated device, got {type(self.device).__name__}")

    def losses(self, model: Any, step: Step) -> Tensor:
        """The losses of ``on``, of the model on the device.

        Raises:
            ModelError: if there is no circuit in the model.
        """
        if self.drift and step.progress < 1:
            snapshot = drawn(self.device, step.generator)
            return self.on.losses(_on_snapshot(model, self.device, snapshot), step)
        return self.on.losses(seen_under(model, self.device), step)


def drawn(device: Device, generator: torch.Generator) -> Device:
    """The device after a drift of the catalogue, drawn uniformly, "none" included.

    >>> drawn(Device.bundled("manila"), torch.Generator()).name
    'manila'
    """
    names = sorted(SCENARIOS)
    name = names[int(torch.randint(len(names), (), generator=generator))]
    if "generator" not in inspect.signature(SCENARIOS[name].make).parameters:
        return device.drifted(name)
    seed = int(torch.randint(2**31, (), generator=generator))
    return device.drifted(name, generator=np.random.default_rng(seed))


def _on_snapshot(model: nn.Module, device: Device, snapshot: Device) -> nn.Module:
    """The model on a later snapshot, fitted to the device as it was."""

    def moved(core: QuantumNet) -> QuantumNet:
        return changed(core, noise=joined(core, core.fitted(device).on(snapshot)))

    return viewed(model, moved)
