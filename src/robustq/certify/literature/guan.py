"""The robust bound of Guan, Fang and Ying."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.literature.pairs import MarginBox, PairProver, two_level
from robustq.certify.requirements import check_slack, check_states
from robustq.contracts import Classifier, Threat


@dataclass(frozen=True)
class Guan:
    """Infidelity ``1/2 (sqrt p - sqrt(1 - p))**2``, from the probability ``p`` of one outcome.

    With ``V = M_A - M_k`` the effect ``1/2 (1 + V / |V|)`` is one outcome of a measurement of two, and
    the classes draw level where it has probability 1/2 (Guan, Fang & Ying, CAV 2021, "robust bound").
    Exact where ``V`` has the eigenvalues ``|V|`` and ``-|V|`` only, as that of a projective read-out of two
    classes, and the adversary is not held to real amplitudes.

    Args:
        slack: how far every margin may truly lie lower, in logits.

    >>> print(Guan())
    guan
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "guan")

    def __str__(self) -> str:
        return "guan"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> PairProver:
        """The norm of every difference of two classes.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "guan")
        box = MarginBox.of(view, self.slack)

        def distances(logits: Tensor, label: Tensor) -> Tensor:
            norm = box.radius[label]
            return two_level(box.margins(logits, label), -norm, norm)

        return PairProver(view, ball, distances)
