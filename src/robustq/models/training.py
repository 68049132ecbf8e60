"""One training loop for every model that learns by gradient."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler

from robustq.contracts import Defence, Step
from robustq.errors import DataError, ModelError, SpecError
from robustq.models.checkpoint import Checkpoint, Keeper, Parts, generators_of, name_of


@dataclass(frozen=True)
class Training:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the training data, at most.
        batch_size: rows a step.
        lr: Adam's learning rate at the start.
        validation: share of the rows held back, stratified, to choose the best epoch.
        patience: epochs without improvement before stopping; 0 never stops early.
        schedule: whether the learning rate falls to zero along a cosine or stays as it is.

    >>> Training(epochs=10).batch_size
    32
    """

    epochs: int = 40
    batch_size: int = 32
    lr: float = 0.05
    validation: float = 0.15
    patience: int = 12
    schedule: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 0:
            raise SpecError(f"expected epochs and batch_size >= 1 and patience >= 0, got {self}")
        if not 0 < self.lr < math.inf or not 0 <= self.validation < 1:
            raise SpecError(f"expected lr > 0 and finite and validation in [0, 1), got {self}")
        if self.schedule not in ("cosine", "constant"):
            raise SpecError(f"expected schedule 'cosine' or 'constant', got {self.schedule!r}")

    def decay(self, optimiser: torch.optim.Optimizer, steps: int) -> LRScheduler:
        """The schedule of the learning rate over so many steps."""
        if self.schedule == "constant":
            return ConstantLR(optimiser, 1.0, 1)
        return CosineAnnealingLR(optimiser, steps)


@dataclass(frozen=True)
class Epoch:
    """One line of the history."""

    number: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None


@dataclass(frozen=True)
class History:
    """What happened in training on ``rows`` rows; the model holds the weights of ``best``."""

    epochs: tuple[Epoch, ...]
    best: int
    stopped_early: bool
    rows: int


