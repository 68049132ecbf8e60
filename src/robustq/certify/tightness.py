"""How much of the exact radius a bound proves."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.contracts import Certificate
from robustq.errors import CertificateError


def tightness(certificate: Certificate, exact: Certificate) -> Tensor:
    """Certified radius over the exact one, ``(batch,)``: 1 where the bound is exact, up to rounding.

    It is 1 where both are zero or both infinite. The ratio depends on the units: that of infidelities is
    the square of that of trace distances.

    Args:
        certificate: of the bound.
        exact: of an exact method, for the same model, threat and inputs.

    Raises:
        CertificateError: if the two speak of different answers.

    >>> from robustq.certify import ExactState, Guan, certify
    >>> from robustq.circuits import Circuit, op, per_qubit_z, x
    >>> from robustq.models import QuantumNet
    >>> from robustq.states import StateView
    >>> from robustq.threats import Fidelity
    >>> turned = Circuit.of(2, [op("ry", k, angles=[x(k)]) for k in range(2)])
    >>> view = StateView.of(QuantumNet(turned, per_qubit_z(2, 2), generator=torch.Generator()))
    >>> states, y = view.encoded(torch.tensor([[0.3, 0.9]]).double()), torch.tensor([0])
    >>> made = [
    ...     certify(how, view, states, y, Fidelity(0.1), generator=torch.Generator())
    ...     for how in (Guan(), ExactState())
    ... ]
    >>> 0 < float(tightness(*made)) < 1
    True
    """
    if not torch.equal(certificate.label, exact.label):
        raise CertificateError("expected two certificates of the same answers, got different labels")
    level = certificate.lower == exact.lower  # both zero, or both infinite
    return torch.where(level, 1.0, certificate.lower / exact.lower)
