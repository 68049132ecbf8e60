"""Finite shots as members: a device that is asked the same several times."""

from __future__ import annotations

import torch

from robustq.contracts import QuantumClassifier, ShotClassifier
from robustq.errors import ModelError
from robustq.noise import Noise
from robustq.uncertainty.panel import Panel, ShotPanel


def drawn(
    model: QuantumClassifier, draws: int, *, shots: int, noise: Noise | None = None, generator: torch.Generator
) -> Panel:
    """``draws`` independent answers of one model on one device, with ``shots`` each.

    Raises:
        ModelError: if ``draws`` is below 1.

    >>> from robustq.models.catalogue import qnn
    >>> generator = torch.Generator()
    >>> asked = drawn(qnn(2, 2, generator=generator), 3, shots=100, generator=generator)
    >>> asked.members(torch.zeros(4, 2)).shape
    torch.Size([3, 4, 2])
    """
    if draws < 1:
        raise ModelError(f"expected at least one answer, got {draws}")
    device = model.under(noise, shots=shots, generator=generator)
    return (ShotPanel if isinstance(device, ShotClassifier) else Panel)((device,) * draws)
