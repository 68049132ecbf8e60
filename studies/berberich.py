"""Lipschitz-regularised re-uploading on a circle (Berberich et al., PRR 6, 043326, 2024), beside ours.

    python -m studies.berberich

trains the published models on several draws of the data (the paper shows one), prints clean and noisy accuracy beside
the published figures, adds what was not published (worst case and certificate), and writes the tables into
docs/defences-certified.md. About five minutes on one core.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from perf.markers import inject
from rich.console import Console
from torch import Tensor

from robustq.atomic import write_atomically
from robustq.attacks import QuantumAutoAttack, run_attack
from robustq.certify import Branching, Lipschitz, certify
from robustq.circuits import Circuit, op, pauli, theta, x
from robustq.circuits.encodings import ring
from robustq.contracts import Step
from robustq.defences import LipschitzPenalty
from robustq.defences.training.lipschitz_penalty import gate_speeds
from robustq.models import QuantumNet
from robustq.seeding import torch_generator
from robustq.threats import Linf
from studies.mnist_1_vs_9 import PAGE
from studies.published_attacks import markdown, shown

QUBITS, LAYERS, EPOCHS, INITS, DRAWS = 3, 3, 200, 9, 10
NOISE = (0.0, 0.1, 0.2)
ATTACKED, FEW = 100, 3  # test points that are attacked and certified, on so many draws
BOX = (-1.5, 1.5)  # of the adversary: the square with room for the largest budget
SLOTS = 3  # trained numbers an angle: two weights and an offset


@dataclass(frozen=True)
class Plan:
    """One of the published models: penalty, whether the encoding is trained, and what was published."""

    strength: float
    trained: bool
    lipschitz: float | None
    accuracy: tuple[float | None, ...]  # by noise


PLANS: Mapping[str, Plan] = {
    "lambda = 0": Plan(0.0, True, 34.4, (0.942, 0.921, 0.873)),
    "lambda = 0.2": Plan(0.2, True, 4.0, (0.972, 0.932, 0.876)),
    "fixed encoding": Plan(0.0, False, None, (0.916, None, None)),
}


def circuit(trained: bool) -> Circuit:
    """Three layers of rotations of every qubit, each angle ``w . x + b``, and a ring of CNOTs.

    With a fixed encoding two angles are the features themselves, and trained rotations follow.
    """
    operations, slot = [], 0
    for _ in range(LAYERS):
        for qubit in range(QUBITS):
            if trained:
                angles = [
                    theta(s) * x(0) + theta(s + 1) * x(1) + theta(s + 2) for s in range(slot, slot + 3 * SLOTS, SLOTS)
                ]
                operations.append(op("rot", qubit, angles=angles))
                slot += 3 * SLOTS
            else:
                operations.append(op("rot", qubit, angles=[x(0), x(1), 0.0]))
                operations.append(op("rot", qubit, angles=[theta(slot + k) for k in range(3)]))
                slot += 3
        operations += ring(QUBITS)
    return Circuit.of(QUBITS, operations)


def points(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Uniform points of [-1, 1]^2; class 0 inside the circle of radius sqrt(2 / pi), class 1 outside."""
    inputs = 2 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1
    return inputs, side(inputs)


def side(inputs: Tensor) -> Tensor:
    """The class of points ``(batch, 2)``."""
    return (inputs.square().sum(1) >= 2 / math.pi).long()


@dataclass(frozen=True)
class SquaredError:
    """``(<ZZZ> - y)^2`` with ``y = 1`` inside and ``-1`` outside, as published; logits are ``(f, -f)``."""

    def losses(self, model: torch.nn.Module, step: Step) -> Tensor:
        """The loss of each input."""
        found: Tensor = (model(step.x)[:, 0] - (1.0 - 2.0 * step.y)) ** 2
        return found


def start(trained: bool, seed: int) -> QuantumNet:
    """An untrained model; every number uniform in [0, 1)."""
    generator = torch_generator(seed, "init")
    word = pauli("Z" * QUBITS, *range(QUBITS))
    model = QuantumNet(circuit(trained), [word, -word], generator=generator).double()
    with torch.no_grad():
        model.theta.copy_(torch.rand(model.theta.shape, generator=generator, dtype=torch.float64))
        model.log_scale.zero_()  # logits are the expectations themselves
    model.log_scale.requires_grad_(False)
    return model


def trained(plan: Plan, inputs: Tensor, labels: Tensor, seed: int) -> tuple[QuantumNet, float]:
    """Adam on the whole training set, rate 0.1, and the loss that it ends with."""
    model, defence = start(plan.trained, seed), LipschitzPenalty(plan.strength, SquaredError())
    objective = defence if plan.strength else SquaredError()
    step = Step(x=inputs, y=labels, generator=torch.Generator())
    optimiser = torch.optim.Adam([model.theta], lr=0.1)
    for _ in range(EPOCHS):
        loss = objective.losses(model, step).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.requires_grad_(False), float(loss.detach())


@lru_cache
def best(name: str, draw: int, inits: int = INITS) -> QuantumNet:
    """Of so many starts the one that ends with the smallest training loss."""
    inputs, labels = points(200, torch_generator(draw, "train"))
    found = [trained(PLANS[name], inputs, labels, seed) for seed in range(inits)]
    return min(found, key=lambda pair: pair[1])[0]


def lipschitz(model: QuantumNet) -> float:
    """``2 |M| sum_j |w_j| |H_j|``, as published."""
    return 2 * float(gate_speeds(model, torch.zeros(1, 2).double()).sum())


