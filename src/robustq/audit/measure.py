"""Runs a classifier for the evidence that the checks judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

from robustq.attacks import EOT, QuantumAutoAttack, Transfer, UniformNoise, margin, run_attack
from robustq.audit.evidence import Count, Evidence, Level, Pair
from robustq.audit.leakage import shared_rows
from robustq.contracts import (
    AmplitudeClassifier,
    Attack,
    AttackResult,
    Classifier,
    QuantumClassifier,
    Threat,
    check_logits,
    frozen,
)
from robustq.errors import DataError, ThreatError
from robustq.threats.ball import Ball
from robustq.threats.box import inside

FLAT = 1e-6  # of the gradient that the logits' own scale calls for
FEWER = 5  # many steps are compared with a fifth of them
SLACK = 1e-6  # stored inputs are rounded to six digits


@dataclass(frozen=True)
class Plan:
    """What to try on the model.

    Attributes:
        attack: the attack whose numbers are audited.
        threat: the threat of the headline.
        blackbox: an attack without gradients to set beside it; none if absent.
        curve: threats with rising eps, for the eps curve; only ``threat`` if empty.
        answers: how many answers make one verdict; more than one declares that the model answers at
            random.
        ensemble: whether to run QuantumAutoAttack beside the attack.
        most: correct inputs to search at, drawn at random; the counts of answers use every input.

    >>> from robustq.attacks import PGD
    >>> from robustq.threats import Linf
    >>> Plan(PGD(), Linf(0.1), curve=(Linf(0.1), Linf(0.2))).most
    100
    """

    attack: Attack
    threat: Threat
    blackbox: Attack | None = None
    curve: tuple[Threat, ...] = ()
    answers: int = 1
    ensemble: bool = False
    most: int = 100

    def __post_init__(self) -> None:
        eps = [threat.eps for threat in self.curve]
        if sorted(set(eps)) != eps:
            raise ThreatError(f"expected a curve of rising eps, got {eps}")
        if self.most < 1:
            raise DataError(f"expected most >= 1, got {self.most}")


def measure(
    model: Classifier,
    x: Tensor,
    y: Tensor,
    plan: Plan,
    *,
    train: Mapping[str, Tensor] | None = None,
    twin: Classifier | None = None,
    generator: torch.Generator,
) -> Evidence:
    """Everything that can be measured on a live model.

    A model that answers differently twice without being declared random, gives probabilities, or has
    no input gradient is not attacked: what was found until then is the evidence.

    Args:
        model: the classifier whose numbers are audited; the noisy one, if there is a ``twin``.
        x: test inputs ``(batch, *features)``.
        y: labels ``(batch,)`` of int64.
        plan: what to try.
        train: the parts of the data the model has seen, by name, such as train and validation.
        twin: the same model without its noise.
        generator: all the randomness.

    Raises:
        RobustQError: on data or a model that no attack could be run on.

    >>> from robustq.attacks import FGSM
    >>> from robustq.threats import Linf
    >>> _ = torch.manual_seed(0)
    >>> x, y = torch.rand(20, 2), torch.arange(20) % 2
    >>> plan = Plan(FGSM(), Linf(0.1))
    >>> measure(torch.nn.Linear(2, 2), x, y, plan, generator=torch.Generator()).differing
    Count(found=0, of=20)
    """
    with torch.no_grad():
        logits, again = (check_logits(model(x.clone()), len(x)) for _ in range(2))
    evidence = replace(
        _answers(logits, y),
        differing=_differing(logits, again),
        randomised=plan.answers > 1,
        averaged=_averages(plan.attack),
        boundless=_boundless(plan.threat, x),
        shared=None if train is None else shared_rows({**train, "test": x}),
    )
    differs = evidence.differing is not None and evidence.differing.found > 0
    if differs and plan.answers == 1:
        return evidence
    rows = (logits.argmax(1) == y).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=generator)[: plan.most].to(rows.device)]
    if not len(rows):
        return evidence
    flat = _vanished(model, x[rows], y[rows])
    if flat is None:
        return replace(evidence, vanished=Count(len(rows), len(rows)))
    if _looks_normalised(model, evidence):
        return replace(evidence, vanished=flat)
    return _searched(
        replace(evidence, vanished=flat), plan, _Searches(model, x[rows], y[rows], generator, plan.answers), twin
    )


def _averages(attack: Attack) -> int:
    """How many answers the attack takes the mean of."""
    return attack.samples if isinstance(attack, EOT | QuantumAutoAttack) else 1


def _boundless(threat: Threat, x: Tensor) -> Count | None:
    if not isinstance(threat, Ball):
        return None
    return Count(int(threat.covers_box(x).sum()), len(x))


def _looks_normalised(model: Classifier, evidence: Evidence) -> bool:
    """Whether the outputs look like probabilities and the model is none that reads expectations."""
    rows = evidence.normalised
    ours = isinstance(model, QuantumClassifier | AmplitudeClassifier)
    return rows is not None and rows.found == rows.of and not ours


def _answers(logits: Tensor, y: Tensor) -> Evidence:
    """What the model answers to the clean inputs."""
    classes, answered = logits.shape[1], logits.argmax(1)
    whole = (logits.sum(1) - 1).abs() <= 1e-5
    normalised = whole & ((logits >= 0) & (logits <= 1)).all(1)
    return Evidence(
        labels=tuple(torch.bincount(y, minlength=classes).tolist()),
        answers=tuple(torch.bincount(answered, minlength=classes).tolist()),
        correct=int((answered == y).sum()),
        normalised=Count(int(normalised.sum()), len(logits)),
    )


def _differing(logits: Tensor, again: Tensor) -> Count:
    return Count(int((logits != again).any(1).sum()), len(logits))


def _vanished(model: Classifier, x: Tensor, y: Tensor) -> Count | None:
    """Inputs whose margin has no usable gradient; None if the model has no input gradient at all.

    A gradient is judged by the slope that would take the margin through its own spread over the spread of
    the inputs, so that neither the logits' scale nor the inputs' unit matters.
    """
    target = frozen(model)
    inputs = x.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        margins = margin(check_logits(target(inputs), len(x)), y)
    if not margins.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(margins.sum(), inputs, allow_unused=True)
    if gradient is None:
        return None
    spread = (x - x.mean(0)).flatten(1).norm(dim=1).mean()
    alike = spread <= 16 * torch.finfo(x.dtype).eps * x.abs().max()
    usual = torch.where(alike, 0, margins.detach().std(correction=0) / spread)
    flat = gradient.flatten(1).norm(dim=1) <= FLAT * usual
    return Count(int(flat.sum()), len(x))


class _Searches:
    """Runs searches on the same correct inputs and counts what leaves the budget."""

    def __init__(self, model: Classifier, x: Tensor, y: Tensor, generator: torch.Generator, answers: int) -> None:
        self.model, self.x, self.y, self.generator = model, x, y, generator
        self.answers = answers
        self.over = Count(0, 0)

    def flips(self, attack: Attack, threat: Threat) -> Tensor:
        """Which inputs the attack flips, ``(batch,)``."""
        result = run_attack(
            attack, self.model, self.x, self.y, threat, generator=self.generator, answers=self.answers
        )
        self.over += overruns(threat, self.x, result.x_adv)
        return result.success

    def pair(self, first: Tensor, second: Tensor) -> Pair:
        """Two searches input by input."""
        alone, other, both = (int(which.sum()) for which in (first & ~second, second & ~first, first & second))
        return Pair(alone, other, both, len(self.x))


def _searched(evidence: Evidence, plan: Plan, searches: _Searches, twin: Classifier | None) -> Evidence:
    """The evidence that takes attacks."""
    flipped = searches.flips(plan.attack, plan.threat)
    pairs: dict[str, Any] = {}
    short = _fewer_steps(plan.attack)
    if short is not None:
        pairs["steps"] = searches.pair(flipped, searches.flips(short, plan.threat))
    if plan.blackbox is not None:
        pairs["blackbox"] = searches.pair(flipped, searches.flips(plan.blackbox, plan.threat))
    if plan.ensemble and not isinstance(plan.attack, QuantumAutoAttack):
        strongest = searches.flips(QuantumAutoAttack(), plan.threat)
        pairs["ensemble"] = searches.pair(flipped, strongest)
    if twin is not None:
        fooled = searches.flips(Transfer(plan.attack, surrogate=twin), plan.threat)
        pairs["twin"] = searches.pair(flipped, fooled)
    levels = tuple(_levels(plan, searches))
    return replace(evidence, levels=levels, overruns=searches.over, **pairs)


def _levels(plan: Plan, searches: _Searches) -> Iterator[Level]:
    """The eps curve, every point a search over all inputs: here it may fall."""
    curve = plan.curve or (plan.threat,)
    noise = [searches.flips(UniformNoise(), threat) for threat in curve]
    attack = [searches.flips(plan.attack, threat) for threat in curve]
    yield Level(curve[0].eps, searches.pair(attack[0], noise[0]))
    for threat, random, (smaller, here) in zip(curve[1:], noise[1:], pairwise(attack), strict=True):
        yield Level(threat.eps, searches.pair(here, random), searches.pair(here, smaller))


def _fewer_steps(attack: Attack) -> Attack | None:
    """The same attack with a fifth of its steps, two at least, if it takes more."""
    steps = getattr(attack, "steps", 1)
    if not is_dataclass(attack) or "steps" not in {f.name for f in fields(attack)} or steps <= 2:
        return None
    fewer: Any = replace(attack, steps=max(2, steps // FEWER))
    return cast(Attack, fewer)


def overruns(threat: Threat, x: Tensor, x_adv: Tensor) -> Count:
    """Adversarial inputs outside the threat set, measured again in double precision.

    >>> from robustq.threats import Linf
    >>> overruns(Linf(0.1), torch.tensor([[0.5], [0.5]]), torch.tensor([[0.6], [0.7]]))
    Count(found=1, of=2)
    """
    distance = threat.distance(x_adv.double(), x.double())
    far = distance > threat.eps * (1 + SLACK) + SLACK * x.abs().flatten(1).amax(1).clamp_min(1)
    out = far | ~inside(x_adv, threat.box)
    return Count(int(out.sum()), len(x))


def inside_certified(result: AttackResult, radius: Tensor) -> Count:
    """Successes strictly inside a certified radius ``(batch,)`` in the threat's norm, of those certified.

    >>> x = torch.zeros(2, 1)
    >>> hit = torch.tensor([True, False])
    >>> result = AttackResult(x_adv=x, correct=~hit | hit, success=hit,
    ...                       nearest=x, distance=torch.tensor([0.1, 0.0]),
    ...                       radius=torch.tensor([0.1, torch.inf]), queries=0, gradients=0)
    >>> inside_certified(result, torch.tensor([0.2, 0.2]))
    Count(found=1, of=2)
    """
    if radius.shape != result.radius.shape:
        raise DataError(f"expected a radius for each input {tuple(result.radius.shape)}, got {tuple(radius.shape)}")
    refuted = result.success & (result.radius < radius * (1 - SLACK))
    return Count(int(refuted.sum()), int((radius > 0).sum()))