Callback = Callable[[Epoch], None]


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    generator: torch.Generator,
    training: Training | None = None,
    defence: Defence | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train ``model`` in place by Adam and return the history.

    Args:
        model: any module from ``(batch, *features)`` to logits.
        x: inputs ``(rows, *features)``.
        y: int64 labels ``(rows,)``.
        generator: order of the batches, the validation split, and the defence's randomness.
        training: how long and how fast.
        defence: what replaces the plain cross-entropy of a step; it also judges the validation rows.
        callbacks: called after every epoch; not for those that a checkpoint holds.
        checkpoint: where the training is kept while it lasts. Called again with the same arguments after an
            interruption, it goes on from there to the same bytes; a file that is damaged or belongs to another
            training is not used. What is drawn from torch's global generator is not kept.

    Raises:
        DataError: on labels that do not fit ``x``, or values that are not finite.
        ModelError: if the loss becomes NaN or infinite.

    >>> model = nn.Linear(1, 2)
    >>> x, y = torch.linspace(-1, 1, 40)[:, None], (torch.linspace(-1, 1, 40) > 0).long()
    >>> fit(model, x, y, generator=torch.Generator(), training=Training(epochs=3)).best in (1, 2, 3)
    True
    """
    plan = training or Training()
    _check(x, y)
    if not any(p.requires_grad for p in model.parameters()):
        raise ModelError("expected a model with trainable parameters, got none")
    # named before anything is drawn: the generator's state is part of the name
    keeper = checkpoint and Keeper(checkpoint, name_of(model, x, y, generator, plan, defence))
    train, held = hold_back(y, plan.validation, generator)
    state = _State.new(model, generator, plan, len(train))
    run = _TrainingRun(model, x, y, defence, generator, plan.epochs, state.memory)
    if keeper:
        state.restore(keeper)
    for number in range(len(state.epochs) + 1, plan.epochs + 1):
        loss = run.one_epoch(number, train, plan.batch_size, state.optimiser, state.schedule)
        epoch = run.judge(number, loss, held)
        for callback in callbacks:
            callback(epoch)
        state.record(epoch)
        if plan.patience and number - state.best >= plan.patience:
            break
        if keeper and keeper.is_due:
            state.keep(keeper)
    model.load_state_dict(state.best_weights)
    return History(tuple(state.epochs), state.best, len(state.epochs) < plan.epochs, len(train))


@dataclass(eq=False)
class _State:
    """What a training changes: all that is needed to go on after an epoch."""

    model: nn.Module
    generator: torch.Generator
    optimiser: torch.optim.Optimizer
    schedule: LRScheduler
    best_weights: dict[str, Any]
    best: int = 0
    best_loss: float = math.inf
    epochs: list[Epoch] = field(default_factory=list)
    memory: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def new(cls, model: nn.Module, generator: torch.Generator, plan: Training, rows: int) -> _State:
        """Before the first epoch."""
        optimiser = torch.optim.Adam(model.parameters(), lr=plan.lr)
        # steps, not epochs; the last batch of an epoch may be short
        schedule = plan.decay(optimiser, plan.epochs * -(-rows // plan.batch_size))
        return cls(model, generator, optimiser, schedule, copy.deepcopy(model.state_dict()))

    def record(self, epoch: Epoch) -> None:
        """One more epoch, whose weights are kept if they are the best so far."""
        self.epochs.append(epoch)
        score = epoch.loss if epoch.validation_loss is None else epoch.validation_loss
        if score < self.best_loss:
            self.best, self.best_loss = epoch.number, score
            # a deep copy: the optimiser writes to the parameters in place
            self.best_weights = copy.deepcopy(self.model.state_dict())

    def keep(self, keeper: Keeper) -> None:
        """Write all of it."""
        optimiser = self.optimiser.state_dict()
        moments = {f"{k}.{name}": tensor for k, held in optimiser["state"].items() for name, tensor in held.items()}
        streams = {name: stream.get_state() for name, stream in generators_of(self.model, self.generator)}
        parts: Parts = {
            "model": self.model.state_dict(),
            "best": self.best_weights,
            "optimiser": moments,
            "stream": streams,
            "memory": self.memory,
        }
        numbers = {
            "epochs": [astuple(epoch) for epoch in self.epochs],
            "best": self.best,
            "best_loss": self.best_loss,
            "groups": optimiser["param_groups"],
            "schedule": self.schedule.state_dict(),
        }
        keeper.write(parts, numbers)

    def restore(self, keeper: Keeper) -> None:
        """Go on from what was written; from the start if there is nothing of this training."""
        checkpoint = keeper.read()
        if checkpoint is None:
            return
        parts, numbers = checkpoint
        self.model.load_state_dict(parts.get("model", {}))
        self.best_weights = parts.get("best", {})
        self.best, self.best_loss = numbers["best"], numbers["best_loss"]
        self.epochs += [Epoch(*epoch) for epoch in numbers["epochs"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts.get("optimiser", {}).items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = tensor
        self.optimiser.load_state_dict({"state": moments, "param_groups": numbers["groups"]})
        self.schedule.load_state_dict(numbers["schedule"])
        for name, stream in generators_of(self.model, self.generator):
            stream.set_state(parts["stream"][name])
        device = next(self.model.parameters()).device
        self.memory |= {name: tensor.to(device) for name, tensor in parts.get("memory", {}).items()}


def _check(x: Tensor, y: Tensor) -> None:
    if y.shape != (len(x),) or y.dtype != torch.int64 or not len(x):
        raise DataError(
            f"expected int64 labels of shape ({len(x)},) for at least one row, got {y.dtype} {tuple(y.shape)}"
        )
    if not bool(torch.isfinite(x).all()):
        raise DataError("expected finite inputs, got NaN or infinity")


def hold_back(y: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Stratified row numbers to train on and to hold back; the first thing that :func:`fit` draws.

    >>> [len(rows) for rows in hold_back(torch.arange(20) % 2, 0.2, torch.Generator())]
    [16, 4]
    """
    train, held = [], []
    for label in torch.unique(y):
        rows = (y == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        count = int(share * len(rows))
        held.append(rows[:count])
        train.append(rows[count:])
    return torch.cat(train), torch.cat(held)


@dataclass(frozen=True, eq=False)
class _TrainingRun:
    """What every step of one training needs."""

    model: nn.Module
    x: Tensor
    y: Tensor
    defence: Defence | None
    generator: torch.Generator
    epochs: int
    memory: dict[str, Tensor]

    def loss(self, rows: Tensor, progress: float) -> Tensor:
        """The mean loss of some rows."""
        x, y = self.x[rows], self.y[rows]
        if self.defence is None:
            return nn.functional.cross_entropy(self.model(x), y)
        step = Step(x=x, y=y, generator=self.generator, rows=rows, progress=progress, memory=self.memory)
        losses = self.defence.losses(self.model, step)
        if losses.shape != (len(rows),):
            raise ModelError(
                f"{type(self.defence).__name__}: expected a loss for each of {len(rows)} inputs, got "
                f"shape {tuple(losses.shape)}"
            )
        return losses.mean()

    def one_epoch(
        self, number: int, rows: Tensor, batch_size: int, optimiser: torch.optim.Optimizer, schedule: LRScheduler
    ) -> float:
        """One pass over ``rows`` in a random order; the mean loss."""
        self.model.train()
        order = rows[torch.randperm(len(rows), generator=self.generator)]
        total, done = 0.0, 0
        for batch in torch.split(order, batch_size):
            loss = self.loss(batch, (number - 1 + done / len(order)) / self.epochs)
            if not bool(torch.isfinite(loss)):
                raise ModelError(f"expected a finite loss, got {float(loss.detach())}; try a smaller lr")
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total, done = total + float(loss.detach()) * len(batch), done + len(batch)
        return total / len(order)

    def judge(self, number: int, loss: float, held: Tensor) -> Epoch:
        """The epoch's record; the defence judges held-back rows, so that a robust model is kept."""
        self.model.eval()
        if not len(held):
            return Epoch(number, loss, None, None)
        held_loss = float(self.loss(held, 1.0).detach())
        if not math.isfinite(held_loss):
            raise ModelError(f"expected a finite held-back loss, got {held_loss}")
        with torch.no_grad():
            right = self.model(self.x[held]).argmax(1) == self.y[held]
        return Epoch(number, loss, held_loss, float(right.double().mean()))
