"""Who takes part: the quantum model, its defended twin, and the classical baselines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from robustq.bench.spec import AssessmentSpecification, DefenceSpec, Spec, Specification
from robustq.catalogue import resolve
from robustq.contracts import check_logits
from robustq.data import Dataset
from robustq.defences import Recipe
from robustq.defences.catalogue import DEFENCES
from robustq.errors import SpecError
from robustq.models import RBFSVM, parameter_count
from robustq.models.catalogue import MODELS
from robustq.runs import Unit
from robustq.seeding import torch_generator

LABELS = {
    "qnn": "QNN",
    "reuploading": "Re-uploading",
    "hybrid": "Hybrid",
    "mlp": "MLP",
    "logistic": "Logistic regression",
    "cnn": "CNN",
    "svm-rbf": "RBF-SVM",
}


@dataclass(frozen=True)
class Entrant:
    """A model that takes part: one row of the report card.

    Attributes:
        key: its id in the run folder.
        model: name in the model catalogue.
        defended: whether the specification's defence is used in training.
        matched: whether its parameter count is matched to the quantum model's.
        recipe: which of the specification's recipes defends it instead; None for none.
    """

    key: str
    model: str
    defended: bool = False
    matched: bool = False
    recipe: int | None = None

    @property
    def family(self) -> str:
        """quantum, hybrid or classical."""
        return resolve("model", self.model, MODELS).family

    @property
    def label(self) -> str:
        """What the report calls it."""
        name = LABELS.get(self.model, self.model)
        matched = ", matched" if self.matched else ""
        return f"{name}{matched}" + (", defended" if self.defended else "")

    def unit(
        self, work: str, spec: dict[str, Any], seed: int, label: str = "", inputs: tuple[Unit, ...] = ()
    ) -> Unit:
        """The unit of one seed: ``work`` is the function, ``module:name``, that is given the ``inputs``."""
        content = {"spec": spec, "entrant": asdict(self), "seed": seed}
        return Unit(work, content, self.folder(seed), f"{label or self.label}, seed {seed}", inputs)

    def folder(self, seed: int) -> str:
        """Where the unit of one seed keeps its files, within the run's folder."""
        return f"units/{self.key}-{seed}"


def key_of(model: str) -> str:
    """A model's name as that of a folder; an outsider's has a colon.

    >>> key_of("lab.nets:Net")
    'lab.nets.Net'
    """
    return model.replace(":", ".")


def entrants(spec: AssessmentSpecification | Spec) -> list[Entrant]:
    """Everyone in the specification, in the order of the report.

    >>> from robustq.bench.spec import parse
    >>> [e.key for e in entrants(parse({"data": {"name": "iris"}}))]
    ['quantum', 'quantum-defended', 'mlp', 'mlp-defended', 'logistic', 'svm-rbf']
    """
    defended = spec.defence.build(spec.threat) is not None
    any_model = resolve("defence", spec.defence.name, DEFENCES).model is None
    found = [Entrant("quantum", spec.model.name)]
    if defended:
        found.append(Entrant("quantum-defended", spec.model.name, defended=True))
    for name in spec.baselines.names:
        matched = name == "mlp"
        found.append(Entrant(key_of(name), name, matched=matched))
        if matched and defended and any_model and spec.baselines.defended:
            found.append(Entrant("mlp-defended", name, defended=True, matched=True))
    return found


def build(entrant: Entrant, spec: Specification, features: int, classes: int, seed: int) -> nn.Module:
    """The entrant's untrained model for one seed; a defended twin starts where its twin does."""
    options: dict[str, Any] = {}
    if entrant.key.startswith("quantum"):
        options = dict(spec.model.options)
    elif entrant.matched:
        probe = build(Entrant("quantum", spec.model.name), spec, features, classes, seed)
        options = {"parameters": parameter_count(probe)}
    generator = torch_generator(spec.seed, seed, entrant.model, "init")
    try:
        model = resolve("model", entrant.model, MODELS).make(features, classes, generator=generator, **options)
    except TypeError as failure:
        raise SpecError(f"model.options: expected other types, got {options}: {failure}") from failure
    return model


def defence_of(entrant: Entrant, defence: DefenceSpec, spec: Specification) -> Recipe:
    """What defends it, which may be nothing."""
    found = defence.build(spec.threat, spec.noise.calibrated()) if entrant.defended else None
    return found or Recipe()


def try_out(entrant: Entrant, spec: Specification, data: Dataset) -> nn.Module:
    """Build the entrant's model and run it on one row: wrong options fail here, before any work."""
    features = data.x_train.shape[1]
    model = build(entrant, spec, features, len(data.classes), 0)
    if not isinstance(model, RBFSVM):
        with torch.no_grad():
            check_logits(model(torch.full((1, features), 0.5)), 1)
    return model


def fit_stream(entrant: Entrant, spec: Specification, seed: int) -> torch.Generator:
    """What the training of one seed draws from, fresh."""
    return torch_generator(spec.seed, seed, entrant.key, "fit")
