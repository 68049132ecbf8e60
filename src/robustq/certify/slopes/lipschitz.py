"""A radius from the largest slope that a circuit can have."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.slopes.bisection import largest_radius
from robustq.certify.slopes.margins import Margins
from robustq.certify.slopes.turns import ROUNDING, Turning, dual_order, is_constant, length, turning, units_of
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.quadric import FORM_ERROR


@dataclass(frozen=True)
class Lipschitz:
    """No gate can change the margin faster than its generator and the read-out allow.

    With the margin scaled to ``u`` in [-1, 1] and ``s`` the spread of a gate's generator,
    ``|du/da| <= s sqrt(1 - u^2)`` (Bernstein's inequality; Robertson's uncertainty relation says the same),
    so that ``arccos u`` grows by no more than the sum of spread times turn. Never below the plain bound
    ``|du/da| <= s``, exact on one qubit, and true under any noise between the gates.

    Args:
        published: the bound of Berberich et al. (Phys. Rev. Research 6, 043326, 2024) instead:
            ``L = 2 |M| sum |w_j| |H_j|`` of each class and ``(f_A - f_k) / (L_A + L_k)``; affine angles only.
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(Lipschitz(), "|", Lipschitz(published=True))
    lipschitz | lipschitz, as published
    """

    published: bool = False
    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        if not self.slack >= 0:
            raise CertificateError(f"lipschitz: expected slack >= 0, got {self.slack}")

    def __str__(self) -> str:
        return "lipschitz" + (", as published" if self.published else "")

    def prepare(
        self, model: Classifier, threat: Threat, generator: torch.Generator
    ) -> LipschitzProver | PublishedProver:
        """The angles of the gates and the ranges of the margins.

        Raises:
            CertificateError: unless the features turn gates and the threat is l-inf, l2 or l1.
        """
        order, turns = dual_order(threat, "lipschitz"), turning(model, "lipschitz")
        if not self.published:
            return LipschitzProver(model, threat, order, turns, Margins.of(turns.forms), self.slack)
        if not turns.is_affine:
            raise CertificateError(
                "lipschitz, as published: expected angles affine in the features, got products of "
                "features or a sigmoid"
            )
        return PublishedProver(model, threat, order, turns, self.slack)


@dataclass(frozen=True, eq=False)
class LipschitzProver:
    """:class:`Lipschitz` for one model and one threat."""

    model: Classifier
    threat: Threat
    order: float
    turning: Turning
    margins: Margins
    slack: float

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``."""
        logits = self.model(x)
        label = logits.argmax(1)
        shares = self.margins.shares(logits, label)
        goals = self.margins.goals(label, self.slack)
        turn = self.turning.around(x, units_of(self.threat, x), self.order)
        apart = angle_to_level(shares, goals).amin(1, keepdim=True)
        radius = largest_radius(lambda r: turn.swing(r) <= apart, apart)
        endless = is_constant(turn, apart) | torch.isinf(apart)
        radius = radius.masked_fill(endless, torch.inf).masked_fill(apart <= 0, 0)
        return claim(label, radius[:, 0])


def angle_to_level(shares: Tensor, goals: Tensor) -> Tensor:
    """How far ``arccos u`` is from where another class draws level; infinite where none can.

    >>> angle_to_level(torch.tensor([1.0]).double(), torch.tensor([0.0]).double()).round(decimals=6).tolist()
    [1.570796]
    """
    apart = torch.arccos(goals.clamp(-1, 1)) - torch.arccos(shares) - FORM_ERROR
    return apart.clamp_min(0).masked_fill(goals == -torch.inf, torch.inf)


def claim(label: Tensor, radius: Tensor) -> Bounds:
    """Radii without witnesses, lowered by their own rounding."""
    return Bounds(label=label, lower=radius * (1 - ROUNDING), upper=torch.full_like(radius, torch.inf))


@dataclass(frozen=True, eq=False)
class PublishedProver:
    """The bound of Berberich et al. (2024) for one model and one threat."""

    model: Classifier
    threat: Threat
    order: float
    turning: Turning
    slack: float

    def constants(self, units: Tensor) -> Tensor:
        """``L`` of each class, ``(classes,)``; a generator's norm is half its spread at best."""
        angles = self.turning.angles
        each = length(angles.linear * units, self.order)
        norms: Tensor = torch.linalg.matrix_norm(self.turning.forms, ord=2)
        return 2 * norms * (each * angles.spread / 2).sum() * (1 + ROUNDING)

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``."""
        logits = self.model(x)
        label = logits.argmax(1)
        constants = self.constants(units_of(self.threat, x))
        error = FORM_ERROR * torch.linalg.matrix_norm(self.turning.forms, ord=2).max()
        margin = logits.gather(1, label[:, None]) - logits - self.slack - 2 * error
        own = torch.nn.functional.one_hot(label, logits.shape[1]).bool()
        radius = margin.clamp_min(0) / (constants[label][:, None] + constants)
        radius = torch.where(margin > 0, radius, 0).masked_fill(own, torch.inf)
        return claim(label, radius.amin(1))
