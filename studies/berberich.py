"""Training with a Lipschitz penalty (Berberich et al., Phys. Rev. Research 6, 043326, 2024), attacked and certified.

    python -m studies.berberich

trains the published models on the published circle, measures their accuracy under random noise as published,
then under attack and certified, prints the tables and writes them into docs/defences-certified.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from perf.markers import inject
from rich.console import Console
from torch import Tensor

from robustq.attacks import QuantumAutoAttack, run_attack
from robustq.certify import Branching, Lipschitz, certify
from robustq.circuits import Circuit, op, theta, x, z
from robustq.circuits.encodings import ring
from robustq.contracts import Step
from robustq.defences import LipschitzPenalty
from robustq.defences.lipschitz_penalty import gate_speeds
from robustq.models import QuantumNet
from robustq.seeding import torch_generator
from robustq.threats import Linf
from studies.published_attacks import markdown, percent

PAGE = Path(__file__).resolve().parent.parent / "docs" / "defences-certified.md"
QUBITS, LAYERS, INITS, EPOCHS, RATE = 3, 3, 9, 200, 0.1
TRAIN, TEST, ATTACKED, CERTIFIED = 200, 1000, 300, 100
NOISE = (0.0, 0.1, 0.2)


@dataclass(frozen=True)
class Model:
    """One row of the published table.

    Attributes:
        trained: whether the encoding is, ``w . x + b``; otherwise features are turned in as they are.
        strength: lambda.
        published: accuracy by size of the noise.
        bound: the published Lipschitz bound; None where there is none.
    """

    trained: bool
    strength: float
    published: Mapping[float, float]
    bound: float | None = None


MODELS: Mapping[str, Model] = {
    "trained encoding, lambda 0": Model(True, 0.0, {0.0: 0.942, 0.1: 0.921, 0.2: 0.873}, 34.4),
    "trained encoding, lambda 0.2": Model(True, 0.2, {0.0: 0.972, 0.1: 0.932, 0.2: 0.876}, 4.0),
    "fixed encoding": Model(False, 0.0, {0.0: 0.916}),
}


def circuit(*, trained: bool) -> Circuit:
    """Three layers of general rotations and a ring of CNOTs; ``w . x + b`` in each angle, or ``x`` before."""
    operations, slot = [], 0
    for _ in range(LAYERS):
        for q in range(QUBITS):
            if trained:
                turns = [
                    theta(k) * x(0) + theta(k + 1) * x(1) + theta(k + 2)
                    for k in range(slot, slot + 9, 3)
                ]
            else:
                operations.append(op("rot", q, angles=[x(0), x(1), 0.0]))
                turns = [theta(k) for k in range(slot, slot + 3)]
            operations.append(op("rot", q, angles=turns))
            slot += 9 if trained else 3
        operations += ring(QUBITS)
    return Circuit.of(QUBITS, operations)


def circle(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points of [-1, 1]^2 and whether they lie outside the circle of half the square's area."""
    points = 2 * torch.rand(rows, 2, generator=generator) - 1
    return points, _outside(points)


def _outside(points: Tensor) -> Tensor:
    far: Tensor = torch.linalg.vector_norm(points, dim=1) > math.sqrt(2 / math.pi)
    return far.long()


@dataclass(frozen=True)
class Squares:
    """Squared distance of the expectation from +1 inside and -1 outside."""

    def losses(self, model: Any, step: Step) -> Tensor:
        """The loss of each input."""
        value = model.measured(step.x, model.angles)[:, 0]
        losses: Tensor = (value - (1 - 2 * step.y)).square()
        return losses


def trained(plan: Model, seed: int, points: Tensor, y: Tensor) -> tuple[QuantumNet, float]:
    """One training from random angles, the whole batch a step, and the loss that it ends with."""
    draws = torch_generator(seed, "init")
    read = [z(*range(QUBITS)), -z(*range(QUBITS))]
    model = QuantumNet(circuit(trained=plan.trained), read, generator=draws, spread=1.0)
    step = Step(x=points, y=y, generator=draws)
    defence = LipschitzPenalty(plan.strength, on=Squares())
    optimiser = torch.optim.Adam([model.theta], lr=RATE)
    for _ in range(EPOCHS):
        loss = defence.losses(model, step).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        return model, float(defence.losses(model, step).mean())


