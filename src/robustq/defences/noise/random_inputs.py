"""Random noise on every input at inference (after Cohen, Rosenfeld & Kolter, ICML 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.defences.front import Fronted
from robustq.errors import SpecError
from robustq.seeding import torch_generator

ANSWERS = 25  # votes of one verdict


class GaussianNoise(nn.Module):
    """Inputs plus Gaussian noise, drawn anew at every call from a stream of its own.

    Args:
        sigma: its standard deviation.
        seed: where the stream starts.

    >>> noise = GaussianNoise(0.1, seed=1)
    >>> bool((noise(torch.zeros(1, 2)) != noise(torch.zeros(1, 2))).all())
    True
    """

    kind = "gaussian-noise"

    def __init__(self, sigma: float, seed: int) -> None:
        super().__init__()
        self.sigma, self.seed = sigma, seed
        self.restart()

    def restart(self) -> None:
        """Begin the stream anew."""
        self._stream = torch_generator(self.seed, "random-inputs")

    def forward(self, x: Tensor) -> Tensor:
        """Noisy inputs, shape of ``x``."""
        noise = torch.randn(x.shape, generator=self._stream, dtype=x.dtype)
        return x + self.sigma * noise.to(x.device)

    def config(self) -> dict[str, Any]:
        """JSON-able; the stream starts anew where the model is loaded."""
        return {"sigma": self.sigma, "seed": self.seed}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GaussianNoise:
        """The inverse of :meth:`config`."""
        return cls(float(config["sigma"]), int(config["seed"]))


class RandomlyFronted(Fronted):
    """A model behind a front that is random: a verdict on it is a majority of several answers.

    >>> RandomlyFronted(GaussianNoise(0.1, seed=1), nn.Linear(2, 2)).answers
    25
    """

    kind = "randomly-fronted"

    @property
    def answers(self) -> int:
        """How many answers make one verdict."""
        return ANSWERS

    def restart(self) -> None:
        """Begin the noise anew."""
        for part in self.modules():
            if isinstance(part, GaussianNoise):
                part.restart()


@dataclass(frozen=True)
class RandomisedInputs:
    """A model that adds random noise to each input before it answers, in training too.

    The gradient of one answer points anywhere; that of the mean answer does not: attack it with
    :class:`robustq.attacks.EOT`.

    Args:
        sigma: standard deviation of the noise on every feature, in the input's units.

    >>> RandomisedInputs(0.1).sigma
    0.1
    """

    sigma: float = 0.1

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < math.inf:
            raise SpecError(f"randomised-inputs: expected sigma >= 0, got {self.sigma}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> RandomlyFronted:
        """The model behind noise whose stream is drawn from ``generator``."""
        seed = int(torch.randint(2**31, (), generator=generator))
        return RandomlyFronted(GaussianNoise(self.sigma, seed), model)
