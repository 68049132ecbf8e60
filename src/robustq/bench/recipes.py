"""Defences by name: what a specification says of them, as values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from robustq.attacks.catalogue import ATTACKS
from robustq.bench.options import Table, check_options
from robustq.catalogue import resolve
from robustq.contracts import Attack, Defence, Guard, Threat
from robustq.defences import Recipe
from robustq.defences.catalogue import DEFENCES
from robustq.errors import SpecError
from robustq.noise import Device


@dataclass(frozen=True)
class Given:
    """What a specification gives every defence that needs it."""

    attack: Attack
    threat: Threat
    device: Device | None = None


def inner_attack(steps: int) -> Attack:
    """The search of defences that train on attacked inputs: PGD, one run, steps of 2 eps / steps.

    >>> print(inner_attack(5))
    PGD, 5 steps, 1 restart, cross-entropy
    """
    attack: Attack = ATTACKS["pgd"].make(steps=steps, restarts=1, step=2.0 / steps, loss="cross-entropy")
    return attack


class StepSpec(Table):
    """One defence."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict, description="the defence's own")

    def build(self, given: Given) -> Defence | Guard:
        """As a value.

        Raises:
            SpecError: on an unknown name or option, or where a device is needed and none is named.
        """
        entry = resolve("defence", self.name, DEFENCES)
        check_options(f"defence {self.name!r}", entry, self.options)
        filled = {name: getattr(given, name) for name in entry.needs}
        if filled.get("device", ...) is None and _requires(entry.make, "device"):
            raise SpecError(f"defence {self.name!r}: expected a noise.device, got none")
        try:
            return entry.make(**filled, **self.options)
        except TypeError as failure:
            raise SpecError(f"defence {self.name!r}: {failure}") from failure


class RecipeSpec(Table):
    """One row of the defence table: one defence, or several as steps."""

    name: str | None = Field(None, description="a name in `robustq list defences`")
    options: dict[str, Any] = Field(default_factory=dict, description="the defence's own")
    steps: list[StepSpec] = Field(
        default_factory=list, description="several defences, in the order in which they are applied"
    )
    label: str | None = Field(None, description="what the table calls it")

    @property
    def all_steps(self) -> list[StepSpec]:
        """The defences, one or several."""
        if (self.name is None) == (not self.steps):
            got = "neither" if self.name is None else "both"
            raise SpecError(f"recipes: expected a name or steps, got {got}")
        return self.steps or [StepSpec(name=str(self.name), options=self.options)]

    @property
    def title(self) -> str:
        """What the table calls it.

        >>> RecipeSpec(name="adversarial-training", options={"weight": 0.5}).title
        'adversarial training (weight 0.5)'
        """
        return self.label or " + ".join(_told(step) for step in self.all_steps)

    def build(self, given: Given) -> Recipe:
        """As a value."""
        return Recipe(tuple(step.build(given) for step in self.all_steps))


def _requires(make: Callable[..., Any], name: str) -> bool:
    """Whether a builder cannot do without a need."""
    return inspect.signature(make).parameters[name].default is inspect.Parameter.empty


def _told(step: StepSpec) -> str:
    options = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in step.options.items())
    return step.name.replace("-", " ") + (f" ({options})" if options else "")
