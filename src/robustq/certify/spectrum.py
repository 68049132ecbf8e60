"""Between which values a read-out lies, whatever the state."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.quadric import FORM_ERROR

TINY = 1e-300


def spectra(forms: Tensor) -> Tensor:
    """Lowest and highest expectation of each Hermitian form, ``(forms, 2)``, a little too wide.

    >>> spectra(torch.tensor([[[1.0, 0.0], [0.0, -2.0]]]).double()).round(decimals=9)
    tensor([[-2.,  1.]], dtype=torch.float64)
    """
    values = torch.linalg.eigvalsh(forms)
    wrong = FORM_ERROR * values.abs().amax(1) + TINY
    return torch.stack([values[:, 0] - wrong, values[:, -1] + wrong], 1)


def ranges(forms: Tensor) -> Tensor:
    """The same of every difference of two forms, ``(forms, forms, 2)``.

    >>> forms = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 3.0]]]).double()
    >>> ranges(forms)[0, 1].round(decimals=9)
    tensor([-3.,  1.], dtype=torch.float64)
    """
    wrong = FORM_ERROR * 2 * spectra(forms).abs().max() + TINY  # that of the parts: they may cancel
    extremes = torch.stack([-wrong, wrong]).repeat(len(forms), len(forms), 1)
    for first in range(len(forms)):
        for second in range(first):
            values = torch.linalg.eigvalsh(forms[first] - forms[second])
            ends = torch.stack([values[0] - wrong, values[-1] + wrong])
            extremes[first, second], extremes[second, first] = ends, -ends.flip(0)
    return extremes
