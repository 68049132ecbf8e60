"""Amplitude-encoded models of all kinds, and quadratic forms with no circuit behind them."""

from dataclasses import dataclass

import torch

from robustq.attacks import run_attack
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.models import QuantumNet, Training, fit
from robustq.noise import NoiseModel


@dataclass(frozen=True, eq=False)
class Forms:
    """Logits ``x^T M_k x / x^T x``."""

    own: torch.Tensor

    def __call__(self, x):
        return torch.einsum("bi,kij,bj->bk", x, self.own.to(x), x) / x.square().sum(1, keepdim=True)

    def forms(self, dtype):
        return self.own.to(dtype)


def random_forms(classes, features, generator):
    drawn = torch.randn(classes, features, features, generator=generator, dtype=torch.float64)
    return Forms((drawn + drawn.mT) / 2)


def random_net(features, classes, generator, noisy=False):
    encoding = encodings.amplitude(features)
    qubits = encoding.qubits
    circuit = encoding.then(ansaetze.brickwork(qubits, layers=2))
    model = QuantumNet(circuit, per_qubit_z(classes, qubits), generator=generator, spread=1.5)
    if noisy:
        model.noise = NoiseModel.uniform(gate_error=0.03)
    return model.double()


def trained_net(features, classes, generator, noisy=False):
    """A net that has learnt which block of its features is the largest."""
    x = torch.rand(120, features, generator=generator)
    y = torch.stack([part.sum(1) for part in x.tensor_split(classes, 1)], 1).argmax(1)
    model = random_net(features, classes, generator, noisy).float()
    fit(model, x, y, generator=generator, training=Training(epochs=4))
    return model.double()


def never_inside(certificate, attack, model, x, threat, generator):
    """Whether an attack finds nothing within what was certified, and how often it succeeded."""
    found = run_attack(attack, model, x, certificate.label, threat, generator=generator)
    return bool((found.radius > certificate.lower).all()), int(found.success.sum())
