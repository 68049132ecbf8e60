"""Gaussian smoothing without samples, for models that are trigonometric polynomials."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.euclidean import check_norm, in_norm
from robustq.certify.smoothing.envelope import envelope, rounding
from robustq.certify.spectrum import ranges
from robustq.contracts import Bounds, Classifier, FrozenClassifier, Threat
from robustq.errors import CertificateError, ModelError
from robustq.trigonometric import UNIT, Trigonometric

LADDER = tuple(2 ** (k / 2) for k in range(8))  # widths of the clouds of the proof, in sigma
STEEPEST = 1e6  # a polynomial that had to be amplified more proves nothing
FARTHEST = 50 * LADDER[-1]  # no radius is longer, in sigma: quantiles of doubles end at 38
QUANTILE = 1e-13  # relative error allowed of the quantile function


@dataclass(frozen=True)
class ExactSmoothing:
    """Certifies ``E f(x + sigma N)`` instead of the model ``f``, with the expectation in closed form.

    Under Gaussian noise ``cos kwx`` and ``sin kwx`` shrink by ``exp(-(k w sigma)^2 / 2)``; of an RZ
    encoding that is the dephasing of its qubits. A margin within ``[a, b]`` for every input makes
    ``sigma Phi^-1((E margin - a) / (b - a))`` 1-Lipschitz in l2 (Cohen, Rosenfeld & Kolter, ICML 2019;
    Salman et al., NeurIPS 2019): the radius is its height above the value at which the classes draw level.
    The range is the spectrum of the read-out, or what a grid of inputs proves of it. l1 and l-infinity radii
    are what the l2 ball contains.

    The smoothed polynomial is also the mean, over a wider cloud, of one whose coefficients shrink to it
    under that; whichever width proves most is believed.

    Args:
        sigma: standard deviation of the noise on each feature, in the input's units.
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    Raises:
        CertificateError: if sigma is not positive or slack negative.

    >>> print(ExactSmoothing(0.1))
    exact smoothing, sigma=0.1
    """

    sigma: float = 0.25
    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise CertificateError(f"exact-smoothing: expected sigma > 0, got {self.sigma}")
        if not self.slack >= 0:
            raise CertificateError(f"exact-smoothing: expected slack >= 0, got {self.slack}")

    def __str__(self) -> str:
        return f"exact smoothing, sigma={self.sigma:g}"

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> SmoothProver:
        """The smoothed polynomials, and the range of every margin.

        Raises:
            CertificateError: unless the model is a trigonometric polynomial of its features and the
                threat l2, l1 or l-infinity in one unit.
        """
        check_norm(threat, "exact-smoothing")
        if not isinstance(model, FrozenClassifier) or model.front is not None:
            raise CertificateError(
                f"exact-smoothing: expected a frozen model whose features turn gates, got {type(model).__name__}"
            )
        try:
            form = smoothed(model.trigonometric(), self.sigma)
        except ModelError as failure:
            raise CertificateError(f"exact-smoothing: {failure}") from failure
        widths, bounds = clouds(form, ranges(model.state_forms()), self.sigma)
        return SmoothProver(self, form, widths, bounds, threat)


def smoothed(form: Trigonometric, sigma: float) -> Trigonometric:
    """``E form(x + sigma N)`` of standard normal ``N``.

    >>> form = Trigonometric(torch.tensor([[0.0, 1.0, 0.0]]).double(), torch.tensor([2.0]), 0.0)
    >>> value = smoothed(form, 0.5)(torch.zeros(1, 1).double())  # of cos 2x
    >>> bool((value - math.exp(-0.5)).abs() < 1e-15)
    True
    """
    return _spread(form, sigma**2)


def _spread(form: Trigonometric, variance: float) -> Trigonometric:
    """The mean over a cloud; of a negative variance the polynomial whose mean this is."""
    coefficients = form.coefficients
    for axis, (degree, base) in enumerate(zip(form.degrees, form.frequencies, strict=True), 1):
        multiples = (torch.arange(2 * degree + 1, dtype=torch.float64) + 1).div(2).floor()
        # half the exponent, applied twice below: one factor alone may over- or underflow
        root = torch.exp(-variance * (multiples * base) ** 2 / 4)  # its square may be no number
        root = root.reshape([-1 if a == axis else 1 for a in range(coefficients.ndim)])
        coefficients = torch.where(coefficients == 0, 0, coefficients * root * root)
    return Trigonometric(coefficients, form.frequencies, form.error)


def clouds(form: Trigonometric, spectrum: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Widths of clouds, and between which values the polynomials lie whose means are ``form``.

    Args:
        form: already smoothed.
        spectrum: the range of the margins before that, ``(classes, classes, 2)``.
        sigma: by how much.

    Returns:
        ``(widths,)`` and ``(widths, classes, classes, 2)``.
    """
    before = envelope(_spread(form, -(sigma**2)))
    low = torch.maximum(before[..., 0], spectrum[..., 0])
    high = torch.minimum(before[..., 1], spectrum[..., 1])
    widths, extents = [sigma], [torch.stack([low, high], -1)]
    for width in (sigma * step for step in LADDER[1:]):
        wider = _spread(form, -(width**2))
        steep = wider.coefficients.abs().max() <= STEEPEST * form.coefficients.abs().max()
        bounds = envelope(wider) if steep else before.new_tensor(torch.inf)
        # wider clouds only amplify more
        if not bool(torch.isfinite(bounds).all()):
            break
        widths.append(width)
        extents.append(bounds)
    return torch.tensor(widths, dtype=torch.float64), torch.stack(extents)


@dataclass(frozen=True, eq=False)
class SmoothProver:
    """:class:`ExactSmoothing` for one model; ``model`` is the smoothed one."""

    certifier: ExactSmoothing
    model: Trigonometric
    widths: Tensor
    ranges: Tensor
    threat: Threat

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``."""
        logits = self.model(x)
        label = logits.argmax(1)
        margins = logits.gather(1, label[:, None]) - logits
        error = self._error(x)[:, None]
        low, high = self.ranges[:, label].unbind(3)  # (widths, batch, classes)
        # heights of the margin, and of the level at which the classes draw level, on the normal's scale
        start = _quantile((margins - error - low) / (high - low), -1)
        end = _quantile((self.certifier.slack + error - low) / (high - low), 1)
        height = start - end - QUANTILE * (start.abs() + end.abs())
        height = torch.where(torch.isneginf(end), torch.inf, height.clamp_min(0))
        best = (self.widths[:, None, None] * height).amax(0)
        best = best.scatter(1, label[:, None], torch.inf).amin(1)
        radius = in_norm(best, self.threat, x.shape[1])
        return Bounds(label=label, lower=radius, upper=torch.full_like(radius, torch.inf))

    def _error(self, x: Tensor) -> Tensor:
        """How far a margin may be from that of the smoothed model, here and within reach, ``(batch,)``."""
        form = self.model
        steps = torch.tensor(form.degrees, dtype=torch.float64) * form.frequencies
        angles = (x.abs() + FARTHEST * self.certifier.sigma) @ steps
        largest = form.coefficients.flatten(1).abs().sum(1).max()
        return 2 * (form.error + rounding(form) + 4 * UNIT * angles * largest)


def _quantile(share: Tensor, side: int) -> Tensor:
    """``Phi^-1``, of a share moved by its rounding to one side."""
    height: Tensor = torch.special.ndtri((share + side * 8 * UNIT).clamp(0, 1))
    return height
