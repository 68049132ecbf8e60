"""The exact radius of an encoded state, for any circuit behind it and any noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.requirements import check_slack, check_states
from robustq.certify.witness import just_beyond
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.quadric import Cones, NearestFlip
from robustq.states import StateView
from robustq.threats import Fidelity, TraceDistance

REAL = 1e-12  # imaginary part of a state that counts as real


@dataclass(frozen=True)
class ExactState:
    """The nearest state of another class, and the proof that there is none nearer.

    With ``V = M_A - M_k`` the states of equal margin are the cone ``psi^dagger V psi = 0``; its point
    nearest to the clean state has infidelity ``distance**2``. One quadratic constraint leaves no duality
    gap (S-lemma), several classes are several cones, and a mixed state cannot do better (Guan, Fang & Ying,
    CAV 2021, pose the same as a semidefinite programme). A thresholded read-out ``<O> > c`` is the two
    classes ``O`` and ``c 1``.

    Args:
        real: the adversary is held to real amplitudes, and so must the clean states be.
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(ExactState(), "|", ExactState(real=True))
    exact state | exact state, real amplitudes
    """

    real: bool = False
    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "exact-state")

    def __str__(self) -> str:
        return "exact state" + (", real amplitudes" if self.real else "")

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> StateProver:
        """The read-out as one Hermitian matrix a class.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "exact-state")
        forms = view.frozen.state_forms()
        return StateProver(self, view, Cones(forms.real if self.real else forms), ball)


@dataclass(frozen=True, eq=False)
class StateProver:
    """:class:`ExactState` for one model."""

    certifier: ExactState
    model: StateView
    cones: Cones
    threat: Fidelity | TraceDistance

    def prove(self, states: Tensor) -> Bounds:
        """Radii of states ``(batch, dimension, 2)``, as infidelity or trace distance."""
        label = self.model(states).argmax(1)
        nearest, edge = self._nearest(states, label)
        length = torch.linalg.vector_norm(states.flatten(1), dim=1)
        infidelity = (nearest.proved / length).clamp(max=1) ** 2
        infidelity = infidelity.masked_fill(torch.isinf(nearest.proved), torch.inf)
        return Bounds(
            label=label,
            lower=infidelity if isinstance(self.threat, Fidelity) else infidelity.sqrt(),
            upper=nearest.distance,
            witness=_unit(just_beyond(self.model, states, edge, label)),
        )

    def _nearest(self, states: Tensor, label: Tensor) -> tuple[NearestFlip, Tensor]:
        """The nearest states of other classes, and the same as real tensors."""
        if self.certifier.real:
            if float(states[..., 1].abs().max()) > REAL:
                raise CertificateError("exact-state, real: expected real amplitudes, got complex ones")
            nearest = self.cones.nearest(states[..., 0], label, self.certifier.slack)
            return nearest, torch.stack([nearest.point, torch.zeros_like(nearest.point)], -1)
        kets = torch.view_as_complex(states.contiguous())
        nearest = self.cones.nearest(kets, label, self.certifier.slack)
        return nearest, torch.view_as_real(nearest.point.resolve_conj())


def _unit(states: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(states, dim=(1, 2), keepdim=True)
    return states / length
