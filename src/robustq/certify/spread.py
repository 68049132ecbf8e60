"""Global robustness: how fast a classifier's margins can change, whatever the state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.requirements import check_slack, check_states
from robustq.contracts import Bounds, Classifier, Threat
from robustq.quadric import FORM_ERROR
from robustq.states import StateView
from robustq.threats import Fidelity, TraceDistance


def spreads(forms: Tensor) -> Tensor:
    """The Lipschitz constant of every margin in trace distance, ``(classes, classes)``.

    ``|(f_A - f_k)(rho) - (f_A - f_k)(sigma)| <= spread T(rho, sigma)`` for all states, mixed ones included,
    with the largest less the smallest eigenvalue of ``M_A - M_k``; the two eigenvectors attain it (Guan,
    Fang & Ying, CAV 2022). Hence the global statement: a state whose margin over each other class is more than
    ``delta`` keeps its answer within trace distance ``delta / spread``.

    Args:
        forms: Hermitian, one a class, ``(classes, dimension, dimension)``.

    >>> z = torch.diag(torch.tensor([1.0, -1.0])).double()
    >>> spreads(torch.stack([z, -z])).tolist()
    [[0.0, 4.0], [4.0, 0.0]]
    """
    constants = forms.new_zeros(len(forms), len(forms), dtype=torch.float64)
    for one in range(len(forms)):
        for other in range(one):
            values = torch.linalg.eigvalsh(forms[one] - forms[other])
            constants[one, other] = constants[other, one] = values[-1] - values[0]
    return constants


@dataclass(frozen=True)
class Global:
    """A state's margin divided by the spread of the two classes: one number a pair serves every state.

    Never more than the exact radius, and for all states of a margin at once the best there is: the
    statement about the channel, not about one input (Guan, Fang & Ying, CAV 2022).

    Args:
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(Global())
    global
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "global")

    def __str__(self) -> str:
        return "global"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> SpreadProver:
        """The spreads, by one eigendecomposition a pair of classes.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "global")
        forms = view.frozen.state_forms()
        rounding = 2 * FORM_ERROR * float(torch.linalg.matrix_norm(forms, ord=2).max())
        return SpreadProver(view, forms, spreads(forms), ball, rounding, self.slack)


@dataclass(frozen=True, eq=False)
class SpreadProver:
    """:class:`Global` for one model."""

    model: StateView
    forms: Tensor
    spreads: Tensor
    threat: Fidelity | TraceDistance
    rounding: float
    slack: float

    def prove(self, states: Tensor) -> Bounds:
        """Radii of states ``(batch, dimension, 2)``, as infidelity or trace distance; no witness.

        The square of a trace distance is a lower bound of the infidelity from a pure state, so that mixed
        states are no nearer (Fuchs & van de Graaf, 1999).
        """
        label = self.model(states).argmax(1)
        kets = torch.view_as_complex(states.contiguous())
        kets = kets / torch.linalg.vector_norm(kets, dim=1, keepdim=True)
        scores = torch.einsum("bi,kij,bj->bk", kets.conj(), self.forms, kets).real
        margins = scores.gather(1, label[:, None]) - scores - self.slack - self.rounding
        speeds = (self.spreads[label] + 2 * self.rounding).clamp_min(1e-300)
        others = torch.arange(scores.shape[1], device=scores.device) != label[:, None]
        radius = (margins.clamp_min(0) / speeds).masked_fill(~others, torch.inf).amin(1)
        radius = radius * (1 - FORM_ERROR)
        return Bounds(
            label=label,
            lower=radius if isinstance(self.threat, TraceDistance) else radius.square(),
            upper=torch.full_like(radius, torch.inf),
        )
