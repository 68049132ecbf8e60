"""Distributionally robust training: the worst inputs, or the worst class, decide.

CVaR: Levy, Carmon, Duchi & Sidford, NeurIPS 2020. Group DRO: Sagawa, Koh, Hashimoto & Liang, ICLR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import Defence, Step
from robustq.defences.training.plain import Plain
from robustq.errors import SpecError
from robustq.options import check_not_negative

KEY = "group-dro"  # of what is remembered


@dataclass(frozen=True)
class CVaR:
    """The mean loss of the worst ``share`` of a batch: conditional value at risk.

    ``max sum q_i l_i`` over weights ``q_i <= 1 / (share * batch)`` that add up to one. On batches it is a
    little below that of all rows, a bias that the paper bounds.

    Args:
        share: of the inputs that count, in (0, 1]; 1 is the mean.
        on: the defence whose losses are weighted.

    >>> CVaR(0.2).share
    0.2
    """

    share: float = 0.3
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        if isinstance(self.share, bool) or not 0 < self.share <= 1:
            raise SpecError(f"cvar: expected share in (0, 1], got {self.share!r}")

    def losses(self, model: Any, step: Step) -> Tensor:
        """The losses times weights whose mean is one."""
        losses = self.on.losses(model, step)
        return losses * tail_weights(losses.detach(), self.share)


def tail_weights(losses: Tensor, share: float) -> Tensor:
    """Weights of mean one that put everything on the largest ``share`` of the losses, ``(batch,)``.

    >>> tail_weights(torch.tensor([1.0, 4.0, 3.0, 2.0]), 0.375)  # one and a half of four
    tensor([0.0000, 2.6667, 1.3333, 0.0000])
    """
    most = 1 / share
    ranks = losses.argsort(descending=True).argsort().to(losses.dtype)
    return (len(losses) - most * ranks).clamp(0, most)


@dataclass(frozen=True)
class GroupDRO:
    """The mean loss of the worst class, found by exponentiated weights during the training.

    After every batch a class's weight grows by ``exp(rate * its mean loss)`` (algorithm 1 of the paper), and
    the batch counts by these weights, whatever its share of each class. Held-back rows are judged by their
    worst class alone.

    Args:
        rate: of the weights, called eta_q in the paper.
        on: the defence whose losses are weighted.

    >>> GroupDRO().rate
    0.05
    """

    rate: float = 0.05
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        check_not_negative("group dro", rate=self.rate)

    def losses(self, model: Any, step: Step) -> Tensor:
        """The losses times weights; their mean is the weighted mean of the classes' losses."""
        losses = self.on.losses(model, step)
        counts = torch.bincount(step.y)
        sums = losses.new_zeros(len(counts)).index_add(0, step.y, losses.detach())
        means = sums / counts.clamp_min(1)
        if step.rows is None or step.progress >= 1:
            present = means.masked_fill(counts == 0, -torch.inf)
            classes = torch.zeros_like(means)
            classes[present.argmax()] = 1
        else:
            classes = self._grown(step, means)
        each = len(losses) * classes / counts.clamp_min(1)
        return losses * each[step.y]

    def _grown(self, step: Step, means: Tensor) -> Tensor:
        """The classes' weights after this batch, ``(classes in it,)``; all that were met add up to one."""
        before = step.memory.get(KEY, means.new_zeros(0))
        logs = means.new_zeros(max(len(before), len(means)))
        logs[: len(before)] += before
        logs[: len(means)] += self.rate * means
        step.memory[KEY] = logs
        return logs.softmax(0)[: len(means)]
