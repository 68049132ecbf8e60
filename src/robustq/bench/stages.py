"""What is measured on one trained model: raw outcomes per input, never rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustq import engine
from robustq.attacks import UniformNoise, run_attack
from robustq.bench.adversarial import AdversarialSet
from robustq.bench.spec import Spec
from robustq.circuits import Circuit, to_svg
from robustq.contracts import AttackResult, QuantumClassifier
from robustq.data import Dataset
from robustq.models import QuantumNet
from robustq.noise import NoiseModel
from robustq.seeding import torch_generator

EXAMPLES = 8


def clean(model: nn.Module, data: Dataset) -> dict[str, Any]:
    """Probabilities and correctness of every test input."""
    x, y = data.tensors("test")
    with torch.no_grad():
        logits = model(x)
    return {"correct": pack(logits.argmax(1) == y), "probabilities": _listed(logits)}


def attacked(model: nn.Module, data: Dataset, spec: Spec, seed: int) -> dict[str, Any]:
    """Which inputs survive the attack, for every eps of the grid.

    Threat sets are nested, so an input flipped at a smaller eps is flipped at every larger one: only
    survivors are attacked again. Random noise of the same size is the baseline beside it.
    """
    x, y = data.tensors("test")
    attack = spec.attack.build()
    alive = torch.ones(len(x), dtype=torch.bool)
    random = alive.clone()
    curve: list[dict[str, Any]] = []
    examples: list[dict[str, Any]] = []
    for eps in spec.threat.eps:
        threat = spec.threat.build(eps)
        stream = torch_generator(spec.seed, seed, "attack", repr(eps))
        rows = alive.nonzero()[:, 0]
        level: dict[str, Any] = {"eps": eps, "queries": 0, "gradients": 0}
        if len(rows):
            result = run_attack(attack, model, x[rows], y[rows], threat, generator=stream)
            level |= {"queries": result.queries, "gradients": result.gradients}
            if eps == spec.threat.reference:
                examples = _examples(model, data, rows, result)
            alive[rows] = result.robust
        rows = random.nonzero()[:, 0]
        if len(rows):
            noise = run_attack(UniformNoise(), model, x[rows], y[rows], threat, generator=stream)
            random[rows] = noise.robust
        level |= {"robust": pack(alive), "robust_to_noise": pack(random)}
        curve.append(level)
    return {"curve": curve, "examples": examples}


def _examples(model: nn.Module, data: Dataset, rows: Tensor, result: AttackResult) -> list[dict[str, Any]]:
    """The flipped inputs that the model was surest of, before and after, by their rows in the test set."""
    x, y = data.tensors("test")
    with torch.no_grad():
        before, after = (torch.softmax(model(z), dim=1) for z in (x[rows], result.x_adv))
    found = AdversarialSet.of(x[rows], y[rows], result, {}).surest(before, after, EXAMPLES)
    return [{**example, "row": int(rows[example["row"]])} for example in found]


def noise_sweep(model: QuantumClassifier, data: Dataset, spec: Spec, seed: int) -> dict[str, Any]:
    """Correctness under depolarising gate noise and under read-out error, exact and with shots.

    Level zero is included: finite shots alone already cost accuracy.
    """
    x, y = data.tensors("test")
    sweeps: dict[str, Any] = {}
    for kind in ("gate_error", "readout_error"):
        rows = []
        for level in [0.0, *getattr(spec.noise, kind)]:
            noise = NoiseModel.uniform(**{kind: level})
            stream = torch_generator(spec.seed, seed, "noise", kind, repr(level))
            exact, drawn = _noisy_predictions(model, x, noise, spec.noise.shots, stream)
            rows.append({"level": level, "exact": pack(exact == y), "shots": pack(drawn == y)})
        sweeps[kind] = rows
    return sweeps


def _noisy_predictions(
    model: QuantumClassifier, x: Tensor, noise: NoiseModel, shots: int, stream: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Predicted classes from exact noisy expectations and from ``shots`` shots of them."""
    with torch.no_grad():
        exact = model.under(noise)(x)
        drawn = model.under(noise, shots=shots, generator=stream)(x)
    return exact.argmax(1), drawn.argmax(1)


def drawn(model: QuantumClassifier, noise: Any, data: Dataset, spec: Spec, seed: int) -> dict[str, Any]:
    """Probabilities from finite shots, several times; ``noise`` is a fit to a device, or None.

    With a device also its exact ones, without which shots and noise could not be told apart.
    """
    x = data.tensors("test")[0]
    machine = model.under(noise, shots=spec.noise.shots, generator=torch_generator(spec.seed, seed, "uncertainty"))
    with torch.no_grad():
        found = {"draws": [_listed(machine(x)) for _ in range(spec.uncertainty.draws)]}
        return found if noise is None else found | {"noisy": _listed(model.freeze(noise)(x))}


def _listed(logits: Tensor) -> list[list[float]]:
    chances = torch.softmax(logits.double(), 1)
    return [[round(p, 9) for p in row] for row in chances.tolist()]


def facts(model: nn.Module) -> dict[str, Any]:
    """What a device would need to run the model; empty for a classical one."""
    core = quantum_core(model)
    if core is None:
        return {}
    circuit = core.circuit
    return {
        "qubits": circuit.qubits,
        "depth": circuit.depth,
        "gates": len(circuit.operations),
        "two_qubit_gates": circuit.two_qubit_gates,
        "settings": engine.settings(circuit, core.observables),
        "input_shifts": _shifts(circuit, "x"),
        "trained_shifts": _shifts(circuit, "x" if core is not model else "") + _shifts(circuit, "theta"),
        "amplitude_inputs": circuit.amplitudes,
        "circuit_svg": to_svg(circuit),
    }


def quantum_core(model: nn.Module) -> QuantumNet | None:
    """The circuit within a model, whatever stands around it; None if there is none."""
    return next((part for part in model.modules() if isinstance(part, QuantumNet)), None)


def _shifts(circuit: Circuit, kind: str) -> int:
    """Circuits for the derivatives in all angles that hold a slot of this kind, by parameter shift.

    Two an angle; four for a controlled rotation, whose generator has three eigenvalues (Anselmetti et
    al. 2021).
    """
    return sum(
        4 if o.gate in ("crx", "cry", "crz") else 2
        for o in circuit.operations
        for angle in o.angles
        if any(slot.kind == kind for slot in angle.slots)
    )


def pack(flags: Tensor) -> str:
    """Zeros and ones as text: compact, exact and readable in a JSON file."""
    return "".join("1" if flag else "0" for flag in flags.tolist())


def bits(text: str) -> np.ndarray:
    """The inverse: an array of 0.0 and 1.0.

    >>> bits("101").tolist()
    [1.0, 0.0, 1.0]
    """
    return np.array([float(letter) for letter in text])
