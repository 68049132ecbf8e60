"""Margins between classes in shares of all they can be.

The margin of two classes is the expectation of ``V = M_A - M_k``, so it lies between the extreme eigenvalues
of ``V``, whatever the input and the noise. Scaled to [-1, 1] it is a trigonometric polynomial ``u`` of the
gate angles that never leaves this interval; that is all the certificates by slopes use.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.quadric import FORM_ERROR

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Margins:
    """The range of every difference of two classes.

    Attributes:
        middle: centre of the range, ``(classes, classes)``, first the class that should win.
        half: half its width.
        error: by how much a margin may be wrong in float64.
    """

    middle: Tensor
    half: Tensor
    error: Tensor

    @staticmethod
    def of(forms: Tensor) -> Margins:
        """From one Hermitian matrix a class, ``(classes, dimension, dimension)``.

        >>> forms = torch.diag_embed(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).double()
        >>> [round(v, 6) for v in Margins.of(forms).half[0].tolist()]
        [0.0, 1.0]
        """
        ends = torch.stack([_ends(row - forms) for row in forms])
        largest = torch.linalg.matrix_norm(forms, ord=2)  # not of the difference: parts may cancel
        error = 2 * FORM_ERROR * torch.maximum(largest[:, None], largest)
        return Margins(ends.sum(-1) / 2, (ends[..., 1] - ends[..., 0]) / 2 + error, error)

    def shares(self, logits: Tensor, label: Tensor) -> Tensor:
        """At most the scaled margins of ``label``, ``(batch, classes)``, in [-1, 1]."""
        margin = logits.gather(1, label[:, None]) - logits
        low = margin - self.error[label] - self.middle[label]
        return (low / self.half[label].clamp_min(TINY)).clamp(-1, 1)

    def goals(self, label: Tensor, slack: float) -> Tensor:
        """Where the other class draws level, on the same scale; -inf where it never does."""
        high = slack + self.error[label] - self.middle[label]
        goal = high / self.half[label].clamp_min(TINY)
        own = torch.nn.functional.one_hot(label, len(self.half)).bool()
        return goal.masked_fill(own | (goal <= -1), -torch.inf)


def _ends(matrices: Tensor) -> Tensor:
    """Least and largest eigenvalue, ``(batch, 2)``."""
    values: Tensor = torch.linalg.eigvalsh(matrices)
    return values[:, [0, -1]]
