"""Approximate amplitude encoding: short circuits, near states (West et al., Intelligent Computing 3, 0100, 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.encoding.disentangler import THRESHOLDS, Prepared, prepared
from robustq.defences.front import Fronted
from robustq.errors import DataError, ModelError, SpecError
from robustq.models import QuantumNet
from robustq.options import check_counts

TRIED = 128  # training rows on which the circuits' depth is chosen


class ApproximateEncoder(nn.Module):
    """Amplitudes in, the amplitudes that a short circuit prepares in their place out.

    Gradients pass straight through, as if the state were prepared exactly (BPDA): the circuit is found by
    singular vectors, which turn abruptly where two singular values meet.

    Args:
        layers: staircases of two-qubit gates.
        threshold: share below which a bond's second weight is cut.
        sweeps: of refinement.

    >>> encoder = ApproximateEncoder(1)
    >>> encoder(torch.tensor([[3.0, 0.0, 0.0, 4.0]]))  # two qubits are prepared exactly
    tensor([[0.6000, 0.0000, 0.0000, 0.8000]])
    """

    kind = "approximate-encoder"

    def __init__(self, layers: int, threshold: float = 0.0, sweeps: int = 0) -> None:
        super().__init__()
        self.layers, self.threshold, self.sweeps = layers, threshold, sweeps

    def prepared(self, x: Tensor) -> Prepared:
        """Circuits, states, fidelities and CNOTs of amplitudes ``(batch, 2**n)``.

        Raises:
            DataError: on a vector of zeros.
        """
        states = x.detach().double()
        norm = torch.linalg.vector_norm(states, dim=1, keepdim=True)
        if bool((norm == 0).any()):
            raise DataError("approximate encoding: expected non-zero vectors, got an all-zero input")
        with torch.no_grad():
            return prepared(states / norm, self.layers, self.threshold, self.sweeps)

    def forward(self, x: Tensor) -> Tensor:
        """Prepared amplitudes, unit vectors, shape of ``x``."""
        loaded = self.prepared(x).states.to(x.dtype) + 0.0
        if not x.requires_grad:
            return loaded
        exact = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
        passed: Tensor = exact + (loaded - exact).detach()
        return passed

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"layers": self.layers, "threshold": self.threshold, "sweeps": self.sweeps}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ApproximateEncoder:
        """The inverse of :meth:`config`."""
        return cls(int(config["layers"]), float(config["threshold"]), int(config["sweeps"]))


@dataclass(frozen=True)
class ApproximateEncoding:
    """A model whose amplitudes are prepared approximately, in training too.

    The shortest circuits are taken whose mean fidelity on training rows reaches the target. As a defence it was
    only ever attacked by transfer; here it is attacked white-box, through the encoder.

    Args:
        fidelity: mean squared overlap with the exact states, in (0, 1].
        most: layers at most.
        sweeps: of refinement of every circuit.

    >>> ApproximateEncoding(0.6).most
    4
    """

    fidelity: float = 0.6
    most: int = 4
    sweeps: int = 0

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 < self.fidelity <= 1:
            raise SpecError(f"approximate encoding: expected fidelity in (0, 1], got {self.fidelity}")
        check_counts("approximate encoding", most=self.most)
        check_counts("approximate encoding", 0, sweeps=self.sweeps)

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Fronted:
        """The model behind the cheapest encoder that reaches the target on training rows.

        Raises:
            ModelError: unless the model is a circuit that loads ``2**n`` amplitudes, ``n >= 2``.
            DataError: if no encoder of so many layers reaches the target.
        """
        _check_fits(model)
        rows = torch.randperm(len(x), generator=generator)[:TRIED]
        return Fronted(self.encoder(x[rows]), model)

    def encoder(self, x: Tensor) -> ApproximateEncoder:
        """The cheapest that reaches the target on amplitudes ``(rows, 2**n)``."""
        best = 0.0
        for layers in range(1, self.most + 1):
            encoders = [ApproximateEncoder(layers, t, self.sweeps) for t in reversed(THRESHOLDS)]
            candidates = [(encoder, encoder.prepared(x)) for encoder in encoders]
            reached = [
                (float(preparation.cnots.double().mean()), place)
                for place, (_, preparation) in enumerate(candidates)
                if float(preparation.fidelity.mean()) >= self.fidelity
            ]
            if reached:
                return encoders[min(reached)[1]]
            best = max(best, *(float(preparation.fidelity.mean()) for _, preparation in candidates))
        raise DataError(
            f"approximate encoding: expected a mean fidelity of {self.fidelity:g} within {self.most} "
            f"layers, got {best:.3f} at most; ask for less, or for more layers (most)"
        )


def _check_fits(model: nn.Module) -> None:
    """Refuse a model that loads no amplitudes, or fewer than its register holds."""
    if not isinstance(model, QuantumNet) or not model.circuit.amplitudes:
        raise ModelError(
            f"approximate encoding: expected a circuit that loads amplitudes, got {type(model).__name__}"
        )
    circuit = model.circuit
    if circuit.amplitudes != 2**circuit.qubits or circuit.qubits < 2:
        raise ModelError(
            f"approximate encoding: expected 2^n amplitudes, n >= 2, got {circuit.amplitudes} on "
            f"{circuit.qubits} qubits: pad the features with zeros"
        )
