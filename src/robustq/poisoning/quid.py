"""QUID: labels that lie farthest in the space of encoded states (Kundu & Ghosh, arXiv:2411.14412)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from robustq.contracts import StateClassifier
from robustq.errors import ModelError, unknown_name
from robustq.poisoning.task import TrainingData
from robustq.threats.poisoning import Rows

CHOICES = ("farthest", "random")


@dataclass(frozen=True)
class Quid:
    """Each poisoned row gets the label of the class whose encoded states are farthest from its own.

    States of one class lie close together (intra-class encoder state similarity), so the most distant
    class is the most wrong one. Needs the data and the encoding circuit: no training, no gradients,
    no victim. The distance is Frobenius' (Hilbert and Schmidt's) between the row's density matrix and
    the mean density matrix of the class, see :func:`class_distances`.

    Args:
        encoder: the victim's untrained model, frozen.
        rows: ``"random"`` poisons random rows, as in the paper; ``"farthest"`` those that lie farthest
            from the label they get. Of two classes there is only one other label, so random rows are
            no better than random flips.

    Raises:
        ModelError: if the encoder cannot show its states.

    >>> from robustq.poisoning.quid import class_distances
    >>> states = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.complex128)
    >>> class_distances(states, torch.tensor([0, 1])).square().round(decimals=9).tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    """

    encoder: StateClassifier
    rows: str = "farthest"

    def __post_init__(self) -> None:
        if self.rows not in CHOICES:
            raise unknown_name("choice of rows", self.rows, CHOICES)
        if not isinstance(self.encoder, StateClassifier):
            raise ModelError(
                "quid: expected a model that shows its encoded states (a quantum model's freeze()), "
                f"got {type(self.encoder).__name__}"
            )

    def __str__(self) -> str:
        return f"QUID on {self.rows} rows"

    def craft(self, data: TrainingData) -> Rows:
        """Relabel as many rows as allowed; a row never keeps its own label."""
        with torch.no_grad():
            distances = class_distances(self.encoder.states(data.x), data.y)
        far, label = distances.scatter(1, data.y[:, None], -1.0).max(1)
        if self.rows == "random":
            order = torch.randperm(len(far), generator=data.generator).to(far.device)
        else:
            order = far.argsort(descending=True, stable=True)
        chosen = order[: data.allowed]
        poisoned = data.y.clone()
        poisoned[chosen] = label[chosen]
        return data.x, poisoned


def class_distances(states: Tensor, y: Tensor) -> Tensor:
    """Frobenius distance of each pure state to each class's mean density matrix, ``(rows, classes)``.

    ``|rho - sigma|^2 = 1 - 2 <psi|sigma|psi> + tr sigma^2`` for normalised ``psi``; all of it follows
    from the overlaps of the rows, so no density matrix is formed. A class without rows is at -1: nothing
    is known of its states.
    """
    overlaps = (states @ states.mH).abs().square()
    members = one_hot(y).to(overlaps)
    weights = members / members.sum(0).clamp_min(1)
    near = overlaps @ weights
    purity = (weights * near).sum(0)
    distances = (1 - 2 * near + purity).clamp_min(0).sqrt()
    return torch.where(members.sum(0) > 0, distances, -1.0)
