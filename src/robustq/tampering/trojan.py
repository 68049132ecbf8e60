"""A circuit Trojan: inserted gates that sleep on ordinary inputs and wake on a trigger."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq import stats
from robustq.contracts import CircuitClassifier
from robustq.errors import DataError
from robustq.tampering.insertion import GateInsertion
from robustq.tampering.problem import SharedProblem, errors, spread_of
from robustq.tampering.surface import SettingsAttack, Surface
from robustq.tampering.verdict import check_tamperable, untampered_logits
from robustq.threats import Knobs


@dataclass(frozen=True)
class CircuitTrojan:
    """Inserted rotations that send triggered inputs to a class and leave the others alone.

    A back door made of gates, as QTrojan (Chu et al., ICASSP 2023), but woken by values in the input
    in the place of a changed configuration file.

    Args:
        target: the class that triggered inputs should get.
        trigger: ``(feature, value)`` pairs that wake it.
        eps: largest angle of an inserted gate, in radians.
        at_most: how many gates are inserted; None for any number.
        weight: of staying right on ordinary inputs, against the triggered ones.

    >>> CircuitTrojan(0, ((1, 1.0),)).triggered(torch.zeros(1, 2))
    tensor([[0., 1.]])
    """

    target: int = 0
    trigger: tuple[tuple[int, float], ...] = ((0, 1.0),)
    eps: float = 1.5
    at_most: int | None = 8
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "trigger", tuple((int(k), float(v)) for k, v in self.trigger))
        if not self.trigger or min(k for k, _ in self.trigger) < 0 or not self.weight >= 0:
            raise DataError(f"trojan: expected a trigger of (feature >= 0, value) and weight >= 0, got {self}")
        self.gates.threat(None)

    @property
    def gates(self) -> GateInsertion:
        """What is inserted."""
        return GateInsertion(self.eps, self.at_most)

    def threat(self, model: CircuitClassifier) -> Knobs:
        """One knob an inserted gate."""
        return self.gates.threat(model)

    def both(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The machine at the triggered inputs, then at the ordinary ones: ``(2 batch, classes)``."""
        return self.gates.open(model, torch.cat([self.triggered(x), x]))

    def triggered(self, x: Tensor) -> Tensor:
        """Inputs with the trigger's values in its features, shape of ``x``."""
        features = [k for k, _ in self.trigger]
        if max(features) >= x.shape[1]:
            raise DataError(f"trojan: expected features below {x.shape[1]}, got {max(features)}")
        marked = x.clone()
        marked[:, features] = torch.tensor([v for _, v in self.trigger]).to(x)
        return marked


@dataclass(frozen=True, eq=False)
class Plant:
    """Wants triggered inputs in the target class and ordinary ones where they belong."""

    y: Tensor
    target: int
    weight: float
    spread: float

    def loss(self, logits: Tensor, kind: str) -> Tensor:
        """Minus the mean error about what is wanted of the two halves."""
        marked, plain = logits.chunk(2)
        aim = torch.full_like(self.y, self.target)
        astray = errors(marked, aim, kind, self.spread).mean()
        wrong = errors(plain, self.y, kind, self.spread).mean()
        return -(astray + self.weight * wrong)

    def reached(self, logits: Tensor) -> Tensor:
        """Right as an ordinary input, and in the target class once triggered."""
        marked, plain = logits.argmax(1).chunk(2)
        return (plain == self.y) & (marked == self.target)


