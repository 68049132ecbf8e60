"""Training under Gaussian noise, for models that are to be smoothed (Cohen et al., ICML 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from robustq.contracts import Defence, Step
from robustq.defences.training.plain import Plain
from robustq.options import check_not_negative
from robustq.threats.ball import unit_noise


@dataclass(frozen=True)
class NoisyInputs:
    """Another loss at inputs with fresh normal noise; held-back rows are judged under it too.

    A smoothed classifier asks its model about noisy inputs, which an ordinary model has never seen.
    Noise is not clipped to the box, as smoothing does not clip it either.

    Args:
        sigma: standard deviation of each feature's noise, in units of the input.
        on: the defence that sees the noisy inputs.

    >>> NoisyInputs(0.25).sigma
    0.25
    """

    sigma: float = 0.1
    on: Defence = field(default_factory=Plain)

    def __post_init__(self) -> None:
        check_not_negative("noisy inputs", sigma=self.sigma)

    def losses(self, model: Any, step: Step) -> Tensor:
        """Those of the other defence at noisy inputs."""
        noisy = step.x + self.sigma * unit_noise(step.x, step.generator)
        return self.on.losses(model, replace(step, x=noisy))
