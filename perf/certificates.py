"""Certificates: time and peak memory of each against qubits, in a process of its own for every size.

To add one: its line in ``SUBJECTS``. What is done once a model (freezing it, preparing the certifier) and what is
done for the inputs are told apart; one eigendecomposition of the model's form is timed by itself beside them.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perf.chart import Series, figure
from perf.compare import Row
from perf.machine import machine
from perf.markers import inject
from perf.options import Options
from perf.page import machine_line, table
from perf.timing import timed
from perf.worker import memory_mib
from robustq.catalogue import resolve
from robustq.certify import certify
from robustq.certify.catalogue import CERTIFICATES
from robustq.circuits import Circuit, ansaetze, encodings, per_qubit_z
from robustq.contracts import AmplitudeClassifier, Certificate, Classifier, Threat
from robustq.errors import ModelError
from robustq.models import QuantumNet
from robustq.states import StateView
from robustq.threats import L2, Fidelity, Linf

BOX = (0.0, 1.0)
ROWS, MANY, LAYERS, CLASSES = 100, (8, 1000), 3, 2  # MANY: qubits and inputs of the long run
SLOW_S = 5.0  # a certification that takes longer is timed once
FIGURE, STORE = Path("docs/certificates-scaling.svg"), Path("runs/certificates.json")
PAGE = Path("docs/certification.md")
Encoding = Callable[[int], Circuit]


def amplitudes(qubits: int) -> Circuit:
    """As many features as the register has amplitudes."""
    return encodings.amplitude(2**qubits)


@dataclass(frozen=True)
class Subject:
    """What a certificate is measured on.

    Attributes:
        encoding: of a model with ``LAYERS`` layers of brickwork behind it.
        threat: with the largest budget of interest.
        qubits: the sizes.
        states: whether the adversary moves the state instead of the input.
        options: of the certificate.
        many: whether ``MANY`` is measured too.
    """

    encoding: Encoding
    threat: Threat
    qubits: Sequence[int]
    states: bool = False
    options: Mapping[str, Any] | None = None
    many: bool = False

    def net(self, qubits: int) -> QuantumNet:
        """The model, float64, untrained: what a certificate costs does not depend on that."""
        generator = torch.Generator().manual_seed(qubits)
        circuit = self.encoding(qubits).then(ansaetze.brickwork(qubits, layers=LAYERS))
        observables = per_qubit_z(CLASSES, qubits)
        return QuantumNet(circuit, observables, generator=generator, spread=1.0).double()

    def frozen(self, net: QuantumNet) -> Classifier:
        """What is certified."""
        return StateView.of(net) if self.states else net.freeze()

    def rows(self, net: QuantumNet, inputs: int) -> tuple[Tensor, Tensor]:
        """Inputs of the box, or of either sign, and the labels that the model gives them."""
        generator = torch.Generator().manual_seed(inputs)
        boxed = getattr(self.threat, "box", None) is not None
        draw = torch.rand if boxed else torch.randn
        x = draw(inputs, net.circuit.inputs, generator=generator, dtype=torch.float64)
        model = self.frozen(net)
        x = model.encoded(x) if isinstance(model, StateView) else x
        with torch.no_grad():
            return x, model(x).argmax(1)


SUBJECTS: Mapping[str, Subject] = {
    "exact-amplitude": Subject(amplitudes, L2(9.0), range(2, 12), many=True),
    "exact-state": Subject(encodings.angle, Fidelity(0.5), range(2, 11), states=True),
    "global": Subject(encodings.angle, Fidelity(0.5), range(2, 11), states=True),
    "guan": Subject(encodings.angle, Fidelity(0.5), range(2, 11), states=True),
    "amplitude-box": Subject(amplitudes, L2(9.0, BOX), range(2, 10)),
    "amplitude-linf": Subject(amplitudes, Linf(0.1, BOX), range(2, 9)),
    "complete": Subject(encodings.angle, Linf(0.1, BOX), range(2, 11)),
    "lipschitz": Subject(encodings.angle, Linf(0.1, BOX), range(2, 11)),
    "curvature": Subject(encodings.angle, Linf(0.1, BOX), range(2, 11)),
    "exact-smoothing": Subject(encodings.angle, L2(0.5), range(2, 10), options={"sigma": 0.1}),
}


def certificates(options: Options) -> list[Row]:
    """One row per certificate and size; ``--against`` names nobody here."""
    rows = []
    for name, subject in SUBJECTS.items():
        sizes = [(options.qubits or n, options.batch or ROWS) for n in subject.qubits]
        sizes += [MANY] if subject.many and options.qubits is None else []
        for qubits, inputs in dict.fromkeys(sizes):
            print(f"{name}: {qubits} qubits, {inputs} inputs", file=sys.stderr)
            head = {"certificate": name, "qubits": qubits, "inputs": inputs}
            rows.append(head | _measured(name, qubits, inputs, options))
    return rows


def _measured(name: str, qubits: int, inputs: int, options: Options) -> Row:
    """In a process of its own, killed at its limit: a peak of memory cannot be taken back."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    work = (theirs, name, qubits, inputs, options.repeats)
    process = context.Process(target=_serve, args=work, daemon=True)
    process.start()
    theirs.close()
    try:
        found: Row = ours.recv() if ours.poll(options.limit_s) else {"note": "over limit"}
    except EOFError:
        found = {"note": "the process died"}
    finally:
        process.kill()
        process.join()
        ours.close()
    return found


