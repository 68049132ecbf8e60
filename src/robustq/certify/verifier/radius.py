"""The largest radius that is proved and the smallest that is refuted, for many inputs together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.verifier.search import Decision

ROUNDS = 60


@dataclass(frozen=True, eq=False)
class Bracket:
    """What is known of the radii of some inputs.

    Attributes:
        lower: largest radius proved, ``(batch,)``.
        upper: distance of the nearest witness, infinite where there is none.
        witness: it, shape of the inputs; the input itself where there is none.
    """

    lower: Tensor
    upper: Tensor
    witness: Tensor


def bracketed(
    decide: Callable[[Tensor, Tensor], tuple[Decision, Tensor]],
    x: Tensor,
    eps: float,
    width: float,
    *,
    decide_only: bool = False,
) -> Bracket:
    """Probe at ``eps``, then below the nearest witness, in steps that double while they are refuted.

    Where nothing is decided the probes go down from there, and ``lower`` and ``upper`` stay apart.

    Args:
        decide: the decision for inputs with these numbers at these radii, and the witnesses' distances.
        x: the inputs ``(batch, features)``.
        eps: the largest radius of interest.
        width: how near the two bounds have to come.
        decide_only: probe at ``eps`` only.

    >>> def halfway(rows, radii):  # everything is proved up to a half, beyond there is a witness
    ...     flips = radii > 0.5
    ...     return Decision(~flips, flips, torch.zeros(len(rows), 1), rows), radii
    >>> bracket = bracketed(halfway, torch.zeros(1, 1), 1.0, 0.01)
    >>> bool((bracket.lower <= 0.5) & (bracket.upper - bracket.lower <= 0.01) & (bracket.upper >= 0.5))
    True
    """
    count = len(x)
    lower = torch.zeros(count, dtype=torch.float64)
    ceiling = torch.full_like(lower, eps)
    upper, witness = torch.full_like(lower, torch.inf), x.clone()
    probe, step = ceiling.clone(), torch.full_like(lower, width)
    rows = torch.arange(count)
    for _ in range(1 if decide_only else ROUNDS):
        if not len(rows):
            break
        decision, distance = decide(rows, probe[rows])
        proved, refuted = rows[decision.proved], rows[decision.refuted]
        lower[proved] = probe[proved]
        nearer = decision.refuted & (distance < upper[rows])
        upper[rows[nearer]], witness[rows[nearer]] = distance[nearer], decision.witness[nearer]
        ceiling[rows] = torch.where(decision.proved, ceiling[rows], probe[rows])
        ceiling[refuted] = torch.minimum(ceiling[refuted], distance[decision.refuted])
        # the witness may lie far below the probe: grow the step until a proof brackets the radius
        step[rows] = torch.where(decision.proved, width, 2 * step[rows])
        rows = rows[ceiling[rows] - lower[rows] > width]
        # a little less than the width, so that a proof there ends the search
        halfway = (lower + ceiling) / 2
        probe = torch.maximum(ceiling - 0.49 * step, halfway.where(step > 8 * width, lower))
    return Bracket(lower, upper, witness)
