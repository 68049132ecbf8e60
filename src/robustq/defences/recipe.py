"""Several defences as one: what is done in training, and what stands around the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from robustq.contracts import Defence, Guard, RandomisedClassifier, Step
from robustq.defences.training.plain import Plain
from robustq.errors import ModelError, SpecError
from robustq.models import Checkpoint, History, Training, fit
from robustq.models.training import Callback


@runtime_checkable
class Layered(Protocol):
    """A training defence that changes or adds to another one: its field ``on``."""

    @property
    def on(self) -> Defence:
        """The defence whose losses it starts from."""
        ...

    def losses(self, model: Any, step: Step) -> Tensor:
        """The loss of each input, ``(batch,)``."""
        ...


@dataclass(frozen=True)
class Recipe:
    """Defences in the order in which they are applied.

    Guards are put around the model one after the other, the first innermost: those that are trained through before
    the training, the others after it. Of the defences in training at most one says what is minimised; every
    other one is layered on those before it.

    Raises:
        SpecError: if two defences in training both replace the loss, or a step is no defence.

    >>> from robustq.defences import AdversarialTraining, FeatureSqueezing
    >>> from robustq.attacks import FGSM
    >>> from robustq.threats import Linf
    >>> recipe = Recipe((FeatureSqueezing(bits=3), AdversarialTraining(FGSM(), Linf(0.1))))
    >>> [type(guard).__name__ for guard in recipe.guards], type(recipe.training).__name__
    (['FeatureSqueezing'], 'AdversarialTraining')
    """

    steps: tuple[Defence | Guard, ...] = ()

    def __post_init__(self) -> None:
        for step in self.steps:
            if not isinstance(step, Defence | Guard):
                raise SpecError(f"recipe: expected defences, got {type(step).__name__}")
        _ = self.training  # refuses two losses now

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands around the model, innermost first."""
        return tuple(step for step in self.steps if isinstance(step, Guard))

    @property
    def training(self) -> Defence:
        """The defences in training, each layered on those before it."""
        defence: Defence | None = None
        for step in self.steps:
            if not isinstance(step, Defence):
                continue
            if defence is not None and not isinstance(step, Layered):
                raise SpecError(
                    f"recipe: expected one defence that says what is minimised, got "
                    f"{type(step).__name__} after {type(defence).__name__}"
                )
            layered = isinstance(step, Layered) and defence is not None
            defence = replace(step, on=defence) if layered else step  # type: ignore[type-var]
        return defence or Plain()

    def guarded(
        self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator, *, trained: bool
    ) -> nn.Module:
        """The model within its guards: those put up before training, or those put up after (``trained``)."""
        for guard in self.guards:
            if guard.trained_through != trained:
                inner, model = model, guard.around(model, x, y, generator)
                _check_answers(inner, model)
        return model

    def fit(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        generator: torch.Generator,
        training: Training | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Checkpoint | None = None,
    ) -> tuple[nn.Module, History]:
        """Guard, train, guard: the defended model and the history of its training.

        Args:
            model: untrained; trained in place.
            x: training inputs.
            y: their labels.
            generator: all of the randomness.
            training: how long and how fast.
            callbacks: called after every epoch.
            checkpoint: see :func:`robustq.models.fit`.
        """
        model = self.guarded(model, x, y, generator, trained=False)
        history = fit(
            model,
            x,
            y,
            generator=generator,
            training=training,
            defence=self.training,
            callbacks=callbacks,
            checkpoint=checkpoint,
        )
        return self.guarded(model.eval(), x, y, generator, trained=True), history


def _check_answers(inner: nn.Module, outer: nn.Module) -> None:
    """Refuse a guard that would forget how many answers a randomised model within it needs."""
    within = any(isinstance(part, RandomisedClassifier) for part in inner.modules())
    if within and not isinstance(outer, RandomisedClassifier):
        raise ModelError(
            f"expected randomised defences as the last of a recipe, got {type(inner).__name__} within "
            f"{type(outer).__name__}"
        )