def best(plan: Model, inits: int = INITS, seed: int = 0) -> QuantumNet:
    """The training that ends with the least loss."""
    points, y = circle(TRAIN, torch_generator(seed, "train"))
    found = [trained(plan, init, points, y) for init in range(seed, seed + inits)]
    return min(found, key=lambda pair: pair[1])[0]


def judged() -> tuple[Tensor, Tensor]:
    """The rows that every model is judged on."""
    return circle(TEST, torch_generator(0, "test"))


def under_noise(model: QuantumNet, eps: float) -> Tensor:
    """Whether each test row is right under uniform noise of this size, ``(rows,)``."""
    points, y = judged()
    with torch.no_grad():
        right: Tensor = model(_shaken(points, eps)).argmax(1) == y
    return right


def perfect(eps: float) -> Tensor:
    """The same of the circle itself: rows that noise does not carry across it, ``(rows,)``."""
    points, y = judged()
    return _outside(_shaken(points, eps)) == y


def _shaken(points: Tensor, eps: float) -> Tensor:
    shift: Tensor = eps * (2 * torch.rand(points.shape, generator=torch_generator(0, "noise")) - 1)
    return points + shift


def lipschitz_bound(model: QuantumNet) -> float:
    """``2 |M| sum_j |w_j| |H_j|`` with ``|M| = 1``."""
    return 2 * float(gate_speeds(model, torch.zeros(1, 2)).sum().detach())


def published_lines(models: Mapping[str, QuantumNet]) -> list[dict[str, str]]:
    """Random noise: published accuracies before ours, in percent."""
    lines = []
    for name, model in models.items():
        plan = MODELS[name]
        line = {"model": name}
        for eps in NOISE:
            told = plan.published.get(eps)
            line[f"noise {eps:g}: published"] = "–" if told is None else f"{100 * told:.1f}"
            line[f"noise {eps:g}"] = percent(under_noise(model, eps))
        line["L: published"] = "–" if plan.bound is None else f"{plan.bound:.1f}"
        lines.append(line | {"L": f"{lipschitz_bound(model):.1f}"})
    ideal = dict.fromkeys(lines[0], "–") | {"model": "the circle itself"}
    return [*lines, ideal | {f"noise {eps:g}": percent(perfect(eps)) for eps in NOISE}]


def worst_lines(models: Mapping[str, QuantumNet]) -> list[dict[str, str]]:
    """The same budgets in the hands of an adversary: attacked and certified accuracy, in percent."""
    points, y = (part[:ATTACKED] for part in judged())
    few, own = points[:CERTIFIED], y[:CERTIFIED]
    lines = []
    for name, model in models.items():
        for eps in NOISE[1:]:
            draws, threat = torch_generator(0, "attack"), Linf(eps)
            found = run_attack(QuantumAutoAttack(), model, points, y, threat, generator=draws)
            line = {"model": name, "eps": f"{eps:g}", "attacked": percent(found.robust)}
            line[f"attacked, first {CERTIFIED}"] = percent(found.robust[:CERTIFIED])
            for title, certifier in (("branching", Branching()), ("Lipschitz", Lipschitz())):
                proved = certify(certifier, model, few, own, threat, generator=draws)
                line[f"certified, {title}"] = percent(proved.certified(eps))
            lines.append(line)
    return [*lines, *(_ideal_line(lines[0], points, eps) for eps in NOISE[1:])]


def _ideal_line(like: Mapping[str, str], points: Tensor, eps: float) -> dict[str, str]:
    """The same of the circle itself: rows whose whole box lies on their side of it."""
    near, far = (points.abs() - eps).clamp(min=0), points.abs() + eps
    kept = _outside(near) == _outside(far)
    own = {"model": "the circle itself", "eps": f"{eps:g}", "attacked": percent(kept)}
    own[f"attacked, first {CERTIFIED}"] = percent(kept[:CERTIFIED])
    return dict.fromkeys(like, "–") | own


def main() -> None:
    """Train, measure, print and write the page."""
    torch.set_num_threads(1)
    models = {name: best(plan) for name, plan in MODELS.items()}
    text = "\n\n".join(
        [
            markdown(
                f"A circle under uniform noise (Berberich et al. 2024), {TEST} rows, best of {INITS} starts",
                published_lines(models),
            ),
            markdown(
                f"The same budgets in l-inf, {ATTACKED} rows attacked, {CERTIFIED} certified",
                worst_lines(models),
            ),
        ]
    )
    Console().print(text, markup=False)
    PAGE.write_text(inject(PAGE.read_text("utf-8"), text, "berberich"), "utf-8")


if __name__ == "__main__":
    main()
