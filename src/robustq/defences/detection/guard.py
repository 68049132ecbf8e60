"""Detectors put up around a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustq.defences.detection.catalogue import makers
from robustq.defences.detection.detector import Clean, Maker
from robustq.defences.detection.rejection import Rejecting, check_rate
from robustq.defences.detection.rows import check_course, check_reference, check_rows
from robustq.defences.detection.view import View
from robustq.errors import DataError, SpecError


@dataclass(frozen=True)
class Detection:
    """A trained model that rejects what its detectors find suspicious.

    Detectors are fitted on some of the training rows, the threshold is calibrated on the others. For detectors
    of the input its false-alarm rate is guaranteed; those that look at the model's answers see rows that the
    model was trained on, for which call :meth:`Rejecting.calibrate` with rows that it was not.

    Args:
        detector: names, separated by commas; see :mod:`robustq.defences.detection.catalogue`.
        false_alarms: share of clean inputs that may raise the alarm.
        held: share of the rows that calibrate.
        sharpness: logits by which the alarm rises with one clean spread of suspicion.
        ordered: whether rows come in the order of their arrival; those that change in their course are then
            refused. The order of a published table says nothing: many are sorted.

    Raises:
        SpecError: on an unknown detector or an impossible number.

    >>> Detection("mahalanobis,prototypes", false_alarms=0.1).false_alarms
    0.1
    """

    detector: str = "mahalanobis"
    false_alarms: float = 0.05
    held: float = 0.4
    sharpness: float = 1.0
    ordered: bool = False

    trained_through = False

    def __post_init__(self) -> None:
        makers(self.detector)
        check_rate(self.false_alarms)
        if not 0 < self.held < 1 or not self.sharpness > 0:
            raise SpecError(
                f"detection: expected held in (0, 1) and sharpness > 0, got {self.held} and {self.sharpness}"
            )

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Rejecting:
        """The model with its detectors.

        Raises:
            DataError: on too few rows, or rows that are recognised as attacked.
            ModelError: if a detector does not apply to the model.
        """
        return self.fitted(makers(self.detector), model, x, y, generator)

    def fitted(
        self,
        chosen: Sequence[Maker],
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator,
        reference: Tensor | None = None,
    ) -> Rejecting:
        """The same with detectors as values (``functools.partial(Neighbours.fitted, k=3)``).

        Args:
            chosen: what fits each detector.
            model: trained.
            x: clean rows ``(rows, features)`` in [0, 1].
            y: their labels.
            generator: which rows calibrate, and the detectors' own randomness.
            reference: further rows known to be clean; rows that differ from them are refused.
        """
        check_rows(x, y)
        if self.ordered:
            check_course(x, y)
        fit, held = self._split(len(x), generator)
        view = View.still(model)
        guards = [make(Clean(x[fit], y[fit], view, generator)) for make in chosen]
        watched = Rejecting(model, guards, sharpness=self.sharpness, false_alarms=self.false_alarms).to(x.device)
        watched.calibrate(x[held]).eval()
        with torch.no_grad():
            self._check(watched, x[held.sort().values], y[held.sort().values], reference)
        return watched

    def _check(self, watched: Rejecting, x: Tensor, y: Tensor, reference: Tensor | None) -> None:
        """Refuse rows whose scores change in their course, or differ from those of the reference."""
        scores = watched.suspicion(x)
        if self.ordered:
            check_course(scores[:, None], y)
        if reference is not None:
            check_reference(x, scores, reference, watched.suspicion(reference))

    def _split(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows to fit on and rows to calibrate on."""
        order = torch.randperm(rows, generator=generator)
        count = int(self.held * rows)
        if count < 2 or rows - count < 2:
            raise DataError(f"detection: expected more rows to fit and to calibrate, got {rows}")
        return order[count:], order[:count]
