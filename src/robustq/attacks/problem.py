"""The problem an attack searches, which it can only ask about.

Every candidate asked about is projected onto the threat set, every forward pass and gradient is
counted against the adversary's budget, and for each input two feasible candidates are remembered: the
strongest seen, and the nearest of those that flipped. So no attack can leave the threat set, hide a
cost, see more than it may, or lose a success it once saw.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import torch
from torch import Tensor

from robustq.attacks.answers import Averaged, alarm_is_right, votes
from robustq.attacks.best_so_far import BestSoFar
from robustq.attacks.ledger import BudgetSpent, Ledger
from robustq.attacks.losses import loss_of, margin
from robustq.contracts import (
    AmplitudeClassifier,
    Attack,
    Classifier,
    RejectingClassifier,
    ShotClassifier,
    Threat,
    check_logits,
)
from robustq.errors import ModelError
from robustq.threats import Access
from robustq.threats.box import clip

CLEAR = 16  # roundings of the logits that a margin must exceed to count as flipped


class SearchProblem:
    """Implements :class:`robustq.contracts.Problem` for one batch."""

    def __init__(
        self,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        threat: Threat,
        generator: torch.Generator,
        access: Access | None = None,
    ) -> None:
        self._model, self._ledger = model, Ledger(access or Access())
        self._rejects = isinstance(model, RejectingClassifier)
        self._x, self._y = x.detach().clone(), y.clone()
        self.x, self.y = self._x.clone(), self._y.clone()  # the attack's to read, and to spoil
        self.threat, self.generator = threat, generator
        self._best = BestSoFar(self._x, threat)

    @property
    def access(self) -> Access:
        """What the adversary may see, and how often."""
        return self._ledger.access

    @property
    def ledger(self) -> Ledger:
        """What the search has cost so far."""
        return self._ledger

    @property
    def clean(self) -> tuple[Tensor, Tensor]:
        """The inputs and labels themselves, whatever an attack did to its copies."""
        return self._x, self._y

    @property
    def strongest(self) -> Tensor:
        """The candidate with the largest margin, shape of ``x``."""
        return self._best.strongest.clone()

    @property
    def flipped(self) -> Tensor:
        """Inputs for which a candidate was clearly misclassified, ``(batch,)`` of bool."""
        return torch.isfinite(self._best.radius)

    @property
    def nearest(self) -> Tensor:
        """The nearest flipped candidate; the clean input where there was none, shape of ``x``."""
        return self._best.nearest.clone()

    @property
    def radius(self) -> Tensor:
        """Distance of the nearest flipped candidate, infinite where none was, ``(batch,)``."""
        return self._best.radius.clone()

    def logits(self, candidate: Tensor, *, keep: bool = True) -> Tensor:
        """Logits at the projected candidate; one-hot if the adversary sees labels only.

        Unless ``keep``, the question costs, but is no finding.
        """
        with torch.no_grad():
            feasible = self._feasible(candidate)
            logits = self._seen(self._ask(feasible))
            if keep:
                self._remember(feasible, logits)
        return logits

    def loss(self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None) -> Tensor:
        """Loss ``(batch,)`` to raise; a positive margin means flipped."""
        return loss_of(kind, self.logits(candidate), self._y, target)

    def ask(self, inputs: Tensor) -> Tensor:
        """Logits at inputs that may lie outside the threat set; one-hot if only labels are seen.

        Nobody can keep an adversary from asking about any input of the box. What lies outside the
        threat set is answered, counted and forgotten.
        """
        if inputs.shape != self._x.shape:
            raise ModelError(f"expected inputs of shape {tuple(self._x.shape)}, got {tuple(inputs.shape)}")
        with torch.no_grad():
            clipped = clip(inputs.detach().to(self._x, copy=True), self.threat.box)
            logits = self._seen(self._ask(clipped))
            self._remember(clipped, logits, self.threat.contains(clipped, self._x))
        return logits

    def gradient(self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None) -> Tensor:
        """Gradient of the loss at the projected candidate, shape of ``x``."""
        return self.loss_and_gradient(candidate, kind, target)[1]

    def loss_and_gradient(
        self, candidate: Tensor, kind: str = "margin", target: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The loss ``(batch,)`` and its gradient for the price of one gradient.

        Where a saturated softmax leaves the cross-entropy without any gradient, the margin's is
        given instead: a vanished gradient must not make an attack silently weaker.
        """
        with torch.enable_grad():
            feasible, logits = self._ask_for_gradient(candidate, 1)
            loss = loss_of(kind, logits, self._y, target)
            gradient = _input_gradient(loss, feasible)
            if kind != "margin":
                vanished = (gradient == 0).flatten(1).all(1)
                if bool(vanished.any()):
                    slope = _input_gradient(margin(logits, self._y, target), feasible)
                    gradient[vanished] = slope[vanished]
        with torch.no_grad():
            self._remember(feasible.detach(), logits.detach())
        return loss.detach(), gradient

    def jacobian(self, candidate: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(batch, classes)`` and their gradients ``(batch, classes, *features)``.

        Costs as many gradients as there are classes.
        """
        with torch.enable_grad():
            feasible, logits = self._ask_for_gradient(candidate, 0)
            with torch.no_grad():
                self._remember(feasible.detach(), logits.detach())
            self._charge(len(feasible), 0, logits.shape[1])
            rows = [_input_gradient(column_of, feasible) for column_of in logits.unbind(1)]
        return logits.detach(), torch.stack(rows, 1)

    def forms(self) -> Tensor:
        """``Re M_k``, ``(classes, features, features)``: logits are ``x^T M_k x / x^T x``.

        Raises:
            ModelError: unless the model loads its features as amplitudes and nothing else.
        """
        if not isinstance(self._model, AmplitudeClassifier) or self.access.knowledge != "white-box":
            raise ModelError(
                "expected a white-box model that is a quadratic form of its features (amplitude "
                f"encoding, once), got {type(self._model).__name__}"
            )
        return self._model.forms(self._x.dtype)

    def run(self, attack: Attack, rows: Tensor | None = None, *, samples: int = 1, keep: bool = True) -> Tensor:
        """Let another attack search; its findings and its costs become this problem's.

        Args:
            attack: what searches.
            rows: bool ``(batch,)``, the inputs it works on; None for all.
            samples: answers of a randomised model that are averaged at every question.
            keep: whether its findings count, or only its last candidate, once that is asked about.

        Returns:
            The attack's last candidate, shape of ``x``; the clean input where it did not work.
        """
        searched = torch.ones_like(self._y, dtype=torch.bool) if rows is None else rows
        final = self._x.clone()
        if not bool(searched.any()):
            return final
        model = self._model if samples == 1 else self._averaged(samples)
        inner = SearchProblem(model, self._x[searched], self._y[searched], self.threat, self.generator)
        # one budget for both; the averaged model no longer shows whether the victim rejects
        inner._ledger, inner._rejects = self._ledger, self._rejects
        try:
            final[searched] = attack.search(inner).detach().to(final)
        finally:
            # also when the budget ran out inside: what was asked is spent
            self._ledger = inner._ledger
            if keep:
                self._best.merge(inner._best, searched)
        return final

    def against(self, attack: Attack, model: Classifier) -> Tensor:
        """The strongest candidate of an attack on another model; nothing of this one is asked."""
        elsewhere = SearchProblem(model, self._x, self._y, self.threat, self.generator)
        return elsewhere.best(attack)

    def best(self, attack: Attack) -> Tensor:
        """Search, and return the strongest candidate seen, the search's last one included."""
        with contextlib.suppress(BudgetSpent):
            self.logits(attack.search(self))
        return self.strongest

    def _averaged(self, samples: int) -> Averaged:
        """The mean of so many of this problem's answers; of the labels, where no more is seen."""
        if isinstance(self._model, Averaged):
            return replace(self._model, samples=samples * self._model.samples)
        return Averaged(self._model, samples, self.access.knowledge == "labels")

    def _feasible(self, candidate: Tensor) -> Tensor:
        if candidate.shape != self._x.shape:
            raise ModelError(f"expected a candidate of shape {tuple(self._x.shape)}, got {tuple(candidate.shape)}")
        return self.threat.project(candidate.detach().to(self._x), self._x).detach()

    def _ask(self, feasible: Tensor, gradients: int = 0) -> Tensor:
        """Logits, once the price is known to be within the budget."""
        self._charge(len(feasible), 1, gradients)
        # a copy: a model that writes to its input must not spoil what is remembered
        logits = check_logits(self._model(feasible.clone()), len(feasible))
        return alarm_is_right(logits, self._y) if self._rejects else logits

    def _charge(self, rows: int, questions: int, gradients: int) -> None:
        """Note what so many questions and gradients cost, if that is within the budget."""
        model, shots = self._model, 0
        answers = model.samples if isinstance(model, Averaged) else 1
        if isinstance(model, ShotClassifier):
            shots = questions * model.shots_per_answer + gradients * model.shots_per_gradient
        self._ledger = self._ledger.charged(rows, answers * questions, answers * gradients, shots=shots)

    def _ask_for_gradient(self, candidate: Tensor, gradients: int) -> tuple[Tensor, Tensor]:
        """A candidate that requires gradients and its logits, paid for with so many gradients."""
        self._ledger.check_gradients()
        feasible = self._feasible(candidate).requires_grad_(True)
        return feasible, self._ask(feasible, gradients)

    def _seen(self, logits: Tensor) -> Tensor:
        """What the adversary sees of the logits."""
        return votes(logits) if self.access.knowledge == "labels" else logits

    def _remember(self, feasible: Tensor, logits: Tensor, allowed: Tensor | None = None) -> None:
        margins = margin(logits, self._y)
        margins = margins if allowed is None else margins.masked_fill(~allowed, -torch.inf)
        # margins within rounding of the logits flip nothing: the judging model may round the other way
        clear = CLEAR * torch.finfo(logits.dtype).eps * logits.abs().amax(1).clamp_min(1)
        self._best.note(feasible, margins, clear)


def _input_gradient(losses: Tensor, x: Tensor) -> Tensor:
    if not losses.requires_grad:
        raise ModelError(
            "expected a model with input gradients, got logits that do not depend on the input "
            "through autograd (finite shots, a detached forward, or input gradients turned off)"
        )
    (gradient,) = torch.autograd.grad(losses.sum(), x, allow_unused=True, retain_graph=True)
    if gradient is None:
        raise ModelError("expected a model with input gradients, got none for the input")
    if not bool(torch.isfinite(gradient).all()):
        raise ModelError("expected finite input gradients, got NaN or infinity")
    return gradient
