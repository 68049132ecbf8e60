"""The usual search for shared settings: ascent from many starts."""

from __future__ import annotations

from robustq.attacks.pgd import PGD


def many_starts(steps: int = 10, restarts: int = 6, loss: str = "margin") -> PGD:
    """PGD (Madry et al., ICLR 2018) on the smooth 0/1 loss, short runs from many starts.

    A few settings shared by all inputs make a landscape with many maxima, where starts pay more than
    steps.

    >>> print(many_starts())
    PGD, 10 steps, 6 restarts, margin
    """
    return PGD(steps=steps, restarts=restarts, loss=loss)
