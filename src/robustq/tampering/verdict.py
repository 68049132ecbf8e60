"""The verdict on a tampering: what it did, and what chance would have done with the same budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq import stats
from robustq.contracts import CircuitClassifier, check_logits
from robustq.errors import DataError, ModelError, SpecError
from robustq.tampering.problem import Flip, SharedProblem
from robustq.tampering.surface import SettingsAttack, Surface, Tampering
from robustq.threats import Access


@dataclass(frozen=True, kw_only=True)
class TamperResult:
    """What the best settings found do to all inputs.

    Settings are searched and judged on the same inputs, and so are the random ones: the comparison is
    fair, the rate on further inputs may be lower.

    Attributes:
        settings: the strongest settings found, ``(settings,)``.
        change: their difference from rest, ``(settings,)``.
        names: what each setting is.
        correct: whether an input is classified correctly at rest, ``(batch,)``.
        success: whether a correct input is flipped by the settings, ``(batch,)``.
        random_success: the same for the best of equally many random settings, ``(batch,)``.
        distance: size of the change in the threat's norm.
        queries: forward passes of one input.
        gradients: gradients of one input.
    """

    settings: Tensor
    change: Tensor
    names: tuple[str, ...]
    correct: Tensor
    success: Tensor
    random_success: Tensor
    distance: float
    queries: int
    gradients: int

    @property
    def robust(self) -> Tensor:
        """Correct and not flipped, ``(batch,)``."""
        return self.correct & ~self.success

    @property
    def p_value(self) -> float:
        """Of the attack against random settings of equal budget, exact McNemar test."""
        return stats.mcnemar(self.success.cpu().numpy(), self.random_success.cpu().numpy())

    def turned(self, most: int = 5) -> list[tuple[str, float]]:
        """The settings turned most, largest change first."""
        order = self.change.abs().argsort(descending=True)[:most].tolist()
        return [(self.names[k], float(self.change[k])) for k in order if float(self.change[k])]

    def __str__(self) -> str:
        shares = (float(s.double().mean()) for s in (self.correct, self.robust))
        clean, robust = (f"{100 * share:.1f} %" for share in shares)
        turned = ", ".join(f"{name} by {change:+.3g}" for name, change in self.turned(3))
        return f"accuracy {clean} -> {robust}; turned most: {turned or 'nothing'}"


def tamper(
    tampering: Tampering,
    model: CircuitClassifier,
    x: Tensor,
    y: Tensor,
    *,
    attack: SettingsAttack,
    generator: torch.Generator,
    access: Access | None = None,
) -> TamperResult:
    """Search the settings of a machine for those that flip most inputs, and give the verdict.

    The machine is the exact twin of the model, under its own noise, without shots.

    Args:
        tampering: what may be touched, and how much.
        model: a quantum or hybrid classifier.
        x: inputs ``(batch, features)``.
        y: labels ``(batch,)`` of int64.
        attack: the search; any attack that asks for losses and gradients only.
        generator: all randomness of the attack and of the random baseline.
        access: what the adversary may see, and how often; None for everything.

    Raises:
        RobustQError: on a classical model, labels out of range, an empty batch, or an attack that
            needs more than the settings can answer.

    >>> from robustq.attacks import PGD
    >>> from robustq.tampering import ParameterDrift
    >>> from robustq.circuits import Circuit, op, per_qubit_z, theta
    >>> from robustq.models import QuantumNet
    >>> circuit = Circuit.of(2, [op("ry", 0, angles=[theta(0)]), op("x", 1)])
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator(), spread=0.0)
    >>> x, y = torch.zeros(1, 0), torch.tensor([0])  # <Z> = 1 and -1: class 0, at any small drift
    >>> generator = torch.Generator()
    >>> tamper(ParameterDrift(0.5), model, x, y, attack=PGD(), generator=generator).success.tolist()
    [False]
    """
    check_tamperable(model)
    if not isinstance(tampering, Tampering):
        raise SpecError(f"expected a tampering, got {type(tampering).__name__}; a CircuitTrojan is for plant()")
    x, y = x.detach(), y.detach()
    surface = tampering.open(model, x)
    goal = Flip.of(untampered_logits(surface, x, y), y)
    problem = SharedProblem(surface, goal, tampering.threat(model), generator, access)
    settings = problem.best(attack)
    return TamperResult(
        settings=settings[0],
        change=(settings - surface.rest)[0],
        names=surface.names,
        correct=goal.correct,
        success=problem.reached(),
        random_success=problem.rival().reached(),
        distance=float(problem.threat.distance(settings, surface.rest)),
        queries=problem.ledger.queries,
        gradients=problem.ledger.gradients,
    )


def check_tamperable(model: object) -> None:
    """Refuse a model without a circuit to touch."""
    if not isinstance(model, CircuitClassifier):
        raise ModelError(
            "expected a quantum or hybrid model, whose circuit, angles and read-out can be touched, "
            f"got {type(model).__name__}"
        )


def untampered_logits(surface: Surface, x: Tensor, y: Tensor) -> Tensor:
    """The logits nobody touched ``(batch, classes)``, once the data are known to fit them."""
    if not len(x) or y.shape != (len(x),) or y.dtype != torch.int64:
        raise DataError(
            f"expected inputs (batch >= 1, features) and int64 labels (batch,), got "
            f"{tuple(x.shape)} and {y.dtype} {tuple(y.shape)}"
        )
    with torch.no_grad():
        logits = check_logits(surface.logits(surface.rest[0]), len(x))
    if int(y.min()) < 0 or int(y.max()) >= logits.shape[1]:
        raise DataError(f"expected labels in 0..{logits.shape[1] - 1}, got {int(y.min())}..{int(y.max())}")
    return logits
