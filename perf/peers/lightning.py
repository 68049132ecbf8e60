"""PennyLane's ``lightning.qubit``: compiled C++, adjoint differentiation, one sample at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from perf.peers.pennylane_node import function
from perf.peers.torch_step import gradient_step
from perf.workload import Step, Workload


def make(work: Workload) -> Step:
    """A loop over the samples, which is how the device runs a batch."""
    import pennylane as qml

    device = qml.device("lightning.qubit", wires=work.qubits, c_dtype=np.complex64)
    circuit = qml.QNode(function(work), device, interface="torch", diff_method="adjoint")

    def scores(x: Tensor, theta: Tensor) -> Tensor:
        return torch.stack([torch.stack(list(circuit(one, theta))) for one in x]).float()

    return gradient_step(scores, work)
