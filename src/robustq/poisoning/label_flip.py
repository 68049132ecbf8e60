"""Label flips chosen by the damage they do to a surrogate that is retrained after every flip.

Biggio et al. (ACML 2011) and Xiao et al. (ECAI 2012) choose the flips that raise the loss of the retrained
classifier most. Retraining is what makes that dear; a ridge regression on the labels is retrained
in closed form, so here every flip is chosen with all earlier ones already learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from robustq.errors import SpecError
from robustq.poisoning.task import TrainingData
from robustq.threats.poisoning import Rows


@dataclass(frozen=True)
class LabelFlip:
    """The flips that make a linear surrogate wrong about most clean rows, one after the other.

    The adversary knows the training data and nothing of the victim. What is raised is the sum over the
    clean rows of ``sigmoid(margin / softness)``, a smooth count of the rows that the surrogate gets wrong:
    rows that are lost, or safe, do not attract flips.

    Args:
        ridge: penalty on the surrogate's weights.
        softness: margins below this count as undecided; the surrogate's scores lie around [0, 1].

    >>> x = torch.tensor([[0.0], [0.1], [0.2], [0.8], [0.9], [1.0]])
    >>> y = torch.tensor([0, 0, 0, 1, 1, 1])
    >>> from robustq.threats import Poisoning
    >>> _, flipped = LabelFlip().craft(TrainingData(x, y, Poisoning(0.34), torch.Generator()))
    >>> int((flipped != y).sum())
    2
    """

    ridge: float = 1.0
    softness: float = 0.25

    def __post_init__(self) -> None:
        for name in ("ridge", "softness"):
            if not getattr(self, name) > 0:
                raise SpecError(f"label-flip: expected {name} > 0, got {getattr(self, name)}")

    def __str__(self) -> str:
        return "label flips, greedy on a ridge surrogate"

    def craft(self, data: TrainingData) -> Rows:
        """Flip the best row of the moment, retrain, and again."""
        surrogate = _Ridge(data.x, data.y, self.ridge)
        flipped = data.y.clone()
        for _ in range(data.allowed):
            gain = surrogate.gain(surrogate.harm(data.y, self.softness), data.y)
            gain[flipped != data.y] = -torch.inf
            row, label = divmod(int(gain.argmax()), data.classes)
            surrogate.relabel(row, int(flipped[row]), label)
            flipped[row] = label
        return data.x, flipped


class _Ridge:
    """Ridge regression on one-hot labels: scores are linear in the labels, ``H @ one_hot(y)``."""

    def __init__(self, x: Tensor, y: Tensor, ridge: float) -> None:
        flat = x.flatten(1).double()
        ones = flat.new_ones(len(flat), 1)
        self.rows = torch.cat([flat - flat.mean(0), ones], 1)
        grown = self.rows.T @ self.rows + ridge * torch.eye(self.rows.shape[1]).to(self.rows)
        self.solved = torch.linalg.solve(grown, self.rows.T)  # H = rows @ solved, never formed
        self.scores = self.rows @ (self.solved @ one_hot(y).to(flat))

    def harm(self, y: Tensor, softness: float) -> Tensor:
        """Gradient in the scores of the smooth count of wrong clean rows, ``(rows, classes)``."""
        scores = self.scores.clone().requires_grad_(True)
        with torch.enable_grad():
            own = one_hot(y, scores.shape[1]).bool()
            margin = scores.masked_fill(own, -torch.inf).amax(1) - scores[own]
            wrong = torch.sigmoid(margin / softness).sum()
            gradient: Tensor = torch.autograd.grad(wrong, scores)[0]
        return gradient

    def gain(self, harm: Tensor, y: Tensor) -> Tensor:
        """What labelling each row as each class would add to the harm, to first order."""
        by_label = self.solved.T @ (self.rows.T @ harm)
        gain: Tensor = by_label - by_label.gather(1, y[:, None])
        return gain.scatter(1, y[:, None], -torch.inf)

    def relabel(self, row: int, old: int, new: int) -> None:
        """Retrain with one label changed; exact."""
        change = self.rows @ self.solved[:, row]
        self.scores[:, new] += change
        self.scores[:, old] -= change
