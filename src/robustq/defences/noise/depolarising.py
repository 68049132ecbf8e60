"""Depolarising noise as a defence (Du et al., Phys. Rev. Research 3, 023153, 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustq.circuits.gates import GATES
from robustq.defences.noise.cores import MARKER, with_noise
from robustq.defences.noise.noisy import Noisy
from robustq.noise import Channel, NoiseModel, Rule
from robustq.options import check_shares

STRUCK = tuple(name for name in GATES if name != MARKER)


@dataclass(frozen=True)
class Depolarising:
    """A model whose qubits are depolarised after every gate, in training and at inference.

    Depolarising noise hides how close two encoded states are (quantum differential privacy, Zhou & Ying, CSF
    2017), which bounds what an adversary can change. It shrinks margins as well, so the honest question is
    what it adds to its noise-free twin, which the guarded model names.

    Args:
        p: chance that a qubit is replaced by the maximally mixed state after each gate that touches it.

    >>> Depolarising(0.05).p
    0.05
    """

    p: float = 0.05

    trained_through = True

    def __post_init__(self) -> None:
        check_shares("depolarising", p=self.p)

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Noisy:
        """The model with a depolarising channel on every touched qubit after every gate.

        Raises:
            ModelError: if there is no circuit in it.
        """
        rule = Rule(Channel("depolarising", self.p), gates=STRUCK)
        return Noisy(with_noise(model, NoiseModel((rule,))))
