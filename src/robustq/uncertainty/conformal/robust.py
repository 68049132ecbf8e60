"""Sets that cover the true label even of inputs that an adversary moved, by certificates of the model.

The score is the margin of the logits, ``s(x, k) = max_{j != k} f_j(x) - f_k(x)``. It exceeds a threshold ``tau`` all
over a ball if one ``f_j - tau`` stays above ``f_k`` there, which is what certificates decide
(:mod:`robustq.uncertainty.conformal.class_pair`), exactly where they are exact. Certifiers are received as values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from robustq.contracts import Certifier, Classifier, QuantumClassifier, Threat, check_logits
from robustq.errors import CertificateError, DataError, SpecError
from robustq.threats import check_inside
from robustq.uncertainty.conformal.class_pair import versus
from robustq.uncertainty.conformal.scores import LogitMargin
from robustq.uncertainty.conformal.split import Conformal, by_group, calibrate, check_labels, place

CHUNK = 256  # inputs at a time
STEP = 0.5  # first step up from the clean threshold, in logits
DOUBLINGS = 24  # of that step, before a certifier is given up


@dataclass(frozen=True, eq=False)
class Certified:
    """What can be proved of a model's margins within a ball around each input.

    Args:
        model: any classifier; a quantum one is frozen first (freeze it under a noise of your own for a device).
        threat: the ball, of norm or of states; it has to be symmetric, as all of :mod:`robustq.threats`'s are.
        certifier: the method; it has to prove, not to sample, and to speak about the model itself.
        generator: its randomness.

    Raises:
        CertificateError: on a certifier that only samples.

    >>> from robustq.certify import Complete
    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> from robustq.threats import Linf
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> ball = Certified(model, Linf(0.1), Complete(decide_only=True), torch.Generator())
    >>> ball.logits(torch.tensor([[0.0, 0.5]])).round(decimals=6)  # 3 cos(pi x)
    tensor([[3., 0.]], dtype=torch.float64)
    """

    model: Classifier
    threat: Threat
    certifier: Certifier
    generator: torch.Generator

    def __post_init__(self) -> None:
        if self.certifier.confidence < 1:
            raise CertificateError(
                f"expected a certifier that proves, got one with confidence {self.certifier.confidence:g}"
            )
        if isinstance(self.model, QuantumClassifier):
            object.__setattr__(self, "model", self.model.freeze())

    def logits(self, x: Tensor) -> Tensor:
        """Of inputs ``(batch, features)``, in float64: what calibration and certificates both speak about.

        Raises:
            DataError: on no inputs; RobustQError on some outside the threat's box, or logits that are not finite.
        """
        if not len(x):
            raise DataError("expected at least one input, got none")
        check_inside(x, self.threat.box)
        with torch.no_grad():
            parts = torch.split(x.detach().double(), CHUNK)
            return torch.cat([check_logits(self.model(part), len(part)) for part in parts])

    def holds(self, x: Tensor, first: int, second: int, tau: float, answer: int) -> Tensor:
        """Where ``f_first`` is proved not to be below ``f_second - tau`` all over the ball, ``(batch,)``.

        That is answer 0; answer 1 is that it is proved to be below.
        """
        view = versus(self.model, first, second, tau)
        with torch.no_grad():
            proved = torch.zeros(len(x), dtype=torch.bool)
            rows = torch.nonzero(self._answers(view, x) == answer)[:, 0]
            if not len(rows):
                return proved
            prover = self.certifier.prepare(view, self.threat, self.generator)
            if prover.model is not view:
                raise CertificateError(f"expected a certifier of the model itself, got {self.certifier}")
            for part in torch.split(rows, CHUNK):
                claim = prover.prove(x[part])
                proved[part] = (claim.label == answer) & (claim.lower >= self.threat.eps)
        return proved

    def _answers(self, view: Classifier, x: Tensor) -> Tensor:
        parts = [view(part).argmax(1) for part in torch.split(x, CHUNK)]
        return torch.cat(parts) if len(x) else torch.zeros(0, dtype=torch.int64)

    def exceeds(self, x: Tensor, label: int, others: Sequence[int], tau: float) -> Tensor:
        """Where the score of a label is proved to be above ``tau`` all over the ball, ``(batch,)``.

        By one other class that stays above everywhere: with two classes that is all there is, with more it may
        take several to cover a ball, and such labels stay in.
        """
        proved = torch.zeros(len(x), dtype=torch.bool)
        for other in others:
            open_ = torch.nonzero(~proved)[:, 0]
            proved[open_] = self.holds(x[open_], label, other, tau, 1)
        return proved

    def stays(self, x: Tensor, label: int, others: Sequence[int], tau: float) -> Tensor:
        """Where the score of a label is proved to be at most ``tau`` all over the ball, ``(batch,)``."""
        proved = torch.ones(len(x), dtype=torch.bool)
        for other in others:
            open_ = torch.nonzero(proved)[:, 0]
            proved[open_] = self.holds(x[open_], label, other, tau, 0)
        return proved


def robust_sets(conformal: Conformal, certified: Certified, x: Tensor) -> NDArray[np.bool_]:
    """Sets of inputs that may have been moved, ``(n, classes)`` of bool; the calibration was on clean ones.

    A label is left out only where its score is proved to exceed the threshold all over the ball around the
    input that was seen: the clean input lies in that ball, so that its own set is within this one, and
    the true label is covered as often as of clean inputs (VRCP-I of Jeary et al., NeurIPS 2024; after Gendler
    et al., ICLR 2022). Whatever is not proved only makes sets larger.

    Args:
        conformal: calibrated on clean logits, score ``logit-margin``.
        certified: model, ball and certifier.
        x: inputs as seen, ``(n, features)``, inside the threat's box.

    Raises:
        SpecError: on another score; CertificateError if the certifier does not apply.

    >>> from robustq.certify import Complete
    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> from robustq.threats import Linf
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> seen = torch.tensor([[0.0, 1.0], [0.4, 0.5]])
    >>> conformal = Conformal(LogitMargin(), 0.1, "none", (0.5, 0.5), (99, 99))
    >>> for eps in (0.0, 0.1):
    ...     ball = Certified(model, Linf(eps), Complete(decide_only=True), torch.Generator())
    ...     print(robust_sets(conformal, ball, seen).tolist())
    [[True, False], [True, False]]
    [[True, False], [True, True]]
    """
    _check_score(conformal)
    x = x.detach().double()
    plain = conformal.sets(certified.logits(x).numpy())
    classes, sets = range(plain.shape[1]), plain.copy()
    for label, tau in zip(classes, conformal.thresholds, strict=True):
        others, rows = _others(label, len(classes)), np.flatnonzero(~plain[:, label])
        proved = certified.exceeds(x[torch.from_numpy(rows)], label, others, tau)
        sets[rows, label] = ~proved.numpy()
    return sets


def robust_calibrate(
    certified: Certified, x: Tensor, y: ArrayLike, *, alpha: float, groups: str = "none", tolerance: float = 1e-3
) -> Conformal:
    """Thresholds high enough for moved inputs, after which plain sets of what is seen will do.

    Each calibration score is replaced by the most that the ball around its input allows, and the
    threshold is the quantile of those (VRCP-C of Jeary et al., NeurIPS 2024). Only that quantile is looked for: the
    least ``tau``, by bisection, below which enough rows are proved to stay. Work is spent at calibration, none at
    test time.

    Args:
        certified: model, ball and certifier.
        x: clean calibration inputs ``(n, features)``.
        y: labels ``(n,)``.
        alpha: the share of sets that may miss.
        groups: ``"none"`` or ``"class"``.
        tolerance: how far above the least one the threshold may lie, in logits.

    Raises:
        DataError: on too few rows; CertificateError if the certifier proves too little of them.

    >>> from robustq.certify import Complete
    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> from robustq.threats import Linf
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> ball = Certified(model, Linf(0.1), Complete(decide_only=True), torch.Generator())
    >>> x, y = torch.tensor([[0.0, 0.5]]), [0]
    >>> exact = 3 * np.cos(0.4 * np.pi) - 3 * np.cos(0.1 * np.pi)  # both moved against the label
    >>> bool(0 <= robust_calibrate(ball, x, y, alpha=0.5).thresholds[0] - exact <= 1e-3)
    True
    """
    if not tolerance > 0:
        raise SpecError(f"expected tolerance > 0, got {tolerance}")
    x, logits = x.detach().double(), certified.logits(x).numpy()
    labels = check_labels(y, *logits.shape)
    clean = calibrate(logits, labels, alpha=alpha, score=LogitMargin(), groups=groups)

    def threshold(part: NDArray[np.int64]) -> float:
        worst = _Worst(certified, x[torch.from_numpy(part)], labels[part], logits.shape[1])
        start = clean.thresholds[int(labels[part[0]])]
        return worst.least(start, place(len(part), alpha), tolerance)

    thresholds = by_group(groups, labels, logits.shape[1], threshold)
    return Conformal(LogitMargin(), alpha, groups, thresholds, clean.counts)


class _Worst:
    """How many calibration rows are proved to stay at or below a threshold wherever they are moved."""

    def __init__(self, certified: Certified, x: Tensor, labels: NDArray[np.int64], classes: int) -> None:
        self.certified, self.x, self.classes = certified, x, classes
        self.labels = torch.from_numpy(labels)
        self.certain = torch.zeros(len(x), dtype=torch.bool)  # at the highest threshold that failed
        self.possible = ~self.certain  # at the lowest that did not

    def least(self, low: float, needed: int, tolerance: float) -> float:
        """The least threshold, up to the tolerance, at which ``needed`` rows are proved."""
        step = STEP
        for _ in range(DOUBLINGS):
            if self._enough(low + step, needed):
                break
            low, step = low + step, 2 * step
        else:
            raise CertificateError(
                f"expected a certifier that bounds the scores of {needed} of {len(self.x)} rows, got "
                f"{int(self.certain.sum())} at a threshold of {low:g}"
            )
        high = low + step
        while high - low > tolerance:
            middle = (low + high) / 2
            low, high = (low, middle) if self._enough(middle, needed) else (middle, high)
        return high

    def _enough(self, tau: float, needed: int) -> bool:
        proved = self.certain.clone()
        for label in range(self.classes):
            # proofs are monotone in tau: what held below holds here, and what failed above is not tried again
            rows = torch.nonzero(self.possible & ~self.certain & (self.labels == label))[:, 0]
            others = _others(label, self.classes)
            proved[rows] = self.certified.stays(self.x[rows], label, others, tau)
        enough = int(proved.sum()) >= needed
        if enough:
            self.possible = proved
        else:
            self.certain = proved
        return enough


def _others(label: int, classes: int) -> Sequence[int]:
    return [other for other in range(classes) if other != label]


def _check_score(conformal: Conformal) -> None:
    if not isinstance(conformal.score, LogitMargin):
        raise SpecError(f"expected a calibration with the score logit-margin, got {conformal.score.name}")
