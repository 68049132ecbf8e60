"""Encoded qubits that cross a noisy stretch within the [[4,2,2]] code."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustq.circuits import op
from robustq.defences.noise.cores import MARKER, changed, check_unmarked, core_of, encoded, joined, rewired, spliced
from robustq.defences.noise.noisy import Noisy
from robustq.models import QuantumNet
from robustq.noise import Channel, NoiseModel, Rule
from robustq.noise.codes import Detected, detected
from robustq.options import check_shares


@dataclass(frozen=True)
class ErrorDetecting:
    """The encoded input meets Pauli noise before the ansatz, in pairs of qubits that the code protects.

    Every physical qubit meets X, Y and Z with chance ``p / 3`` each: two qubits bare, or the four that hold
    them. With the code, runs with an alarm are thrown away and a pair's error falls from about ``2 p`` to about
    ``2 p^2``; the price is the share of runs that is kept, about ``1 - 4 p`` a pair. An adversary who adds
    Pauli errors on the way is a case of such noise. A last unpaired qubit travels bare.

    Args:
        p: chance of a Pauli error on each physical qubit, in [0, 1].
        code: whether the code is used; False for the same noise without it, as a control.

    >>> round(ErrorDetecting(0.01).acceptance, 4)
    0.9608
    """

    p: float = 0.02
    code: bool = True

    trained_through = True

    def __post_init__(self) -> None:
        check_shares("error-detecting", p=self.p)

    @property
    def _pair(self) -> Detected:
        return detected(self.p / 3, self.p / 3, self.p / 3)

    @property
    def acceptance(self) -> float:
        """Share of the runs in which a pair raises no alarm."""
        return self._pair.acceptance if self.code else 1.0

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Noisy:
        """The model with that noise behind its encoder; it knows the share of runs that count.

        Raises:
            ModelError: unless there is one circuit in it.
        """
        pairs = core_of(model).circuit.qubits // 2
        return Noisy(rewired(model, self._crossing), self.acceptance**pairs)

    def _crossing(self, core: QuantumNet) -> QuantumNet:
        circuit = core.circuit
        check_unmarked(circuit)
        marks = [op(MARKER, q) for q in range(circuit.qubits)]
        marked = changed(core, circuit=spliced(circuit, encoded(circuit), marks))
        return changed(marked, noise=joined(marked, NoiseModel(self._rules(circuit.qubits))))

    def _rules(self, qubits: int) -> tuple[Rule, ...]:
        bare = Channel("pauli", *[self.p / 3] * 3)
        if not self.code:
            return (Rule(bare, (MARKER,)),)
        rules = [Rule(self._pair.channel, (MARKER,), (q,), on=(q, q + 1)) for q in range(0, qubits - 1, 2)]
        return (*rules, Rule(bare, (MARKER,), (qubits - 1,))) if qubits % 2 else tuple(rules)
