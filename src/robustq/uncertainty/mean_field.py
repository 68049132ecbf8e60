"""Mean-field variational inference (Blundell et al., ICML 2015) over weights and circuit angles alike.

Minimises ``E_q[loss] + temper KL(q || prior) / rows`` over ``q = N(mu, diag(softplus(rho)^2))``, one draw of
the parameters a step. Of circuits: Nguyen & Chen, Bayesian quantum neural networks, IEEE Access 10 (2022).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from robustq.contracts import Defence, Step
from robustq.errors import SpecError
from robustq.uncertainty.members import Members
from robustq.uncertainty.trainer import Trainer
from robustq.uncertainty.vectors import at, vector_of


@dataclass(frozen=True)
class MeanField:
    """A Gaussian over all parameters, its means and widths trained together.

    Args:
        members: draws of the posterior that answer together.
        prior: standard deviation of the prior on every parameter (an angle's in radians).
        centre: where the prior stands: at zero, or at the starting parameters, which are random and
            know nothing of the data.
        width: standard deviation of every parameter at the start.
        temper: weight of the divergence; below 1 is a cold posterior (Wenzel et al., ICML 2020).

    Raises:
        SpecError: on numbers that are not positive.

    >>> MeanField(members=10).prior
    1.0
    """

    members: int = 30
    prior: float = 1.0
    centre: Literal["zero", "start"] = "zero"
    width: float = 0.05
    temper: float = 1.0

    def __post_init__(self) -> None:
        if self.members < 1:
            raise SpecError(f"mean-field: expected members >= 1, got {self.members}")
        if not all(0 < value < math.inf for value in (self.prior, self.width, self.temper)):
            raise SpecError(f"mean-field: expected positive prior, width and temper, got {self}")
        if self.centre not in ("zero", "start"):
            raise SpecError(f"mean-field: expected centre 'zero' or 'start', got {self.centre!r}")

    def fit(self, trainer: Trainer, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Members:
        """Train means and widths on all rows for all epochs, draw.

        The bound needs no rows held back, and its noise would only choose a lucky epoch.
        """
        base = trainer.build(0)
        start = vector_of(base)
        centre = start if self.centre == "start" else torch.zeros_like(start)
        model = Variational(base, centre, self, generator)
        plan = replace(trainer.training, validation=0.0, patience=0)
        # losses are means over rows, so that each row bears its share of the one divergence
        bound = FreeEnergy(trainer.defence, self.temper / max(1, len(y)))
        last: dict[str, Tensor] = {}
        replace(trainer, training=plan, defence=bound).fit(
            model, x, y, generator=generator, callbacks=[lambda _: last.update(copy.deepcopy(model.state_dict()))]
        )
        model.load_state_dict(last)
        return Members(base.requires_grad_(True), model.draw(self.members)).eval()


class Variational(nn.Module):
    """A model whose parameters are drawn anew at every call in training; their means otherwise.

    Args:
        base: the model; its own parameters are where the means start.
        centre: of the prior, ``(P,)``.
        how: widths of the prior and at the start.
        generator: where the draws come from.
    """

    def __init__(self, base: nn.Module, centre: Tensor, how: MeanField, generator: torch.Generator) -> None:
        super().__init__()
        start = vector_of(base)
        self.base, self.centre, self.prior = base.requires_grad_(False), centre, how.prior
        self._generator = generator
        self.mean = nn.Parameter(start)
        # the inverse of the softplus, so that widths start at `width`
        self.rho = nn.Parameter(torch.full_like(start, math.log(math.expm1(how.width))))

    @property
    def width(self) -> Tensor:
        """Standard deviations ``(P,)``."""
        return nn.functional.softplus(self.rho)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        vector = self._draws(1)[0] if self.training else self.mean
        logits: Tensor = at(self.base, vector)(x)
        return logits

    def divergence(self) -> Tensor:
        """``KL(q || prior)`` in nats."""
        ratio = (self.width / self.prior).square()
        apart = ((self.mean - self.centre) / self.prior).square()
        return (ratio + apart - 1 - ratio.log()).sum() / 2

    def draw(self, count: int) -> Tensor:
        """Parameters ``(count, P)``, detached."""
        return self._draws(count).detach()

    def _draws(self, count: int) -> Tensor:
        normal = torch.randn(count, len(self.mean), generator=self._generator, dtype=self.mean.dtype)
        return self.mean + self.width * normal


@dataclass(frozen=True)
class FreeEnergy:
    """Another loss plus a share of the divergence; a :class:`robustq.contracts.Defence`.

    Attributes:
        of: the loss under one draw; None for the cross-entropy.
        share: of the divergence that falls to each row.
    """

    of: Defence | None
    share: float

    def losses(self, model: Any, step: Step) -> Tensor:
        """The loss of each input, ``(batch,)``."""
        if self.of is None:
            plain = nn.functional.cross_entropy(model(step.x), step.y, reduction="none")
        else:
            plain = self.of.losses(model, step)
        divergence: Tensor = model.divergence()
        return plain + self.share * divergence
