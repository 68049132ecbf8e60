"""A model as a noisy device with mitigation answers for it: at inference, in training, under attack."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import CircuitClassifier
from robustq.errors import ModelError
from robustq.mitigation.plan import Plan, Problem, Run, Technique
from robustq.noise import Device, Mapped, Noise, NoiseModel, mapped


class MitigatedNet(nn.Module):
    """Logits of a quantum or hybrid model from mitigated expectations.

    It is a :class:`robustq.contracts.QuantumClassifier`: whatever attacks, certifies or judges models works on it.
    It shares the model's parameters, so that training it trains the model through the mitigation; techniques that
    learn are fitted once, here: build it anew when the angles have moved far.

    Args:
        model: what is mitigated; its own noise is left out.
        noise: a calibrated device (the circuit is fitted to it), a fit, or rules.
        technique: how.
        inputs: inputs like those to come, ``(rows, features)``, for techniques that learn.
        generator: the technique's randomness.
        shots: in the circuits that are run to learn; None for exact expectations.
        device: of a fit, for techniques that need its clock (decoupling).

    Raises:
        RobustQError: if the technique does not apply.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> from robustq.mitigation import ZNE
    >>> from robustq.models import QuantumNet
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> model = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> x = torch.rand(3, 2, generator=torch.Generator())
    >>> net = MitigatedNet(model, Device.bundled("manila"), ZNE(), inputs=x, generator=torch.Generator())
    >>> net(x).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        model: Any,
        noise: Device | Mapped | NoiseModel,
        technique: Technique,
        *,
        inputs: Tensor,
        generator: torch.Generator,
        shots: int | None = None,
        device: Device | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(model, CircuitClassifier):
            raise ModelError(f"mitigation: expected a quantum or hybrid model, got {type(model).__name__}")
        self.model: Any = model
        self.technique = technique
        if isinstance(noise, Device):
            device = noise
            noise = mapped(model.circuit, model.observables, device)
        with torch.no_grad():
            seen = model.encoder_inputs(inputs)
            problem = Problem(
                run_of(model, noise),
                model.angles.detach().to(seen.dtype),
                seen,
                generator,
                shots,
                fit=noise if isinstance(noise, Mapped) else None,
                device=device,
            )
            self.plan: Plan = technique.plan(problem)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` from exact expectations; differentiable in inputs and parameters."""
        angles = self.model.angles.to(x.dtype)
        return _logits(self.model, lambda features: self.plan.values(features, angles), x)

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Callable[[Tensor], Tensor]:
        """The same function of ``x`` with everything else done once.

        Raises:
            ModelError: if other noise is named: what mitigates is made for its own.
        """
        del uses
        self._refuse(noise)
        fixed = self._fixed()
        inner = self.plan.frozen(fixed.angles)
        return lambda x: _logits(fixed, inner, x)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Callable[[Tensor], Tensor]:
        """The model from so many shots, shared among the circuits of one answer.

        Gradients come from shots of their own; they are unbiased where the plan is linear.
        """
        self._refuse(noise)
        if shots is None:
            return self.freeze()
        if generator is None:
            raise ModelError("mitigation: expected a generator with shots, got none")
        fixed = self._fixed()
        inner = self.plan.sampled(fixed.angles, shots, generator)
        return lambda x: _logits(fixed, inner, x)

    def _fixed(self) -> Any:
        """The model at today's parameters, none of which asks for a gradient."""
        # a copy: further training of the model must not change what was frozen
        return copy.deepcopy(self.model).requires_grad_(False)

    def _refuse(self, noise: Noise | None) -> None:
        if noise is not None:
            raise ModelError(f"mitigation: expected the noise that it was made for, got {type(noise).__name__}")


def _logits(model: Any, values: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    logits: Tensor = model.read(values(model.encoder_inputs(x)))
    return logits


def run_of(model: CircuitClassifier, noise: Device | Mapped | NoiseModel) -> Run:
    """The model's circuit as the device runs it.

    >>> from robustq.circuits import encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> model = QuantumNet(encodings.angle(2), per_qubit_z(2, 2), generator=torch.Generator())
    >>> run_of(model, NoiseModel()).circuits
    1
    """
    if isinstance(noise, NoiseModel):
        return Run(model.circuit, model.observables, noise)
    fit = mapped(model.circuit, model.observables, noise) if isinstance(noise, Device) else noise
    return Run.of(fit)
