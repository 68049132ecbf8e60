"""Attack a stand-in and hope (Papernot, McDaniel & Goodfellow, arXiv:1605.07277; Asia CCS 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from robustq.attacks.pgd import PGD
from robustq.contracts import Attack, Classifier, Problem, QuantumClassifier
from robustq.errors import SpecError
from robustq.options import check_counts

BATCH = 256
LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Transfer:
    """A white-box attack on a surrogate; its candidate is then asked of the victim.

    Without a surrogate one is trained: the victim is asked about jittered copies of the inputs, up to
    ``reach`` times the threat set away, and a perceptron of one hidden layer learns its scores by least
    squares, or its labels where no more is seen (then one-hot). Given a surrogate, the victim is asked
    only about the candidate.

    Args:
        attack: what is run against the surrogate.
        surrogate: a classifier of the same inputs; None trains one.
        queries: questions about each input, to train on; its clean copy is the first.
        reach: how far jittered copies lie, in threat sets.
        hidden: width of the trained surrogate.
        steps: of its training, on batches of 256.

    >>> print(Transfer())
    transfer from a surrogate trained on 64 queries: PGD, 20 steps, 3 restarts, margin
    """

    attack: Attack = field(default_factory=PGD)
    surrogate: Classifier | None = None
    queries: int = 64
    reach: float = 2.0
    hidden: int = 32
    steps: int = 300

    def __post_init__(self) -> None:
        check_counts("transfer", queries=self.queries, hidden=self.hidden, steps=self.steps)
        if not 0 < self.reach < float("inf"):
            raise SpecError(f"transfer: expected reach > 0 (in threat sets), got {self.reach}")

    def __str__(self) -> str:
        trained = f"a surrogate trained on {self.queries} queries"
        return f"transfer from {trained if self.surrogate is None else 'a surrogate'}: {self.attack}"

    def search(self, problem: Problem) -> Tensor:
        """The candidate that is strongest against the surrogate."""
        surrogate = self._trained(problem) if self.surrogate is None else self.surrogate
        if isinstance(surrogate, QuantumClassifier):
            surrogate = surrogate.freeze()
        return problem.against(self.attack, surrogate)

    def _trained(self, problem: Problem) -> Classifier:
        """A surrogate of the victim near the inputs."""
        inputs, answers = [problem.x], [problem.ask(problem.x)]
        for _ in range(self.queries - 1):
            drawn = problem.threat.sample(problem.x, problem.generator) - problem.x
            inputs.append(problem.x + self.reach * drawn)
            answers.append(problem.ask(inputs[-1]))
        x, logits = torch.cat(inputs).flatten(1), torch.cat(answers)
        surrogate = Surrogate.drawn(x, logits, self.hidden, problem.generator)
        surrogate.learn(x, logits, self.steps, problem.generator)
        return surrogate


@dataclass(frozen=True)
class Surrogate:
    """A perceptron with one hidden layer that sees standardised features and gives scaled logits.

    Attributes:
        centre: of the features, ``(features,)``.
        spread: of the features, ``(features,)``.
        scale: of the logits.
        weights: two matrices and two offsets.
    """

    centre: Tensor
    spread: Tensor
    scale: Tensor
    weights: tuple[Tensor, Tensor, Tensor, Tensor]

    @classmethod
    def drawn(cls, x: Tensor, logits: Tensor, hidden: int, generator: torch.Generator) -> Surrogate:
        """Untrained, for features ``(rows, features)`` and logits ``(rows, classes)``."""
        sizes = ((x.shape[1], hidden), (hidden, logits.shape[1]))
        layers = [torch.randn(a, b, generator=generator, dtype=x.dtype).to(x.device) / a**0.5 for a, b in sizes]
        offsets = [torch.zeros(b, dtype=x.dtype, device=x.device) for _, b in sizes]
        return cls(
            x.mean(0),
            x.std(0, correction=0).clamp_min(1e-6),
            (logits - logits.mean(1, keepdim=True)).std(correction=0).clamp_min(1e-6).to(x.dtype),
            (layers[0], offsets[0], layers[1], offsets[1]),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of inputs ``(batch, *features)``."""
        first, bend, second, offset = self.weights
        hidden = torch.tanh((x.flatten(1) - self.centre) / self.spread @ first + bend)
        return self.scale * (hidden @ second + offset)

    def learn(self, x: Tensor, logits: Tensor, steps: int, generator: torch.Generator) -> None:
        """Least squares on the centred logits, by Adam along a cosine, in place."""
        target = (logits - logits.mean(1, keepdim=True)).to(x.dtype) / self.scale
        with torch.enable_grad():
            for weight in self.weights:
                weight.requires_grad_(True)
            optimiser = torch.optim.Adam(self.weights, lr=LEARNING_RATE)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
            for _ in range(steps):
                rows = torch.randint(0, len(x), (min(BATCH, len(x)),), generator=generator)
                loss = ((self(x[rows]) / self.scale - target[rows]) ** 2).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
        for weight in self.weights:
            weight.requires_grad_(False)
