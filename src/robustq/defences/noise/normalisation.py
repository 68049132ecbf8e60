"""Post-measurement normalisation and quantisation (QuantumNAT: Wang et al., DAC 2022, sections 3.1, 3.3)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Classifier, QuantumClassifier, frozen
from robustq.defences.front import inner_twins
from robustq.defences.noise.cores import check_steady, core_of, viewed
from robustq.engine import FrozenModel
from robustq.models import HybridNet
from robustq.models.composition import Composed
from robustq.models.files import describe
from robustq.models.hybrid_net import FrozenHybrid
from robustq.noise import Device, Mapped, Noise

MOMENTUM = 0.1  # how much of a batch's statistics enters the running ones
TINY = 1e-5  # variance of an output that is constant
BOUND = 2.0  # standard deviations beyond which all values are one level


class Levels(nn.Module):
    """Values rounded to evenly spaced levels in [-2, 2]; gradients pass straight through.

    Args:
        levels: how many, at least two; 0 leaves the values alone.

    >>> Levels(5)(torch.tensor([0.4, 0.6, -3.0]))
    tensor([ 0.,  1., -2.])
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, z: Tensor) -> Tensor:
        """Rounded values, shape of ``z``."""
        if not self.levels:
            return z
        width = 2 * BOUND / (self.levels - 1)
        held = z.detach()
        rounded = torch.round((held.clamp(-BOUND, BOUND) + BOUND) / width) * width - BOUND
        # straight-through estimator
        return z + (rounded - held) if z.requires_grad else rounded


class Normalised(nn.Module):
    """A model each of whose outputs has mean 0 and variance 1 over its inputs, then few levels.

    Noise shrinks and shifts each measured value by about the same law for every input (Wang et al., theorem 3.1),
    which the normalisation undoes. Training uses the batch's statistics, inference running ones.
    Outputs are logits: a trainable scale comes last.

    Args:
        model: what is measured; logits ``(batch, classes)``.
        classes: how many logits.
        levels: of :class:`Levels`; 0 for none.

    >>> model = Normalised(nn.Linear(2, 2), 2)
    >>> logits = model.train()(torch.rand(50, 2))
    >>> bool((logits.mean(0).abs() < 1e-5).all())
    True
    """

    kind = "normalised"
    mean: Tensor
    variance: Tensor

    def __init__(self, model: nn.Module, classes: int, levels: int = 0) -> None:
        super().__init__()
        check_steady(model)
        self.model, self.levels = model, Levels(levels)
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("mean", torch.zeros(classes))
        self.register_buffer("variance", torch.ones(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        values: Tensor = self.model(x)
        if not self.training or len(values) < 2:
            return self.answer(values)
        mean, variance = values.mean(0), values.var(0, unbiased=False)
        with torch.no_grad():
            self.mean.lerp_(mean.to(self.mean), MOMENTUM)
            self.variance.lerp_(variance.to(self.variance), MOMENTUM)
        return self._levelled((values - mean) / (variance + TINY).sqrt())

    def answer(self, values: Tensor) -> Tensor:
        """Logits from the model's outputs by the running statistics."""
        variance = self.variance.to(values.dtype) + TINY
        return self._levelled((values - self.mean.to(values.dtype)) / variance.sqrt())

    def _levelled(self, z: Tensor) -> Tensor:
        rounded: Tensor = self.levels(z)
        return self.log_scale.exp().to(z.dtype) * rounded

    def calibrated(self, x: Tensor, noise: Noise | None = None) -> Normalised:
        """The same with the statistics of inputs ``(batch, features)``, measured under ``noise``.

        How a model is moved to another device: no weight changes. Under ``noise`` the result is to be run.
        """
        twin = copy.copy(self)
        with torch.no_grad():
            values = frozen(self.model, noise)(x)
        statistics = {"mean": values.mean(0), "variance": values.var(0, unbiased=False)}
        twin._buffers = {k: v.to(self.mean) for k, v in statistics.items()}
        return twin

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Classifier:
        """The model behind it frozen, the running statistics folded into its read-out.

        Without levels the result is a frozen quantum model like any other, with all its forms.
        """
        if self.levels.levels:
            return Composed(frozen(self.model, noise, uses), head=self.answer)
        if isinstance(self.model, HybridNet):
            return self._folded(self.model).freeze(noise, uses=uses)
        core = frozen(self.model, noise, uses)
        if isinstance(core, FrozenModel):
            return FrozenHybrid(core, self._layer())
        return Composed(core, head=self.answer)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Composed:
        """The same with the model behind it run on a noisy device."""
        assert isinstance(self.model, QuantumClassifier)
        return Composed(self.model.under(noise, shots=shots, generator=generator), head=self.answer)

    def fitted(self, device: Device) -> Mapped:
        """The circuit as ``device`` would run it, keys included."""
        return core_of(viewed(self.model, lambda core: core)).fitted(device)

    def _layer(self) -> nn.Linear:
        """What it does at inference, without levels, as a linear layer."""
        factor = self.log_scale.detach().exp() / (self.variance + TINY).sqrt()
        layer: nn.Linear = nn.utils.skip_init(nn.Linear, len(factor), len(factor))  # type: ignore[no-untyped-call]
        layer.weight = nn.Parameter(torch.diag(factor), requires_grad=False)
        layer.bias = nn.Parameter(-factor * self.mean, requires_grad=False)
        return layer

    def _folded(self, model: HybridNet) -> HybridNet:
        """A hybrid whose last layer does the normalising too; the rest is shared."""
        last, own = model.after, self._layer()
        assert isinstance(last, nn.Linear)
        layer: nn.Linear = nn.utils.skip_init(nn.Linear, last.in_features, last.out_features)  # type: ignore[no-untyped-call]
        layer.weight = nn.Parameter((own.weight @ last.weight).detach(), requires_grad=False)
        layer.bias = nn.Parameter((own.weight @ last.bias + own.bias).detach(), requires_grad=False)
        twin = copy.copy(model)
        twin._modules = {**model._modules, "after": layer}
        return twin

    def twins(self) -> tuple[Classifier, ...]:
        """The model without levels, whose gradients are exact; the model behind it, whose are not scaled."""
        smooth = copy.copy(self)
        smooth._modules = {**self._modules, "levels": Levels(0)}
        return (smooth, *inner_twins(self.model))

    def config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"model": describe(self.model), "classes": len(self.mean), "levels": self.levels.levels}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Normalised:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        return cls(rebuild(config["model"]), int(config["classes"]), int(config["levels"]))


def started(model: nn.Module, x: Tensor, levels: int) -> Normalised:
    """The model normalised by its statistics on inputs ``(batch, features)``.

    Its scale starts where a softmax can be fairly sure.
    """
    with torch.no_grad():
        values = frozen(model)(x)
    normalised = Normalised(model, values.shape[1], levels)
    normalised.mean.copy_(values.mean(0))
    normalised.variance.copy_(values.var(0, unbiased=False))
    with torch.no_grad():
        normalised.log_scale.fill_(math.log(1.5))
    return normalised