def accuracies(label: Callable[[Tensor], Tensor], draw: int) -> list[float]:
    """On 1000 test points, clean and under uniform input noise, of a model's labels."""
    generator = torch_generator(draw, "test")
    inputs, labels = points(1000, generator)
    found = []
    for size in NOISE:
        moved = inputs + size * (2 * torch.rand(inputs.shape, generator=generator).double() - 1)
        found.append(float((label(moved) == labels).double().mean()))
    return found


def worst(model: QuantumNet, draw: int, count: int = ATTACKED) -> dict[str, float]:
    """Accuracy under QuantumAutoAttack and certified, at the sizes of the noise."""
    inputs, labels = (part[:count] for part in points(1000, torch_generator(draw, "test")))
    found: dict[str, float] = {}
    proved = certify(Branching(), model, inputs, labels, Linf(max(NOISE), box=BOX), generator=torch.Generator())
    bound = certify(Lipschitz(), model, inputs, labels, Linf(max(NOISE), box=BOX), generator=torch.Generator())
    for eps in NOISE[1:]:
        stream = torch_generator(draw, "attack", repr(eps))
        attack = run_attack(QuantumAutoAttack(), model, inputs, labels, Linf(eps, box=BOX), generator=stream)
        found[f"attacked at {eps}"] = float(attack.robust.double().mean())
        found[f"certified at {eps}"] = float(proved.certified(eps).double().mean())
        found[f"Lipschitz bound at {eps}"] = float(bound.certified(eps).double().mean())
    return found


def published_lines(draws: Sequence[int]) -> Iterator[dict[str, str]]:
    """The published figures; mean and standard deviation over the draws; the nearest draw."""
    for name, plan in PLANS.items():
        models = [best(name, draw) for draw in draws]
        rows = [accuracies(labels_of(best(name, draw)), draw) for draw in draws]
        constants = [lipschitz(model) for model in models]
        known = "" if plan.lipschitz is None else f"{plan.lipschitz:.1f}"
        yield line(f"{name}, published", known, map(digits, plan.accuracy))
        spread = [f"{statistics.mean(c):.3f} ± {statistics.stdev(c):.3f}" for c in zip(*rows, strict=True)]
        size = f"{statistics.mean(constants):.1f} ± {statistics.stdev(constants):.1f}"
        yield line(f"{name}, {len(draws)} draws of the data", size, spread)
        place = nearest(plan, rows)
        yield line(f"{name}, draw {place}", f"{constants[place]:.1f}", map(digits, rows[place]))
    own = [statistics.mean(column) for column in zip(*(accuracies(side, d) for d in draws), strict=True)]
    yield line("the circle itself", "", map(digits, own))


def labels_of(model: QuantumNet) -> Callable[[Tensor], Tensor]:
    """The model as a function from points to classes."""
    return lambda inputs: model(inputs).argmax(1)


def line(name: str, constant: str, accuracy: Iterable[str]) -> dict[str, str]:
    """One line of the first table."""
    columns = ("clean", *(f"noise {size}" for size in NOISE[1:]))
    return {"model": name, "L": constant, **dict(zip(columns, accuracy, strict=True))}


def nearest(plan: Plan, rows: Sequence[Sequence[float]]) -> int:
    """The draw whose largest gap to the published accuracies is smallest."""

    def gap(row: Sequence[float]) -> float:
        return max(abs(a - b) for a, b in zip(row, plan.accuracy, strict=True) if b is not None)

    return min(range(len(rows)), key=lambda place: gap(rows[place]))


def digits(value: float | None) -> str:
    """Three digits, or nothing."""
    return "" if value is None else f"{value:.3f}"


def worst_lines(draws: Sequence[int]) -> Iterator[dict[str, str]]:
    """What was not published: the worst case over the same draws, means."""
    for name in PLANS:
        rows = [worst(best(name, draw), draw) for draw in draws]
        means = {column: statistics.mean(row[column] for row in rows) for column in rows[0]}
        yield {"model": name, **{column: digits(mean) for column, mean in means.items()}}
    yield {"model": "the circle itself", **ideal(draws)}


def ideal(draws: Sequence[int]) -> dict[str, str]:
    """Points whose whole box of a budget lies on their side of the circle: no model can be right on more."""
    found: dict[str, str] = {}
    for eps in NOISE[1:]:
        kept = []
        for draw in draws:
            inputs = points(1000, torch_generator(draw, "test"))[0][:ATTACKED]
            near, far = (inputs.abs() - eps).clamp(min=0), inputs.abs() + eps
            kept.append(float((side(near) == side(far)).double().mean()))
        share = digits(statistics.mean(kept))
        found |= {f"attacked at {eps}": share, f"certified at {eps}": share, f"Lipschitz bound at {eps}": ""}
    return found


def main() -> None:
    """Print both tables and write them into the page."""
    torch.set_num_threads(1)
    console, parts = Console(width=150), []
    tables = {
        "Circle: accuracy on 1000 points": published_lines(range(DRAWS)),
        f"Circle, not published: {ATTACKED} points, l-inf, means over {FEW} draws": worst_lines(range(FEW)),
    }
    for title, lines in tables.items():
        found = list(lines)
        console.print(shown(title, found))
        parts.append(markdown(title, found))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join(parts), "berberich")
    write_atomically(PAGE, page.encode())


if __name__ == "__main__":
    main()
