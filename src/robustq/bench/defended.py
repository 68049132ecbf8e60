"""What is measured of one defended model: raw outcomes an input, under attacks that know the defence."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.attacks import Adaptive, QuantumAutoAttack, Transfer, UniformNoise, run_attack
from robustq.bench.spec import Spec
from robustq.bench.stages import pack
from robustq.contracts import (
    Attack,
    Classifier,
    RandomisedClassifier,
    RejectingClassifier,
    Threat,
    TwinnedClassifier,
)
from robustq.data import Dataset
from robustq.seeding import torch_generator

ATTACKS = ("usual", "transfer", "adaptive", "noise")
ROUNDS = 5  # of the clock


@dataclass(frozen=True, eq=False)
class Subject:
    """A defended model with all that its attackers know.

    Attributes:
        model: the model.
        undefended: the model of the same seed without defence; None if it is that one.
    """

    model: nn.Module
    undefended: nn.Module | None

    @property
    def answers(self) -> int:
        """How many answers make one verdict."""
        return self.model.answers if isinstance(self.model, RandomisedClassifier) else 1

    @property
    def twins(self) -> tuple[Classifier, ...]:
        """Where else the adversary prepares."""
        return self.model.twins() if isinstance(self.model, TwinnedClassifier) else ()

    def attacks(self, usual: Attack) -> dict[str, Attack]:
        """By name; the defended model's own last, so that its findings add to the others'."""
        strongest = QuantumAutoAttack()
        found: dict[str, Attack] = {"usual": usual}
        if self.undefended is not None:
            found["transfer"] = Transfer(strongest, surrogate=self.undefended)
        found["adaptive"] = Adaptive(strongest, self.twins) if self.twins else strongest
        return {**found, "noise": UniformNoise()}


def clean(subject: Subject, data: Dataset) -> dict[str, Any]:
    """Probabilities, correctness and alarms of every test input; of a random model the mean of its answers."""
    x, y = data.tensors("test")
    with torch.no_grad():
        logits = [subject.model(x) for _ in range(subject.answers)]
    chances = torch.stack([torch.softmax(each.double(), 1) for each in logits]).mean(0)
    votes = sum(nn.functional.one_hot(each.argmax(1), each.shape[1]) for each in logits)
    label = torch.as_tensor(votes).argmax(1)
    found = {
        "correct": pack(label == y),
        "probabilities": [[round(p, 9) for p in row] for row in chances.tolist()],
        "randomised": subject.answers > 1,
        "twins": len(subject.twins),
    }
    if isinstance(subject.model, RejectingClassifier):
        found["rejected"] = pack(label == chances.shape[1] - 1)
    return found


def attacked(
    subject: Subject, data: Dataset, spec: Spec, path: Sequence[str | int]
) -> dict[str, Any]:
    """Who survives each attack at every eps; threat sets are nested, so only survivors are attacked again."""
    x, y = data.tensors("test")
    searches = subject.attacks(spec.attack.build())
    alive = {name: torch.ones(len(x), dtype=torch.bool) for name in searches}
    curve = []
    for eps in spec.threat.eps:
        level: dict[str, Any] = {"eps": eps, "queries": 0, "gradients": 0}
        for name, attack in searches.items():
            stream = torch_generator(spec.seed, *path, "attack", name, repr(eps))
            cost = _survive(subject, attack, (x, y), spec.threat.build(eps), alive[name], stream)
            level["queries"] += cost[0]
            level["gradients"] += cost[1]
        level |= {name: pack(alive[name]) for name in searches}
        level.setdefault("transfer", level["adaptive"])  # the undefended model against itself
        curve.append(level)
    return {"curve": curve}


def _survive(
    subject: Subject,
    attack: Attack,
    data: tuple[Tensor, Tensor],
    threat: Threat,
    alive: Tensor,
    stream: torch.Generator,
) -> tuple[int, int]:
    """Attack those still alive, mark who is not; queries and gradients spent."""
    rows = alive.nonzero()[:, 0]
    if not len(rows):
        return 0, 0
    x, y = (part[rows] for part in data)
    result = run_attack(
        attack, subject.model, x, y, threat, generator=stream, answers=subject.answers
    )
    alive[rows] = result.robust
    return result.queries, result.gradients


def timed(model: nn.Module, data: Dataset) -> float:
    """Seconds for 1000 answers, the median of a few rounds."""
    x, _ = data.tensors("test")
    taken = []
    with torch.no_grad():
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            model(x)
            taken.append(time.perf_counter() - begun)
    return 1000 * statistics.median(taken) / len(x)


def survivors(level: Mapping[str, Any]) -> str:
    """Bits of the inputs that no attack of a level flips.

    >>> survivors({"usual": "110", "transfer": "111", "adaptive": "101"})
    '100'
    """
    rows = zip(*(level[name] for name in ("usual", "transfer", "adaptive")), strict=True)
    return "".join("1" if set(row) == {"1"} else "0" for row in rows)
