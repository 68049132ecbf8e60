"""A hybrid: a classical layer in front of the circuit and one behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.circuits import Circuit, Observable
from robustq.contracts import GateAngles
from robustq.engine import FrozenModel
from robustq.models.linear import linear, new_linear, weights
from robustq.models.quantum import QuantumNet, Sampled
from robustq.noise import Device, Mapped, Noise, uncertainty
from robustq.trigonometric import UNIT, Trigonometric


class HybridNet(nn.Module):
    """``Linear -> sigmoid -> QuantumNet -> Linear`` (dressed circuit, Mari et al. 2020).

    The sigmoid keeps what reaches the encoder in [0, 1], the range encodings expect.

    Args:
        features: width of the input.
        classes: width of the output.
        core: the quantum part, whose inputs and observables set the inner widths.
        generator: where the classical weights come from.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> core = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> HybridNet(10, 3, core, generator=torch.Generator())(torch.zeros(4, 10)).shape
    torch.Size([4, 3])
    """

    kind = "hybrid-net"

    def __init__(self, features: int, classes: int, core: QuantumNet, *, generator: torch.Generator) -> None:
        super().__init__()
        self.features, self.classes = features, classes
        self.before = new_linear(features, core.circuit.inputs, generator)
        self.core = core
        self.after = new_linear(len(core.observables), classes, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for features ``(batch, features)``."""
        return self._dress(x, self.core)

    def encoder_inputs(self, x: Tensor) -> Tensor:
        """What reaches the encoder, ``(batch, circuit.inputs)``, in [0, 1]."""
        return torch.sigmoid(linear(self.before, x))

    def _dress(self, x: Tensor, core: Callable[[Tensor], Tensor]) -> Tensor:
        return linear(self.after, core(self.encoder_inputs(x)))

    @property
    def circuit(self) -> Circuit:
        """The circuit of the quantum part."""
        return self.core.circuit

    @property
    def observables(self) -> tuple[Observable, ...]:
        """What is read of the quantum part."""
        return self.core.observables

    @property
    def angles(self) -> Tensor:
        """The trained angles of the quantum part."""
        return self.core.theta

    def measured(
        self,
        features: Tensor,
        angles: Tensor,
        *,
        circuit: Circuit | None = None,
        observables: tuple[Observable, ...] | None = None,
    ) -> Tensor:
        """Expectations of another circuit, other angles, another read-out; see :class:`QuantumNet`."""
        return self.core.measured(features, angles, circuit=circuit, observables=observables)

    def read(self, values: Tensor) -> Tensor:
        """Logits from expectations."""
        return linear(self.after, self.core.read(values))

    @property
    def front(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in front of the sigmoid, float64, differentiable."""
        assert isinstance(self.before, nn.Linear)
        return self.before.weight.double(), self.before.bias.double()

    def gate_angles(self) -> GateAngles:
        """Every angle of the circuit that depends on what reaches it; see :class:`QuantumNet`."""
        return self.core.gate_angles()

    def logit_ranges(self) -> Tensor:
        """See :class:`robustq.contracts.TurnableClassifier`."""
        assert isinstance(self.after, nn.Linear)
        return self.core.mixed_ranges(self.after.weight.double())

    def fitted(self, device: Device) -> Mapped:
        """The circuit as ``device`` would run it, with its noise; the linear layers stay outside."""
        return self.core.fitted(device)

    def uncertainty(self, device: Device, relative: float) -> float:
        """As :meth:`QuantumNet.uncertainty`, through the layer behind the circuit."""
        found = uncertainty(self.fitted(device), device, relative)
        weight, _ = weights(self.after)
        return float(self.core.scale.detach()) * found.slack(weight.numpy())

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Dressed:
        """The same function of ``x`` with the circuit frozen."""
        return Dressed(self, self.core.freeze(noise, uses=uses))

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Callable[[Tensor], Tensor]:
        """The model with its circuit run as a device with this noise and these shots would."""
        core = self.core.under(noise, shots=shots, generator=generator)
        if isinstance(core, Sampled):
            return DressedSampled(self, core)
        return lambda x: self._dress(x, core)

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        return {"features": self.features, "classes": self.classes, "core": self.core.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HybridNet:
        """A model of the same shape, its weights still to be loaded."""
        core = QuantumNet.from_config(config["core"])
        return cls(int(config["features"]), int(config["classes"]), core, generator=torch.Generator())


@dataclass(frozen=True)
class ReadOut:
    """A frozen circuit and the linear layer behind it, as one classifier of the circuit's features."""

    core: FrozenModel
    after: nn.Module

    def __call__(self, features: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of what reaches the encoder."""
        return linear(self.after, self.core(features))

    def states(self, features: Tensor) -> Tensor:
        """The encoded state; see :meth:`robustq.engine.FrozenModel.states`."""
        return self.core.states(features)

    def of_states(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of states in the place of :meth:`states`."""
        return linear(self.after, self.core.of_states(states))

    def state_forms(self) -> Tensor:
        """One Hermitian matrix a class; the bias is a multiple of the identity."""
        weight, bias = weights(self.after)
        forms = self.core.state_forms()
        mixed = torch.einsum("ck,kij->cij", weight.to(forms), forms)
        return mixed + bias.to(forms)[:, None, None] * torch.eye(forms.shape[1], dtype=forms.dtype)

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on the features, float64."""
        return self.core.gate_angles()

    def trigonometric(self) -> Trigonometric:
        """The logits as trigonometric polynomials of the features; ModelError where they are none."""
        form = self.core.trigonometric()
        weight, bias = weights(self.after)
        mixed = torch.tensordot(weight, form.coefficients, dims=1)
        mixed[(slice(None), *[0] * len(form.degrees))] += bias
        largest = float(weight.abs().sum(1).max())
        rounding = 8 * len(weight) * UNIT * float(mixed.abs().amax())
        return Trigonometric(mixed, form.frequencies, largest * form.error + rounding)


@dataclass(frozen=True)
class Dressed:
    """A hybrid whose circuit is frozen."""

    model: HybridNet
    core: FrozenModel

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return self.inner(self.model.encoder_inputs(x))

    @property
    def front(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the layer in front of the sigmoid, float64."""
        return weights(self.model.before)

    @property
    def inner(self) -> ReadOut:
        """From the sigmoid's values to the logits."""
        return ReadOut(self.core, self.model.after)

    def states(self, x: Tensor) -> Tensor:
        """The encoded state; see :meth:`robustq.engine.FrozenModel.states`."""
        return self.core.states(self.model.encoder_inputs(x))

    def of_states(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of states in the place of :meth:`states`."""
        return self.inner.of_states(states)

    def state_forms(self) -> Tensor:
        """See :meth:`ReadOut.state_forms`."""
        return self.inner.state_forms()


@dataclass(frozen=True)
class DressedSampled:
    """A hybrid whose circuit is run with finite shots."""

    model: HybridNet
    core: Sampled

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, different at every call."""
        return self.model._dress(x, self.core)

    @property
    def shots_per_answer(self) -> int:
        """Of the circuit."""
        return self.core.shots_per_answer

    @property
    def shots_per_gradient(self) -> int:
        """Of the circuit."""
        return self.core.shots_per_gradient
