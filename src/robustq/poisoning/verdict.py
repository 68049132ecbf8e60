"""The verdict on poisoned training data, which no attack can influence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq import stats
from robustq.contracts import Classifier, check_logits
from robustq.errors import DataError, ModelError, ThreatError
from robustq.poisoning.task import Poison, TrainingData, Triggered
from robustq.threats.poisoning import Poisoning, Rows

Train = Callable[[Tensor, Tensor, torch.Generator], Classifier]
ANYWHERE = (-torch.inf, torch.inf)


@dataclass(frozen=True, kw_only=True)
class PoisonResult:
    """The framework's verdict on one poison: outcomes per test input, never rates.

    Attributes:
        threat: what the adversary was allowed.
        touched: rows changed or added, ``(repeats,)``.
        clean: whether each test input was classified correctly after clean training,
            ``(repeats, inputs)`` of bool.
        random: the same after training on a random point of the threat set.
        poisoned: the same after training on the poisoned rows.
        hits: for a poison with a trigger, whether each triggered test input of another class was
            classified as the target by the poisoned model, ``(repeats, those inputs)``; else None.
        clean_hits: the same of the clean model, which does not know the trigger.
    """

    threat: Poisoning
    touched: Tensor
    clean: Tensor
    random: Tensor
    poisoned: Tensor
    hits: Tensor | None = None
    clean_hits: Tensor | None = None

    @property
    def p_value(self) -> float:
        """The chance of so large an effect of a poison no better than its baseline.

        Exact McNemar, one-sided, inputs as units: wrong after poisoning against wrong after random
        changes; for a trigger, hits on the poisoned model against hits on the clean one.
        """
        if self.hits is None or self.clean_hits is None:
            return stats.mcnemar(~self.poisoned.numpy(), ~self.random.numpy())
        return stats.mcnemar(self.hits.numpy(), self.clean_hits.numpy())


def poison(
    attack: Poison,
    train: Train,
    x: Tensor,
    y: Tensor,
    x_test: Tensor,
    y_test: Tensor,
    *,
    budget: float | Poisoning,
    generator: torch.Generator,
    repeats: int = 1,
) -> PoisonResult:
    """Train on clean, randomly changed and poisoned rows, and compare on the same test inputs.

    Args:
        attack: what spoils the rows.
        train: the victim: rows and a generator to a trained model. All randomness from the generator,
            so that the three runs of a repeat differ in their rows only.
        x: clean training inputs ``(rows, *features)``.
        y: clean int64 labels ``(rows,)``.
        x_test: test inputs ``(inputs, *features)``.
        y_test: their labels ``(inputs,)``.
        budget: what may be changed; a number allows any change of that share of the rows.
        generator: all of the randomness: victims', attack's and baseline's.
        repeats: victims of other seeds, each with an attack and a baseline of its own.

    Raises:
        DataError: on rows and labels that do not fit, or poisoned rows that are no data.
        ThreatError: if the poisoned rows are not within the budget.
        ModelError: if the victim is trained to another model by the same rows and generator.

    >>> def nearest_mean(x, y, generator):
    ...     means = torch.stack([x[y == label].mean(0) for label in (0, 1)])
    ...     return lambda inputs: -torch.cdist(inputs, means)
    >>> x = torch.tensor([[0.0], [0.1], [0.2], [0.8], [0.9], [1.0]])
    >>> y = torch.tensor([0, 0, 0, 1, 1, 1])
    >>> from robustq.poisoning import LabelFlip
    >>> stream = torch.Generator().manual_seed(0)
    >>> result = poison(LabelFlip(), nearest_mean, x, y, x, y, budget=0.34, generator=stream)
    >>> int(result.clean.sum()), int(result.touched)
    (6, 2)
    """
    threat = budget if isinstance(budget, Poisoning) else Poisoning(budget, features=ANYWHERE)
    _check_rows(x, y)
    _check_rows(x_test, y_test)
    if not int(y.max()):
        raise DataError("expected training labels of at least two classes, got one")
    if repeats < 1:
        raise DataError(f"expected repeats >= 1, got {repeats}")
    seeds = torch.randint(1 << 62, (repeats, 3), generator=generator).tolist()
    trial = _Trial(attack, train, (x, y), (x_test, y_test), threat)
    outcomes = [trial.run(*three, first=number == 0) for number, three in enumerate(seeds)]
    columns = {name: torch.stack([each[name] for each in outcomes]) for name in outcomes[0]}
    return PoisonResult(threat=threat, **columns)


@dataclass(frozen=True, eq=False)
class _Trial:
    """Everything that the repeats share."""

    attack: Poison
    train: Train
    rows: Rows
    test: Rows
    threat: Poisoning

    def run(self, victim: int, attacker: int, chance: int, *, first: bool) -> dict[str, Tensor]:
        """One repeat: three trainings from one seed; the outcomes of the verdict by name."""
        crafted = self._crafted(attacker)
        drawn = self.threat.sample(self.rows, torch.Generator().manual_seed(chance))
        clean, random, poisoned = (self._trained(rows, victim) for rows in (self.rows, drawn, crafted))
        if first:
            self._check_repeatable(clean, victim)
        x, y = self.test
        outcomes = {"touched": torch.tensor(self.threat.touched(crafted, self.rows))}
        for name, model in (("clean", clean), ("random", random), ("poisoned", poisoned)):
            outcomes[name] = (self._logits(model, x).argmax(1) == y).cpu()
        if isinstance(self.attack, Triggered):
            triggered = self.attack.trigger(x[y != self.attack.target].clone())
            for name, model in (("hits", poisoned), ("clean_hits", clean)):
                label = self._logits(model, triggered).argmax(1)
                outcomes[name] = (label == self.attack.target).cpu()
        return outcomes

    def _check_repeatable(self, model: Classifier, seed: int) -> None:
        """Refuse a victim whose training is not a function of its rows and its generator."""
        x, y = self.test
        once, again = (self._logits(each, x) for each in (model, self._trained(self.rows, seed)))
        if int(y.max()) >= once.shape[1]:
            raise DataError(f"expected test labels in 0..{once.shape[1] - 1}, got {int(y.max())}")
        if not torch.equal(once, again):
            raise ModelError(
                "expected training that depends on the rows and the generator only, got different "
                "models from the same two (global randomness, or a model trained further?)"
            )

    def _crafted(self, seed: int) -> Rows:
        (x, y), stream = self.rows, torch.Generator().manual_seed(seed)
        crafted = self.attack.craft(TrainingData(x.clone(), y.clone(), self.threat, stream))
        _check_rows(*crafted)
        if not self.threat.contains(crafted, self.rows):
            raise ThreatError(
                f"{self.attack}: expected {self.threat}, which is {self.threat.allowed(len(y))} of "
                f"{len(y)}, got {len(crafted[1])} rows of which {_differing(crafted, self.rows)} differ"
            )
        return crafted

    def _trained(self, rows: Rows, seed: int) -> Classifier:
        x, y = rows
        with torch.enable_grad():
            return self.train(x.clone(), y.clone(), torch.Generator().manual_seed(seed))

    def _logits(self, model: Classifier, x: Tensor) -> Tensor:
        with torch.no_grad():
            return check_logits(model(x.clone()), len(x))


def _differing(crafted: Rows, clean: Rows) -> str:
    shapes_fit = crafted[0].shape[1:] == clean[0].shape[1:] and len(crafted[1]) >= len(clean[1])
    return str(Poisoning(1.0).touched(crafted, clean)) if shapes_fit else "an unknown number"


def _check_rows(x: Tensor, y: Tensor) -> None:
    if x.ndim < 2 or y.shape != (len(x),) or not len(x):
        raise DataError(
            f"expected inputs (rows >= 1, features) and labels (rows,), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if y.dtype != torch.int64 or int(y.min()) < 0:
        raise DataError(f"expected int64 labels >= 0, got {y.dtype} from {y.min().item()}")
    if not x.is_floating_point() or not bool(torch.isfinite(x).all()):
        raise DataError(f"expected finite floating-point inputs, got {x.dtype} with other values")
