"""The closed-form oracle: one qubit, X rotations by ``w . x + b``, read ``<Z> = cos(w . x + b)``.

Its decision boundary is a set of parallel hyperplanes ``w . x + b = pi/2 + k pi``, so the exact
robust radius is known in every norm: the distance of ``w . x + b`` to the nearest of them, divided
by the dual norm of ``w``. Depolarising noise shrinks <Z> and leaves the boundary where it is.
"""

import math

import torch

from robustq.circuits import Circuit, op, x, z
from robustq.models import QuantumNet


def model(weights, bias, generator):
    """The oracle as a model with logits ``(scale <Z>, -scale <Z>)``."""
    turns = [op("rx", 0, angles=[w * x(k)]) for k, w in enumerate(weights)]
    circuit = Circuit.of(1, [*turns, op("rx", 0, angles=[bias])])
    return QuantumNet(circuit, [z(0), -z(0)], generator=generator)


def radius(weights, bias, points, norm):
    """Exact radius of each point, ``(batch,)``; ``norm`` is ``"linf"``, ``"l2"`` or ``"l1"``."""
    w = torch.tensor(weights, dtype=torch.float64)
    phase = points.double() @ w + bias
    away = torch.remainder(phase - math.pi / 2, math.pi)
    gap = torch.minimum(away, math.pi - away)
    return gap / {"linf": w.abs().sum(), "l2": w.norm(), "l1": w.abs().max()}[norm]


def optimum(weights, bias, points, norm):
    """The nearest point of the boundary that attains :func:`radius`, shape of ``points``."""
    w = torch.tensor(weights, dtype=torch.float64)
    phase = points.double() @ w + bias
    away = torch.remainder(phase - math.pi / 2, math.pi)
    turn = torch.where(away < math.pi / 2, -away, math.pi - away)
    largest = torch.nn.functional.one_hot(w.abs().argmax(), len(w)).double()
    direction = {"linf": w.sign() / w.abs().sum(), "l2": w / (w @ w), "l1": largest / (largest @ w)}[norm]
    return points + turn[:, None] * direction


def label(weights, bias, points):
    """The class of each point: 0 where the cosine is positive."""
    w = torch.tensor(weights, dtype=torch.float64)
    return (torch.cos(points.double() @ w + bias) < 0).long()
