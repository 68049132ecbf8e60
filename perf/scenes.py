"""What is attacked: trained models on real data, and the budgets at which they half stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.data import load, prepare
from robustq.data.prepare import Dataset
from robustq.models import QuantumNet, Training, fit
from robustq.models.catalogue import cnn
from robustq.seeding import torch_generator
from robustq.threats import L2, Linf

BOX = (0.0, 1.0)


class AsImages(nn.Module):
    """The same function of images ``(batch, 1, height, width)``, which some libraries insist on."""

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        logits: Tensor = self.model(images.flatten(1))
        return logits


@dataclass(frozen=True)
class Scene:
    """One model, the rows to attack and what may be done to them.

    Attributes:
        model: the trained model; ours freeze it themselves.
        x, y: rows ``(rows, features)`` in the unit box, and their labels.
        threat: the budget.
        shape: of a row as an image, ``(1, height, width)``.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    threat: Linf | L2
    shape: tuple[int, int, int]

    @cached_property
    def twin(self) -> AsImages:
        """The model as the others get it: frozen like ours, in front of it a change of shape."""
        model = self.model.freeze() if isinstance(self.model, QuantumNet) else self.model
        return AsImages(model).eval()

    @property
    def images(self) -> Tensor:
        """The rows as images."""
        return self.x.reshape(-1, *self.shape)

    @property
    def classes(self) -> int:
        """Width of the logits."""
        with torch.no_grad():
            return int(self.twin(self.images[:1]).shape[1])


def _digits() -> Dataset:
    raw = load("mnist").only(("3", "5"))
    return prepare(raw, features=256, train_size=3000, test_size=200)


def _circuit(data: Dataset) -> nn.Module:
    features, classes = data.x_train.shape[1], len(data.classes)
    encoder = encodings.amplitude(features) if features > 8 else encodings.angle(features)
    circuit = encoder.then(ansaetze.strongly_entangling(8, layers=10 if features > 8 else 4))
    observables = per_qubit_z(classes, 8)
    return QuantumNet(circuit, observables, generator=torch_generator(0, "init"))


def _convolution(data: Dataset) -> nn.Module:
    generator = torch_generator(0, "init")
    return cnn(data.x_train.shape[1], len(data.classes), generator=generator)


@dataclass(frozen=True)
class Subject:
    """How a scene is made: data, model, rate, and the budgets in both norms."""

    data: Callable[[], Dataset]
    model: Callable[[Dataset], nn.Module]
    lr: float
    linf: float
    l2: float

    def scenes(self, rows: int) -> list[Scene]:
        """The trained model under either threat, on the first ``rows`` test rows."""
        data = self.data()
        model = self.model(data)
        plan = Training(epochs=15, batch_size=50, lr=self.lr)
        fit(model, *data.tensors("train"), generator=torch_generator(0, "fit"), training=plan)
        x, y = (part[:rows] for part in data.tensors("test"))
        height = data.image_shape[0] if data.image_shape else 1
        shape = (1, height, x.shape[1] // height)
        threats = (Linf(self.linf, BOX), L2(self.l2, BOX))
        return [Scene(model.eval(), x, y, threat, shape) for threat in threats]


SUBJECTS: Mapping[str, Subject] = {
    "MNIST 3 or 5, QNN, amplitudes": Subject(_digits, _circuit, 0.01, linf=0.05, l2=0.5),
    "Plus-Minus, QNN, amplitudes": Subject(lambda: prepare(load("plus-minus")), _circuit, 0.01, linf=0.05, l2=0.5),
    "breast cancer, QNN, angles": Subject(
        lambda: prepare(load("breast-cancer"), features=8), _circuit, 0.05, linf=0.05, l2=0.1
    ),
    "MNIST 3 or 5, ConvNet": Subject(_digits, _convolution, 0.005, linf=0.08, l2=0.8),
}
