"""A model that keeps its noise: what is trained, attacked and certified is the noisy one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Classifier, QuantumClassifier, frozen
from robustq.defences.front import inner_twins
from robustq.defences.noise.cores import check_steady, core_of, joined, seen_under, viewed, without_noise
from robustq.models.files import describe
from robustq.noise import Device, Mapped, Noise


class Noisy(nn.Module):
    """A model whose circuit has noise of its own, as a defence.

    It names its twin, the same weights without that noise: noise shrinks the gradients of an attack and the
    margins it has to overcome alike, so that what is found without it has to be tried too.

    Args:
        model: a model whose circuit has its ``noise`` set.
        acceptance: which share of the runs counts, where noise is post-selected.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> from robustq.noise import NoiseModel
    >>> noise = NoiseModel.uniform(gate_error=0.5)
    >>> core = QuantumNet(
    ...     encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator(), noise=noise)
    >>> noisy = Noisy(core)
    >>> x = torch.zeros(1, 2)
    >>> (noisy.twins()[0](x)[0, 0] / noisy(x)[0, 0]).item()
    2.0
    """

    kind = "noisy"

    def __init__(self, model: nn.Module, acceptance: float = 1.0) -> None:
        super().__init__()
        check_steady(model)
        self.model, self.acceptance = model, acceptance

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, exactly as the noise makes them."""
        logits: Tensor = self.model(x)
        return logits

    def fitted(self, device: Device) -> Mapped:
        """The circuit as ``device`` would run it; :meth:`freeze` adds the defence's noise."""
        return core_of(self._run()).fitted(device)

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Classifier:
        """The exact function of ``x`` at today's weights; under ``noise`` besides its own, if given."""
        model = self.model if noise is None else seen_under(self.model, noise)
        return frozen(model, None, uses)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Classifier:
        """The model on a device: its noise comes besides the defence's own."""
        model = self._run()
        assert isinstance(model, QuantumClassifier)
        return model.under(joined(core_of(model), noise), shots=shots, generator=generator)

    def _run(self) -> nn.Module:
        """The model that is run now, keys included."""
        return viewed(self.model, lambda core: core)

    def twins(self) -> tuple[Classifier, ...]:
        """The same weights without noise."""
        return inner_twins(without_noise(self.model))

    def config(self) -> dict[str, Any]:
        """The model with its noise, JSON-able."""
        return {"model": describe(self.model), "acceptance": self.acceptance}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Noisy:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        return cls(rebuild(config["model"]), float(config["acceptance"]))
