"""What a search is answered: means of several answers, labels alone, an alarm in the place of the right class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Classifier, ShotClassifier


@dataclass(frozen=True)
class Averaged:
    """A randomised model whose answer is the mean of several; of one-hot ``votes``, if told so."""

    model: Classifier
    samples: int
    votes: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """The mean logits; shots of different rows are independent, so they are drawn in one call."""
        if isinstance(self.model, ShotClassifier):
            logits = self._answer(x.repeat(self.samples, *[1] * (x.ndim - 1)))
            return logits.reshape(self.samples, len(x), -1).mean(0)
        total = self._answer(x)
        for _ in range(self.samples - 1):
            total = total + self._answer(x)
        return total / self.samples

    def _answer(self, x: Tensor) -> Tensor:
        return votes(self.model(x)) if self.votes else self.model(x)

    @property
    def shots_per_answer(self) -> int:
        """Of all answers; zero for a model without shots."""
        return self.samples * _shots(self.model, lambda m: m.shots_per_answer)

    @property
    def shots_per_gradient(self) -> int:
        """Of all answers; zero for a model without shots."""
        return self.samples * _shots(self.model, lambda m: m.shots_per_gradient)


def alarm_is_right(logits: Tensor, y: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` of which ``y`` wins where it does, or where the alarm (the last) does.

    To the adversary an alarm is as bad as the right class: every attack that raises a margin so has to get
    past the detector too (after Tramer, arXiv:2107.11630, section 2).

    >>> alarm_is_right(torch.tensor([[0.0, 2.0, 3.0]]), torch.tensor([0]))
    tensor([[3., 2.]])
    """
    answers, alarm = logits[:, :-1], logits[:, -1:]
    own = torch.maximum(answers.gather(1, y[:, None]), alarm)
    return answers.scatter(1, y[:, None], own)


def votes(logits: Tensor) -> Tensor:
    """One for the class answered, zero for the others, shape of ``logits``."""
    return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits)


def _shots(model: Classifier, read: Callable[[ShotClassifier], int]) -> int:
    return read(model) if isinstance(model, ShotClassifier) else 0
