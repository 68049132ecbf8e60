"""The adversary moves the encoded state itself: the strongest thing that can be done to an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import CircuitClassifier, StateClassifier
from robustq.errors import ModelError


@dataclass(frozen=True, eq=False)
class StateView:
    """A frozen model as a classifier of its encoded states, for every attack on real tensors.

    States are real tensors ``(batch, dimension, 2)``, as in :mod:`robustq.threats.states`, so that
    ``run_attack(PGD(), view, view.encoded(x), y, Fidelity(eps), generator=...)`` is the state adversary
    of Liu & Wittek (PRA 101, 2020).

    Args:
        frozen: what ``model.freeze()`` returned; pure up to its last encoding gate.
        qubits: width of its register.

    Raises:
        ModelError: if it cannot be asked about states.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> view = StateView.of(model)
    >>> view.encoded(torch.zeros(3, 2)).shape, view(view.encoded(torch.zeros(3, 2))).shape
    (torch.Size([3, 4, 2]), torch.Size([3, 2]))
    """

    frozen: StateClassifier
    qubits: int

    @staticmethod
    def of(model: CircuitClassifier) -> StateView:
        """The view of a quantum or hybrid model at today's parameters."""
        if not isinstance(model, CircuitClassifier):
            raise ModelError(f"expected a quantum or hybrid model, got {type(model).__name__}")
        frozen: Any = model.freeze()
        return StateView(frozen, model.circuit.qubits)

    def __post_init__(self) -> None:
        if not isinstance(self.frozen, StateClassifier):
            raise ModelError(
                "expected a frozen quantum model (model.freeze()), which can be asked about states, "
                f"got {type(self.frozen).__name__}"
            )

    def encoded(self, x: Tensor) -> Tensor:
        """The states of inputs, ``(batch, dimension, 2)``."""
        with torch.no_grad():
            return torch.view_as_real(self.frozen.states(x).resolve_conj().contiguous())

    def __call__(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)``; a state's length does not matter."""
        return self.frozen.of_states(torch.view_as_complex(states.contiguous()))

    def forms(self, dtype: torch.dtype) -> Tensor:
        """``F_k`` with logits ``s^T F_k s / s^T s`` of states ``s`` as real vectors.

        Shape ``(classes, 2 dimension, 2 dimension)``; real and imaginary parts take turns.
        """
        real = torch.view_as_real(self.frozen.state_forms().mT.resolve_conj().contiguous()).to(dtype)
        turned = torch.stack([-real[..., 1], real[..., 0]], -1)  # i M_k e_j
        classes, dimension = real.shape[:2]
        both = torch.stack([real, turned], 2)  # images of e_j and of i e_j, (classes, j, 2, dimension, 2)
        return both.reshape(classes, 2 * dimension, 2 * dimension).mT
