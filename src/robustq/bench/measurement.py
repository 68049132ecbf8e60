"""What is measured on one trained model: raw outcomes per input, never rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from robustq import stats
from robustq.attacks import UniformNoise
from robustq.bench.adversarial import AdversarialSet
from robustq.bench.estimates import Estimate
from robustq.bench.spec import Specification
from robustq.bench.stages import Stage, Table, pack, rounded, table
from robustq.bench.survivors import Survivors, right
from robustq.contracts import AttackResult, QuantumClassifier
from robustq.data import Dataset
from robustq.noise import Mapped, NoiseModel
from robustq.seeding import torch_generator

EXAMPLES = 8


class CleanStage(Stage):
    """Probabilities and correctness of every test input; what a defence adds is stored for defended models only."""

    file: ClassVar[str] = "clean.json"
    correct: str
    probabilities: list[list[float]]
    randomised: bool = False
    twins: int = 0
    rejected: str | None = None


class AttackLevel(Stage):
    """Who survives at one eps, and what the searches cost; where several attacks are compared, also by attack."""

    eps: float
    queries: int
    gradients: int
    robust: str
    noise: str = ""
    usual: str = ""
    adaptive: str = ""
    transfer: str = ""


class Flip(Stage):
    """A flipped input that the model was sure of, before and after."""

    row: int
    label: int
    predicted: int
    confidence_before: float
    confidence_after: float
    x: list[float]
    x_adv: list[float]


class AttackStage(Stage):
    """The attack over the grid of eps, and the flipped inputs that the model was surest of."""

    file: ClassVar[str] = "attack.json"
    curve: list[AttackLevel]
    examples: list[Flip] = Field(default_factory=list)

    def at(self, eps: float) -> AttackLevel:
        """One budget of the grid."""
        return next(level for level in self.curve if level.eps == eps)


class NoiseLevel(Stage):
    """Correctness at one level, from exact expectations and from shots of them."""

    level: float
    exact: str
    shots: str


class NoiseStage(Stage):
    """The sweeps of gate and read-out error; level zero is included: finite shots alone already cost accuracy."""

    file: ClassVar[str] = "noise.json"
    gate_error: list[NoiseLevel]
    readout_error: list[NoiseLevel]


class ShotStage(Stage):
    """Probabilities from finite shots, several times; on a device also its exact ones."""

    file: ClassVar[str] = "drawn.json"
    draws: list[list[list[float]]]
    noisy: list[list[float]] | None = None


def answers(model: nn.Module, data: Dataset) -> CleanStage:
    """Probabilities and correctness of every test input."""
    x, y = data.tensors("test")
    with torch.no_grad():
        logits = model(x)
    return CleanStage(correct=pack(logits.argmax(1) == y), probabilities=chances(logits))


def attacked(model: nn.Module, data: Dataset, spec: Specification, seed: int) -> AttackStage:
    """Which inputs survive the attack, for every eps of the grid, and random noise of the same size beside it."""
    x, y = data.tensors("test")
    attack, steady, shaken = spec.attack.build(), Survivors.all_of(x, y), Survivors.all_of(x, y)
    curve, examples = [], []
    for eps in spec.threat.eps:
        threat, rows = spec.threat.build(eps), steady.rows
        stream = torch_generator(spec.seed, seed, "attack", repr(eps))
        result = steady.attack(attack, model, threat, stream)
        if result is not None and eps == spec.threat.reference:
            examples = _examples(model, data, rows, result)
        shaken.attack(UniformNoise(), model, threat, stream)
        level = AttackLevel(
            eps=eps,
            queries=result.queries if result else 0,
            gradients=result.gradients if result else 0,
            robust=pack(steady.alive),
            noise=pack(shaken.alive),
        )
        curve.append(level)
    return AttackStage(curve=curve, examples=examples)


def _examples(model: nn.Module, data: Dataset, rows: Tensor, result: AttackResult) -> list[Flip]:
    """The flipped inputs that the model was surest of, before and after, by their rows in the test set."""
    x, y = data.tensors("test")
    with torch.no_grad():
        before, after = (torch.softmax(model(z), dim=1) for z in (x[rows], result.x_adv))
    surest = AdversarialSet.of(x[rows], y[rows], result, {}).surest(before, after, EXAMPLES)
    return [Flip(**{**example, "row": int(rows[example["row"]])}) for example in surest]


def noise_sweep(model: QuantumClassifier, data: Dataset, spec: Specification, seed: int) -> NoiseStage:
    """Correctness under depolarising gate noise and under read-out error, exact and with shots."""
    x, y = data.tensors("test")

    def at(kind: str, level: float) -> NoiseLevel:
        noise = NoiseModel.uniform(**{kind: level})
        stream = torch_generator(spec.seed, seed, "noise", kind, repr(level))
        machine = model.under(noise, shots=spec.noise.shots, generator=stream)
        return NoiseLevel(level=level, exact=pack(right(model.under(noise), x, y)), shots=pack(right(machine, x, y)))

    return NoiseStage(
        gate_error=[at("gate_error", level) for level in (0.0, *spec.noise.gate_error)],
        readout_error=[at("readout_error", level) for level in (0.0, *spec.noise.readout_error)],
    )


def drawn(
    model: QuantumClassifier, noise: Mapped | None, data: Dataset, spec: Specification, seed: int, draws: int
) -> ShotStage:
    """Probabilities from finite shots; ``noise`` is a fit to a device, or None.

    With a device also its exact ones, without which shots and noise could not be told apart.
    """
    x = data.tensors("test")[0]
    machine = model.under(noise, shots=spec.noise.shots, generator=torch_generator(spec.seed, seed, "uncertainty"))
    with torch.no_grad():
        several = [chances(machine(x)) for _ in range(draws)]
        if noise is None:
            return ShotStage(draws=several)
        return ShotStage(draws=several, noisy=chances(model.freeze(noise)(x)))


def chances(logits: Tensor) -> list[list[float]]:
    """Probabilities as they are stored, ``(batch, classes)``."""
    return [rounded(row) for row in torch.softmax(logits.double(), 1)]


def resilience(sweeps: Sequence[NoiseStage], correct: Table, confidence: float) -> Estimate:
    """Mean accuracy over the gate-noise sweep (with shots, level zero left out) over clean, all seeds."""
    levels = list(zip(*(sweep.gate_error for sweep in sweeps), strict=True))[1:]
    swept = [table(level.shots for level in seeds) for seeds in levels] or [correct]
    return Estimate.of(stats.relative(np.mean(swept, axis=0), correct, confidence))
