"""The verdict on an attack, which no attack can influence."""

from __future__ import annotations

import torch
from torch import Tensor

from robustq.attacks.problem import SearchProblem
from robustq.contracts import (
    AmplitudeClassifier,
    Attack,
    AttackResult,
    Classifier,
    QuantumClassifier,
    RejectingClassifier,
    Threat,
    check_logits,
    frozen,
)
from robustq.errors import DataError, ModelError, ThreatError
from robustq.threats import Access, check_inside
from robustq.threats.ball import column


def run_attack(
    attack: Attack,
    model: Classifier,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    generator: torch.Generator,
    access: Access | None = None,
    answers: int = 1,
) -> AttackResult:
    """Attack ``model`` at inputs ``x`` with labels ``y`` and give the verdict.

    A quantum classifier is frozen first, so that gradients cost the same at any depth. Whether an
    input was flipped is decided by the model itself on the candidates, not by the attack. Of a
    :class:`robustq.contracts.RejectingClassifier` an input is flipped where a wrong class is answered
    without an alarm, and correct where the right one is.

    Args:
        attack: the search.
        model: maps ``(batch, *features)`` to logits ``(batch, classes)``.
        x: clean inputs, inside the threat's set.
        y: labels ``(batch,)`` of int64.
        threat: what the adversary may do.
        generator: all of the attack's randomness.
        access: what the adversary may see, and how often; None for everything.
        answers: how many answers of a randomised model make one verdict, by majority; 1 demands a
            model that answers the same twice.

    Raises:
        RobustQError: on data outside the box, labels out of range, a model without input gradients
            or with non-finite logits, probabilities in the place of logits.

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
    if answers < 1:
        raise DataError(f"expected answers >= 1, got {answers}")
    x, y = x.detach(), y.detach()
    correct = _clean(model, x, y, answers)
    target = frozen(model)
    problem = SearchProblem(target, x, y, threat, generator, access)
    if len(x):
        problem.best(attack)
    return _verdict(attack, model, problem, correct, answers)


def _verdict(
    attack: Attack, model: Classifier, problem: SearchProblem, correct: Tensor, answers: int
) -> AttackResult:
    """Judge the strongest candidate and the nearest one by the model itself."""
    (x, y), threat = problem.clean, problem.threat
    strongest, nearest = problem.strongest, problem.nearest
    for candidate in (strongest, nearest):
        _check_budget(attack, threat, candidate, x)
    strong, near = (_fooled(model, c, y, answers) for c in (strongest, nearest))
    # nearest is a finding of its own only where it is one: asked twice, chance would count twice
    near = near & problem.flipped & (nearest != strongest).flatten(1).any(1)
    moved = threat.distance(strongest, x)
    shorter = near & (~strong | (problem.radius < moved))
    nearest = torch.where(column(shorter, x), nearest, strongest)
    # the strongest as judged by the model; the nearest only where the strongest failed
    x_adv = torch.where(column(near & ~strong, x), nearest, strongest)
    success = correct & (strong | near)
    radius = threat.distance(nearest, x).masked_fill(~success, torch.inf)
    return AttackResult(
        x_adv=x_adv,
        nearest=nearest,
        correct=correct,
        success=success,
        distance=threat.distance(x_adv, x),
        radius=radius,
        queries=problem.ledger.queries,
        gradients=problem.ledger.gradients,
        shots=problem.ledger.shots,
    )


def _clean(model: Classifier, x: Tensor, y: Tensor, answers: int) -> Tensor:
    """Whether the clean inputs are classified correctly.

    Asked twice even of one answer: a verdict on a model that answers at random is none.
    """
    with torch.no_grad():
        first, second = (check_logits(model(x.clone()), len(x)) for _ in range(2))
    classes = first.shape[1] - isinstance(model, RejectingClassifier)
    if len(y) and int(y.max()) >= classes:
        raise DataError(f"expected labels in 0..{classes - 1}, got {int(y.max())}")
    if not isinstance(model, QuantumClassifier | AmplitudeClassifier):
        _check_not_probabilities(first)
    if answers > 1:
        return _votes(model, x, answers).argmax(1) == y
    if not torch.equal(first, second):
        raise ModelError(
            "expected a model that answers the same twice, got different logits for the same inputs "
            "(finite shots, or dropout in training mode): give answers=25 for a verdict by majority, "
            "attack its exact twin, or call eval()"
        )
    return first.argmax(1) == y


def _fooled(model: Classifier, x: Tensor, y: Tensor, answers: int) -> Tensor:
    """Whether a wrong class is answered; an alarm is no class."""
    votes = _votes(model, x, answers)
    label = votes.argmax(1)
    alarm = votes.shape[1] - 1 if isinstance(model, RejectingClassifier) else -1
    return (label != y) & (label != alarm)


def _votes(model: Classifier, x: Tensor, answers: int) -> Tensor:
    """How often each class is answered, ``(batch, classes)``."""
    votes: Tensor | int = 0
    with torch.no_grad():
        for _ in range(answers):
            logits = check_logits(model(x.clone()), len(x))
            votes = votes + torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1])
    return torch.as_tensor(votes)


def _check_not_probabilities(outputs: Tensor) -> None:
    """A softmax in the model weakens every loss of the attack; refused unless it may be chance.

    One row may sum to one by accident; eight rows of a model with logits do not.
    """
    if len(outputs) < 8:
        return
    slack = 16 * torch.finfo(outputs.dtype).eps
    sums = (outputs.sum(1) - 1).abs() <= slack * outputs.shape[1]
    inside = (outputs >= 0) & (outputs <= 1)
    if bool(sums.all()) and bool(inside.all()):
        raise ModelError(
            "expected logits, got rows in [0, 1] that sum to one: drop the softmax, or pass "
            "lambda x: model(x).log() for a model that can only give probabilities"
        )


def _check_data(x: Tensor, y: Tensor, threat: Threat) -> None:
    if x.ndim < 2 or y.shape != (len(x),):
        raise DataError(
            f"expected inputs (batch, features) and labels (batch,), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not x.is_floating_point():
        raise DataError(f"expected floating-point inputs, got {x.dtype}")
    if y.dtype != torch.int64 or (len(y) and int(y.min()) < 0):
        raise DataError(f"expected int64 labels >= 0, got {y.dtype}")
    if not bool(torch.isfinite(x).all()):
        raise DataError("expected finite inputs, got NaN or infinity")
    check_inside(x, threat.box)
    if not bool(threat.contains(x, x).all()):
        raise ThreatError(f"expected clean inputs that {threat} allows, got others (unit length?)")


def _check_budget(attack: Attack, threat: Threat, x_adv: Tensor, x: Tensor) -> None:
    if not bool(threat.contains(x_adv, x).all()):
        worst = float(threat.distance(x_adv, x).max())
        raise ThreatError(f"{attack}: expected candidates within {threat}, got distance {worst:g}")
