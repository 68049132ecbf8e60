"""The exact l2 radius of a model whose features are loaded as amplitudes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.requirements import check_slack
from robustq.certify.witness import just_beyond
from robustq.contracts import AmplitudeClassifier, Bounds, Classifier, Threat
from robustq.errors import CertificateError, ModelError
from robustq.quadric import Cones
from robustq.threats import L2


@dataclass(frozen=True)
class ExactAmplitude:
    """The nearest input of another class, and the proof that there is none nearer.

    The logits are quadratic forms of the features, whatever stands behind the encoding, noise included,
    so that the boundary between two classes is a cone and the distance to it is known in closed form
    (S-lemma: Polik & Terlaky, SIAM Review 2007).

    Args:
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(ExactAmplitude())
    exact amplitude
    """

    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        check_slack(self.slack, "exact-amplitude")

    def __str__(self) -> str:
        return "exact amplitude"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> AmplitudeProver:
        """One quadratic form a class.

        Raises:
            CertificateError: unless the threat is l2 in equal units and the model a quadratic form.
        """
        if not isinstance(threat, L2) or not threat.is_plain:
            raise CertificateError(f"exact-amplitude: expected an l2 threat in equal units, got {threat}")
        return AmplitudeProver(model, Cones(amplitude_forms(model, "exact-amplitude")), self.slack)


def amplitude_forms(model: Classifier, name: str) -> Tensor:
    """One symmetric form a class, float64 ``(classes, features, features)``.

    Raises:
        CertificateError: if the model is no quadratic form of its features.
    """
    if not isinstance(model, AmplitudeClassifier):
        raise CertificateError(
            f"{name}: expected a model whose features are loaded as amplitudes, got {type(model).__name__}"
        )
    try:
        return model.forms(torch.float64)
    except ModelError as failure:
        raise CertificateError(f"{name}: {failure}") from failure


@dataclass(frozen=True, eq=False)
class AmplitudeProver:
    """:class:`ExactAmplitude` for one model."""

    model: Classifier
    cones: Cones
    slack: float

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``."""
        label = self.model(x).argmax(1)
        nearest = self.cones.nearest(x, label, self.slack)
        witness = just_beyond(self.model, x, nearest.point, label)
        return Bounds(label=label, lower=nearest.proved, upper=nearest.distance, witness=witness)