def _serve(pipe: Connection, name: str, qubits: int, inputs: int, repeats: int) -> None:
    warnings.simplefilter("ignore")
    try:
        pipe.send(measure(name, qubits, inputs, repeats))
    except Exception as error:  # a method may not reach a size; the row says why
        pipe.send({"note": f"{type(error).__name__}: {error}"[:200]})


def measure(name: str, qubits: int, inputs: int, repeats: int) -> Row:
    """Medians, after a first certification that is not timed but gives the peak of memory."""
    subject = SUBJECTS[name]
    net = subject.net(qubits)
    x, y = subject.rows(net, inputs)
    certifier = resolve("certificate", name, CERTIFICATES).make(**(subject.options or {}))

    def once() -> tuple[float, Certificate]:
        start = time.perf_counter()
        model = subject.frozen(net)
        ready = time.perf_counter() - start
        found = certify(certifier, model, x, y, subject.threat, generator=torch.Generator(), chunk=inputs)
        return 1000 * (ready + found.preparation), found

    before, start = memory_mib("VmRSS"), time.perf_counter()
    once()
    peak, often = memory_mib("VmHWM"), repeats if time.perf_counter() - start < SLOW_S else 1
    times = [once() for _ in range(often)]
    return {
        "freeze and prepare ms": statistics.median(prepared for prepared, _ in times),
        "prove ms": statistics.median(1000 * found.seconds for _, found in times),
        "one eigh ms": _eigendecomposition(subject.frozen(net), often),
        "peak MiB": None if peak is None or before is None else peak - before,
        "certified %": 100 * float((times[0][1].lower > 0).double().mean()),
    }


def _eigendecomposition(model: Classifier, repeats: int) -> float | None:
    """Milliseconds of one, of the difference of two classes: a state's, or that of the features."""
    if isinstance(model, AmplitudeClassifier) and not isinstance(model, StateView):
        try:
            forms = model.forms(torch.float64)
        except ModelError:
            return None
    elif isinstance(model, StateView):
        forms = model.frozen.state_forms()
    else:
        return None
    form = forms[0] - forms[1]
    return statistics.median(timed(lambda: torch.linalg.eigh(form)) for _ in range(repeats))


def run(options: Options, *, store: str | None, picture: Path | None) -> str:
    """Measure, store, draw, and give the Markdown."""
    results: dict[str, Any] = {"machine": machine(), "rows": certificates(options)}
    kept = Path(store or STORE)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(results, indent=1), encoding="utf-8")
    drawn, text = dict(panels(results["rows"])), markdown(results)
    if drawn:
        (picture or FIGURE).write_text(figure(drawn), encoding="utf-8")
    if picture is None:
        PAGE.write_text(inject(PAGE.read_text(encoding="utf-8"), text, "certificates"), encoding="utf-8")
    return text


def markdown(results: dict[str, Any]) -> str:
    """The machine and one table for each certificate."""
    rows: list[Row] = results["rows"]
    parts = [machine_line(results["machine"])]
    for name in dict.fromkeys(row["certificate"] for row in rows):
        lines = [{k: v for k, v in r.items() if k != "certificate"} for r in rows if r["certificate"] == name]
        parts.append(f"### {name}\n\n{table(lines)}")
    return "\n\n".join(parts) + "\n"


PANELS = {
    "freeze and prepare ms": "freeze and prepare, once a model",
    "prove ms": f"prove, {ROWS} inputs",
    "peak MiB": "memory above the start, MiB",
}


def panels(rows: Sequence[Row]) -> Iterator[tuple[str, Series]]:
    """Time once a model, time for the inputs, and memory, against qubits; the long run left out."""
    for key, title in PANELS.items():
        lines: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            if (row.get(key) or 0) > 0 and (row["qubits"], row["inputs"]) != MANY:
                lines.setdefault(row["certificate"], []).append((row["qubits"], row[key]))
        if lines:
            yield title, lines
