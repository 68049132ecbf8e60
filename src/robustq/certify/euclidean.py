"""What an l2 radius proves in other norms."""

from __future__ import annotations

import math

from torch import Tensor

from robustq.contracts import Threat
from robustq.errors import CertificateError
from robustq.threats import L1, L2, Linf


def check_norm(threat: Threat, name: str) -> None:
    """Refuse threats that an l2 radius says nothing about.

    A box and frozen features only take possibilities from the adversary.

    Raises:
        CertificateError: unless it is l2, l1 or l-infinity with all features in one unit.
    """
    if not isinstance(threat, L1 | L2 | Linf) or threat.scale is not None:
        raise CertificateError(
            f"{name}: expected an l2, l1 or linf threat with all features in one unit, got {threat}"
        )


def in_norm(radius: Tensor, threat: Threat, features: int) -> Tensor:
    """The radius in the threat's norm that lies within an l2 radius ``(batch,)``.

    An l1 ball lies in the l2 ball of the same radius, an l-infinity ball of the features that may move
    in one larger by the root of their number.

    >>> import torch
    >>> in_norm(torch.tensor([3.0]), Linf(1.0, frozen=(0,)), 10)
    tensor([1.])
    """
    if not isinstance(threat, Linf):
        return radius
    moving = max(1, features - len(set(threat.frozen)))
    return radius * ((1 - 1e-15) / math.sqrt(moving))
