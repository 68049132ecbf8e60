"""Partial error correction of an image classifier (Kang et al., arXiv:2507.18954), measured again.

    python -m studies.partial_correction

samples surface-code memories, turns them into logical rates of two-qubit gates, and asks how accurate a
ten-qubit classifier of MNIST is at each physical rate: without correction, with its two-qubit gates
corrected, with every gate corrected; trained without noise, or under it. Prints the tables and writes them
into docs/error-correction.md. Needs the data folder named by ``ROBUSTQ_DATA_DIR``; about ten minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from perf.markers import inject
from rich.console import Console
from torch import Tensor

from robustq import engine
from robustq.atomic import write_atomically
from robustq.circuits import Circuit, ansaetze, z
from robustq.data import prepare
from robustq.data.mnist import mnist
from robustq.mitigation.correction import (
    Law,
    LogicalRates,
    Memory,
    fit,
    framed,
    fully_corrected,
    logical_interval,
    logical_rates,
    measure,
    overhead,
    partially_corrected,
    patch_qubits,
    uncorrected,
)
from robustq.noise import NoiseModel
from robustq.seeding import torch_generator
from robustq.stats import mean, proportion
from studies.published_attacks import markdown, shown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "error-correction.md"
QUBITS, PIXELS, DIGITS = 10, 784, ("0", "1", "3", "6")
RATES = (0.001, 0.002, 0.005, 0.01, 0.03)
DISTANCES = (3, 5, 7)
CODED = (0.001, 0.002, 0.003, 0.005, 0.01)  # rates at which memories are sampled
FITTED = (0.001, 0.002, 0.003)  # the ones far enough below the threshold for the law
DISTANCE = 7  # of the corrected gates
FEW = 10  # failures below which the law says more than the count
TARGET = 0.1  # logical over physical rate: correction that pays
SEEN = (z(0), z(1), z(0, 1))  # what the chances of the four outcomes of two qubits are made of
SIGNS = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float32)
NONE, PARTIAL, IDEAL, FULL = "none", "two-qubit gates", "two-qubit gates, perfectly", "every gate"


@dataclass(frozen=True)
class Setting:
    """How large the study is.

    Attributes:
        seeds: of starting angles, batches and noise.
        layers: strongly entangling ones.
        train, test: rows.
        steps: of Adam, on ``batch`` rows each.
        memory_shots: of each memory.
        shots: of each test image, where they are finite.
        trained: rates under which models are also trained.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    layers: int = 10
    train: int = 2000
    test: int = 300
    steps: int = 120
    batch: int = 64
    memory_shots: int = 100_000
    shots: int = 1000
    trained: tuple[float, ...] = (0.003, 0.01, 0.03)


@dataclass(frozen=True)
class Outcome:
    """What a model does under a noise: a row of each test image."""

    exact: Tensor  # right, with infinitely many shots
    sampled: Tensor  # right, with so many shots
    chance: Tensor  # that a single shot is right


@dataclass(frozen=True, eq=False)
class Data:
    """Images as amplitudes, and their classes."""

    x: Tensor
    y: Tensor


@lru_cache
def images(setting: Setting) -> tuple[Data, Data]:
    """Training and test images of four digits."""
    made = prepare(mnist().only(DIGITS), reduction="none", train_size=setting.train, test_size=setting.test)
    return Data(*made.tensors("train")), Data(*made.tensors("test"))


def circuit(layers: int) -> Circuit:
    """784 pixels as amplitudes of ten qubits, then layers of rotations and CNOT rings."""
    ansatz = ansaetze.strongly_entangling(QUBITS, layers=layers)
    return Circuit(QUBITS, ansatz.operations, PIXELS, ansatz.parameters, PIXELS)


def chances(values: Tensor) -> Tensor:
    """Of the outcomes 00, 01, 10, 11 of the first two qubits, one a class."""
    return (1 + values @ SIGNS.T) / 4