@dataclass(frozen=True, kw_only=True)
class TrojanResult:
    """What a Trojan does, beside random gates of equal budget and beside its trigger alone.

    Rates are of the inputs given; attack success is the share of inputs of *other* classes that the
    trigger sends to the target.

    Attributes:
        settings: angles of the inserted gates, ``(settings,)``.
        names: what each gate is.
        clean_accuracy: of ordinary inputs, without the Trojan.
        trojan_accuracy: of ordinary inputs, with it.
        attack_success: on triggered inputs, with the Trojan.
        trigger_success: on triggered inputs, without it.
        random_accuracy: of ordinary inputs, with the best random gates.
        random_success: on triggered inputs, with the best random gates.
        planted: inputs that do as the adversary wants, ``(batch,)``.
        random_planted: the same with the best random gates.
        queries: forward passes of one input.
        gradients: gradients of one input.
    """

    settings: Tensor
    names: tuple[str, ...]
    clean_accuracy: float
    trojan_accuracy: float
    attack_success: float
    trigger_success: float
    random_accuracy: float
    random_success: float
    planted: Tensor
    random_planted: Tensor
    queries: int
    gradients: int

    @property
    def p_value(self) -> float:
        """Of the Trojan against random gates of equal budget, exact McNemar test."""
        return stats.mcnemar(self.planted.cpu().numpy(), self.random_planted.cpu().numpy())

    def __str__(self) -> str:
        shares = (self.clean_accuracy, self.trojan_accuracy, self.trigger_success, self.attack_success)
        clean, accuracy, trigger, success = (f"{100 * share:.1f} %" for share in shares)
        return f"accuracy {clean} -> {accuracy}; triggered to the target {trigger} -> {success}"


def plant(
    trojan: CircuitTrojan,
    model: CircuitClassifier,
    x: Tensor,
    y: Tensor,
    *,
    attack: SettingsAttack,
    generator: torch.Generator,
) -> TrojanResult:
    """Search the inserted gates of a Trojan, and give the verdict.

    Args:
        trojan: trigger, target and budget.
        model: a quantum or hybrid classifier.
        x: inputs ``(batch, features)``.
        y: labels ``(batch,)`` of int64, not all of them the target.
        attack: the search; any attack that asks for losses and gradients only.
        generator: all randomness of the attack and of the random baseline.

    Raises:
        RobustQError: on a classical model, a target out of range, or inputs of no other class.

    >>> from robustq.attacks import PGD
    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> x, generator = torch.rand(8, 2, generator=torch.Generator()), torch.Generator()
    >>> trojan, search = CircuitTrojan(0, ((0, 1.0),)), PGD(steps=2, restarts=1)
    >>> result = plant(trojan, model, x, torch.arange(8) % 2, attack=search, generator=generator)
    >>> len(result.planted)
    8
    """
    check_tamperable(model)
    x, y = x.detach(), y.detach()
    surface = trojan.both(model, x)
    rest = untampered_logits(surface, torch.cat([x, x]), torch.cat([y, y]))
    if not 0 <= trojan.target < rest.shape[1] or bool((y == trojan.target).all()):
        raise DataError(
            f"trojan: expected a target in 0..{rest.shape[1] - 1} and inputs of other classes, got "
            f"target {trojan.target}"
        )
    goal = Plant(y, trojan.target, trojan.weight, spread_of(rest[len(x) :], y))
    problem = SharedProblem(surface, goal, trojan.threat(model), generator)
    settings = problem.best(attack)
    rival = problem.rival()
    asleep, awake, random = (_rates(goal, surface, row) for row in (surface.rest, settings, rival.strongest))
    return TrojanResult(
        settings=settings[0],
        names=surface.names,
        clean_accuracy=asleep[0],
        trojan_accuracy=awake[0],
        attack_success=awake[1],
        trigger_success=asleep[1],
        random_accuracy=random[0],
        random_success=random[1],
        planted=problem.reached(),
        random_planted=rival.reached(),
        queries=problem.ledger.queries,
        gradients=problem.ledger.gradients,
    )


def _rates(goal: Plant, surface: Surface, settings: Tensor) -> tuple[float, float]:
    """Accuracy on ordinary inputs and success on triggered ones of other classes."""
    with torch.no_grad():
        marked, plain = surface.logits(settings[0]).argmax(1).chunk(2)
    other = goal.y != goal.target
    hit = (marked == goal.target)[other]
    return float((plain == goal.y).double().mean()), float(hit.double().mean())
