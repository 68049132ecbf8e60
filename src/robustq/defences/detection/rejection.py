"""A model that raises an alarm where its detectors find an input suspicious."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from robustq.contracts import Classifier, QuantumClassifier, RejectingClassifier, ShotClassifier
from robustq.defences.detection.detector import Detector
from robustq.defences.detection.view import View
from robustq.defences.front import inner_twins
from robustq.errors import DataError, ModelError, SpecError
from robustq.models.files import describe
from robustq.noise import Noise
from robustq.uncertainty.conformal.split import place, rows_needed


class Rejecting(nn.Module):
    """A classifier with one more logit, the alarm's: ``max logit + sharpness (suspicion - threshold)``.

    The suspicion is the largest of the detectors' scores, each less its clean mean over its clean spread.
    Everything is differentiable, so that the attack suite attacks model and detectors together
    (:class:`robustq.contracts.RejectingClassifier`).

    Args:
        model: the bare model.
        detectors: at least one, fitted.
        sharpness: logits by which the alarm rises with one clean spread of suspicion.
        false_alarms: rate at which clean inputs raise the alarm; :meth:`calibrate` sets the threshold.

    >>> from robustq.defences.detection.mahalanobis import Mahalanobis
    >>> ball = Mahalanobis(means=torch.zeros(1, 2), precision=torch.eye(2))
    >>> model = Rejecting(nn.Linear(2, 2), [ball]).calibrate(0.01 * torch.arange(80.0).reshape(40, 2))
    >>> model(torch.tensor([[0.1, 0.1], [5.0, 5.0]])).argmax(1)[1]
    tensor(2)
    """

    kind = "rejecting"
    centre: Tensor
    spread: Tensor
    threshold: Tensor

    def __init__(
        self, model: nn.Module, detectors: Sequence[Detector], *, sharpness: float = 1.0, false_alarms: float = 0.05
    ) -> None:
        super().__init__()
        check_rate(false_alarms)
        if not detectors or not sharpness > 0:
            raise SpecError(f"expected detectors and sharpness > 0, got {len(detectors)}, {sharpness}")
        if isinstance(model, RejectingClassifier):
            raise ModelError("expected a model without an alarm, got one that rejects: name all detectors at once")
        self.model, self.detectors = model, nn.ModuleList(detectors)
        self.sharpness, self.false_alarms = sharpness, false_alarms
        self.register_buffer("centre", torch.zeros(len(detectors), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(len(detectors), dtype=torch.float64))
        self.register_buffer("threshold", torch.tensor(torch.inf, dtype=torch.float64))

    @property
    def rejects(self) -> bool:
        """Always true; marks the last column."""
        return True

    @property
    def passes(self) -> int:
        """Runs of the model for one answer, the detectors' own included."""
        watching: list[Any] = list(self.detectors)
        return 1 + sum(int(detector.passes) for detector in watching)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes + 1)``, the alarm's last."""
        return self.answer(x, View.live(self.model))

    def answer(self, x: Tensor, view: View) -> Tensor:
        """The same with the model as ``view`` shows it."""
        logits = view.answer(x)
        level = self.sharpness * (self._combined(self._scores(x, logits, view)) - self.threshold)
        alarm = logits.amax(1) + level.clamp(-1e6, 1e6).to(logits)
        return torch.cat([logits, alarm[:, None]], 1)

    def scores(self, x: Tensor) -> Tensor:
        """What each detector says, ``(batch, detectors)``, as it says it."""
        view = View.live(self.model)
        return self._scores(x, view.answer(x), view)

    def suspicion(self, x: Tensor) -> Tensor:
        """What is compared with the threshold, ``(batch,)``."""
        return self._combined(self.scores(x))

    def _scores(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        return torch.stack([detector(x, logits, view) for detector in self.detectors], 1)

    def _combined(self, scores: Tensor) -> Tensor:
        return ((scores - self.centre.to(scores)) / self.spread.to(scores)).amax(1)

    def calibrate(self, clean: Tensor, false_alarms: float | None = None) -> Self:
        """Set the threshold on clean rows that nothing was fitted on, and return the model.

        One detector: all rows give the threshold. Several: the first half of the rows gives each one's
        mean and spread, the second half the threshold, so that the guarantee stays exact.

        Raises:
            DataError: if there are too few rows, saying how many would do.
        """
        rate = self.false_alarms if false_alarms is None else false_alarms
        check_rate(rate)
        with torch.no_grad():
            scores = self.scores(clean)
        cut = 0 if scores.shape[1] == 1 else len(scores) // 2
        scale, rest = scores[: cut or len(scores)], scores[cut:]
        spread = scale.std(0) if len(scale) > 1 else torch.zeros_like(scores[0])
        self.centre = scale.mean(0).double()
        self.spread = torch.where(spread > 1e-12, spread, torch.ones_like(spread)).double()
        self.threshold = threshold(self._combined(rest), rate).double()
        self.false_alarms = rate
        return self

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Watched:
        """The same with the model behind it frozen, where it can be."""
        return Watched(self, View.still(self.model, noise, uses))

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Watched:
        """The same with the model run on a noisy device; what its detectors fitted stays.

        Raises:
            ModelError: if the model is no circuit.
        """
        if not isinstance(self.model, QuantumClassifier):
            raise ModelError(f"expected a quantum model, got {type(self.model).__name__}")
        view = View(self.model, self.model.under(noise, shots=shots, generator=generator), {})
        return Watched(self, view) if shots is None else WatchedShots(self, view)

    def twins(self) -> tuple[Classifier, ...]:
        """The model without its detectors, and its own twins."""
        return inner_twins(self.model)

    def config(self) -> dict[str, Any]:
        """All parts, JSON-able."""
        return {
            "model": describe(self.model),
            "detectors": [describe(detector) for detector in self.detectors],
            "sharpness": self.sharpness,
            "false_alarms": self.false_alarms,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Rejecting:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        detectors: list[Any] = [rebuild(part) for part in config["detectors"]]
        return cls(
            rebuild(config["model"]),
            detectors,
            sharpness=float(config["sharpness"]),
            false_alarms=float(config["false_alarms"]),
        )


@dataclass(frozen=True, eq=False)
class Watched:
    """A frozen (or noisy) model with its detectors."""

    watcher: Rejecting
    view: View

    @property
    def rejects(self) -> bool:
        """Always true; marks the last column."""
        return True

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes + 1)``."""
        return self.watcher.answer(x, self.view)


@dataclass(frozen=True, eq=False)
class WatchedShots(Watched):
    """A model read with finite shots, with its detectors; what they run again is counted too."""

    @property
    def shots_per_answer(self) -> int:
        """Of the answer and of every further run that a detector makes."""
        assert isinstance(self.view.answer, ShotClassifier)
        return self.watcher.passes * self.view.answer.shots_per_answer

    @property
    def shots_per_gradient(self) -> int:
        """The same for the gradient."""
        assert isinstance(self.view.answer, ShotClassifier)
        return self.watcher.passes * self.view.answer.shots_per_gradient


def check_rate(rate: float) -> None:
    """Refuse a false-alarm rate that is none."""
    if not 0 < rate < 1:
        raise SpecError(f"expected a false-alarm rate in (0, 1), got {rate}")


def threshold(scores: Tensor, rate: float) -> Tensor:
    """The ``ceil((n + 1)(1 - rate))``-th smallest of ``n`` clean scores, as split conformal prediction sets it.

    A further clean score, exchangeable with these, exceeds it with probability ``rate`` at most (Bates et al.,
    Ann. Statist. 51, 2023, for outlier detection), averaged over the draw of the ``n``.

    Raises:
        DataError: if there are too few scores, saying how many would do, or some are not finite.

    >>> threshold(torch.arange(19.0), 0.05)
    tensor(18.)
    """
    check_rate(rate)
    needed = rows_needed(rate)
    if len(scores) < needed:
        raise DataError(
            f"expected at least {needed} clean rows to calibrate a false-alarm rate of {rate:g}, got {len(scores)}"
        )
    if not bool(torch.isfinite(scores).all()):
        raise DataError("expected finite scores of clean rows, got NaN or infinity")
    return scores.sort().values[place(len(scores), rate) - 1]
