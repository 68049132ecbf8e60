"""Curriculum adversarial training: an adversary that grows (Cai, Liu & Song, IJCAI 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from robustq.contracts import Attack, Defence, Step, Threat
from robustq.defences.adversarial_training import AdversarialTraining
from robustq.defences.options import check_shares
from robustq.defences.plain import Plain
from robustq.errors import SpecError
from robustq.threats import L0


@dataclass(frozen=True)
class Curriculum:
    """Another defence against a threat whose budget grows from ``start`` to all of eps.

    Cai et al. let the attack's steps grow; the budget is what makes an adversary strong on models of few
    features. Held-back rows are judged at the whole budget and with all steps from the first epoch, so that
    epochs can be compared; the whole of it is reached at ``full`` of the training.

    Args:
        attack: the inner search, where ``on`` is ordinary training.
        threat: what that adversary may do in the end.
        start: share of the budget at the beginning.
        full: share of the training after which the budget is whole.
        grow_steps: whether the attack's steps grow too, from one.
        on: the defence whose threat grows; ordinary training becomes adversarial training.

    >>> from robustq.attacks import PGD
    >>> from robustq.threats import Linf
    >>> Curriculum(PGD(steps=5, restarts=1), Linf(0.1)).share(0.25)
    0.5
    """

    attack: Attack
    threat: Threat
    start: float = 0.0
    full: float = 0.5
    grow_steps: bool = False
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        check_shares("curriculum", start=self.start, full=self.full)

    def share(self, progress: float) -> float:
        """Share of the budget at this point of the training."""
        if progress >= self.full:
            return 1.0
        return self.start + (1 - self.start) * progress / self.full

    def losses(self, model: Any, step: Step) -> Tensor:
        """Those of the defence in its present form."""
        return self.at(step.progress).losses(model, step)

    def at(self, progress: float) -> Defence:
        """The defence in the form it has at this point of the training.

        Raises:
            SpecError: if it faces no threat.
        """
        grown: Defence = self._grown(self.on, self.share(progress))
        return grown

    def _grown(self, defence: Any, share: float) -> Any:
        if isinstance(defence, Plain):
            defence = AdversarialTraining(self.attack, self.threat)
        changes: dict[str, Any] = {}
        if hasattr(defence, "threat"):
            changes["threat"] = _smaller(defence.threat, share)
            if self.grow_steps and hasattr(defence, "attack"):
                changes["attack"] = _shorter(defence.attack, share)
        elif hasattr(defence, "on"):
            changes["on"] = self._grown(defence.on, share)
        else:
            raise SpecError(
                f"curriculum: expected a defence with a threat, got {type(defence).__name__}"
            )
        return replace(defence, **changes)


def _smaller(threat: Any, share: float) -> Any:
    """The same threat with a share of its budget; a count of features stays a whole number."""
    eps = share * threat.eps
    return replace(threat, eps=math.ceil(eps) if isinstance(threat, L0) else eps)


def _shorter(attack: Any, share: float) -> Any:
    """The same attack with a share of its steps, one at least; unchanged if it has none."""
    steps = getattr(attack, "steps", None)
    return attack if steps is None else replace(attack, steps=max(1, round(share * steps)))
