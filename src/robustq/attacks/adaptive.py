"""An attack that also prepares on the twins of a defended model (Tramer et al., NeurIPS 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from robustq.contracts import Attack, Classifier, Problem, frozen


@dataclass(frozen=True)
class Adaptive:
    """The attack on the model itself, then what the same attack finds on each twin, tried on the model.

    Noise, secrets and rounding hide gradients; they do not remove adversarial inputs. Each twin (the model
    without its noise, without its guard, with another key) sees only the inputs that are still standing.

    Args:
        attack: what searches, on the model and on every twin.
        twins: classifiers of the same inputs; :class:`robustq.contracts.TwinnedClassifier` names its own.

    >>> from robustq.attacks.pgd import PGD
    >>> print(Adaptive(PGD(steps=10, restarts=1), (lambda x: x,)))
    PGD, 10 steps, 1 restart, margin, also on 1 twin
    """

    attack: Attack
    twins: tuple[Classifier, ...]

    def __str__(self) -> str:
        plural = "" if len(self.twins) == 1 else "s"
        return f"{self.attack}, also on {len(self.twins)} twin{plural}"

    def search(self, problem: Problem) -> Tensor:
        """The last candidate tried."""
        problem.run(self.attack)
        for twin in self.twins:
            standing = ~problem.flipped
            if not bool(standing.any()):
                break
            problem.run(_StrongestOn(self.attack, twin), standing)
        return problem.strongest


@dataclass(frozen=True)
class _StrongestOn:
    """The candidate that is strongest against another model."""

    attack: Attack
    twin: Classifier

    def search(self, problem: Problem) -> Tensor:
        """Found on the twin; asked of the model by whoever runs this."""
        twin = frozen(self.twin)
        candidate = problem.against(self.attack, twin)
        problem.logits(candidate)
        return candidate
