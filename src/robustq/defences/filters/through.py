"""The straight-through gradient: forwards a filter, backwards the identity."""

from __future__ import annotations

from torch import Tensor


def straight_through(x: Tensor, filtered: Tensor) -> Tensor:
    """The values of ``filtered`` with the gradient of ``x`` (BPDA: Athalye, Carlini & Wagner, ICML 2018).

    >>> import torch
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> straight_through(x, x.detach().clamp(0, 1)).backward()
    >>> x.grad
    tensor([1.])
    """
    # a difference first would round: what is answered has to be the filter's value itself
    return filtered.detach() + (x - x.detach()) if x.requires_grad else filtered
