"""Published figures on attacks against quantum classifiers, beside ours.

    python -m studies.published_attacks

trains the models as published, attacks them with the published search and with stronger ones, prints the tables and
writes them into docs/published.md. Needs the data folder named by ``ROBUSTQ_DATA_DIR``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from perf.markers import inject
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from robustq.attacks import PGD, QuantumAutoAttack, UniformNoise, run_attack
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.contracts import Attack
from robustq.data import load, prepare
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import cnn
from robustq.seeding import torch_generator
from robustq.stats import proportion
from robustq.threats import Linf

# The columns of the tables; a further attack is a further line.
ATTACKS: Mapping[str, Attack] = {
    "BIM, 10 steps": PGD(steps=10, restarts=1, step=0.1, loss="cross-entropy"),
    "QuantumAutoAttack": QuantumAutoAttack(),
    "uniform noise": UniformNoise(tries=1),
}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "published.md"
PIXELS, QUBITS = 256, 8


@dataclass(frozen=True)
class Data:
    """Rows to train on and rows to attack, inputs in [0, 1]."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor

    @property
    def unit(self) -> Data:
        """The same images scaled to unit length."""
        x, x_test = (nn.functional.normalize(part, dim=1) for part in (self.x, self.x_test))
        return Data(x, self.y, x_test, self.y_test)


@dataclass(frozen=True)
class Experiment:
    """One publication's experiment.

    Attributes:
        title: what it is.
        data: loads it.
        classes: how many there are.
        layers: depth of the quantum model.
        plans: how each model is trained.
        eps: l-infinity budgets.
        published: accuracy by (model, attack, eps); eps 0 is the clean accuracy.
    """

    title: str
    data: Callable[[], Data]
    classes: int
    layers: int
    plans: Mapping[str, Training]
    eps: tuple[float, ...]
    published: Mapping[tuple[str, str, float], float] = field(default_factory=dict)

    def model(self, name: str) -> nn.Module:
        """The untrained model called ``name``: ``"QNN"`` or ``"ConvNet"``."""
        generator = torch_generator(0, "init", name)
        if name == "ConvNet":
            return cnn(PIXELS, self.classes, generator=generator)
        ansatz = ansaetze.strongly_entangling(QUBITS, layers=self.layers)
        observables = per_qubit_z(self.classes, QUBITS)
        circuit = encodings.amplitude(PIXELS).then(ansatz)
        return QuantumNet(circuit, observables, generator=generator)

    def trained(self, name: str, data: Data) -> nn.Module:
        """The model after its published training."""
        model = self.model(name)
        generator = torch_generator(0, "fit", name)
        fit(model, data.x, data.y, generator=generator, training=self.plans[name])
        return model.eval()


def mnist_1_or_9(train: int = 4000, test: int = 1000) -> Data:
    """Ones and nines at 16 x 16."""
    raw = load("mnist").only(("1", "9"))
    prepared = prepare(raw, features=PIXELS, train_size=train, test_size=test)
    return Data(*prepared.tensors("train"), *prepared.tensors("test"))


def plus_minus() -> Data:
    """The four figures, all rows."""
    prepared = prepare(load("plus-minus"))
    return Data(*prepared.tensors("train"), *prepared.tensors("test"))


BIM, NOISE = "BIM, 10 steps", "uniform noise"
LU_PLANS = {
    "QNN": Training(epochs=15, batch_size=50, lr=0.01),
    "ConvNet": Training(epochs=15, batch_size=50, lr=0.005),
}
LU_2020 = Experiment(
    "MNIST 1 or 9, images of unit length (Lu, Duan & Deng 2020, as re-run in MerLin)",
    lambda: mnist_1_or_9().unit,
    classes=2,
    layers=10,
    plans=LU_PLANS,
    eps=(0.01, 0.03, 0.05, 0.1),
    published={
        ("QNN", BIM, 0.0): 0.996,
        ("QNN", BIM, 0.01): 0.986,
        ("QNN", BIM, 0.03): 0.690,
        ("QNN", BIM, 0.05): 0.022,
        ("QNN", BIM, 0.1): 0.0,
        ("QNN", NOISE, 0.1): 0.992,
    },
)
LU_2020_GREY = Experiment(
    "MNIST 1 or 9, grey levels in [0, 1]: the same budgets are smaller here",
    mnist_1_or_9,
    classes=2,
    layers=10,
    plans=LU_PLANS,
    eps=(0.01, 0.03, 0.05, 0.1, 0.2),
)
WENDLINGER_2024 = Experiment(
    "Plus-Minus, four figures (Wendlinger, Tscharke & Debus 2024)",
    plus_minus,
    classes=4,
    layers=32,
    plans={
        "QNN": Training(epochs=20, batch_size=50, lr=1e-3, validation=0.0),
        "ConvNet": Training(epochs=20, batch_size=50, lr=1e-3, validation=0.0),
    },
    eps=(0.02, 0.05, 0.1),
    published={("QNN", BIM, 0.0): 1.0, ("ConvNet", BIM, 0.0): 1.0, ("ConvNet", BIM, 0.1): 0.54},
)
EXPERIMENTS = (LU_2020, LU_2020_GREY, WENDLINGER_2024)


def robust(model: nn.Module, data: Data, attack: Attack, eps: float) -> Tensor:
    """Whether each test row is classified correctly and stays so, ``(rows,)`` of bool."""
    threat, generator = Linf(eps, box=(0.0, 1.0)), torch_generator(0, "attack")
    found = run_attack(attack, model, data.x_test, data.y_test, threat, generator=generator)
    return found.robust


def rows(experiment: Experiment) -> Iterator[dict[str, str]]:
    """The table's lines: each model at each budget, published figures before ours."""
    data = experiment.data()
    for name in experiment.plans:
        model = experiment.trained(name, data)
        for eps in (0.0, *experiment.eps):
            line = {"model": name, "eps": f"{eps:g}"}
            for title, attack in ATTACKS.items():
                if any(key[1] == title for key in experiment.published):
                    told = experiment.published.get((name, title, eps))
                    line[f"{title}: published"] = "–" if told is None else f"{100 * told:.1f}"
                line[title] = percent(robust(model, data, attack, eps))
            yield line


def percent(outcomes: Tensor) -> str:
    """A share with its Wilson interval, in percent."""
    found = proportion(outcomes.numpy())
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def shown(title: str, lines: list[dict[str, str]]) -> Table:
    """The lines as a table for the terminal."""
    table = Table(*lines[0], title=title, title_justify="left")
    for line in lines:
        table.add_row(*line.values())
    return table


def markdown(title: str, lines: list[dict[str, str]]) -> str:
    """The lines as a Markdown table under a heading."""
    cells = [list(lines[0]), ["---"] * len(lines[0]), *(list(line.values()) for line in lines)]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in cells)


def main() -> None:
    """Measure every experiment, print it, and write the page."""
    torch.set_num_threads(1)
    console, parts = Console(), []
    for experiment in EXPERIMENTS:
        lines = list(rows(experiment))
        console.print(shown(experiment.title, lines))
        parts.append(markdown(experiment.title, lines))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join(parts), "published")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
