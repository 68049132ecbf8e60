"""The bound from quantum hypothesis testing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.literature.effects import Effects
from robustq.certify.literature.pairs import PairProver
from robustq.certify.requirements import check_slack, check_states
from robustq.contracts import Classifier, Threat


@dataclass(frozen=True)
class HypothesisTesting:
    """Fidelity above ``1/2 (1 + sqrt g)``, from the probabilities of two classes.

    ``g = 1 - pB - pA (1 - 2 pB) + 2 sqrt(pA pB (1 - pA)(1 - pB))`` (Weber, Liu, Li, Zhang & Zhao, npj Quantum
    Information 7:76, 2021, for pure states). With ``pA = cos(a)**2`` and ``pB = cos(b)**2``, ``g`` is
    ``cos(b - a)**2`` and the bound says: the angle ``arccos sqrt F`` stays below ``(b - a) / 2``. That is true
    of any two effects between 0 and 1, whether or not they belong to one measurement: the angle
    between outcomes of ``{E, 1 - E}`` is at most that between the states, so that ``a`` grows and
    ``b`` falls by less than half of what parts them. A score need not be a probability; see :class:`Effects`.

    Args:
        slack: how far every margin may truly lie lower, in logits.

    >>> print(HypothesisTesting())
    hypothesis testing
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "hypothesis-testing")

    def __str__(self) -> str:
        return "hypothesis testing"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> PairProver:
        """The extreme eigenvalues of all classes.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "hypothesis-testing")
        effects = Effects.of(view)
        slack = self.slack / effects.scale

        def distances(logits: Tensor, label: Tensor) -> Tensor:
            return half_angle(*effects.probabilities(logits, label), slack).sin()

        return PairProver(view, ball, distances)


def half_angle(own: Tensor, other: Tensor, slack: float = 0.0) -> Tensor:
    """The angle within which ``own`` stays above ``other`` by more than ``slack``; zero if it is not.

    After a move by ``d`` the difference is at least ``cos(a + d)**2 - cos(b - d)**2``, which is
    ``sin(b - a - 2 d) sin(b + a)``.

    >>> pa, pb = torch.tensor([[0.9], [0.2]]).double()
    >>> half = half_angle(pa, pb)
    >>> g = 1 - pb - pa * (1 - 2 * pb) + 2 * (pa * pb * (1 - pa) * (1 - pb)) ** 0.5
    >>> torch.allclose(half.cos() ** 2, (1 + g**0.5) / 2)
    True
    """
    a = torch.atan2((1 - own).sqrt(), own.sqrt())
    b = torch.atan2((1 - other).sqrt(), other.sqrt())
    ahead = own - other > slack
    spent = torch.asin((slack / (a + b).sin()).clamp(0, 1).masked_fill(~ahead, 0.0))
    return ((b - a - spent) / 2).clamp_min(0).masked_fill(~ahead, 0.0)
