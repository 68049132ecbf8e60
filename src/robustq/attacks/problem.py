"""The problem an attack searches, and the verdict it cannot influence.

An attack only *asks*. Every candidate it asks about is projected onto the threat set, every
forward pass and gradient is counted, and the strongest feasible candidate seen is remembered for
each input, so no attack can leave the budget, hide a cost, or lose a success it once saw.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.contracts import (
    Attack,
    AttackResult,
    Classifier,
    QuantumClassifier,
    Threat,
    check_logits,
)
from robustq.errors import DataError, ModelError, SpecError, ThreatError
from robustq.threats import check_inside

LOSSES = ("margin", "cross-entropy")


class SearchProblem:
    """Implements :class:`robustq.contracts.Problem` for one batch."""

    def __init__(
        self, model: Classifier, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
    ) -> None:
        self._model = model
        self.x, self.y = x, y
        self.threat, self.generator = threat, generator
        self.queries = 0
        self.gradients = 0
        self._best = x.clone()
        self._best_margin = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)

    def logits(self, candidate: Tensor) -> Tensor:
        """Logits at the projected candidate; remembers it if it is the strongest so far."""
        with torch.no_grad():
            feasible = self._feasible(candidate)
            logits = self._ask(feasible)
            self._remember(feasible, margin(logits, self.y))
        return logits

    def loss(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """Loss ``(batch,)`` to raise; positive margin means flipped."""
        return _loss(kind, self.logits(candidate), self.y)

    def gradient(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """Gradient of the loss at the projected candidate, shape of ``x``."""
        feasible = self._feasible(candidate).detach().requires_grad_(True)
        logits = self._ask(feasible)
        self.gradients += len(feasible)
        total = _loss(kind, logits, self.y).sum()
        if not total.requires_grad:
            raise ModelError(
                "expected a model with input gradients, got logits that do not depend on the input "
                "through autograd (finite shots, a detached forward, or input gradients turned off)"
            )
        (gradient,) = torch.autograd.grad(total, feasible, allow_unused=True)
        if gradient is None:
            raise ModelError("expected a model with input gradients, got none for the input")
        if not bool(torch.isfinite(gradient).all()):
            raise ModelError("expected finite input gradients, got NaN or infinity")
        with torch.no_grad():
            self._remember(feasible.detach(), margin(logits, self.y))
        return gradient.detach()

    def best(self, final: Tensor) -> Tensor:
        """The strongest candidate seen, the search's last one included."""
        self.logits(final)
        return self._best

    def _feasible(self, candidate: Tensor) -> Tensor:
        if candidate.shape != self.x.shape:
            raise ModelError(
                f"expected a candidate of shape {tuple(self.x.shape)}, got {tuple(candidate.shape)}"
            )
        return self.threat.project(candidate.detach(), self.x)

    def _ask(self, feasible: Tensor) -> Tensor:
        self.queries += len(feasible)
        return check_logits(self._model(feasible), len(feasible))

    def _remember(self, feasible: Tensor, margins: Tensor) -> None:
        better = margins > self._best_margin
        self._best[better] = feasible[better]
        self._best_margin[better] = margins[better].to(self._best_margin.dtype)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Best wrong logit minus the right one, ``(batch,)``; defined for two classes too.

    >>> margin(torch.tensor([[2.0, 0.5]]), torch.tensor([0]))
    tensor([-1.5000])
    """
    right = logits.gather(1, y[:, None])[:, 0]
    wrong = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return wrong - right


def _loss(kind: str, logits: Tensor, y: Tensor) -> Tensor:
    if kind == "margin":
        return margin(logits, y)
    if kind == "cross-entropy":
        return torch.nn.functional.cross_entropy(logits, y, reduction="none")
    raise SpecError(f"unknown attack loss {kind!r}: expected one of {', '.join(LOSSES)}")


def run_attack(
    attack: Attack,
    model: Classifier,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    generator: torch.Generator,
) -> AttackResult:
    """Attack ``model`` at inputs ``x`` with labels ``y`` and give the verdict.

    A quantum classifier is frozen first, so that gradients cost the same at any depth. Whether an
    input was flipped is decided by the model itself on the final candidate, not by the attack.

    Args:
        attack: the search.
        model: maps ``(batch, *features)`` to logits ``(batch, classes)``.
        x: clean inputs, inside the threat's box.
        y: labels ``(batch,)`` of int64.
        threat: what the adversary may do.
        generator: all of the attack's randomness.

    Raises:
        RobustQError: on data outside the box, labels out of range, a model without input gradients
            or with non-finite logits.

    >>> from robustq.attacks import FGSM
    >>> from robustq.threats import Linf
    >>> model = torch.nn.Linear(1, 2)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[1.0], [-1.0]])), model.bias.zero_()
    >>> x, y = torch.tensor([[0.05], [0.5]]), torch.tensor([0, 0])
    >>> result = run_attack(FGSM(), model, x, y, Linf(0.1), generator=torch.Generator())
    >>> result.success.tolist()
    [True, False]
    """
    _check_data(x, y, threat)
    with torch.no_grad():
        clean = check_logits(model(x), len(x))
    if len(y) and int(y.max()) >= clean.shape[1]:
        raise DataError(f"expected labels in 0..{clean.shape[1] - 1}, got {int(y.max())}")
    target = model.freeze() if isinstance(model, QuantumClassifier) else model
    problem = SearchProblem(target, x, y, threat, generator)
    x_adv = problem.best(attack.search(problem))
    _check_budget(attack, threat, x_adv, x)
    with torch.no_grad():
        attacked = check_logits(model(x_adv), len(x))
    correct = clean.argmax(1) == y
    return AttackResult(
        x_adv=x_adv,
        correct=correct,
        success=correct & (attacked.argmax(1) != y),
        distance=threat.distance(x_adv, x),
        queries=problem.queries,
        gradients=problem.gradients,
    )


def _check_data(x: Tensor, y: Tensor, threat: Threat) -> None:
    if x.ndim < 2 or y.shape != (len(x),):
        raise DataError(
            f"expected inputs (batch, features) and labels (batch,), got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    if y.dtype != torch.int64 or (len(y) and int(y.min()) < 0):
        raise DataError(f"expected int64 labels >= 0, got {y.dtype}")
    if not bool(torch.isfinite(x).all()):
        raise DataError("expected finite inputs, got NaN or infinity")
    check_inside(x, getattr(threat, "box", None))


def _check_budget(attack: Attack, threat: Threat, x_adv: Tensor, x: Tensor) -> None:
    if not bool(threat.contains(x_adv, x).all()):
        worst = float(threat.distance(x_adv, x).max())
        raise ThreatError(f"{attack}: expected candidates within {threat}, got distance {worst:g}")
