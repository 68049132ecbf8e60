"""The models that a specification can name: one line each.

A builder takes ``features``, ``classes`` and ``generator`` and its own options.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, get_type_hints

import torch
from torch import nn

from robustq.catalogue import Entry, resolve
from robustq.circuits import encodings
from robustq.circuits.catalogue import ANSAETZE, ENCODINGS, READOUTS
from robustq.errors import SpecError
from robustq.models.convnet import ConvNet
from robustq.models.hybrid_net import HybridNet
from robustq.models.perceptron import Perceptron, matched_hidden
from robustq.models.quantum_net import QuantumNet
from robustq.models.svm import RBFSVM


def qnn(
    features: int,
    classes: int,
    *,
    generator: torch.Generator,
    encoding: str = "angle",
    ansatz: str = "strongly-entangling",
    layers: int = 4,
    readout: str = "per-qubit-z",
) -> QuantumNet:
    """An encoding, an ansatz and a read-out, each by name.

    >>> qnn(4, 2, generator=torch.Generator(), layers=1).circuit.qubits
    4
    """
    circuit = resolve("encoding", encoding, ENCODINGS).make(features)
    shape = resolve("ansatz", ansatz, ANSAETZE)
    options = {"layers": layers} if shape.layered else {}
    if ansatz == "qcnn":
        options = {"keep": _read_qubits(classes, readout)}
    circuit = circuit.then(shape.make(circuit.qubits, **options))
    observables = resolve("read-out", readout, READOUTS).make(classes, circuit.qubits)
    return QuantumNet(circuit, observables, generator=generator)


def _read_qubits(classes: int, readout: str) -> int:
    """How many qubits a QCNN has to keep for the read-out to tell the classes apart."""
    return classes if readout == "per-qubit-z" else max(1, (classes - 1).bit_length())


def reuploading(
    features: int,
    classes: int,
    *,
    generator: torch.Generator,
    qubits: int = 3,
    layers: int = 3,
    readout: str = "basis-groups",
) -> QuantumNet:
    """Data re-uploading with trainable scale and shift.

    >>> reuploading(4, 2, generator=torch.Generator()).circuit.qubits
    3
    """
    circuit = encodings.reuploading(features, qubits=qubits, layers=layers)
    observables = resolve("read-out", readout, READOUTS).make(classes, circuit.qubits)
    return QuantumNet(circuit, observables, generator=generator)


def hybrid(features: int, classes: int, *, generator: torch.Generator, qubits: int = 4, layers: int = 2) -> HybridNet:
    """A linear layer onto the qubits, an angle-encoded circuit, a linear layer onto the classes.

    >>> hybrid(30, 2, generator=torch.Generator()).core.circuit.qubits
    4
    """
    inner = max(2, min(classes, qubits))
    core = qnn(qubits, inner, generator=generator, layers=layers)
    return HybridNet(features, classes, core, generator=generator)


def logistic(features: int, classes: int, *, generator: torch.Generator) -> Perceptron:
    """Multinomial logistic regression.

    >>> logistic(4, 3, generator=torch.Generator()).config()["hidden"]
    []
    """
    return Perceptron(features, [], classes, generator=generator)


def mlp(
    features: int, classes: int, *, generator: torch.Generator, parameters: int | None = None, hidden: int = 16
) -> Perceptron:
    """One hidden layer; ``parameters`` picks the width whose count comes nearest.

    >>> mlp(6, 2, generator=torch.Generator(), parameters=75).config()["hidden"]
    [8]
    """
    width = hidden if parameters is None else matched_hidden(features, classes, parameters)
    if width < 1:
        raise SpecError(f"mlp: expected hidden >= 1, got {width}")
    return Perceptron(features, [width], classes, generator=generator)


def cnn(features: int, classes: int, *, generator: torch.Generator, channels: int = 8) -> ConvNet:
    """Two convolutions on square images, the second with twice the ``channels``.

    >>> cnn(256, 4, generator=torch.Generator()).config()["channels"]
    [8, 16]
    """
    return ConvNet(features, (channels, 2 * channels), classes, generator=generator)


def svm_rbf(features: int, classes: int, *, generator: torch.Generator) -> RBFSVM:
    """RBF support-vector machine, calibrated by cross-validation.

    >>> svm_rbf(4, 2, generator=torch.Generator()).features
    4
    """
    return RBFSVM(features, classes)


Family = Literal["quantum", "hybrid", "classical"]


@dataclass(frozen=True)
class ModelEntry(Entry[nn.Module]):
    """One builder, called with ``features``, ``classes`` and a ``generator``, and the family of what it builds."""

    family: Family = field(kw_only=True)
    needs: tuple[str, ...] = field(default=("features", "classes", "generator"), kw_only=True)

    offers: ClassVar[tuple[str, ...]] = ("features", "classes", "generator")
    outside: ClassVar[tuple[Any, ...]] = (nn.Module,)

    @classmethod
    def of_outsider(cls, make: Callable[..., Any], summary: str, reference: str) -> Self:
        """The type of what is built says of which family it is."""
        return cls(make, summary, reference, family=_family(summary, inspect.unwrap(make)))


def _family(summary: str, make: Callable[..., Any]) -> Family:
    built = make if isinstance(make, type) else get_type_hints(make).get("return")
    if not isinstance(built, type):
        raise SpecError(
            f"model {summary}: expected a return type, such as `-> QuantumNet`, or a ModelEntry; got none"
        )
    if issubclass(built, HybridNet):
        return "hybrid"
    return "quantum" if hasattr(built, "freeze") else "classical"


MODELS: Mapping[str, ModelEntry] = {
    "qnn": ModelEntry(qnn, "encoding + ansatz + read-out", "Schuld et al., PRA 101 (2020)", family="quantum"),
    "reuploading": ModelEntry(
        reuploading, "features re-encoded in every layer", "Perez-Salinas et al., Quantum 4 (2020)", family="quantum"
    ),
    "hybrid": ModelEntry(hybrid, "linear, circuit, linear", "Mari et al., Quantum 4 (2020)", family="hybrid"),
    "logistic": ModelEntry(logistic, "multinomial logistic regression", "Cox 1958", family="classical"),
    "mlp": ModelEntry(mlp, "one hidden layer, parameters can be matched", "Rosenblatt 1962", family="classical"),
    "cnn": ModelEntry(
        cnn, "two convolutions, on square images", "LeCun et al., Proc. IEEE 86 (1998)", family="classical"
    ),
    "svm-rbf": ModelEntry(svm_rbf, "support vectors, Gaussian kernel", "Cortes & Vapnik 1995", family="classical"),
}
