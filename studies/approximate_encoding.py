"""Approximate encoding of images (West et al., Intelligent Computing 3, 0100, 2024), and what it lacked.

    python -m studies.approximate_encoding

encodes MNIST digits of 28 x 28 pixels in ten qubits by circuits of rising fidelity, counts their CNOTs against exact
preparation, measures a classifier's accuracy over fidelity, runs the published attack (three steps of PGD on a
ConvNet, transferred) and then attacks through the encoder. Writes the tables into docs/published.md.

The paper pairs pixels to complex amplitudes on nine qubits; here they are real amplitudes on ten, images padded to
32 x 32, and exact preparation costs about as many CNOTs (2^10 - 2 = 1022; about 1000 on nine complex qubits).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from perf.markers import inject
from rich.console import Console
from torch import Tensor, nn

from robustq.atomic import write_atomically
from robustq.attacks import APGD, PGD, SearchProblem, Square, UniformNoise, run_attack
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.contracts import Attack
from robustq.data import load, prepare
from robustq.defences.encoding.approximation import ApproximateEncoder
from robustq.defences.encoding.disentangler import Prepared, to_fidelity
from robustq.defences.front import Fronted
from robustq.models import ConvNet, QuantumNet, Training, fit
from robustq.seeding import torch_generator
from robustq.threats import Linf
from studies.published_attacks import PAGE, markdown, shown

CLASSES, SIDE, QUBITS, LAYERS = ("0", "1", "3", "6"), 32, 10, 20
EXACT = 2**QUBITS - 2  # CNOTs of exact preparation of real amplitudes (Moettoenen et al. 2005)
TARGETS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SWEEPS, DEEPEST = 2, 8
EPS = (0.05, 0.1)
ENCODERS = {"exact": 0, "1 layer": 1, "2 layers": 2}
BOX = (0.0, 1.0)


@dataclass(frozen=True)
class Images:
    """Rows to train on and rows to attack: pixels in [0, 1], padded to 32 x 32."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


@lru_cache
def images(train: int = 4000, test: int = 200) -> Images:
    """Four digits of MNIST."""
    data = prepare(load("mnist").only(CLASSES), reduction="none", train_size=train, test_size=test)
    (x, y), (x_test, y_test) = data.tensors("train"), data.tensors("test")
    return Images(padded(x), y, padded(x_test), y_test)


def padded(x: Tensor) -> Tensor:
    """Images ``(batch, 784)`` with a margin of two pixels, ``(batch, 1024)``."""
    square = x.reshape(len(x), 28, 28)
    return nn.functional.pad(square, (2, 2, 2, 2)).flatten(1)


def states_of(x: Tensor) -> Tensor:
    """Unit vectors of float64."""
    return nn.functional.normalize(x.double(), dim=1)


@lru_cache
def classifier(seed: int = 0) -> QuantumNet:
    """Trained on exactly encoded images."""
    data = images()
    circuit = encodings.amplitude(SIDE**2)
    circuit = circuit.then(ansaetze.strongly_entangling(QUBITS, layers=LAYERS))
    model = QuantumNet(circuit, per_qubit_z(len(CLASSES), QUBITS), generator=torch_generator(seed, "init"))
    plan = Training(epochs=6, batch_size=64, lr=0.03)
    fit(model, data.x, data.y, generator=torch_generator(seed, "fit"), training=plan)
    return model.eval().requires_grad_(False)


@lru_cache
def convnet(seed: int = 0) -> ConvNet:
    """The published attack's surrogate."""
    data = images()
    model = ConvNet(SIDE**2, (8, 16), len(CLASSES), generator=torch_generator(seed, "convnet"))
    plan = Training(epochs=4, batch_size=64, lr=0.005)
    fit(model, data.x, data.y, generator=torch_generator(seed, "fit convnet"), training=plan)
    return model.eval().requires_grad_(False)


