"""QuantumNAT: noise injection, normalisation and quantisation (Wang et al., DAC 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Defence, Step
from robustq.defences.noise.cores import changed, joined, viewed
from robustq.defences.noise.insertion import inserted, sampled
from robustq.defences.noise.normalisation import Levels, started
from robustq.defences.training.plain import Plain
from robustq.errors import SpecError
from robustq.models import QuantumNet
from robustq.noise import Channel, Device, Mapped, NoiseModel
from robustq.options import check_not_negative, check_shares


@dataclass(frozen=True)
class NoiseInjection:
    """Training on circuits with random error gates, and outputs that noise can hardly move.

    Every step trains one sample of the noise: Pauli gates behind the circuit's own, drawn anew. The model's
    outputs are normalised and rounded to a few levels, and what rounding takes away is a part of the loss,
    so that values gather at the levels.

    Args:
        device: whose (twirled) gate errors are drawn and whose read-out errors act; None for ``rate`` alone.
        rate: chance of a Pauli error on every touched qubit after every gate, besides the device's.
        spread: standard deviation of Gaussian noise on every trained angle, drawn at every step.
        normalise: whether outputs are normalised.
        levels: to which normalised outputs are rounded, at least two; 0 for none.
        penalty: weight of the mean squared rounding in the loss.
        on: the defence in training whose losses are taken.

    >>> NoiseInjection(rate=0.01).levels
    5
    """

    device: Device | None = None
    rate: float = 0.0
    spread: float = 0.0
    normalise: bool = True
    levels: int = 5
    penalty: float = 0.1
    on: Defence = field(default_factory=Plain)

    trained_through = True

    def __post_init__(self) -> None:
        check_shares("noise-injection", rate=self.rate)
        check_not_negative("noise-injection", spread=self.spread, penalty=self.penalty)
        if not isinstance(self.levels, int) or self.levels < 0 or self.levels == 1:
            raise SpecError(f"noise-injection: expected levels 0 or >= 2, got {self.levels!r}")
        if self.levels and not self.normalise:
            raise SpecError("noise-injection: expected levels=0 without normalise, got levels")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> nn.Module:
        """The model with its outputs normalised and levelled; itself without ``normalise``."""
        return started(model, x, self.levels) if self.normalise else model

    def losses(self, model: Any, step: Step) -> Tensor:
        """The losses of ``on`` of one noisy sample of the model, and the penalty on rounding.

        Raises:
            ModelError: if there is no circuit in the model.
        """
        view = viewed(model, lambda core: self._drawn(core, step.generator))
        if not self.penalty or not self.levels:
            return self.on.losses(view, step)
        with _roundings(view) as roundings:
            losses = self.on.losses(view, step)
        return losses + self.penalty * roundings[-1] if roundings else losses

    def _drawn(self, core: QuantumNet, generator: torch.Generator) -> QuantumNet:
        if self.spread:
            shift = torch.randn(core.theta.shape, generator=generator).to(core.theta)
            core = changed(core, theta=core.theta + self.spread * shift)
        if self.rate:
            rules = NoiseModel.after_every_gate(Channel("pauli", *[self.rate / 3] * 3))
            core = changed(core, noise=joined(core, rules))
        noise = joined(core, self.device)
        if noise is None:
            return core
        if isinstance(noise, NoiseModel):
            gates = inserted(core.circuit, noise, generator)
            readout = NoiseModel(readout=noise.readout, readouts=noise.readouts)
            return changed(core, circuit=gates, noise=readout)
        fit = noise if isinstance(noise, Mapped) else core.fitted(noise)
        return changed(core, noise=sampled(fit, generator))


@contextmanager
def _roundings(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the mean squared rounding of every forward pass, ``(batch,)``, the last one last."""
    roundings: list[Tensor] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        roundings.append((args[0] - out.detach()).square().mean(1))

    places = [part for part in model.modules() if isinstance(part, Levels)]
    handles = [place.register_forward_hook(note) for place in places]
    try:
        yield roundings
    finally:
        for handle in handles:
            handle.remove()
