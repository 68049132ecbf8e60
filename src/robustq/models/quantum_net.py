"""Quantum classifiers: a circuit, one observable a class, and a trainable scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustq import engine
from robustq.circuits import Circuit, Observable
from robustq.circuits.serial import circuit_from_data, circuit_to_data, observable_from_data, observable_to_data
from robustq.contracts import GateAngles
from robustq.engine.gate_angles import gate_angles
from robustq.errors import ModelError
from robustq.models.ranges import ranges
from robustq.noise import Device, Mapped, Noise, NoiseModel, mapped, uncertainty
from robustq.noise.serial import noise_from_data, noise_to_data


@lru_cache(maxsize=32)
def fitted(circuit: Circuit, observables: tuple[Observable, ...], device: Device) -> Mapped:
    """:func:`robustq.noise.mapped`, remembered: a fit takes longer than what is then run."""
    return mapped(circuit, observables, device)


class QuantumNet(nn.Module):
    """Logits ``scale * <O_k>`` of a parametrised circuit.

    The positive ``scale`` is trained with the angles: expectations lie in [-1, 1], where a softmax
    can never be sure. It does not change which class wins.

    Args:
        circuit: encoding and ansatz; takes ``circuit.inputs`` features.
        observables: one per class, at least two.
        generator: where the starting angles come from.
        spread: standard deviation of the starting angles, in radians.
        noise: exact noise of every forward pass, as rules or as a calibrated device to which the
            circuit is fitted; None for none.
        shots: finite shots of every forward pass (no gradients then); None for exact.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> model(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    kind = "quantum-net"

    def __init__(
        self,
        circuit: Circuit,
        observables: Sequence[Observable],
        *,
        generator: torch.Generator,
        spread: float = 0.5,
        noise: Noise | None = None,
        shots: int | None = None,
    ) -> None:
        super().__init__()
        if len(observables) < 2:
            raise ModelError(f"expected an observable per class, >= 2, got {len(observables)}")
        self.circuit = circuit
        self.observables = tuple(observables)
        self.noise, self.shots = noise, shots
        self._shot_generator = generator
        start = torch.randn(circuit.parameters, generator=generator)
        self.theta = nn.Parameter(spread * start)
        # a logarithm stays positive under any step
        self.log_scale = nn.Parameter(torch.tensor(math.log(3.0)))

    @property
    def scale(self) -> Tensor:
        """The positive factor from expectations to logits."""
        return self.log_scale.exp()

    def fitted(self, device: Device) -> Mapped:
        """The circuit and the observables as ``device`` would run them, with its noise."""
        return fitted(self.circuit, self.observables, device)

    def uncertainty(self, device: Device, relative: float) -> float:
        """By how many logits a margin on the true device may lie below that on its snapshot.

        For every input and every device whose calibrated numbers lie within ``relative`` of these
        (:func:`robustq.noise.uncertainty`): the ``slack`` that makes a certificate of
        ``freeze(device)`` one of all those devices.

        >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
        >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
        >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
        >>> round(model.uncertainty(Device.bundled("manila"), 0.1), 3)
        0.107
        """
        bounds = uncertainty(self.fitted(device), device, relative)
        return float(self.scale.detach()) * bounds.slack(np.eye(len(self.observables)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for features ``(batch, circuit.inputs)``."""
        return self._logits(x, self.noise, self.shots, self._shot_generator)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Callable[[Tensor], Tensor]:
        """The model as a device with this noise and this many shots would run it.

        With shots it has input gradients too, by the parameter-shift rule with shots of its own.
        """
        if shots is None:
            return lambda x: self._logits(x, noise)
        return Sampled(self, noise, shots, generator)

    @property
    def angles(self) -> Tensor:
        """The trained angles ``(circuit.parameters,)``."""
        return self.theta

    def encoder_inputs(self, x: Tensor) -> Tensor:
        """What reaches the encoder: the input itself."""
        return x

    def measured(
        self,
        features: Tensor,
        angles: Tensor,
        *,
        circuit: Circuit | None = None,
        observables: tuple[Observable, ...] | None = None,
    ) -> Tensor:
        """Expectations ``(batch, observables)`` of another circuit, other angles, another read-out.

        Under the model's own noise; a circuit for a calibrated device is fitted to it.
        """
        run, read, rules = self.run_as(self.noise, circuit, observables)
        return engine.expectations(run, read, inputs=features, parameters=angles.to(features.dtype), noise=rules)

    def read(self, values: Tensor) -> Tensor:
        """Logits from expectations."""
        return self.scale.to(values.dtype) * values

    @property
    def front(self) -> None:
        """No sigmoid stands in front of the circuit."""
        return None

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on the input, float64, differentiable in the trained angles.

        Raises:
            ModelError: if features are loaded as amplitudes.

        >>> from robustq.circuits import encodings, per_qubit_z
        >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
        >>> model.gate_angles().spread.tolist()
        [1.0, 1.0]
        """
        return gate_angles(self.run_as(self.noise)[0], self.theta.double())

    def logit_ranges(self) -> Tensor:
        """See :class:`robustq.contracts.CircuitClassifier`."""
        return self.mixed_ranges(torch.eye(len(self.observables), dtype=torch.float64))

    def mixed_ranges(self, mix: Tensor) -> Tensor:
        """The same of logits that mix the model's own by ``(classes, observables)``."""
        return ranges(self.observables, self.circuit.qubits, self.scale.to(mix.dtype) * mix)

    def _logits(
        self, x: Tensor, noise: Noise | None, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        circuit, observables, rules = self.run_as(noise)
        values = engine.expectations(
            circuit,
            observables,
            inputs=x,
            parameters=self.theta.to(x.dtype),
            noise=rules,
            shots=shots,
            generator=generator,
        )
        return self.scale.to(x.dtype) * values

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> engine.FrozenModel:
        """The exact function of ``x`` at today's parameters, under ``noise`` (default: its own).

        ``uses`` is how many inputs it will be asked about, if known (see
        :class:`robustq.engine.FrozenModel`).

        >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
        >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
        >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
        >>> model.freeze(Device.bundled("manila"))(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
        """
        circuit, observables, rules = self.run_as(noise or self.noise)
        scale = float(self.scale.detach())
        return engine.FrozenModel(circuit, observables, self.theta, scale=scale, noise=rules, uses=uses)

    def run_as(
        self, noise: Noise | None, circuit: Circuit | None = None, observables: tuple[Observable, ...] | None = None
    ) -> tuple[Circuit, tuple[Observable, ...], NoiseModel | None]:
        """What is simulated: the circuit itself under rules, or its fit to a device."""
        run, read = circuit or self.circuit, observables or self.observables
        fit = fitted(run, read, noise) if isinstance(noise, Device) else noise
        if isinstance(fit, Mapped):
            return fit.circuit, fit.observables, fit.noise
        return run, read, fit

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able; shots are not kept.

        Raises:
            ModelError: if its noise is a fit to a device, which belongs to that device's snapshot.
        """
        if isinstance(self.noise, Mapped):
            raise ModelError("expected a model's own noise as rules or as a device, got a fit to one")
        content: dict[str, Any] = {
            "circuit": circuit_to_data(self.circuit),
            "observables": [observable_to_data(o) for o in self.observables],
        }
        if isinstance(self.noise, Device):
            content["device"] = self.noise.to_data()
        elif self.noise is not None:
            content["noise"] = noise_to_data(self.noise)
        return content

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> QuantumNet:
        """A model of the same shape, its weights still to be loaded."""
        return cls(
            circuit_from_data(config["circuit"]),
            [observable_from_data(o) for o in config["observables"]],
            generator=torch.Generator(),
            noise=_noise_of(config),
        )


def _noise_of(config: Mapping[str, Any]) -> Noise | None:
    if "device" in config:
        return Device.from_data(config["device"])
    return noise_from_data(config["noise"]) if "noise" in config else None


@dataclass(frozen=True)
class Sampled:
    """A model as finite shots on a noisy device answer for it, with sampled input gradients.

    Implements :class:`robustq.contracts.ShotClassifier`.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> sampled = model.under(shots=100, generator=torch.Generator())
    >>> sampled.shots_per_answer, sampled.shots_per_gradient
    (100, 500)
    """

    model: QuantumNet
    noise: Noise | None
    shots: int
    generator: torch.Generator | None

    def __post_init__(self) -> None:
        if self.shots < 1 or self.generator is None:
            raise ModelError(f"expected shots >= 1 and a generator, got {self.shots} and {self.generator}")

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, different at every call."""
        return self.model.read(self._machine(x.dtype)(x))

    @cached_property
    def _run(self) -> tuple[Circuit, tuple[Observable, ...], NoiseModel | None]:
        return self.model.run_as(self.noise)

    def _machine(self, dtype: torch.dtype) -> engine.ShotModel:
        angles = self.model.theta.detach().to(dtype)
        cached = self._machines.get(dtype)
        # the model may be trained on between two questions
        if cached is None or not torch.equal(cached[0], angles):
            circuit, observables, rules = self._run
            assert self.generator is not None
            machine = engine.ShotModel(
                circuit, observables, angles, noise=rules, shots=self.shots, generator=self.generator
            )
            self._machines[dtype] = cached = (angles.clone(), machine)
        return cached[1]

    @cached_property
    def _machines(self) -> dict[torch.dtype, tuple[Tensor, engine.ShotModel]]:
        """Prepared for the angles beside them, which may be trained on."""
        return {}

    @property
    def shots_per_answer(self) -> int:
        """Shots times measurement settings."""
        circuit, observables, _ = self._run
        return self.shots * engine.settings(circuit, observables)

    @property
    def shots_per_gradient(self) -> int:
        """The same for every shifted circuit and the one that is not."""
        return self.shots_per_answer * engine.shifted_circuits(self._run[0])
