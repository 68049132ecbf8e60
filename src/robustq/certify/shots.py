"""Certificates from what a device can give: finite shots of a two-outcome measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from robustq.certify.amplitude.exact import amplitude_forms
from robustq.certify.spectrum import ranges, spectra
from robustq.contracts import Bounds, Classifier, Threat
from robustq.errors import CertificateError
from robustq.states import StateView
from robustq.stats import clopper_pearson
from robustq.threats import L2, Fidelity, TraceDistance

Array = NDArray[np.float64]
CLOSED = 1 - 1e-12  # a claim holds at its radius too, where two classes could otherwise draw level
MOST = 10**12  # shots that anybody would count


def infidelity(chance: ArrayLike, threshold: ArrayLike = 0.5) -> Array:
    """How far a state must move for the chance of an outcome to fall to the threshold.

    ``sin^2(asin sqrt p - asin sqrt c)``: no measurement tells two states apart better than their fidelity
    allows (Fuchs & Caves 1995). At ``c = 1/2`` it is ``(sqrt p - sqrt(1 - p))^2 / 2`` (Guan, Fang & Ying,
    CAV 2021). Zero from the threshold down, infinite where the threshold is 0 or less.

    >>> infidelity([0.5, 0.9, 1.0]).round(3).tolist()
    [0.0, 0.2, 0.5]
    """
    level = np.clip(np.asarray(threshold, float), 0, 1)
    p = np.clip(np.asarray(chance, float), level, 1)
    # the difference of two angles as a difference of products loses few digits where they are close
    apart = np.sqrt(p * (1 - level)) - np.sqrt((1 - p) * level)
    return np.asarray(np.where(level <= 0, np.inf, apart**2), dtype=np.float64)


def from_counts(successes: ArrayLike, shots: ArrayLike, alpha: float, threshold: ArrayLike = 0.5) -> Array:
    """The infidelity that counts of one outcome prove, wrong with probability ``alpha`` at most.

    Args:
        successes: how often the outcome was seen, any shape.
        shots: of how many.
        alpha: chance that the claim is too large.
        threshold: chance of the outcome at which the answer changes.

    Raises:
        DataError: if the counts or alpha are impossible.

    >>> from_counts([500, 900, 1000], 1000, 0.001).round(3).tolist()
    [0.0, 0.161, 0.417]
    """
    return infidelity(clopper_pearson(successes, shots, alpha), threshold) * CLOSED


def radius_of(chance: float, shots: int, alpha: float, threshold: float = 0.5) -> float:
    """The infidelity that the expected counts of an outcome of this chance prove.

    It grows with the shots, towards :func:`infidelity`.

    Raises:
        CertificateError: if the chance is none, or there is no shot.

    >>> [round(radius_of(0.9, n, 0.001), 3) for n in (100, 10_000, 1_000_000)]
    [0.083, 0.188, 0.199]
    """
    if not 0 <= chance <= 1:
        raise CertificateError(f"shots: expected a chance in [0, 1], got {chance}")
    if shots < 1:
        raise CertificateError(f"shots: expected shots >= 1, got {shots}")
    return float(from_counts(chance * shots, shots, alpha, threshold))


def shots_for(radius: float, chance: float, alpha: float, threshold: float = 0.5) -> int:
    """The fewest shots whose expected counts prove the infidelity ``radius``.

    Raises:
        CertificateError: if the radius is not positive, or no number of shots proves it.

    >>> shots_for(0.1, 0.9, 0.001)
    144
    """
    most = float(infidelity(chance, threshold))
    if not 0 < radius < most or radius_of(chance, MOST, alpha, threshold) < radius:
        raise CertificateError(
            f"shots: expected a radius between 0 and {most:g}, what endless shots prove, got {radius:g}"
        )
    high = 1
    while radius_of(chance, high, alpha, threshold) < radius:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = radius_of(chance, middle, alpha, threshold) >= radius
        low, high = (low, middle) if enough else (middle, high)
    return high


@dataclass(frozen=True)
class Shots:
    """What the counts of a device prove of a state, or of an amplitude-encoded input.

    For the leading class ``A`` and each rival ``k`` one measurement with two outcomes is simulated:
    ``E = (M_A - M_k - a) / (b - a)``, with ``[a, b]`` the spectrum of the difference. On hardware: read the value
    ``v`` of the difference and count it with chance ``(v - a) / (b - a)``. Its outcomes give a lower bound of its
    chance (Clopper & Pearson), which bounds the infidelity to every state of the other class (Guan, Fang & Ying,
    CAV 2021). The class is guessed first, from one such measurement of each ``M_k``. The claim is the least over
    the rivals, wrong only where the bound of the nearest one is: no correction for their number is due
    (intersection-union test: Berger, Technometrics 24, 1982).

    Costs ``classes * guess + (classes - 1) * shots`` circuit executions an input. Noise of the device belongs
    to the model: freeze it with that noise.

    Args:
        shots: executions for each rival of the leading class.
        alpha: chance that a claim is wrong, all rivals together.
        guess: executions for each class that choose the leading one.
        slack: how far every margin may truly lie lower, in logits (a device that drifts).

    Raises:
        CertificateError: if a value is out of range.

    >>> print(Shots(1000))
    1000 shots
    """

    shots: int = 10_000
    alpha: float = 0.001
    guess: int = 1000
    slack: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise CertificateError(f"shots: expected alpha in (0, 1), got {self.alpha}")
        if min(self.shots, self.guess) < 1:
            raise CertificateError(f"shots: expected shots >= 1 and guess >= 1, got {self.shots} and {self.guess}")
        if not self.slack >= 0:
            raise CertificateError(f"shots: expected slack >= 0, got {self.slack}")

    def __str__(self) -> str:
        return f"{self.shots} shots"

    @property
    def confidence(self) -> float:
        """Of each claim by itself."""
        return 1 - self.alpha

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> ShotProver:
        """The spectra of the read-outs and of their differences.

        Raises:
            CertificateError: unless it is a view of states against a ball of states, or a model of
                amplitudes against an l2 threat in equal units.
        """
        if isinstance(threat, L2):
            if threat.scale is not None:
                raise CertificateError(f"shots: expected an l2 threat in equal units, got {threat}")
            forms = amplitude_forms(model, "shots")
        elif not isinstance(threat, Fidelity | TraceDistance):
            raise CertificateError(f"shots: expected a ball of states or an l2 threat, got {threat}")
        elif not isinstance(model, StateView):
            raise CertificateError(
                f"shots: expected a view of a model's states (StateView.of(model)), got {type(model).__name__}"
            )
        else:
            forms = model.frozen.state_forms()
        return ShotProver(self, model, spectra(forms), ranges(forms), threat, generator)


@dataclass(frozen=True, eq=False)
class ShotProver:
    """:class:`Shots` for one model.

    Attributes:
        spectra: lowest and highest logit of each class, ``(classes, 2)``.
        ranges: of each difference, ``(classes, classes, 2)``.
    """

    certifier: Shots
    model: Classifier
    spectra: Tensor
    ranges: Tensor
    threat: Threat
    generator: torch.Generator

    def prove(self, x: Tensor) -> Bounds:
        """Radii of states ``(batch, dimension, 2)`` or of inputs ``(batch, features)``."""
        logits = self.model(x)
        label = self._guessed(logits)
        infidelity = self._proved(logits, label)
        return Bounds(
            label=label.masked_fill(infidelity <= 0, -1),
            lower=self._radius(infidelity, x),
            upper=torch.full_like(infidelity, torch.inf),
        )

    def _guessed(self, logits: Tensor) -> Tensor:
        """The class whose own outcomes look best, ``(batch,)``."""
        low, high = self.spectra.unbind(1)
        seen = self._counts((logits - low) / (high - low), self.certifier.guess)
        return (low + (high - low) * seen / self.certifier.guess).argmax(1)

    def _proved(self, logits: Tensor, label: Tensor) -> Tensor:
        """The infidelity that the counts against every rival prove, ``(batch,)``."""
        own, plan = label[:, None], self.certifier
        low, high = self.ranges[label].unbind(2)
        seen = self._counts((logits.gather(1, own) - logits - low) / (high - low), plan.shots)
        level = (plan.slack - low) / (high - low)
        proved = torch.as_tensor(from_counts(seen.numpy(), plan.shots, plan.alpha, level.numpy()))
        return proved.scatter(1, own, torch.inf).amin(1)

    def _counts(self, chances: Tensor, shots: int) -> Tensor:
        """How often each outcome is seen."""
        total = torch.full_like(chances, shots)
        return torch.binomial(total, chances.clamp(0, 1), generator=self.generator)

    def _radius(self, infidelity: Tensor, x: Tensor) -> Tensor:
        """The same in the units of the threat, ``(batch,)``."""
        if isinstance(self.threat, Fidelity):
            return infidelity
        if isinstance(self.threat, TraceDistance):
            return infidelity.sqrt()
        # no vector of another direction is nearer than its projection
        length: Tensor = torch.linalg.vector_norm(x, dim=1)
        return length * infidelity.sqrt()
