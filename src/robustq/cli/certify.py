"""``robustq certify``: prove how far an adversary may go, and set it beside an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from robustq.attacks.catalogue import ATTACKS
from robustq.bench.certificates import CertificateSet, Compared
from robustq.bench.device import Quantum
from robustq.bench.records import versions
from robustq.bench.sandwich import Advance, Question, compared, sandwich_of
from robustq.bench.spec import AttackSpec, CertificateSpec, ThreatSpec, check_meant_for
from robustq.catalogue import resolve
from robustq.certify import Auto, Vacuous
from robustq.certify.catalogue import CERTIFICATES
from robustq.cli.console import notes, print_record, progress_bar
from robustq.cli.pairs import parse_options, parse_threat
from robustq.cli.paths import check_writable
from robustq.cli.saved import Saved, saved
from robustq.contracts import Certificate, CircuitClassifier, QuantumClassifier, Threat
from robustq.errors import SpecError, unknown_name
from robustq.report import certificate_table, write_certificates
from robustq.seeding import torch_generator
from robustq.states import StateView
from robustq.threats import Fidelity, TraceDistance
from robustq.threats.catalogue import THREATS

STATES: Mapping[str, Callable[[float], Threat]] = {"infidelity": Fidelity, "trace-distance": TraceDistance}
LARGEST = {"linf": 0.3, "l2": 1.0, "l1": 1.0, "infidelity": 0.1, "trace-distance": 0.3}


def certify(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    threat: Annotated[str, typer.Option(help="linf, l2, l1, infidelity or trace-distance[:LARGEST].")] = "linf",
    method: Annotated[str, typer.Option(help="Name in `robustq list certificates`.")] = "auto",
    option: Annotated[list[str] | None, typer.Option("--set", help="Option of the method: sigma=0.25.")] = None,
    attack: Annotated[str, typer.Option(help="Attack to set beside it; `identity` for none.")] = "quantum-auto",
    compare: Annotated[bool, typer.Option("--compare", help="Also try every other method that applies.")] = False,
    device: Annotated[str | None, typer.Option(help="Certify it on this device: a name, or a .json.")] = None,
    within: Annotated[float | None, typer.Option(help="With --device: how far its calibration may be off.")] = None,
    inputs: Annotated[int | None, typer.Option(min=1, help="First so many test inputs only.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of all randomness.")] = 0,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for certificates and figure.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Certify a saved model on its own test data: clean, certified, exact and attacked accuracy.

    Certified accuracy counts inputs that are right and proved to stay right within the budget.
    """
    values = parse_options(option or [], "sigma=0.25")
    certifier = CertificateSpec(name=method, options=values).build() or Vacuous()
    name, largest = _threat(threat)
    entry, resolved = resolve("attack", attack, ATTACKS), resolve("certificate", method, CERTIFICATES)
    if not entry.null and name in THREATS:
        check_meant_for(attack, name)
    folder = to or model / "certificates" / f"{name}-{method}"
    check_writable(folder)
    kept = saved(model, device)
    if within is not None:
        values["slack"] = _slack(kept, within)
        certifier = CertificateSpec(name=method, options=values).build() or Vacuous()
    question = _question(kept, name, largest, inputs, seed)
    if isinstance(certifier, Auto):
        stream = torch_generator(seed, "certify")
        certifier = certifier.choose(question.model, question.threat(largest), stream)
    subject = resolved.about
    own = resolved.is_own
    with progress_bar(1) as advance:
        found = question.certified(certifier, advance)
        tried = own and not entry.null
        survived = question.attacked(AttackSpec(name=attack).build(), advance) if tried else None
        others = _others(question, found, str(certifier), advance) if compare and own else []
    about = {
        "model": str(model),
        "threat": str(question.threat(largest)),
        "method": str(certifier),
        "attack": attack if tried else None,
        "confidence": found.confidence,
    }
    spread = f", calibration off by up to {100 * within:g} %" if within is not None else ""
    about |= {"about": subject, "device": None if device is None else device + spread}
    sandwich = sandwich_of(question, found, survived, others, {"title": kept.data.name, **about})
    more = {"seed": seed, "data": dict(kept.data.record), "versions": versions(method, attack)}
    file = CertificateSet.of(question.y, found, about | more).save(folder)
    write_certificates(sandwich, folder / "certificates.html")
    print_record(sandwich, certificate_table(sandwich), as_json=as_json)
    notes().print(f"certificates: {file}\nfigure: {folder / 'certificates.html'}", soft_wrap=True)


def _slack(kept: Saved, within: float) -> float:
    """Logits by which a margin may be lower on a device whose calibration is off by this share."""
    if kept.device is None or not isinstance(kept.model, Quantum):
        raise SpecError("--within: expected a --device, and a quantum or hybrid model")
    return kept.model.uncertainty(kept.device, within)


def _threat(text: str) -> tuple[str, float]:
    """The threat's name and its largest budget."""
    name = text.partition(":")[0]
    if name not in LARGEST:
        raise unknown_name("threat", name, LARGEST)
    _, value = parse_threat(text, "l2:0.5", LARGEST)
    if not value > 0:
        raise SpecError(f"threat: expected a budget > 0, got {value:g}")
    _at(name, value)
    return name, value


def _at(name: str, eps: float) -> Threat:
    return STATES[name](eps) if name in STATES else ThreatSpec(name=name).build(eps)


def _question(kept: Saved, name: str, largest: float, inputs: int | None, seed: int) -> Question:
    """The frozen model with its inputs, or its view of states with theirs; float64."""
    x, y = (rows[:inputs] for rows in kept.test)
    target: Any = kept.model
    if isinstance(kept.model, QuantumClassifier):
        target = kept.model.freeze(kept.device)
    elif kept.device is not None or name in STATES:
        raise SpecError(f"certify: expected a quantum or hybrid model, got {type(target).__name__}")
    x = x.double()
    if name in STATES:
        assert isinstance(kept.model, CircuitClassifier)
        target = StateView(target, kept.model.circuit.qubits)
        x = target.encoded(x)
    return Question(target, x, y, partial(_at, name), largest, seed)


def _others(question: Question, found: Certificate, chosen: str, advance: Advance) -> list[Compared]:
    """Every other method about the same model, at its defaults; ``chosen`` as it prints itself."""
    return [
        compared(question, found, name, entry.make(), advance)
        for name, entry in CERTIFICATES.items()
        if name != "auto" and not entry.null and entry.is_own
        if str(entry.make()) != chosen
    ]