def encoded(target: float, x: Tensor) -> Prepared:
    """The cheapest circuits tried that reach the target, for every image of its own."""
    return to_fidelity(states_of(x), target, layers=DEEPEST, sweeps=SWEEPS)


def fidelity_lines() -> Iterator[dict[str, str]]:
    """CNOTs and accuracy of circuits that reach a fidelity for every image."""
    data, model = images(), classifier().freeze()
    for target in TARGETS:
        made = encoded(target, data.x_test)
        cost = float(made.cnots.double().mean())
        yield {
            "target fidelity": f"{target:g}",
            "mean fidelity": f"{float(made.fidelity.mean()):.3f}",
            "images that reach it": percent(made.fidelity >= target),
            "CNOTs an image": f"{cost:.1f}",
            "fewer than exact": f"{EXACT / cost:.0f}x",
            "accuracy": percent(model(made.states.float()).argmax(1) == data.y_test),
        }
    right = model(data.x_test).argmax(1) == data.y_test
    yield {
        "target fidelity": "exact",
        "mean fidelity": "1",
        "images that reach it": "100.0 %",
        "CNOTs an image": str(EXACT),
        "fewer than exact": "1x",
        "accuracy": percent(right),
    }


def percent(flags: Tensor) -> str:
    """A share."""
    return f"{100 * float(flags.double().mean()):.1f} %"


def guarded(layers: int) -> nn.Module:
    """The classifier behind an encoder of so many layers; 0 is exact."""
    return Fronted(ApproximateEncoder(layers), classifier()).eval() if layers else classifier()


def transferred(eps: float) -> Tensor:
    """The published attack: three steps of PGD on a ConvNet."""
    data = images()
    attack = PGD(steps=3, restarts=1, loss="cross-entropy")
    found = run_attack(
        attack, convnet(), data.x_test, data.y_test, Linf(eps, BOX), generator=torch_generator(0, "cnn")
    )
    return found.x_adv


ATTACKS: dict[str, Attack] = {
    "random noise": UniformNoise(),
    "PGD through the encoder": PGD(steps=40, restarts=2),
    "APGD through the encoder": APGD(steps=40, restarts=1),
    "Square (answers only)": Square(queries=400),
}


def attack_lines(eps: float, rows: int = 60) -> Iterator[dict[str, str]]:
    """Accuracy left by each attack, on some of the images."""
    data, moved = images(), transferred(eps)[:rows]
    x, y = data.x_test[:rows], data.y_test[:rows]
    # a search that does not stop at a flip: what is only just wrong there may be right here
    problem = SearchProblem(classifier().freeze(), x, y, Linf(eps, BOX), torch_generator(0, "exact"))
    exact = problem.best(APGD(steps=60, restarts=2, loss="margin"))
    for name, layers in ENCODERS.items():
        model = guarded(layers)
        with torch.no_grad():
            line = {
                "encoder": name,
                "clean": percent(model(x).argmax(1) == y),
                "transferred from a ConvNet": percent(model(moved).argmax(1) == y),
            }
            on_exact = model(exact).argmax(1) == y
        line["found on the exact encoding"] = percent(on_exact)
        left = on_exact
        for attack_name, attack in ATTACKS.items():
            found = run_attack(attack, model, x, y, Linf(eps, BOX), generator=torch_generator(0, attack_name))
            line[attack_name] = percent(found.robust)
            left = left & found.robust
        yield {**line, "all of them": percent(left)}


def main() -> None:
    """Print the tables and write them into the page."""
    torch.set_num_threads(1)
    console, parts = Console(width=160), []
    tables = {"MNIST 28 x 28, digits 0, 1, 3, 6: fidelity and CNOTs": fidelity_lines()}
    for eps in EPS:
        tables[f"The same, l-inf eps = {eps:g}: accuracy left"] = attack_lines(eps)
    for title, lines in tables.items():
        found = list(lines)
        console.print(shown(title, found))
        parts.append(markdown(title, found))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join(parts), "west")
    write_atomically(PAGE, page.encode())


if __name__ == "__main__":
    main()
