"""A guarded model that goes on learning: respond, remember attacks, re-train, re-tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Attack, Classifier, Defence, Step, Threat
from robustq.defences.detection.detector import Clean, Maker
from robustq.defences.detection.rejection import Rejecting
from robustq.defences.detection.view import View
from robustq.defences.response.drift import DriftMonitor
from robustq.defences.response.memory import ReplayMemory
from robustq.defences.response.policy import Policy, Response, Rule
from robustq.defences.training.adversarial import AdversarialTraining
from robustq.defences.training.inner import worst_inputs
from robustq.errors import DataError, SpecError
from robustq.models import Training, fit
from robustq.uncertainty.conformal import rows_needed


@dataclass(frozen=True, kw_only=True)
class Adapting:
    """How a model goes on learning.

    Attributes:
        detectors: what fits each detector.
        attack: makes adversarial copies on the current model.
        threat: what the copies may differ by.
        defence: what is minimised when re-training; None for adversarial training with ``attack``.
        training: how long and how fast to re-train.
        false_alarms: rate that the threshold is tuned to.
        held: share of the trusted rows that tune the threshold and train nothing.
        memory: attacks that are remembered, at most.
        window: trusted rows that are kept, at most, the latest.
        copies: adversarial copies of trusted rows added to the memory at every adaptation.
        drift: chance that the drift monitor ever raises a false alarm between two adaptations.
    """

    detectors: Sequence[Maker]
    attack: Attack
    threat: Threat
    defence: Defence | None = None
    training: Training = field(default_factory=lambda: Training(epochs=10))
    false_alarms: float = 0.05
    held: float = 0.4
    memory: int = 256
    window: int = 512
    copies: int = 64
    drift: float = 0.01

    def __post_init__(self) -> None:
        if not self.detectors or min(self.window, self.memory) < 1 or self.copies < 0:
            raise SpecError("adapting: expected detectors, window and memory >= 1 and copies >= 0")
        if int(self.held * self.window) < rows_needed(self.false_alarms):
            raise SpecError(
                f"adapting: expected window * held >= {rows_needed(self.false_alarms)} for a "
                f"false-alarm rate of {self.false_alarms:g}, got {self.window} * {self.held:g}"
            )


@dataclass(frozen=True)
class Adaptation:
    """What one adaptation did.

    Attributes:
        trained_on: rows of the re-training.
        remembered: how many of them came from the memory.
        thresholds: of the suspicion, before and after.
        drifted: whether the drift monitor had raised its alarm before.
    """

    trained_on: int
    remembered: int
    thresholds: tuple[float, float]
    drifted: bool


class OnlineDefence:
    """A model with its detectors, a policy, a memory and a drift monitor.

    Only what is handed to :meth:`trust` tunes thresholds: rows whose source is known. A loop that trusted whatever it
    accepted would let an adversary move its thresholds a little at a time (Kloft & Laskov, AISTATS 2010).

    Args:
        model: trained; re-trained in place.
        x: trusted rows to start from, ``(rows, features)``; best such that the model was not trained on.
        y: their labels.
        how: see :class:`Adapting`.
        generator: all of the randomness.
        policy: what is done about a batch; by default an alarm where the suspicion is above the threshold. The
            signal ``"suspicion"`` is 0 at the threshold.
        second: what answers where a rule says ``recompute``.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        how: Adapting,
        *,
        generator: torch.Generator,
        policy: Policy | None = None,
        second: Classifier | None = None,
    ) -> None:
        self.model, self.how, self.generator, self.second = model, how, generator, second
        self.policy = policy or Policy((Rule("suspicion", "above", 0.0, "alarm"),))
        self.memory = ReplayMemory(how.memory, generator)
        self._x, self._y = x[:0], y[:0]
        self._tunes = torch.zeros(0, dtype=torch.bool, device=x.device)
        self.trust(x, y)
        self._pending: dict[int, Tensor] = {}
        self._tickets = 0
        self.guarded, self.drift = self._guard()

    def see(self, x: Tensor, signals: Mapping[str, Any] | None = None) -> tuple[Response, Tensor]:
        """Respond to a batch; alarmed inputs wait for their labels.

        Returns:
            The response, and the ticket of every alarmed input, -1 for the others, ``(batch,)``.
        """
        available = {"suspicion": self._suspicion, **(signals or {})}
        response = self.policy.respond(x, self.model, available, self.second)
        with torch.no_grad():
            self.drift.update(self.guarded.suspicion(x))
        tickets = torch.full((len(x),), -1)
        for row in response.where("alarm").nonzero()[:, 0].tolist():
            tickets[row] = self._wait(x[row])
        return response, tickets

    def label(self, tickets: Tensor, y: Tensor) -> int:
        """The labels of alarmed inputs, arriving late: remembered as attacks. Returns how many were.

        Tickets that are unknown, or so old that their inputs were let go, are passed over.
        """
        answered = [(t, label) for t, label in zip(tickets.tolist(), y, strict=True) if t in self._pending]
        for ticket, label in answered:
            self.memory.add(self._pending.pop(ticket)[None], label[None])
        return len(answered)

    def trust(self, x: Tensor, y: Tensor) -> None:
        """Further rows that are known to be clean; the latest ``window`` are kept.

        Each is drawn once and for all to train or to tune the threshold.
        """
        if x.shape[1:] != self._x.shape[1:] or y.shape != (len(x),):
            raise DataError(f"expected rows like {tuple(self._x.shape[1:])} with labels, got {tuple(x.shape)}")
        drawn = torch.rand(len(x), generator=self.generator) < self.how.held
        joined = zip((self._x, self._y, self._tunes), (x, y, drawn.to(x.device)), strict=True)
        self._x, self._y, self._tunes = (torch.cat(pair)[-self.how.window :] for pair in joined)

    def adapt(self) -> Adaptation:
        """Re-train on trusted rows and remembered attacks, fit the detectors again, re-tune the threshold."""
        before, drifted = float(self.guarded.threshold), self.drift.state.alarmed
        x, y = self._x[~self._tunes], self._y[~self._tunes]
        self._copy(x, y)
        attacked, labels = self.memory.rows(x)
        rows = torch.cat([x, attacked]), torch.cat([y, labels])
        defence = self.how.defence or AdversarialTraining(self.how.attack, self.how.threat)
        fit(self.model, *rows, generator=self.generator, training=self.how.training, defence=defence)
        self.model.eval()
        self.guarded, self.drift = self._guard()
        after = float(self.guarded.threshold)
        return Adaptation(len(rows[0]), len(attacked), (before, after), drifted)

    def _suspicion(self, x: Tensor, logits: Tensor) -> Tensor:
        return self.guarded.suspicion(x) - self.guarded.threshold

    def _wait(self, row: Tensor) -> int:
        """Keep an input until its label arrives; the oldest is let go when there are too many."""
        ticket = self._tickets
        self._pending[ticket] = row.detach().clone()
        self._tickets += 1
        while len(self._pending) > self.how.memory:
            self._pending.pop(next(iter(self._pending)))
        return ticket

    def _guard(self) -> tuple[Rejecting, DriftMonitor]:
        """Detectors of the model as it is now, with their threshold, and a drift monitor that starts anew."""
        view, held = View.still(self.model), self._x[self._tunes]
        clean = Clean(self._x[~self._tunes], self._y[~self._tunes], view, self.generator)
        detectors = [make(clean) for make in self.how.detectors]
        guarded = Rejecting(self.model, detectors, false_alarms=self.how.false_alarms)
        guarded.to(self._x.device).calibrate(held).eval()
        with torch.no_grad():
            reference = guarded.suspicion(held)
        return guarded, DriftMonitor(reference, self.generator, self.how.drift)

    def _copy(self, x: Tensor, y: Tensor) -> None:
        """Adversarial copies of some of these rows, made on the current model, into the memory."""
        chosen = torch.randperm(len(x), generator=self.generator)[: self.how.copies]
        if len(chosen):
            step = Step(x=x[chosen], y=y[chosen], generator=self.generator)
            copies = worst_inputs(self.how.attack, self.model, step, self.how.threat)
            self.memory.add(copies, y[chosen])
