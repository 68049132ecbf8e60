"""Curriculum adversarial training: an adversary that grows (Cai, Liu & Song, IJCAI 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from torch import Tensor

from robustq.contracts import Attack, Defence, Step, Threat
from robustq.defences.training.adversarial import AdversarialTraining
from robustq.defences.training.plain import Plain
from robustq.errors import SpecError
from robustq.options import check_shares
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
        whole = self.on if _faces_a_threat(self.on) else self._opposed(self.on)
        grown: Defence = self._grown(whole, self.share(progress))
        return grown

    def _opposed(self, defence: Any) -> Any:
        """The defence with adversarial training where it stands on ordinary training."""
        if isinstance(defence, Plain):
            return AdversarialTraining(self.attack, self.threat)
        if "on" not in _names(defence):
            raise SpecError(f"curriculum: expected a defence with a threat, got {type(defence).__name__}")
        return replace(defence, on=self._opposed(defence.on))

    def _grown(self, defence: Any, share: float) -> Any:
        """Every threat in it at a share of its budget."""
        names, changes = _names(defence), {}
        if "threat" in names:
            changes["threat"] = _smaller(defence.threat, share)
        if "attack" in names and self.grow_steps:
            changes["attack"] = _shorter(defence.attack, share)
        if "on" in names:
            changes["on"] = self._grown(defence.on, share)
        return replace(defence, **changes) if changes else defence


def _names(defence: Any) -> set[str]:
    return {each.name for each in fields(defence)} if is_dataclass(defence) else set()


def _faces_a_threat(defence: Any) -> bool:
    names = _names(defence)
    return "threat" in names or ("on" in names and _faces_a_threat(defence.on))


def _smaller(threat: Any, share: float) -> Any:
    """The same threat with a share of its budget; a count of features stays a whole number."""
    eps = share * threat.eps
    return replace(threat, eps=math.ceil(eps) if isinstance(threat, L0) else eps)


def _shorter(attack: Any, share: float) -> Any:
    """The same attack with a share of its steps, one at least; unchanged if it has none."""
    steps = getattr(attack, "steps", None)
    return attack if steps is None else replace(attack, steps=max(1, round(share * steps)))
