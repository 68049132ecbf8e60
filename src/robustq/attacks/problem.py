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
from robustq.errors import DataError, ModelError, ThreatError, unknown_name
from robustq.threats import check_inside

LOSSES = ("margin", "cross-entropy")


class SearchProblem:
    """Implements :class:`robustq.contracts.Problem` for one batch."""

    def __init__(
        self, model: Classifier, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
    ) -> None:
        self._model = model
        self._x, self._y = x.detach().clone(), y.clone()
        self.x, self.y = self._x.clone(), self._y.clone()  # the attack's to read, and to spoil
        self.threat, self.generator = threat, generator
        self._queries = self._gradients = 0
        self._best = self._x.clone()
        self._best_margin = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)

    @property
    def queries(self) -> int:
        """Forward passes of one input so far."""
        return self._queries

    @property
    def gradients(self) -> int:
        """Input gradients of one input so far."""
        return self._gradients

    def logits(self, candidate: Tensor) -> Tensor:
        """Logits at the projected candidate; remembers it if it is the strongest so far."""
        with torch.no_grad():
            feasible = self._feasible(candidate)
            logits = self._ask(feasible)
            self._remember(feasible, margin(logits, self._y))
        return logits

    def loss(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """Loss ``(batch,)`` to raise; positive margin means flipped."""
        return _loss(kind, self.logits(candidate), self._y)

    def gradient(self, candidate: Tensor, kind: str = "margin") -> Tensor:
        """Gradient of the loss at the projected candidate, shape of ``x``.

        Where a saturated softmax leaves the cross-entropy without any gradient, the margin's is
        given instead: a vanished gradient must not make an attack silently weaker.
        """
        with torch.enable_grad():
            feasible = self._feasible(candidate).requires_grad_(True)
            logits = self._ask(feasible)
            self._gradients += len(feasible)
            gradient = _input_gradient(_loss(kind, logits, self._y), feasible)
            vanished = (gradient == 0).flatten(1).all(1)
            if kind != "margin" and bool(vanished.any()):
                gradient[vanished] = _input_gradient(margin(logits, self._y), feasible)[vanished]
        with torch.no_grad():
            self._remember(feasible.detach(), margin(logits, self._y))
        return gradient

    def best(self, final: Tensor) -> Tensor:
        """The strongest candidate seen, the search's last one included."""
        self.logits(final)
        return self._best.clone()

    def _feasible(self, candidate: Tensor) -> Tensor:
        if candidate.shape != self._x.shape:
            raise ModelError(
                f"expected a candidate of shape {tuple(self._x.shape)}, got {tuple(candidate.shape)}"
            )
        return self.threat.project(candidate.detach(), self._x).detach()

    def _ask(self, feasible: Tensor) -> Tensor:
        self._queries += len(feasible)
        return check_logits(self._model(feasible.clone()), len(feasible))

    def _remember(self, feasible: Tensor, margins: Tensor) -> None:
        better = margins > self._best_margin
        self._best[better] = feasible[better]
        self._best_margin[better] = margins[better].to(self._best_margin.dtype)


def _input_gradient(losses: Tensor, x: Tensor) -> Tensor:
    """The gradient of each input's loss, refused if there is none or it is not finite."""
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


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Best wrong logit minus the right one, ``(batch,)``; defined for two classes too.

    >>> margin(torch.tensor([[2.0, 0.5]]), torch.tensor([0]))
    tensor([-1.5000])
    """
    right = logits.gather(1, y[:, None])[:, 0]
    wrong = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return wrong - right


def _loss(kind: str, logits: Tensor, y: Tensor) -> Tensor:
    check_loss(kind)
    if kind == "margin":
        return margin(logits, y)
    return torch.nn.functional.cross_entropy(logits, y, reduction="none")


def check_loss(kind: str) -> None:
    """Refuse a loss that attacks do not know."""
    if kind not in LOSSES:
        raise unknown_name("attack loss", kind, LOSSES)


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
    x, y = x.detach(), y.detach()
    clean = _clean_logits(model, x)
    if len(y) and int(y.max()) >= clean.shape[1]:
        raise DataError(f"expected labels in 0..{clean.shape[1] - 1}, got {int(y.max())}")
    target = model.freeze() if isinstance(model, QuantumClassifier) else model
    problem = SearchProblem(target, x, y, threat, generator)
    x_adv = problem.best(attack.search(problem)) if len(x) else x.clone()
    _check_budget(attack, threat, x_adv, x)
    with torch.no_grad():
        attacked = check_logits(model(x_adv.clone()), len(x))
    correct = clean.argmax(1) == y
    return AttackResult(
        x_adv=x_adv,
        correct=correct,
        success=correct & (attacked.argmax(1) != y),
        distance=threat.distance(x_adv, x),
        queries=problem.queries,
        gradients=problem.gradients,
    )


def _clean_logits(model: Classifier, x: Tensor) -> Tensor:
    """Logits of the clean inputs, asked twice: a verdict on a model that answers at random is none."""
    with torch.no_grad():
        first, second = (check_logits(model(x.clone()), len(x)) for _ in range(2))
    if not torch.equal(first, second):
        raise ModelError(
            "expected a model that answers the same twice, got different logits for the same inputs "
            "(finite shots, or dropout in training mode): attack its exact twin, or call eval()"
        )
    return first


def _check_data(x: Tensor, y: Tensor, threat: Threat) -> None:
    if x.ndim < 2 or y.shape != (len(x),):
        raise DataError(
            f"expected inputs (batch, features) and labels (batch,), got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    if not x.is_floating_point():
        raise DataError(f"expected floating-point inputs, got {x.dtype}")
    if y.dtype != torch.int64 or (len(y) and int(y.min()) < 0):
        raise DataError(f"expected int64 labels >= 0, got {y.dtype}")
    if not bool(torch.isfinite(x).all()):
        raise DataError("expected finite inputs, got NaN or infinity")
    check_inside(x, getattr(threat, "box", None))


def _check_budget(attack: Attack, threat: Threat, x_adv: Tensor, x: Tensor) -> None:
    if not bool(threat.contains(x_adv, x).all()):
        worst = float(threat.distance(x_adv, x).max())
        raise ThreatError(f"{attack}: expected candidates within {threat}, got distance {worst:g}")
