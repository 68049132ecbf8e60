"""MNIST 1 or 9 on eight qubits: adversarial and certified training, beside what can be proved of each.

    python -m studies.mnist_1_vs_9

trains the same circuit in three ways from several seeds, attacks it in l-inf and certifies it in l-inf and l2,
prints the tables and writes them into docs/defences-certified.md. Needs the data folder named by
``ROBUSTQ_DATA_DIR``; a seed takes about a quarter of an hour on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from perf.markers import inject
from rich.console import Console
from torch import Tensor

from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.certify import AmplitudeLinf, ExactAmplitude, certify
from robustq.circuits import ansaetze, encodings, z
from robustq.contracts import Defence
from robustq.defences import AdversarialTraining, CertifiedRadius, Plain
from robustq.models import QuantumNet, Training, fit
from robustq.seeding import torch_generator
from robustq.stats import difference, mcnemar
from robustq.threats import L2, Linf
from studies.published_attacks import PIXELS, QUBITS, Data, markdown, mnist_1_or_9, percent

PAGE = Path(__file__).resolve().parent.parent / "docs" / "defences-certified.md"
GREY = Linf(0.1, box=(0.0, 1.0))  # of grey levels in [0, 1]; no image is rescaled
RADII = (0.5, 0.75, 1.0, 1.25, 1.5)
BUDGETS = (0.02, 0.05, 0.1)
ROWS = 300  # of the test rows are bounded in l-inf: two bounds a row are the slowest of all
INNER, LENGTH = PGD(steps=4, restarts=1, step=0.5), L2(1.0)
UNDEFENDED, AT, CERTIFIED = "undefended", "adversarial, l-inf 0.1", "certified radius, l2 1"
AT_L2 = "adversarial, l2 1"
DEFENCES: Mapping[str, Defence] = {
    UNDEFENDED: Plain(),
    AT: AdversarialTraining(INNER, GREY),
    AT_L2: AdversarialTraining(INNER, LENGTH),
    CERTIFIED: CertifiedRadius(LENGTH),
}
Outcomes = Mapping[str, Mapping[str, Tensor]]  # by defence, then by what was asked: (seeds, rows)


@dataclass(frozen=True)
class Setting:
    """How large the study is.

    Attributes:
        seeds: of the starting angles and the order of the batches.
        train, test: rows.
        layers: strongly entangling ones behind the encoding.
        epochs: the same for every defence.
        names: of the defences.
    """

    seeds: tuple[int, ...]
    train: int
    layers: int
    epochs: int
    names: tuple[str, ...] = tuple(DEFENCES)
    test: int = 1000

    def data(self) -> Data:
        """Ones and nines at 16 x 16, grey levels in [0, 1]."""
        return mnist_1_or_9(self.train, self.test)

    def trained(self, name: str, seed: int, data: Data) -> QuantumNet:
        """The circuit after one defence; every defence starts from the same angles."""
        ansatz = ansaetze.strongly_entangling(QUBITS, layers=self.layers)
        circuit = encodings.amplitude(PIXELS).then(ansatz)
        start = torch_generator(seed, "init")
        model = QuantumNet(circuit, [z(0), -z(0)], generator=start)
        draws = torch_generator(seed, "fit")
        plan = Training(self.epochs, batch_size=96, lr=0.02, validation=0.1, patience=0)
        fit(model, data.x, data.y, generator=draws, defence=DEFENCES[name], training=plan)
        return model.eval()


SEVERAL = Setting(seeds=(0, 1, 2), train=3000, layers=20, epochs=6)
DEEP = Setting(seeds=(0,), train=6000, layers=40, epochs=8, names=(AT, CERTIFIED))


def outcomes(model: QuantumNet, data: Data) -> dict[str, Tensor]:
    """What became of each test row, ``(rows,)`` each: of bool, but ``radius`` in l2, zero where wrong."""
    x, y, draws = data.x_test, data.y_test, torch_generator(0, "attack")
    attacked = run_attack(QuantumAutoAttack(), model, x, y, GREY, generator=draws)
    exact = certify(ExactAmplitude(), model, x, y, L2(max(RADII)), generator=draws)
    bound = certify(AmplitudeLinf(nodes=0), model, x[:ROWS], y[:ROWS], GREY, generator=draws)
    found = {"clean": attacked.correct, "attacked": attacked.robust}
    found |= {f"l2 {eps:g}": exact.certified(eps) for eps in RADII}
    found |= {f"linf {eps:g}": bound.certified(eps) for eps in BUDGETS}
    return found | {"radius": torch.where(exact.correct, exact.lower, 0.0)}


def robustness(found: Outcomes) -> list[dict[str, str]]:
    """Clean, attacked and certified accuracy in l-inf, in percent, a line a defence."""
    lines = []
    for name, of in found.items():
        line = {"training": name, "clean": percent(of["clean"])}
        line[f"QuantumAutoAttack, l-inf {GREY.eps:g}"] = percent(of["attacked"])
        line |= {f"proved, l-inf {eps:g}": percent(of[f"linf {eps:g}"]) for eps in BUDGETS}
        lines.append(line)
    return lines


def radii(found: Outcomes) -> list[dict[str, str]]:
    """Accuracy certified in l2, which is exact, in percent, a line a defence."""
    lines = []
    for name, of in found.items():
        line = {"training": name} | {f"l2 {eps:g}": percent(of[f"l2 {eps:g}"]) for eps in RADII}
        lines.append(line | {"median radius": f"{float(of['radius'].median()):.2f}"})
    return lines


def gains(found: Outcomes) -> list[dict[str, str]]:
    """Certified training less each adversarial one, in points, a line a radius."""
    lines = []
    for eps in RADII:
        line = {"l2": f"{eps:g}"}
        for other in (AT, AT_L2):
            ours, theirs = (_table(found[name][f"l2 {eps:g}"]) for name in (CERTIFIED, other))
            gap = difference(ours, theirs)
            told = f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
            each = ", ".join(f"{100 * g:+.1f}" for g in (ours - theirs).mean(1))
            line[f"over {other}"] = f"{told}, p = {mcnemar(ours, theirs):.2g}"
            line["each seed" + " " * (other == AT_L2)] = each
        lines.append(line)
    return lines


def _table(outcome: Tensor) -> NDArray[np.float64]:
    return outcome.double().numpy()


def measured(setting: Setting) -> Outcomes:
    """Train and judge every model of a setting."""
    data, found = setting.data(), {}
    for name in setting.names:
        each = [outcomes(setting.trained(name, seed, data), data) for seed in setting.seeds]
        found[name] = {key: torch.stack([one[key] for one in each]) for key in each[0]}
    return found


def report(found: Outcomes, setting: Setting) -> str:
    """The tables in Markdown."""
    size = (
        f"{setting.layers} layers, {setting.train} training rows, seeds: {len(setting.seeds)}, test rows: "
        f"{setting.test} (proofs in l-inf: {ROWS})"
    )
    parts = [
        markdown(f"Accuracy in percent; {size}", robustness(found)),
        markdown(f"Accuracy certified in l2, exact, in percent; {size}", radii(found)),
    ]
    if AT_L2 in found:
        parts.append(markdown("Certified radius less adversarial training, in points", gains(found)))
    return "\n\n".join(parts)


def main() -> None:
    """Train, measure, print and write the page."""
    torch.set_num_threads(1)
    text = "\n\n".join(report(measured(setting), setting) for setting in (SEVERAL, DEEP))
    Console().print(text, markup=False)
    PAGE.write_text(inject(PAGE.read_text("utf-8"), text, "mnist-1-vs-9"), "utf-8")


if __name__ == "__main__":
    main()
