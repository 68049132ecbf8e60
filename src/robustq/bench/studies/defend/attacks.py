"""What is measured of one defended model: raw outcomes an input, under attacks that know the defence."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustq.attacks import APGD, Adaptive, QuantumAutoAttack, SearchProblem, Transfer, UniformNoise
from robustq.bench.measurement import AttackLevel, AttackStage, CleanStage
from robustq.bench.spec import Specification
from robustq.bench.stages import pack, rounded
from robustq.bench.survivors import Survivors
from robustq.contracts import (
    Attack,
    Classifier,
    Problem,
    QuantumClassifier,
    RandomisedClassifier,
    RejectingClassifier,
    TwinnedClassifier,
)
from robustq.data import Dataset
from robustq.seeding import torch_generator

ROUNDS = 5  # of the clock
CRAFT = APGD(steps=50, restarts=2, loss="margin")  # of the inputs that are transferred


@dataclass(frozen=True, eq=False)
class Subject:
    """A defended model with all that its attackers know.

    Attributes:
        model: the model.
        transferred: the worst inputs found on the undefended model of the same seed, by eps, shape of
            the test inputs; none if it is that one.
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

    def attacks(self, usual: Attack) -> dict[str, list[Attack]]:
        """By name, all but the transferred inputs, which are there already; an input has to survive each.

        Of a model that answers at random the ensemble is run twice, for a lucky answer ends a search, and
        what is found on each twin has a verdict of its own.
        """
        strongest = QuantumAutoAttack()
        if self.answers > 1:
            tried: list[Attack] = [Transfer(strongest, surrogate=twin) for twin in self.twins]
            adaptive = [strongest, strongest, *tried]
        else:
            adaptive = [Adaptive(strongest, self.twins) if self.twins else strongest]
        return {"usual": [usual], "adaptive": adaptive, "noise": [UniformNoise()]}

    def restart(self) -> None:
        """Randomness begins anew, so that a stage's figures do not depend on what ran before it."""
        if isinstance(self.model, RandomisedClassifier):
            self.model.restart()


@dataclass(frozen=True)
class Ready:
    """An attack whose candidates are known: adversarial inputs of another model."""

    candidates: Tensor

    def search(self, problem: Problem) -> Tensor:
        """The candidates."""
        return self.candidates


def answers(subject: Subject, data: Dataset) -> CleanStage:
    """Probabilities, correctness and alarms of every test input; of a random model the mean of its answers."""
    subject.restart()
    x, y = data.tensors("test")
    with torch.no_grad():
        logits = [subject.model(x) for _ in range(subject.answers)]
    chances = torch.stack([torch.softmax(each.double(), 1) for each in logits]).mean(0)
    votes = sum(nn.functional.one_hot(each.argmax(1), each.shape[1]) for each in logits)
    label = torch.as_tensor(votes).argmax(1)
    alarms = {}
    if isinstance(subject.model, RejectingClassifier):
        alarms["rejected"] = pack(label == chances.shape[1] - 1)
    return CleanStage(
        correct=pack(label == y),
        probabilities=[rounded(row) for row in chances],
        randomised=subject.answers > 1,
        twins=len(subject.twins),
        **alarms,
    )


def attacked(subject: Subject, data: Dataset, spec: Specification, path: Sequence[str | int]) -> AttackStage:
    """Who survives each attack at every eps."""
    subject.restart()
    x, y = data.tensors("test")
    searches = subject.attacks(spec.attack.build())
    standing = {name: Survivors.all_of(x, y) for name in (*searches, "transfer")}
    curve = []
    for eps in spec.threat.eps:
        known, threat = subject.transferred.get(eps), spec.threat.build(eps)
        queries = gradients = 0
        for name, group in standing.items():
            stream = torch_generator(spec.seed, *path, "attack", name, repr(eps))
            candidates = () if known is None else (Ready(known[group.rows]),)
            for attack in searches.get(name, candidates):
                result = group.attack(attack, subject.model, threat, stream, answers=subject.answers)
                queries += result.queries if result else 0
                gradients += result.gradients if result else 0
        if known is None:
            standing["transfer"].alive = standing["adaptive"].alive.clone()
        robust = standing["usual"].alive & standing["transfer"].alive & standing["adaptive"].alive
        alive = {name: pack(group.alive) for name, group in standing.items()}
        curve.append(AttackLevel(eps=eps, queries=queries, gradients=gradients, robust=pack(robust), **alive))
    return AttackStage(curve=curve)


def crafted(model: nn.Module, data: Dataset, spec: Specification, seed: int) -> dict[str, Tensor]:
    """For every test input and eps the worst input found on a model, whether it is right there or not.

    A search that does not stop at a flip: what is only just wrong here may be right elsewhere.
    """
    x, y = data.tensors("test")
    target = model.freeze() if isinstance(model, QuantumClassifier) else model
    worst = {}
    for eps in spec.threat.eps:
        stream = torch_generator(spec.seed, seed, "transfer", repr(eps))
        problem = SearchProblem(target, x, y, spec.threat.build(eps), stream)
        worst[repr(eps)] = problem.best(CRAFT)
    return worst


def seconds(model: nn.Module, data: Dataset) -> float:
    """Seconds for 1000 answers, the median of a few rounds."""
    x, _ = data.tensors("test")
    taken = []
    with torch.no_grad():
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            model(x)
            taken.append(time.perf_counter() - begun)
    return 1000 * statistics.median(taken) / len(x)
