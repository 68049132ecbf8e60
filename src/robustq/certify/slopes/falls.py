"""By how much an adversary could lower each margin, as something to train on."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.certify.slopes.turns import Turning, dual_order, units_of
from robustq.contracts import CircuitClassifier, GateAngles, Threat
from robustq.errors import CertificateError, ModelError


def largest_swing(angles: GateAngles, front: tuple[Tensor, Tensor] | None, x: Tensor, threat: Threat) -> Tensor:
    """Largest sum of spread times turn within the threat's budget, ``(batch,)``.

    Half the range of a margin times this is the most that it can change, the Lipschitz bound times the
    budget; differentiable in the angles and in the layer in front of them.

    Args:
        angles: of the circuit.
        front: weight and bias in front of a sigmoid; None if there is none.
        x: inputs ``(batch, features)``, float64.
        threat: l-inf, l2 or l1.

    Raises:
        CertificateError: under any other threat.

    >>> from robustq.circuits import encodings
    >>> from robustq.engine.gate_angles import gate_angles
    >>> from robustq.threats import Linf
    >>> angles = gate_angles(encodings.angle(2), torch.zeros(0).double())
    >>> largest_swing(angles, None, torch.zeros(1, 2).double(), Linf(0.1))  # 0.2 pi
    tensor([0.6283], dtype=torch.float64)
    """
    order = dual_order(threat, "lipschitz")
    turn = Turning(angles, front, x.new_zeros(0)).around(x, units_of(threat, x), order)
    return turn.swing(torch.full_like(x[:, :1], threat.eps))[:, 0]


def largest_falls(model: CircuitClassifier, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    """By how much the logit of each class could gain on that of ``y``, ``(batch, classes)``.

    Raises:
        CertificateError: unless the model's features turn gates and the threat is l-inf, l2 or l1.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> from robustq.threats import Linf
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> falls = largest_falls(model, torch.zeros(1, 2), torch.tensor([0]), Linf(0.1))
    >>> falls.div(torch.pi * model.scale).detach()
    tensor([[0.0000, 0.4000]])
    """
    if not isinstance(model, CircuitClassifier):
        raise CertificateError(f"lipschitz: expected a model whose features turn gates, got {type(model).__name__}")
    try:
        angles = model.gate_angles()
    except ModelError as failure:
        raise CertificateError(f"lipschitz: {failure}") from failure
    swing = largest_swing(angles, model.front, x.double(), threat)
    return (model.logit_ranges()[y] / 2 * swing[:, None]).to(x.dtype)
