"""A frozen model: parameters and noise fixed, everything but the encoder done once.

``f_k(x) = tr(M_k rho(x))`` where ``M_k`` is the read-out pulled back through the (noisy) circuit.
Building it costs one Heisenberg pass; afterwards a gradient costs what the encoder costs, at any depth and any
noise. There are several ways to evaluate it; the cheapest is chosen when it is built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from robustq.circuits.circuit import Circuit
from robustq.circuits.gates import gate
from robustq.circuits.observables import Observable
from robustq.contracts import GateAngles
from robustq.engine import bloch, cost, native, noisy, transfer
from robustq.engine import measurement as m
from robustq.engine.expectations import check_inputs, check_memory, effective_rows, expectations
from robustq.engine.gate_angles import frequencies, gate_angles
from robustq.engine.lowering import lower
from robustq.engine.statevector import evolve, unitary
from robustq.errors import CircuitError, ModelError, unknown_name
from robustq.noise.model import NoiseModel
from robustq.trigonometric import UNIT, Trigonometric, interpolated

# circuit: run it as it is. bloch: product encodings. quadratic: forms of the prepared pure state.
# pauli, density: channels are left in front of or between the encoders.
STRATEGIES = ("circuit", "bloch", "quadratic", "pauli", "density")
WIDEST_PAULI = 8  # qubits: every sample's Pauli vector is kept


class FrozenModel:
    """Logits ``scale * tr(M_k rho(x))`` as a function of the input only.

    Args:
        circuit: the circuit to freeze.
        observables: one per class.
        parameters: trainable angles ``(circuit.parameters,)``, taken as they are now.
        scale: factor from expectations to logits.
        noise: exact noise to pull back; None for none.
        strategy: one of ``STRATEGIES``, or ``"auto"`` for the cheapest that applies.
        uses: how many samples it will be asked about, gradients included; None for very many. A
            model that is asked little is not worth preparing.

    Raises:
        RobustQError: if the strategy is unknown or does not apply, or memory is short.

    >>> from robustq.circuits import ansaetze, encodings, z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> frozen = FrozenModel(circuit, [z(0), z(1)], torch.zeros(6))
    >>> frozen(torch.zeros(5, 2)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        circuit: Circuit,
        observables: Sequence[Observable],
        parameters: Tensor,
        *,
        scale: float = 1.0,
        noise: NoiseModel | None = None,
        strategy: str = "auto",
        uses: int | None = None,
    ) -> None:
        self.circuit, self.scale = circuit, scale
        self._model = _Frozen(circuit, m.as_tuple(observables), parameters.detach().clone(), noise or NoiseModel())
        if strategy != "auto" and strategy not in self.costs:
            raise unknown_name("strategy for this model", strategy, self.costs)
        self.strategy = self._model.cheapest(uses) if strategy == "auto" else strategy
        self._evaluators: dict[torch.dtype, Callable[[Tensor], Tensor]] = {}
        self._polynomials: Trigonometric | None = None
        self._evaluator(self.dtype)

    @property
    def costs(self) -> dict[str, int]:
        """Operations of a gradient of one sample, for every strategy that applies."""
        return self._model.costs

    @property
    def dtype(self) -> torch.dtype:
        """The real dtype of its parameters."""
        return self._model.parameters.dtype

    @property
    def effective_observables(self) -> Tensor:
        """``M_k`` of shape ``(classes, 2**qubits, 2**qubits)``, Hermitian."""
        return self._model.operators(self.dtype)

    @property
    def letters(self) -> tuple[str, ...]:
        """For each qubit, the Pauli letters along the axis of :attr:`bloch_tensor`."""
        return self._model.form(self.dtype).letters

    @property
    def bloch_tensor(self) -> Tensor:
        """Coefficients ``(classes, letters of qubit 0, letters of qubit 1, ...)`` of a product encoding.

        Raises:
            RobustQError: if the encoder entangles or noise strikes between its gates.
        """
        return self._model.form(self.dtype).tensor

    @property
    def front(self) -> None:
        """No sigmoid stands in front of the circuit."""
        return None

    def states(self, x: Tensor) -> Tensor:
        """The state after the last gate that depends on the input, complex ``(batch, 2**qubits)``.

        Raises:
            CircuitError: if noise strikes before that gate, so that the state is not pure.
        """
        if any(event.channel for event in self._model.parts[0]):
            raise CircuitError(
                "expected a pure state before the read-out is pulled back, got noise between the encoding gates"
            )
        return evolve(self._model.encoder, x, self._model.parameters.to(x.dtype))

    def of_states(self, states: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of pure states in the place of :meth:`states`, normalised here."""
        real = torch.float32 if states.dtype == torch.complex64 else torch.float64
        scores = m.quadratic_rows(states, self._model.operators(real))
        return self.scale * scores / states.abs().square().sum(1, keepdim=True)

    def state_forms(self) -> Tensor:
        """``scale * M_k``, Hermitian, complex128 ``(classes, 2**qubits, 2**qubits)``."""
        operators = self._model.operators(torch.float64)
        return self.scale * (operators + operators.mH) / 2

    def gate_angles(self) -> GateAngles:
        """Every angle that depends on the input, float64.

        Raises:
            ModelError: if features are loaded as amplitudes.
        """
        return gate_angles(self.circuit, self._model.parameters.double())

    def trigonometric(self) -> Trigonometric:
        """The logits as trigonometric polynomials of the features, made at first use.

        Raises:
            ModelError: if they are none (amplitudes, products of features, frequencies without a
                common multiple) or have too many coefficients.
        """
        if self._polynomials is None:
            self._polynomials = self._interpolated()
        return self._polynomials

    def _interpolated(self) -> Trigonometric:
        lowest, degrees = frequencies(self.circuit, self._model.parameters)
        highest = self.scale * float(self._model.plan.norms.max())
        # each gate, each sum over amplitudes, each angle: a few roundings of what is at most highest
        roundings = 8 * len(self.circuit.operations) + 4 * 2**self.circuit.qubits + 64
        roundings += 8 * sum(degrees)  # an angle is so many times as large as the lowest
        rounding = roundings * UNIT * highest
        if _is_product(self.circuit, self._model.noise):
            form = self._model.form(torch.float64).trigonometric(lowest, degrees, rounding)
            if form is not None:
                scaled = self.scale * form.coefficients
                return Trigonometric(scaled, form.frequencies, form.error)
        return interpolated(self, lowest, degrees, rounding)

    def forms(self, dtype: torch.dtype) -> Tensor:
        """``Re M_k`` times the scale, ``(classes, features, features)``: logits are ``x^T M_k x / x^T x``.

        Raises:
            ModelError: unless the features are loaded as amplitudes and by no gate.
        """
        loaded = self.circuit.amplitudes
        if not loaded or self._model.parts[0]:
            raise ModelError(
                "expected features that are loaded as amplitudes and by no gate, so that the model "
                "is a quadratic form of them"
            )
        return self.scale * self._model.operators(dtype).real[:, :loaded, :loaded]

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` for features ``(batch, circuit.inputs)``, in their dtype."""
        check_inputs(self.circuit, x)
        if not len(x):
            return x.new_zeros(0, len(self._model.observables))
        scores = self._evaluator(x.dtype)(x)
        return scores if self.scale == 1.0 else self.scale * scores

    def _evaluator(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        if dtype not in self._evaluators:
            self._evaluators[dtype] = self._model.evaluator(self.strategy, dtype)
        return self._evaluators[dtype]


@dataclass(frozen=True, eq=False)
class _Frozen:
    """What every strategy starts from."""

    circuit: Circuit
    observables: tuple[Observable, ...]
    parameters: Tensor
    noise: NoiseModel
    _operators: dict[torch.dtype, Tensor] = field(default_factory=dict)
    _forms: dict[torch.dtype, bloch.BlochForm] = field(default_factory=dict)

    @cached_property
    def plan(self) -> m.Measurement:
        return m.exact(self.observables, self.circuit.qubits, self.noise.readouts_of(self.circuit.qubits))

    @property
    def parts(self) -> tuple[list[noisy.Event], list[noisy.Event]]:
        return noisy.parts(self.circuit, self.noise)

    @property
    def encoder(self) -> Circuit:
        """The gates of the prefix alone, slots numbered as before."""
        return noisy.encoder(self.circuit, self.noise)

    @property
    def on_cpu(self) -> bool:
        return self.parameters.device.type == "cpu"

    @property
    def costs(self) -> dict[str, int]:
        on_cpu = native.available() and self.on_cpu
        return dict(_costs(self.circuit, len(self.observables), self.noise, on_cpu))

    def cheapest(self, uses: int | None) -> str:
        """The strategy that costs least for so many samples, preparation included."""
        costs = self.costs
        if uses is not None:
            suffix = noisy.only(self.circuit, self.parts[1], 0)
            prepared = cost.preparation(suffix, len(self.observables))
            # a model asked only a few times does not earn back its preparation
            costs = {name: prepared[name] + uses * each for name, each in costs.items()}
        return min(costs, key=lambda name: costs[name])

    def evaluator(self, strategy: str, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """The function from features of ``dtype`` to expectations."""
        if strategy == "circuit":
            return self._circuit
        if strategy == "bloch":
            return self.form(dtype).__call__
        if strategy == "pauli":
            return self._pauli(dtype)
        effective = self.operators(dtype)
        return lambda x: (self._quadratic if strategy == "quadratic" else self._mixed)(x, effective)

    def _circuit(self, x: Tensor) -> Tensor:
        return expectations(
            self.circuit, self.observables, inputs=x, parameters=self.parameters.to(x.dtype), noise=self.noise
        )

    def form(self, dtype: torch.dtype) -> bloch.BlochForm:
        """The Bloch form, made at first use."""
        if not _is_product(self.circuit, self.noise):
            raise unknown_name("strategy for this model", "bloch", self.costs)
        if dtype not in self._forms:
            vectors = self.vectors(dtype)
            self._forms[dtype] = bloch.BlochForm(self.encoder, self.parameters.to(dtype), vectors)
        return self._forms[dtype]

    def vectors(self, dtype: torch.dtype) -> Tensor:
        """The effective observables as Pauli vectors ``(classes, 4**qubits)``."""
        mix = torch.as_tensor(self.plan.combine)
        if self.noise.has_channels and self.on_cpu and transfer.fits(self.circuit):
            parameters = self.parameters.to(dtype)
            pulled = transfer.pulled_rows(self.circuit, self.plan, self.noise, parameters)
            mixed: Tensor = mix.to(pulled).T @ pulled
            return mixed
        operators: Tensor = transfer.pauli_vectors(self.operators(dtype), self.circuit.qubits)
        return operators / (1 << self.circuit.qubits)

    def operators(self, dtype: torch.dtype) -> Tensor:
        """The effective observables for inputs of ``dtype``, made at first use."""
        if dtype not in self._operators:
            check_memory(self.circuit.qubits, len(self.observables), 2)
            parameters, suffix = self.parameters.to(dtype), self.parts[1]
            if any(event.channel for event in suffix):
                pulled = _pulled(self.circuit, self.plan, suffix, parameters)
            else:  # without channels one unitary serves every row
                pulled = _conjugated(unitary(noisy.only(self.circuit, suffix, 0), parameters), self.plan)
            mix = torch.as_tensor(self.plan.combine).to(pulled)
            self._operators[dtype] = torch.einsum("rk,rij->kij", mix, pulled)
        return self._operators[dtype]

    def _quadratic(self, x: Tensor, effective: Tensor) -> Tensor:
        check_memory(self.circuit.qubits, len(x), 1)
        state = evolve(self.encoder, x, self.parameters.to(x.dtype))
        # a real state sees only Re M, which is half the arithmetic
        if all(gate(o.gate).is_real for o in self.encoder.operations):
            return m.real_quadratic_rows(state.real, effective.real)  # psi^T Re(M) psi
        return m.quadratic_rows(state, effective)

    def _pauli(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        vectors, parameters = self.vectors(dtype), self.parameters.to(dtype)
        by = transfer.passage(self.circuit, self.noise, "prefix")

        def scores(x: Tensor) -> Tensor:
            check_memory(self.circuit.qubits, len(x), 2)
            start = transfer.state_vectors(self.circuit, x)
            return transfer.evolve(by, x, parameters, start) @ vectors.T

        return scores

    def _mixed(self, x: Tensor, effective: Tensor) -> Tensor:
        """The rows when channels are left in the prefix."""
        lowered = lower(self.encoder, x.dtype, x.device)
        pieces = iter(lowered.pieces)  # a channel in the prefix may follow a gate of the suffix
        prefix = [e if e.channel else replace(e, refs=next(pieces)) for e in self.parts[0]]
        matrices = lowered.matrices(x, self.parameters.to(x.dtype))
        return effective_rows(self.encoder, x, prefix, matrices, effective)


def strategy_costs(circuit: Circuit, observables: Sequence[Observable], noise: NoiseModel) -> dict[str, int]:
    """:attr:`FrozenModel.costs` on the CPU, without freezing anything."""
    return dict(_costs(circuit, len(observables), noise, native.available()))


def _is_product(circuit: Circuit, noise: NoiseModel) -> bool:
    """Whether the prefix is a product encoding that no channel strikes."""
    free = not any(event.channel for event in noisy.parts(circuit, noise)[0])
    return free and circuit.qubits <= bloch.WIDEST and bloch.is_product(noisy.encoder(circuit, noise))


@lru_cache(maxsize=256)
def _costs(circuit: Circuit, classes: int, noise: NoiseModel, fast: bool) -> dict[str, int]:
    """What every strategy that applies costs a sample; ``fast`` if the kernel can take part."""
    encoder = noisy.encoder(circuit, noise)
    if any(event.channel for event in noisy.parts(circuit, noise)[0]):
        costs = {"density": cost.density_gradient(encoder, classes)}
        if fast and circuit.qubits <= WIDEST_PAULI and transfer.fits(circuit):
            costs["pauli"] = cost.transfer_gradient(encoder, classes)
        return costs
    real = all(gate(o.gate).is_real for o in encoder.operations)
    costs = {"quadratic": cost.quadratic_gradient(encoder, classes, real=real)}
    if _is_product(circuit, noise):
        costs["bloch"] = cost.bloch_gradient(bloch.reached(encoder), classes)
    if not noise.has_channels and circuit.qubits <= native.WIDEST:
        slower = 1 if fast else cost.IN_TORCH
        costs["circuit"] = slower * cost.circuit_gradient(circuit, parameters=False)
    return costs


def _pulled(circuit: Circuit, plan: m.Measurement, suffix: Sequence[noisy.Event], parameters: Tensor) -> Tensor:
    """The rows pulled back through a suffix with channels."""
    lowered = lower(circuit, parameters.dtype, parameters.device)
    matrices = lowered.matrices(parameters.new_zeros(0, circuit.inputs), parameters)
    dtype = torch.complex64 if parameters.dtype == torch.float32 else torch.complex128
    operators = torch.as_tensor(plan.matrices()).to(dtype).to(parameters.device)
    return noisy.pull_back(operators, suffix, matrices, circuit.qubits)


def _conjugated(fixed: Tensor, plan: m.Measurement) -> Tensor:
    """``U^dagger M_r U`` for every row; a diagonal row only scales the columns of ``U^dagger``."""
    diagonal = torch.as_tensor(plan.diagonals).to(fixed)
    # U^dagger D U without forming D
    rows = [(fixed.mH * diagonal[:, None, :]) @ fixed]
    rows += [(fixed.mH @ torch.as_tensor(word.matrix(plan.qubits)).to(fixed) @ fixed)[None] for word in plan.words]
    return torch.cat(rows)
