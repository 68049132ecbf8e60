"""Free adversarial training: one backward pass moves the weights and the perturbations.

Shafahi et al., NeurIPS 2019; that each row keeps its perturbation from epoch to epoch is ATTA's idea
(Zheng et al., CVPR 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from robustq.contracts import Step, Threat
from robustq.defences.training.fast import one_step
from robustq.options import check_rates
from robustq.threats.ball import column

VALUES, KNOWN = "free.values", "free.known"  # what is remembered


@dataclass(frozen=True)
class Free:
    """Cross-entropy at inputs whose perturbation grows by one step an epoch.

    The gradient that trains the weights reaches the attacked inputs as well, and moves them for the next
    time: no inner search, at the price of perturbations that are one epoch old. Epochs take the place of the
    paper's replays. Held-back rows, which are not trained on, are judged at a fresh FGSM point.

    Args:
        threat: what the inner adversary may do.
        step: length of each step as a fraction of eps; 1 in the paper.

    >>> from robustq.threats import Linf
    >>> Free(Linf(0.1)).step
    1.0
    """

    threat: Threat
    step: float = 1.0

    def __post_init__(self) -> None:
        check_rates("free", step=self.step)

    def losses(self, model: Any, step: Step) -> Tensor:
        """Cross-entropy at the remembered perturbations; the backward pass updates them."""
        if step.rows is None or step.progress >= 1:
            attacked = one_step(model, step, self.threat, self.step)
        else:
            attacked = self._remembered(step)
        return cross_entropy(model(attacked), step.y, reduction="none")

    def _remembered(self, step: Step) -> Tensor:
        """The rows' attacked inputs, as leaves whose gradient moves them."""
        assert step.rows is not None
        rows, x, threat = step.rows, step.x, self.threat
        memory = Perturbations.within(step.memory, x)
        start = torch.where(column(memory.seen(rows), x), x + memory.of(rows), threat.sample(x, step.generator))
        attacked = threat.project(start, x).detach().requires_grad_(True)
        memory.keep(rows, attacked.detach() - x)

        def move(gradient: Tensor) -> None:
            ahead = attacked.detach() + self.step * threat.eps * threat.steepest(gradient.detach())
            memory.keep(rows, threat.project(ahead, x) - x)

        attacked.register_hook(move)  # type: ignore[no-untyped-call]
        return attacked


@dataclass(frozen=True, eq=False)
class Perturbations:
    """The perturbation of each training row, as far as it has been seen.

    >>> kept = Perturbations.within({}, torch.zeros(1, 2))
    >>> kept.keep(torch.tensor([1]), torch.ones(1, 2))
    >>> kept.seen(torch.tensor([0, 1, 5])), kept.of(torch.tensor([1]))
    (tensor([False,  True, False]), tensor([[1., 1.]]))
    """

    memory: dict[str, Tensor]

    @staticmethod
    def within(memory: dict[str, Tensor], like: Tensor) -> Perturbations:
        """Those that a training's memory holds, of inputs like these ``(batch, *features)``; at first none."""
        memory.setdefault(VALUES, like.new_zeros(0, *like.shape[1:]))
        memory.setdefault(KNOWN, like.new_zeros(0, dtype=torch.bool))
        return Perturbations(memory)

    def seen(self, rows: Tensor) -> Tensor:
        """Whether each row has a perturbation, ``(rows,)``."""
        self._reach(rows)
        return self.memory[KNOWN][rows]

    def of(self, rows: Tensor) -> Tensor:
        """The perturbations, zero where there is none, ``(rows, *features)``."""
        self._reach(rows)
        return self.memory[VALUES][rows]

    def keep(self, rows: Tensor, deltas: Tensor) -> None:
        """Remember these."""
        self._reach(rows)
        self.memory[VALUES][rows], self.memory[KNOWN][rows] = deltas, True

    def _reach(self, rows: Tensor) -> None:
        more = int(rows.max()) + 1 - len(self.memory[KNOWN]) if len(rows) else 0
        for name in (VALUES, KNOWN) if more > 0 else ():
            held = self.memory[name]
            self.memory[name] = torch.cat([held, held.new_zeros(more, *held.shape[1:])])
