"""What is measured of one defended model: raw outcomes an input, under attacks that know the defence."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.attacks import Adaptive, QuantumAutoAttack, UniformNoise, run_attack
from robustq.bench.spec import Spec
from robustq.bench.stages import pack
from robustq.contracts import (
    Attack,
    AttackResult,
    Classifier,
    Problem,
    RandomisedClassifier,
    RejectingClassifier,
    Threat,
    TwinnedClassifier,
)
from robustq.data import Dataset
from robustq.seeding import torch_generator

ROUNDS = 5  # of the clock


@dataclass(frozen=True, eq=False)
class Subject:
    """A defended model with all that its attackers know.

    Attributes:
        model: the model.
        transferred: what the strongest attack found on the undefended model of the same seed, by eps,
            shape of the test inputs; none if it is that one.
    """

    model: nn.Module
    transferred: Mapping[float, Tensor]

    @property
    def answers(self) -> int:
        """How many answers make one verdict."""
        return self.model.answers if isinstance(self.model, RandomisedClassifier) else 1

    @property
    def twins(self) -> tuple[Classifier, ...]:
        """Where else the adversary prepares."""
        return self.model.twins() if isinstance(self.model, TwinnedClassifier) else ()

    def attacks(self, usual: Attack) -> dict[str, Attack]:
        """By name, all but the transferred inputs, which are there already."""
        strongest = QuantumAutoAttack()
        adaptive = Adaptive(strongest, self.twins) if self.twins else strongest
        return {"usual": usual, "adaptive": adaptive, "noise": UniformNoise()}


@dataclass(frozen=True)
class Ready:
    """An attack whose candidates are known: adversarial inputs of another model."""

    candidates: Tensor

    def search(self, problem: Problem) -> Tensor:
        """The candidates."""
        return self.candidates


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
) -> tuple[dict[str, Any], dict[float, Tensor]]:
    """Who survives each attack at every eps, and the adaptive attack's strongest inputs by eps.

    Threat sets are nested, so only survivors are attacked again.
    """
    x, y = data.tensors("test")
    searches = subject.attacks(spec.attack.build())
    alive = {name: torch.ones(len(x), dtype=torch.bool) for name in (*searches, "transfer")}
    curve, found, strongest = [], {}, x.clone()
    for eps in spec.threat.eps:
        level: dict[str, Any] = {"eps": eps, "queries": 0, "gradients": 0}
        known = subject.transferred.get(eps)
        for name in (*searches, *(() if known is None else ("transfer",))):
            stream = torch_generator(spec.seed, *path, "attack", name, repr(eps))
            rows = alive[name].nonzero()[:, 0]
            attack = searches[name] if name in searches else Ready(torch.as_tensor(known)[rows])
            result = _verdict(subject, attack, (x[rows], y[rows]), spec.threat.build(eps), stream)
            alive[name][rows] = result.robust
            level["queries"] += result.queries
            level["gradients"] += result.gradients
            if name == "adaptive":
                strongest[rows] = result.x_adv
        found[eps] = strongest.clone()
        if known is None:
            alive["transfer"] = alive["adaptive"].clone()
        curve.append(level | {name: pack(bits) for name, bits in alive.items()})
    return {"curve": curve}, found


def _verdict(
    subject: Subject,
    attack: Attack,
    data: tuple[Tensor, Tensor],
    threat: Threat,
    stream: torch.Generator,
) -> AttackResult:
    return run_attack(
        attack, subject.model, *data, threat, generator=stream, answers=subject.answers
    )


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
