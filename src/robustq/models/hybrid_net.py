"""A hybrid: a classical layer in front of the circuit and one behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustq.circuits import Circuit, Observable
from robustq.contracts import GateAngles
from robustq.engine import FrozenModel
from robustq.models.composition import Composed, ComposedShots
from robustq.models.layers import linear, new_linear, weights
from robustq.models.quantum_net import QuantumNet, Sampled
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
        return self._mixed(self.core(self.encoder_inputs(x)))

    def encoder_inputs(self, x: Tensor) -> Tensor:
        """What reaches the encoder, ``(batch, circuit.inputs)``, in [0, 1]."""
        return torch.sigmoid(linear(self.before, x))

    def _mixed(self, values: Tensor) -> Tensor:
        return linear(self.after, values)

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
        return self._mixed(self.core.read(values))

    @property
    def front(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in front of the sigmoid, float64, differentiable."""
        assert isinstance(self.before, nn.Linear)
        return self.before.weight.double(), self.before.bias.double()

    def gate_angles(self) -> GateAngles:
        """Every angle of the circuit that depends on what reaches it; see :class:`QuantumNet`."""
        return self.core.gate_angles()

    def logit_ranges(self) -> Tensor:
        """See :class:`robustq.contracts.CircuitClassifier`."""
        assert isinstance(self.after, nn.Linear)
        return self.core.mixed_ranges(self.after.weight.double())

    def fitted(self, device: Device) -> Mapped:
        """The circuit as ``device`` would run it, with its noise; the linear layers stay outside."""
        return self.core.fitted(device)

    def uncertainty(self, device: Device, relative: float) -> float:
        """As :meth:`QuantumNet.uncertainty`, through the layer behind the circuit."""
        bounds = uncertainty(self.fitted(device), device, relative)
        weight, _ = weights(self.after)
        return float(self.core.scale.detach()) * bounds.slack(weight.numpy())

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> FrozenHybrid:
        """The same function of ``x`` with the circuit frozen."""
        return FrozenHybrid(self.core.freeze(noise, uses=uses), self.after, self.before)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Composed:
        """The model with its circuit run as a device with this noise and these shots would."""
        core = self.core.under(noise, shots=shots, generator=generator)
        if isinstance(core, Sampled):
            return ComposedShots(core, self.encoder_inputs, self._mixed)
        return Composed(core, self.encoder_inputs, self._mixed)

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        return {"features": self.features, "classes": self.classes, "core": self.core.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HybridNet:
        """A model of the same shape, its weights still to be loaded."""
        core = QuantumNet.from_config(config["core"])
        return cls(int(config["features"]), int(config["classes"]), core, generator=torch.Generator())


@dataclass(frozen=True, eq=False)
class FrozenHybrid:
    """A frozen circuit between a layer with a sigmoid, if there is one, and a linear layer.

    Implements :class:`robustq.contracts.FrozenClassifier`.

    Attributes:
        core: the circuit, with its scale.
        after: from its logits to the classes.
        before: in front of the sigmoid; None where inputs reach the circuit as they are.
    """

    core: FrozenModel
    after: nn.Module
    before: nn.Module | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return linear(self.after, self.core(self._reaching(x)))

    def _reaching(self, x: Tensor) -> Tensor:
        return x if self.before is None else torch.sigmoid(linear(self.before, x))

    @property
    def front(self) -> tuple[Tensor, Tensor] | None:
        """Weight and bias of the layer in front of the sigmoid, float64."""
        return None if self.before is None else weights(self.before)

    def states(self, x: Tensor) -> Tensor:
        """The encoded state; see :meth:`robustq.engine.FrozenModel.states`."""
        return self.core.states(self._reaching(x))

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
        """Every angle that depends on what reaches the circuit, float64."""
        return self.core.gate_angles()

    def trigonometric(self) -> Trigonometric:
        """The logits as polynomials of what reaches the circuit; ModelError where they are none."""
        form = self.core.trigonometric()
        weight, bias = weights(self.after)
        mixed = torch.tensordot(weight, form.coefficients, dims=1)
        mixed[(slice(None), *[0] * len(form.degrees))] += bias
        largest = float(weight.abs().sum(1).max())
        rounding = 8 * len(weight) * UNIT * float(mixed.abs().amax())
        return Trigonometric(mixed, form.frequencies, largest * form.error + rounding)
