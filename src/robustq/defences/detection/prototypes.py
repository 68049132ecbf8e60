"""Fidelity of the encoded state with each class of training states."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View
from robustq.errors import ModelError

WIDEST = 1024  # largest dimension of which mean states are kept


class Prototypes(Detector):
    """``max_c F_c - F_answered``, where ``F_c = <psi(x)| rho_c |psi(x)>`` with the mean state of a class.

    A small perturbation can flip an answer but hardly moves the state: it then still resembles the
    states of its true class more than those of the class answered. Negative where both agree (the largest
    is taken over the other classes). The fidelity classifier is that of Lloyd et al., arXiv:2001.03622.
    """

    kind = "prototypes"
    real: Tensor
    imaginary: Tensor

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The lead of another class, float64 ``(batch,)`` in [-1, 1]."""
        fidelity, answered = self.fidelities(x, view), logits.argmax(1, keepdim=True)
        others = fidelity.scatter(1, answered, -torch.inf).amax(1)
        return others - fidelity.gather(1, answered)[:, 0]

    def fidelities(self, x: Tensor, view: View) -> Tensor:
        """With the mean state of each class, float64 ``(batch, classes)``."""
        states = view.states(x).to(torch.complex128)
        rho = torch.complex(self.real.double(), self.imaginary.double()).to(states.device)
        return torch.einsum("bi,cij,bj->bc", states.conj(), rho, states).real

    @classmethod
    def fitted(cls, clean: Clean) -> Self:
        """On the states of the clean rows.

        Raises:
            ModelError: if the model's states cannot be read, or have more than 1024 amplitudes.
        """
        with torch.no_grad():
            states = clean.view.states(clean.x).to(torch.complex128)
        if states.shape[1] > WIDEST:
            raise ModelError(f"prototypes: expected up to {WIDEST} amplitudes, got {states.shape}")
        classes = [states[clean.y == c] for c in range(clean.classes)]
        rho = torch.stack([rows.T @ rows.conj() / len(rows) for rows in classes])
        return cls(real=rho.real, imaginary=rho.imag)
