"""PennyLane with torch and back-propagation, broadcast over the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from perf.peers.pennylane_node import node
from perf.peers.torch_step import gradient_step
from perf.workload import Step, Workload


def make(work: Workload) -> Step:
    """One broadcast execution a call."""
    circuit = node(work, "torch")

    def scores(x: Tensor, theta: Tensor) -> Tensor:
        return torch.stack(list(circuit(x, theta)), dim=1).float()

    return gradient_step(scores, work)