def trained(setting: Setting, noise: NoiseModel, seed: int) -> Tensor:
    """Angles that make the right outcome likely in a single shot.

    That loss is linear in the expectations, so that gradients from one Pauli frame a row are unbiased.
    """
    generator = torch_generator(seed, "partial correction", "train")
    data, made = images(setting)[0], framed(circuit(setting.layers), SEEN, noise)
    angles = 0.1 * torch.randn(circuit(setting.layers).parameters, generator=generator)
    angles.requires_grad_()
    optimiser = torch.optim.Adam([angles], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, setting.steps)
    for _ in range(setting.steps):
        rows = torch.randint(len(data.x), (setting.batch,), generator=generator)
        values = made.expectations(data.x[rows], angles, generator=generator)
        loss = -chances(values).gather(1, data.y[rows, None]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return angles.detach()


@torch.no_grad()
def judged(setting: Setting, angles: Tensor, noise: NoiseModel, seed: int) -> Outcome:
    """Exact expectations under the noise, then shots drawn from them."""
    data = images(setting)[1]
    values = engine.expectations(circuit(setting.layers), SEEN, inputs=data.x, parameters=angles, noise=noise)
    odds = chances(values).clamp(min=0).double()
    odds = odds / odds.sum(1, keepdim=True)
    generator = torch_generator(seed, "partial correction", "shots")
    drawn = torch.multinomial(odds, setting.shots, replacement=True, generator=generator)
    counts = torch.stack([(drawn == k).sum(1) for k in range(len(DIGITS))], dim=1).double()
    counts += 0.5 * torch.rand(counts.shape, generator=generator)  # ties fall at random
    found = (odds.argmax(1) == data.y, counts.argmax(1) == data.y)
    return Outcome(*found, odds.gather(1, data.y[:, None])[:, 0])


@dataclass(frozen=True)
class Sampled:
    """The surface code as it was measured."""

    memories: Mapping[tuple[int, float, str], Memory]
    law: Law

    def logical(self, p: float) -> LogicalRates:
        """Rates at the study's distance: counted, or by the law where hardly anything failed."""
        found = [self.memories[DISTANCE, p, basis] for basis in "zx"]
        flip, phase = (m.rate if m.failures >= FEW else self.law.rate(p, DISTANCE) for m in found)
        return logical_rates(flip, phase)

    def paying(self, p: float) -> str:
        """The distance from which a two-qubit gate errs a tenth as often as a physical one."""
        if p >= self.law.threshold:
            return "none"
        distance = self.law.distance_for(p, TARGET * p / 4)  # four ways to fail: two patches, X or Z
        return f"{distance} ({patch_qubits(distance)} qubits a patch)"


def sampled(shots: int) -> Sampled:
    """Memories of both bases at every distance and rate, and the law through those far below the threshold."""
    memories = {
        (d, p, basis): measure(d, p, basis=basis, seed=0, shots=shots)
        for d in DISTANCES
        for p in CODED
        for basis in "zx"
    }
    return Sampled(memories, fit([m for (_, p, _), m in memories.items() if p in FITTED]))


def schemes(code: Sampled, p: float) -> dict[str, NoiseModel]:
    """The noise of each kind of correction at a physical rate; of a real code only below its threshold."""
    found = {NONE: uncorrected(p), IDEAL: partially_corrected(p, 0.0)}
    if p < code.law.threshold:
        logical = code.logical(p)
        found[PARTIAL] = partially_corrected(p, logical.two)
        found[FULL] = fully_corrected(logical)
    return found


def code_lines(code: Sampled) -> Iterator[dict[str, str]]:
    """Logical rates of two-qubit gates by distance, with intervals, and the distance that pays."""
    for p in CODED:
        line = {"physical rate": f"{p:g}"}
        for d in DISTANCES:
            flips, phases = (code.memories[d, p, basis] for basis in "zx")
            best, (low, high) = (logical_rates(flips.rate, phases.rate), logical_interval(flips, phases))
            line[f"d = {d}"] = f"{best.two:.2g} [{low.two:.2g}, {high.two:.2g}]"
        yield {**line, f"d for {TARGET:g} p, by the law": code.paying(p)}


def line(name: str, p: float, outcomes: list[Outcome]) -> dict[str, str]:
    """One line of accuracies over seeds and test images."""
    tables = [np.stack([getattr(o, kind).numpy() for o in outcomes]) for kind in Outcome.__annotations__]
    exact, shots = (proportion(table) for table in tables[:2])
    chance = mean(tables[2], bounds=(0.0, 1.0))
    return {
        "corrected": name,
        "physical rate": f"{p:g}",
        "accuracy, %": f"{100 * exact.value:.1f} [{100 * exact.low:.1f}, {100 * exact.high:.1f}]",
        "with 1000 shots, %": f"{100 * shots.value:.1f} [{100 * shots.low:.1f}, {100 * shots.high:.1f}]",
        "single shot, %": f"{100 * chance.value:.1f}",
    }


def noiseless_lines(setting: Setting, code: Sampled) -> Iterator[dict[str, str]]:
    """Models trained without noise, under the noise of every scheme."""
    models = {seed: trained(setting, NoiseModel(), seed) for seed in setting.seeds}
    clean = [judged(setting, angles, NoiseModel(), seed) for seed, angles in models.items()]
    yield line("no noise", 0.0, clean)
    for name in (NONE, PARTIAL, IDEAL, FULL):
        for p in RATES:
            noise = schemes(code, p).get(name)
            if noise is not None:
                found = [judged(setting, a, noise, seed) for seed, a in models.items()]
                yield line(name, p, found)


def noisy_lines(setting: Setting, code: Sampled) -> Iterator[dict[str, str]]:
    """Models trained under the noise that they are then judged under."""
    for name in (NONE, PARTIAL, IDEAL):
        for p in setting.trained:
            noise = schemes(code, p).get(name)
            if noise is None:
                continue
            found = [judged(setting, trained(setting, noise, seed), noise, seed) for seed in setting.seeds]
            yield line(name, p, found)


def main() -> None:
    """Print the tables and write them into the page."""
    torch.set_num_threads(1)
    setting, console, parts = Setting(), Console(width=150), []
    code = sampled(setting.memory_shots)
    counted = overhead(circuit(setting.layers), DISTANCE)
    facts = (
        f"Law: A = {code.law.amplitude:.3f}, threshold {code.law.threshold:.4f}, misfit {code.law.misfit:.1f}. "
        f"The classifier has {counted.corrected} two-qubit gates and {counted.rotations} turns; at distance "
        f"{DISTANCE} it fills {counted.qubits} physical qubits, and correcting its turns to 1e-4 would take "
        f"{counted.magic_states} magic states a run."
    )
    console.print(facts)
    tables = {
        "Depolarising rate of a logical two-qubit gate": code_lines(code),
        f"Trained without noise ({len(setting.seeds)} seeds, {setting.test} test images)": noiseless_lines(
            setting, code
        ),
        "Trained under the noise": noisy_lines(setting, code),
    }
    for title, lines in tables.items():
        found = list(lines)
        console.print(shown(title, found))
        parts.append(markdown(title, found))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join([facts, *parts]), "partial correction")
    write_atomically(PAGE, page.encode())


if __name__ == "__main__":
    main()
