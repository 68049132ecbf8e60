"""A classifier behind a depolarising channel, and what differential privacy proves of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from robustq.certify.literature.effects import Effects
from robustq.certify.literature.pairs import PairProver
from robustq.certify.requirements import check_slack, check_states
from robustq.contracts import Classifier, StateClassifier, Threat
from robustq.errors import CertificateError
from robustq.states import StateView


@dataclass(frozen=True)
class Depolarising:
    """The state passes a depolarising channel before the read-out; the claims are about *that* classifier.

    The channel replaces the state by the maximally mixed one with probability ``p``. States within trace
    distance ``tau`` then obey ``N(rho) <= e**eps N(sigma)`` with ``e**eps = 1 + D (1 - p) tau / p`` (Zhou &
    Ying, CSF 2017), and class ``A`` stays ahead of ``B`` while ``pA > e**(2 eps) pB`` (Du, Hsieh, Liu, Tao &
    Liu, Phys. Rev. Research 3, 023153, 2021). True of any two effects that are not negative; a score need
    not be a probability, see :class:`Effects`.

    Args:
        p: probability that the state is lost.
        slack: how far every margin may truly lie lower, in logits.

    >>> print(Depolarising(0.5))
    depolarising p=0.5
    """

    p: float = 0.1
    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "depolarising")
        if not 0 < self.p < 1:
            raise CertificateError(f"depolarising: expected 0 < p < 1, got {self.p}")

    def __str__(self) -> str:
        return f"depolarising p={self.p:g}"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> PairProver:
        """The classifier behind the channel, and the extreme eigenvalues before it.

        Raises:
            CertificateError: unless the model is a :class:`robustq.states.StateView` and the threat a
                ball of states.
        """
        view, ball = check_states(model, threat, "depolarising")
        effects, noisy = Effects.of(view), Depolarised(view.frozen, self.p)
        per_privacy = self.p / ((1 - self.p) * 2**view.qubits)

        def distances(logits: Tensor, label: Tensor) -> Tensor:
            own, other = effects.probabilities(logits, label)
            loss = ratio(own, other, self.slack / effects.scale) - 1
            return loss.clamp_min(0).mul(per_privacy)

        return PairProver(StateView(noisy, view.qubits), ball, distances)


def ratio(own: Tensor, other: Tensor, slack: float = 0.0) -> Tensor:
    """The largest ``e**eps`` with ``own / e**eps - other * e**eps >= slack``; infinite if any will do.

    >>> float(ratio(torch.tensor(0.8), torch.tensor(0.2)))
    2.0
    """
    factor = 2 * own / (slack + (slack**2 + 4 * own * other).sqrt())
    return factor.masked_fill(own <= 0, 0.0)


@dataclass(frozen=True, eq=False)
class Depolarised:
    """A frozen classifier whose states pass a global depolarising channel before they are read.

    Args:
        frozen: the classifier without the channel.
        p: probability that the state is replaced by the maximally mixed one.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> frozen = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator()).freeze()
    >>> states = frozen.states(torch.ones(1, 2))
    >>> torch.allclose(Depolarised(frozen, 0.5).of_states(states), frozen.of_states(states) / 2)
    True
    """

    frozen: StateClassifier
    p: float

    def states(self, x: Tensor) -> Tensor:
        """The state before the channel, complex ``(batch, dimension)``."""
        return self.frozen.states(x)

    def of_states(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of such states."""
        clean = self.frozen.of_states(states)
        noisy: Tensor = (1 - self.p) * clean + self.p * self._mixed.to(clean)
        return noisy

    def state_forms(self) -> Tensor:
        """``(1 - p) M_k + p tr(M_k) / D``, complex128 ``(classes, dimension, dimension)``."""
        forms = self.frozen.state_forms()
        identity = torch.eye(forms.shape[-1]).to(forms)
        return (1 - self.p) * forms + self.p * self._mixed[:, None, None] * identity

    @cached_property
    def _mixed(self) -> Tensor:
        """Logits of the maximally mixed state, ``(classes,)``."""
        diagonal = self.frozen.state_forms().diagonal(dim1=1, dim2=2)
        return diagonal.real.mean(1)
