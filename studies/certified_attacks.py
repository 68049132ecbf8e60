"""No attack succeeds inside a certificate: every attack of the suite, restarts included, at certified inputs.

    python -m studies.certified_attacks [--models 120] [--seed 0]

Random models (2 to 10 qubits, noise on and off, 2 to 5 classes), each with the strongest certificate for each
threat that one applies to. At two budgets, the attacks of the catalogue that meet the threat search at the inputs
certified there. Prints how many inputs each attacked, how many fell (must be none), how many radii are known
exactly, and how many witnesses the model answers otherwise to.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from robustq.attacks import run_attack
from robustq.attacks.catalogue import ATTACKS
from robustq.attacks.exact import ExactState
from robustq.certify import Auto, certify
from robustq.circuits import Circuit, ansaetze, encodings, per_qubit_z
from robustq.contracts import Attack, Classifier, Threat
from robustq.errors import CertificateError
from robustq.models import QuantumNet
from robustq.models.catalogue import reuploading
from robustq.noise import Device, NoiseModel
from robustq.states import StateView
from robustq.threats import L1, L2, Fidelity, Linf, TraceDistance

INPUTS = 64
LEVELS = torch.tensor([0.25, 0.5], dtype=torch.float64)  # of the certified radii: the budgets
BOX = (0.0, 1.0)
BRIEF: Mapping[str, dict[str, Any]] = {  # settings that keep a search short, restarts kept
    "pgd": {"steps": 20, "restarts": 2},
    "mim": {"steps": 20},
    "apgd": {"steps": 25, "restarts": 2},
    "fab": {"steps": 15},
    "fmn": {"steps": 40},
    "carlini-wagner": {"steps": 40, "searches": 3},
    "ddn": {"steps": 40},
    "deepfool": {},
    "square": {"queries": 200},
    "spsa": {"steps": 10},
    "fgsm": {},
    "exact-l2": {},
    "uniform-noise": {},
    "quantum-auto": {},
}
SELDOM = ("quantum-auto", "carlini-wagner", "spsa")  # every eighth model: they take long


@dataclass
class Tally:
    """What was tried and what came of it."""

    tried: Counter[str] = field(default_factory=Counter)
    fell: Counter[str] = field(default_factory=Counter)
    certified: int = 0
    exact: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def models(count: int, seed: int) -> Iterator[tuple[int, QuantumNet, int]]:
    """Random models with the number of their features."""
    for k in range(count):
        generator = torch.Generator().manual_seed(seed * 100_003 + k)

        def drawn(low: int, high: int, generator: torch.Generator = generator) -> int:
            return int(torch.randint(low, high + 1, (1,), generator=generator))

        kind = ("angle", "dense", "amplitude", "amplitude", "reuploading", "phase")[k % 6]
        wide = 10 if kind == "amplitude" else 8
        qubits = drawn(2, wide) if k % 5 == 0 else drawn(2, 5)
        if kind == "reuploading":
            net: Any = reuploading(2, 2, generator=generator, qubits=2, layers=2)
            yield k, net, 2
            continue
        features = {"dense": 2 * qubits, "amplitude": 2**qubits}.get(kind, qubits)
        made: Circuit = {
            "angle": encodings.angle,
            "dense": encodings.dense_angle,
            "amplitude": encodings.amplitude,
            "phase": _phase,
        }[kind](features)
        if features > 9 and kind == "dense":
            made, features = encodings.angle(qubits), qubits
        shape = ansaetze.strongly_entangling if k % 2 else ansaetze.brickwork
        circuit = made.then(shape(qubits, layers=drawn(1, 3)))
        classes = drawn(2, min(5, qubits))
        yield (
            k,
            QuantumNet(
                circuit, per_qubit_z(classes, qubits), generator=generator, spread=1.0, noise=_noise(k, qubits)
            ),
            features,
        )


def _phase(features: int) -> Circuit:
    return encodings.angle(features, axis="z")


def _noise(k: int, qubits: int) -> Any:
    """None, depolarising with misread bits, or a calibrated device where it fits."""
    if k % 3 == 1:
        return NoiseModel.uniform(gate_error=0.01, readout_error=0.02)
    return Device.bundled("manila") if k % 9 == 2 and qubits <= 4 else None


def questions(
    model: QuantumNet, x: Tensor
) -> Iterator[tuple[str, Classifier, Tensor, Callable[[float], Threat], float]]:
    """Every threat with the classifier and the inputs it is put to, and the largest budget of interest."""
    frozen = model.freeze()
    yield "linf", frozen, x, lambda eps: Linf(eps, BOX), 0.3
    yield "l2", frozen, x, lambda eps: L2(eps, BOX), 0.6
    yield "l2 without box", frozen, x, L2, 0.6
    yield "l1", frozen, x, lambda eps: L1(eps, BOX), 0.8
    view = StateView(frozen, frozen.circuit.qubits)
    try:
        states = view.encoded(x)
    except ValueError:
        return  # noise between the encoding gates: no pure state
    yield "infidelity", view, states, Fidelity, 1.0
    yield "trace-distance", view, states, TraceDistance, 1.0


def attacks(threat: str, often: bool) -> Iterator[tuple[str, Attack]]:
    """The attacks of the catalogue that meet a threat, and the exact one on states."""
    norm = threat.split()[0]
    for name, options in BRIEF.items():
        if ATTACKS[name].is_meant_for(norm) and (often or name not in SELDOM):
            yield name, ATTACKS[name].make(**options)
    if norm in ("infidelity", "trace-distance"):
        yield "exact-state", ExactState()


def judge(tally: Tally, k: int, model: QuantumNet, features: int, seed: int) -> None:
    """Every threat, certificate and attack on one model."""
    generator = torch.Generator().manual_seed(seed + k)
    x = torch.rand(INPUTS, features, generator=generator, dtype=torch.float64)
    y = model.freeze()(x).argmax(1)
    for name, target, points, threat, largest in questions(model, x):
        try:
            found = certify(Auto(), target, points, y, threat(largest), generator=generator)
        except CertificateError as failure:
            tally.refused[f"{name}: {str(failure).splitlines()[0]}"] += 1
            continue
        tally.certified += int((found.lower > 0).sum())
        tally.exact += int((found.lower >= 0.99 * found.upper).sum())
        proved = found.lower[(found.lower > 0) & torch.isfinite(found.lower)]
        for eps in torch.quantile(proved, LEVELS).tolist() if len(proved) else ():
            rows = found.lower >= eps
            for attack_name, attack in attacks(name, often=k % 8 == 0):
                try:
                    result = run_attack(attack, target, points[rows], y[rows], threat(eps), generator=generator)
                except ValueError as failure:  # an attack confined to other models
                    tally.refused[f"{attack_name} on {name}: {str(failure)[:60]}"] += 1
                    continue
                tally.tried[attack_name] += int(rows.sum())
                tally.fell[attack_name] += int(result.success.sum())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    asked, tally, begun = parser.parse_args(), Tally(), time.perf_counter()
    for k, model, features in models(asked.models, asked.seed):
        judge(tally, k, model, features, asked.seed)
        print(f"model {k}: {sum(tally.tried.values())} attacked, {sum(tally.fell.values())} fell", flush=True)
    for name, count in tally.tried.most_common():
        print(f"| {name} | {count} | {tally.fell[name]} |")
    print(f"certificates: {tally.certified} with a radius above zero, {tally.exact} known to a hundredth")
    print(f"attacked inputs: {sum(tally.tried.values())}, fell: {sum(tally.fell.values())}")
    print(f"{time.perf_counter() - begun:.0f} s; not applicable: {dict(tally.refused)}")


if __name__ == "__main__":
    main()
