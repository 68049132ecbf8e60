"""Randomised encodings: a secret circuit behind the encoder (Gong et al., Phys. Rev. Research 6, 023020, 2024)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from robustq.circuits import Circuit, op, theta
from robustq.contracts import Classifier, QuantumClassifier, frozen
from robustq.defences.front import inner_twins
from robustq.defences.noise.cores import changed, check_steady, core_of, encoded, spliced, viewed
from robustq.errors import SpecError
from robustq.models import QuantumNet
from robustq.models.files import describe
from robustq.noise import Device, Mapped, Noise
from robustq.seeding import torch_generator

ANSWERS = 25  # votes of one verdict
OTHERS = 3  # keys that an adversary without the secret tries


@lru_cache(maxsize=64)
def scrambled(circuit: Circuit) -> Circuit:
    """The circuit with the scrambler between encoding and ansatz, its angles as further parameters.

    Rotations of each qubit, ``RZZ`` of neighbours around a ring, rotations again: nothing where all angles are 0.

    >>> from robustq.circuits import ansaetze, encodings
    >>> circuit = encodings.angle(3).then(ansaetze.brickwork(3))
    >>> scrambled(circuit).parameters - circuit.parameters
    21
    """
    free, n = circuit.parameters, circuit.qubits
    pairs = [(q, (q + 1) % n) for q in range(n if n > 2 else n - 1)]
    operations, slot = [], free
    for name, places in (("rot", [(q,) for q in range(n)]), ("rzz", pairs), ("rot", [(q,) for q in range(n)])):
        width = 3 if name == "rot" else 1
        for place in places:
            operations.append(op(name, *place, angles=[theta(slot + k) for k in range(width)]))
            slot += width
    return replace(spliced(circuit, encoded(circuit), operations), parameters=slot)


def keyed(core: QuantumNet, key: Tensor) -> QuantumNet:
    """The circuit scrambled by a key ``(angles,)``; the weights are shared and receive gradients."""
    angles = torch.cat([core.theta, key.to(core.theta)])
    return changed(core, circuit=scrambled(core.circuit), theta=angles)


def key_of(core: QuantumNet, strength: float, generator: torch.Generator) -> Tensor:
    """A fresh key: normal angles of standard deviation ``strength``, in radians."""
    size = scrambled(core.circuit).parameters - core.circuit.parameters
    return strength * torch.randn(size, generator=generator)


class Keyed(nn.Module):
    """A model with a secret circuit between its encoding and its ansatz, the same for every input.

    Its twins are the same weights with other keys: what an adversary has who stole the weights, not the key.

    Args:
        model: the model without the secret.
        seed: the key is drawn from it.
        strength: standard deviation of the key's angles, in radians.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> core = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> model, x = Keyed(core, 1, 1.0), torch.zeros(1, 2)
    >>> torch.allclose(model(x), core(x)), torch.allclose(Keyed(core, 1, 0.0)(x), core(x))
    (False, True)
    """

    kind = "keyed"

    def __init__(self, model: nn.Module, seed: int, strength: float) -> None:
        super().__init__()
        check_steady(model)
        self.model, self.seed, self.strength = model, seed, strength
        self._key = key_of(core_of(model), strength, torch_generator(seed, "key"))

    def wired(self) -> nn.Module:
        """The model with its key in its circuit, at today's weights."""
        return viewed(self.model, lambda core: keyed(core, self._key))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        logits: Tensor = self.wired()(x)
        return logits

    def fitted(self, device: Device) -> Mapped:
        """The circuit as ``device`` would run it, the key included."""
        return core_of(self.wired()).fitted(device)

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Classifier:
        """The same function of ``x`` at today's weights, the key included."""
        return frozen(self.wired(), noise, uses)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Classifier:
        """The same run on a noisy device."""
        model = self.wired()
        assert isinstance(model, QuantumClassifier)
        return model.under(noise, shots=shots, generator=generator)

    def twins(self) -> tuple[Classifier, ...]:
        """The same weights with other keys, and without any."""
        others = (Keyed(self.model, self.seed + k, self.strength) for k in range(1, OTHERS + 1))
        return (*others, *inner_twins(self.model))

    def config(self) -> dict[str, Any]:
        """JSON-able; whoever can read it knows the key."""
        return {"model": describe(self.model), "seed": self.seed, "strength": self.strength}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Keyed:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        return cls(rebuild(config["model"]), int(config["seed"]), float(config["strength"]))


class Redrawn(nn.Module):
    """A model whose key is drawn anew at every call, from a stream of its own.

    One key serves a whole batch. The mean answer is the model behind a random channel: EOT attacks that.

    Args:
        model: the model without a key.
        seed: where the stream starts.
        strength: standard deviation of the keys' angles, in radians.

    >>> from robustq.circuits import ansaetze, encodings, per_qubit_z
    >>> circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    >>> core = QuantumNet(circuit, per_qubit_z(2, 2), generator=torch.Generator())
    >>> model, x = Redrawn(core, 1, 0.5), torch.zeros(1, 2)
    >>> torch.equal(model(x), model(x)), model.answers
    (False, 25)
    """

    kind = "redrawn"

    def __init__(self, model: nn.Module, seed: int, strength: float) -> None:
        super().__init__()
        check_steady(model)
        core_of(model)  # refuses another model now
        self.model, self.seed, self.strength = model, seed, strength
        self.restart()

    def restart(self) -> None:
        """Begin the stream of keys anew."""
        self._stream = torch_generator(self.seed, "keys")

    @property
    def answers(self) -> int:
        """How many answers make one verdict."""
        return ANSWERS

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, different at every call."""
        logits: Tensor = self.wired()(x)
        return logits

    def wired(self) -> nn.Module:
        """The model with a fresh key in its circuit, at today's weights."""
        key = key_of(core_of(self.model), self.strength, self._stream)
        return viewed(self.model, lambda core: keyed(core, key))

    def twins(self) -> tuple[Classifier, ...]:
        """The same weights without a key."""
        return inner_twins(self.model)

    def config(self) -> dict[str, Any]:
        """JSON-able; the stream starts anew where the model is loaded."""
        return {"model": describe(self.model), "seed": self.seed, "strength": self.strength}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Redrawn:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        return cls(rebuild(config["model"]), int(config["seed"]), float(config["strength"]))


@dataclass(frozen=True)
class RandomisedEncoding:
    """A random circuit between encoding and ansatz, kept secret or drawn anew; trained through.

    With a fixed key the ansatz learns behind the scrambler, and what is found on the same weights with
    another key need not work; an adversary who knows the key loses nothing. Redrawn keys leave no
    fixed secret, and cost accuracy as ``strength`` grows.

    Args:
        strength: standard deviation of the scrambler's angles, in radians; 0 is no defence.
        redrawn: whether every call draws another key.

    >>> RandomisedEncoding(redrawn=True).strength
    0.5
    """

    strength: float = 0.5
    redrawn: bool = False

    trained_through = True

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise SpecError(f"randomised-encoding: expected strength >= 0, got {self.strength}")

    def around(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Keyed | Redrawn:
        """The model with its key, or its stream of keys, drawn from ``generator``.

        Raises:
            ModelError: unless there is one circuit in it.
        """
        seed = int(torch.randint(2**31, (), generator=generator))
        return (Redrawn if self.redrawn else Keyed)(model, seed, self.strength)
