"""The ways to a classifier that knows how sure it is: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from robustq.catalogue import Entry
from robustq.uncertainty.ensemble import Ensemble
from robustq.uncertainty.laplace import Laplace
from robustq.uncertainty.mean_field import MeanField
from robustq.uncertainty.point import Point
from robustq.uncertainty.scaling import Scaling
from robustq.uncertainty.swag import Swag
from robustq.uncertainty.trainer import Method


@dataclass(frozen=True, kw_only=True)
class UncertaintyEntry(Entry[Method]):
    """One way, and what it costs beside one training."""

    cost: str


UNCERTAINTIES: Mapping[str, UncertaintyEntry] = {
    "point": UncertaintyEntry(Point, "one model, as sure as its softmax says", "-", cost="1x", null=True),
    "ensemble": UncertaintyEntry(
        Ensemble,
        "models from different starts, averaged",
        "Lakshminarayanan, Pritzel & Blundell, NeurIPS 2017",
        cost="size times the training",
    ),
    "laplace": UncertaintyEntry(
        Laplace,
        "a Gaussian as wide as the loss is flat",
        "Daxberger et al., NeurIPS 2021; Immer, Korzepa & Bauer, AISTATS 2021",
        cost="1x, two forward passes a parameter",
    ),
    "last-layer-laplace": UncertaintyEntry(
        partial(Laplace, last_layer=True),
        "the same of the last layer alone",
        "Kristiadi, Hein & Hennig, ICML 2020",
        cost="1x, two forward passes a parameter of the last layer",
    ),
    "swag": UncertaintyEntry(
        Swag,
        "the Gaussian of where training wanders",
        "Maddox et al., NeurIPS 2019",
        cost="1x and an epoch a snapshot",
    ),
    "mean-field": UncertaintyEntry(
        MeanField, "a Gaussian over all weights and angles, trained", "Blundell et al., ICML 2015", cost="about 1x"
    ),
    "temperature": UncertaintyEntry(
        Scaling, "one factor of the logits, fitted on rows held back", "Guo et al., ICML 2017", cost="1x"
    ),
    "vector-scaling": UncertaintyEntry(
        partial(Scaling, "vector"),
        "a factor and a shift a class, fitted on rows held back",
        "Guo et al., ICML 2017",
        cost="1x",
    ),
}
