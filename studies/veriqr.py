"""The published verification of four quantum classifiers (Guan, Fang & Ying, CAV 2021; VeriQR, FM 2024), beside ours.

    python -m studies.veriqr

reads the published circuits and states, computes what was published and what it leaves out, prints the tables and
writes them into docs/published.md. Needs ``published/veriqr`` beside the data folder named by ``ROBUSTQ_DATA_DIR``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from perf.markers import inject
from rich.console import Console
from torch import Tensor

from robustq.certify import ExactState, Guan, Hoelder, HypothesisTesting, SpectralBox, certify, tightness
from robustq.circuits import Projector, encodings
from robustq.contracts import Certificate, Certifier
from robustq.models import QuantumNet
from robustq.states import StateView
from robustq.threats import Fidelity
from studies.published_attacks import PAGE, markdown, shown
from studies.qasm2 import read

ROUGH, REAL, EXACT = "rough", "accurate", "exact"
METHODS: Mapping[str, Certifier] = {
    ROUGH: Guan(),
    REAL: ExactState(real=True),
    EXACT: ExactState(),
    "hoelder": Hoelder(),
    "hypothesis-testing": HypothesisTesting(),
    "spectral-box": SpectralBox(),
}
BOUNDS = (ROUGH, "hoelder", "hypothesis-testing", "spectral-box")


@dataclass(frozen=True)
class Row:
    """One line of the published tables: accuracies in percent, times in seconds."""

    model: str
    eps: float
    rough: float
    accurate: float
    rough_seconds: float
    accurate_seconds: float


PUBLISHED = (
    Row("mnist13", 0.0001, 99.10, 99.30, 0.042, 1.54),
    Row("mnist13", 0.0003, 98.60, 98.80, 0.034, 2.19),
    Row("mnist13", 0.0005, 97.80, 98.80, 0.032, 3.58),
    Row("mnist13", 0.001, 96.50, 97.90, 0.038, 5.77),
    Row("mnist13", 0.003, 93.80, 96.00, 0.031, 10.2),
    Row("mnist13", 0.005, 90.60, 94.50, 0.033, 15.7),
    Row("mnist02", 0.005, 62.60, 74.90, 0.043, 59.5),
    Row("mnist17", 0.005, 88.20, 94.00, 0.043, 19.3),
    Row("mnist89", 0.0003, 100.00, 100.00, 0.045, 0.045),
    Row("mnist89", 0.005, 100.00, 100.00, 0.045, 0.045),
)
MODELS = tuple(dict.fromkeys(row.model for row in PUBLISHED))


@dataclass(frozen=True, eq=False)
class Measured:
    """One of their classifiers, verified.

    Attributes:
        view: the classifier of states.
        states: theirs, ``(1000, 256, 2)``.
        label: the true classes.
        certificates: by method.
        preparation: seconds to read the circuit back into one matrix a class.
    """

    view: StateView
    states: Tensor
    label: Tensor
    certificates: Mapping[str, Certificate]
    preparation: float

    def published_accuracy(self, method: str, eps: float) -> float:
        """Their figure: all but the correct rows that are not certified, in percent, wrong rows included."""
        found = self.certificates[method]
        return percent(~(found.correct & ~found.certified(eps)))

    def certified_accuracy(self, method: str, eps: float) -> float:
        """Correct and certified, in percent."""
        return percent(self.certificates[method].certified(eps))

    @property
    def minority(self) -> float:
        """How many states the rarer of the two answers is given to, in percent."""
        ones = percent(self.certificates[EXACT].label)
        return min(ones, 100 - ones)

    @property
    def accuracy(self) -> float:
        """Correct, in percent."""
        return percent(self.certificates[EXACT].correct)


def percent(outcomes: Tensor) -> float:
    """A share in percent."""
    return 100 * float(outcomes.double().mean())


def folder() -> Path:
    """Where the published circuits lie: beside the data."""
    return Path(os.environ["ROBUSTQ_DATA_DIR"]).parent / "published" / "veriqr"


def classifier(circuit: str, projector: Tensor) -> QuantumNet:
    """Their classifier: class 1 where the outcome of ``O`` is likelier than not.

    Raises:
        ValueError: if ``O`` is not what the circuits' last bit reads as 0.
    """
    gates = read(circuit)
    last = gates.qubits - 1
    sides = tuple(Projector((bit,), (last,)) for bit in "10")
    if not np.array_equal(sides[1].matrix(gates.qubits), projector):
        raise ValueError("expected O to be the projector on a last bit of 0")
    loaded = encodings.amplitude(2**gates.qubits).then(gates)
    return QuantumNet(loaded, sides, generator=torch.Generator())


def measured(name: str, methods: Mapping[str, Certifier] = METHODS) -> Measured:
    """One classifier with its states, verified by every method."""
    data = np.load(folder() / f"{name}_data.npz", allow_pickle=False)
    circuit = (folder() / f"{name}.qasm").read_text(encoding="utf-8")
    begun = time.perf_counter()
    view = StateView.of(classifier(circuit, data["O"]))
    states = view.encoded(torch.as_tensor(data["data"].T.copy()).double())
    view(states[:1])  # the read-out is pulled back at first use
    preparation = time.perf_counter() - begun
    label, ball = torch.as_tensor(data["label"]), Fidelity(max(row.eps for row in PUBLISHED))
    certificates = {
        method: certify(made, view, states, label, ball, generator=torch.Generator(), chunk=1000)
        for method, made in methods.items()
    }
    return Measured(view, states, label, certificates, preparation)


def accuracies(found: Mapping[str, Measured]) -> Iterator[dict[str, str]]:
    """Published and ours, line by line, then what the published figure leaves out."""
    for row in PUBLISHED:
        one = found[row.model]
        yield {
            "model": row.model,
            "eps": f"{row.eps:g}",
            "rough: published": f"{row.rough:.2f}",
            "rough": f"{one.published_accuracy(ROUGH, row.eps):.2f}",
            "accurate: published": f"{row.accurate:.2f}",
            "accurate": f"{one.published_accuracy(REAL, row.eps):.2f}",
            "exact, complex": f"{one.published_accuracy(EXACT, row.eps):.2f}",
            "correct": f"{one.accuracy:.1f}",
            "rarer answer": f"{one.minority:.1f}",
            "and certified, real": f"{one.certified_accuracy(REAL, row.eps):.1f}",
            "and certified, complex": f"{one.certified_accuracy(EXACT, row.eps):.1f}",
        }


def times(found: Mapping[str, Measured]) -> Iterator[dict[str, str]]:
    """Seconds for all states of a model; theirs for one eps, the largest, ours for every eps."""
    for name, one in found.items():
        told = [row for row in PUBLISHED if row.model == name][-1]
        yield {
            "model": name,
            "rough: published": f"{told.rough_seconds:g}",
            "rough": f"{_seconds(one, ROUGH):.3f}",
            "accurate: published": f"{told.accurate_seconds:g}",
            "accurate": f"{_seconds(one, REAL):.3f}",
            "exact, complex": f"{_seconds(one, EXACT):.3f}",
            "preparation": f"{one.preparation:.3f}",
        }


def _seconds(one: Measured, method: str) -> float:
    """With what the method prepares; reading the circuit comes on top."""
    return one.certificates[method].seconds + one.certificates[method].preparation


def shares(found: Mapping[str, Measured]) -> Iterator[dict[str, str]]:
    """Median share of the exact radius (infidelity, complex states) that each bound proves, in percent."""
    for name, one in found.items():
        medians = {
            method: float(tightness(one.certificates[method], one.certificates[EXACT]).median()) for method in BOUNDS
        }
        yield {"model": name} | {method: f"{100 * m:.2f}" for method, m in medians.items()}


def main() -> None:
    """Verify every model, print the tables, and write the page."""
    torch.set_num_threads(1)
    console, found = Console(), {name: measured(name) for name in MODELS}
    tables = {
        "Robust accuracy in percent, 1000 states a model (Guan, Fang & Ying 2021; VeriQR 2024)": accuracies,
        "Seconds for 1000 states": times,
        "Median share of the exact radius that a bound proves, in percent": shares,
    }
    parts = []
    for title, lines in tables.items():
        console.print(shown(title, list(lines(found))))
        parts.append(markdown(title, list(lines(found))))
    page = inject(PAGE.read_text(encoding="utf-8"), "\n\n".join(parts), "veriqr")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
