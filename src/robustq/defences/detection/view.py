"""What a detector may ask of the model that it watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from robustq import engine
from robustq.contracts import CircuitClassifier, Classifier, QuantumClassifier, StateClassifier, frozen
from robustq.defences.front import without_front
from robustq.engine import measurement
from robustq.engine.shot_gradients import row_observables
from robustq.errors import ModelError
from robustq.noise import Noise, NoiseModel


@dataclass(frozen=True, eq=False)
class View:
    """A model as its detectors see it: its answers, its answers under noise, its states, its shot noise.

    Args:
        model: the bare model.
        answer: how it answers here: itself, frozen, on a device with shots.
        prepared: what a still view keeps of its frozen forms; None where parameters may change.

    >>> view = View(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> view.answer(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    model: nn.Module
    answer: Classifier
    prepared: dict[Any, Classifier] | None = field(default=None)

    @staticmethod
    def live(model: nn.Module) -> View:
        """The model as it is at every call."""
        return View(model, model)

    @staticmethod
    def still(model: nn.Module, noise: Noise | None = None, uses: int | None = None) -> View:
        """The model frozen at today's parameters."""
        return View(model, frozen(model, noise, uses), {})

    def noisy(self, x: Tensor, noise: NoiseModel) -> Tensor:
        """Exact logits ``(batch, classes)`` as a device with this noise would give them.

        Raises:
            ModelError: if there is no circuit to run under noise.
        """
        core, _ = without_front(self.model, x)
        model = self.model
        if not isinstance(core, QuantumClassifier) or not isinstance(model, QuantumClassifier):
            raise ModelError(f"expected a quantum model to run under noise, got {_name(core)}")
        if self.prepared is None:
            return model.under(noise)(x)
        if noise not in self.prepared:
            self.prepared[noise] = model.freeze(noise)
        return self.prepared[noise](x)

    def states(self, x: Tensor) -> Tensor:
        """The encoded states, complex ``(batch, dimension)``.

        Raises:
            ModelError: if the model's frozen form has none.
        """
        core, inner = without_front(self.model, x)
        still = frozen(core, uses=1)
        if not isinstance(still, StateClassifier):
            raise ModelError(f"expected a model whose states can be read, got {_name(core)}")
        return still.states(inner)

    def shot_covariance(self, x: Tensor) -> Tensor:
        """Covariance of the logits that one shot of every setting gives, ``(batch, classes, classes)``.

        In closed form: the joint outcomes of the diagonal observables are one multinomial draw, every
        other Pauli word is a draw of its own.

        Raises:
            ModelError: unless the model reads a circuit and its logits are affine in what is read.
        """
        core, inner = without_front(self.model, x)
        if not isinstance(core, CircuitClassifier):
            raise ModelError(f"expected a model that measures a circuit, got {_name(core)}")
        circuit, observables = core.circuit, core.observables
        exact = NoiseModel().readouts_of(circuit.qubits)
        plan = measurement.outcomes(observables, circuit.qubits, exact)
        rows = row_observables(observables, circuit.qubits)
        chances = core.measured(core.encoder_inputs(inner), core.angles, observables=rows)
        values = torch.as_tensor(plan.combine).to(chances) @ _mixture(core, len(observables), x)
        return _covariance(chances, values, len(plan.diagonals))

    @property
    def settings(self) -> int:
        """Circuits that a device runs for one answer; 1 where there are none."""
        core = without_front(self.model, None)[0]
        if not isinstance(core, CircuitClassifier):
            return 1
        return engine.settings(core.circuit, core.observables)


def _mixture(core: CircuitClassifier, observables: int, x: Tensor) -> Tensor:
    """How logits mix what is read, ``(observables, classes)``."""
    units = torch.eye(observables, dtype=x.dtype, device=x.device)
    base = core.read(torch.zeros_like(units[:1]))
    mix, twice = core.read(units) - base, core.read(2 * units) - base
    if not torch.allclose(twice, 2 * mix, rtol=1e-4, atol=1e-5):
        raise ModelError("expected logits that are affine in the measured values, got others")
    return mix


def _covariance(chances: Tensor, values: Tensor, groups: int) -> Tensor:
    """Of the diagonal setting's one draw, plus that of every word alone."""
    joint, apart = chances[:, :groups].clamp_min(0), chances[:, groups:]
    mean = joint @ values[:groups]
    second = torch.einsum("br,rk,rl->bkl", joint, values[:groups], values[:groups])
    words = torch.einsum("br,rk,rl->bkl", 1 - apart**2, values[groups:], values[groups:])
    covariance: Tensor = second - mean[:, :, None] * mean[:, None] + words
    return covariance


def _name(model: Any) -> str:
    return type(model).__name__
