"""The audit of one trained model: the evidence that its numbers are to be judged by.

Only the first seed of each entrant is audited: the checks look for mistakes of the method, which every
seed would share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from robustq.attacks import Square, UniformNoise
from robustq.attacks.catalogue import ATTACKS
from robustq.audit import Evidence, Plan, Plateau, gradient_variance, measure, overruns
from robustq.bench.device import Quantum
from robustq.bench.entrants import Entrant, fit_stream
from robustq.bench.measurement import Flip
from robustq.bench.options import options_of
from robustq.bench.spec import Specification, register
from robustq.bench.stages import Stage
from robustq.catalogue import resolve
from robustq.data import Dataset
from robustq.models.catalogue import MODELS
from robustq.models.svm import RBFSVM
from robustq.models.training import hold_back
from robustq.seeding import torch_generator

BLACKBOX = Square(queries=200)
DRAWS = 40  # random models a width, for the variance of gradients


class AuditStage(Stage):
    """Evidence against the model, and against it on the device, as plain data."""

    file: ClassVar[str] = "audit.json"
    model: dict[str, Any]
    device: dict[str, Any] | None

    def evidence(self, *, on_device: bool = False) -> Evidence | None:
        """What was found; None if nothing was looked for."""
        stored = self.device if on_device else self.model
        return None if stored is None else Evidence.from_data(stored)


def audit(
    model: nn.Module, data: Dataset, spec: Specification, entrant: Entrant, examples: Sequence[Flip]
) -> AuditStage:
    """Evidence against the model and, where a device is named, against it on the device.

    ``examples`` are the stored adversarial inputs of the same model, checked once more.
    """
    x, y = data.tensors("test")
    reference = spec.threat.build(spec.threat.reference)
    curve = tuple(spec.threat.build(eps) for eps in spec.threat.eps)
    blackbox = BLACKBOX if ATTACKS["square"].is_meant_for(spec.threat.name) else UniformNoise(tries=200)
    plan = Plan(spec.attack.build(), reference, blackbox, curve, ensemble=True)
    stream = torch_generator(spec.seed, 0, entrant.key, "audit")
    found = measure(model, x, y, plan, train=_seen(model, data, spec, entrant), generator=stream)
    if examples and found.overruns is not None:
        before, after = (torch.tensor([getattr(e, key) for e in examples]) for key in ("x", "x_adv"))
        found = replace(found, overruns=found.overruns + overruns(reference, before, after))
    if entrant.key == "quantum" and _has_width(spec):
        found = replace(found, plateau=_plateau(spec, len(data.classes)))
    return AuditStage(model=found.to_data(), device=_on_device(model, x, y, spec, entrant, plan))


def _on_device(
    model: nn.Module, x: Tensor, y: Tensor, spec: Specification, entrant: Entrant, plan: Plan
) -> dict[str, Any] | None:
    """The device's model, beside its noise-free twin, at the reference eps alone."""
    device = spec.noise.calibrated()
    if device is None or not isinstance(model, Quantum):
        return None
    noisy, twin = model.freeze(model.fitted(device)), model.freeze()
    stream = torch_generator(spec.seed, 0, entrant.key, "audit", "device")
    brief = replace(plan, curve=(), ensemble=False)
    return measure(noisy, x, y, brief, twin=twin, generator=stream).to_data()


def _plateau(spec: Specification, classes: int) -> Plateau:
    """How the gradients of the model under test shrink over four widths of the same architecture."""
    first = max(2, classes)  # a qubit a class is the most that a read-out takes
    stream = torch_generator(spec.seed, 0, "audit", "plateau")
    return gradient_variance(
        lambda width, generator: _of_width(spec, classes, width, generator),
        range(first, first + 8, 2),
        draws=DRAWS,
        generator=stream,
    )


def _has_width(spec: Specification) -> bool:
    """Whether the model under test can be built on any number of qubits, which an outsider's need not."""
    return spec.model.name == "qnn" or "qubits" in options_of(resolve("model", spec.model.name, MODELS))


def _of_width(spec: Specification, classes: int, width: int, generator: torch.Generator) -> tuple[nn.Module, Tensor]:
    """The model on so many qubits, as it starts to learn, and a uniform input."""
    options, features = dict(spec.model.options), width
    if spec.model.name == "qnn":
        encoding = options.get("encoding", "angle")
        features = next(f for f in range(1, 2**width + 1) if register(encoding, f) == width)
    else:
        options["qubits"] = width
    model = resolve("model", spec.model.name, MODELS).make(features, classes, generator=generator, **options)
    return model, torch.rand(1, features, generator=generator)


def _seen(model: nn.Module, data: Dataset, spec: Specification, entrant: Entrant) -> Mapping[str, Tensor]:
    """The rows that training saw, split as ``fit`` split them."""
    x, y = data.tensors("train")
    if isinstance(model, RBFSVM):
        return {"train": x}
    train, held = hold_back(y, spec.training.validation, fit_stream(entrant, spec, 0))
    return {"train": x[train], "validation": x[held]}
