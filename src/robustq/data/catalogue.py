"""The data sets that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from robustq.catalogue import UNSTATED, Entry, resolve
from robustq.data import (
    bundled,
    finance,
    gtsrb,
    mnist,
    nsl_kdd,
    plus_minus,
    pneumonia_mnist,
    text,
    unsw_nb15,
    wall_robot,
)
from robustq.data.raw import RawData

Source = Literal["bundled", "ROBUSTQ_DATA_DIR", "ROBUSTQ_DATA_DIR or download", "not stated"]


@dataclass(frozen=True)
class DataEntry(Entry[RawData]):
    """One data set, and where its files come from."""

    source: Source = field(default=UNSTATED, kw_only=True)

    outside: ClassVar[tuple[Any, ...]] = (RawData,)


DATA: Mapping[str, DataEntry] = {
    "breast-cancer": DataEntry(
        bundled.breast_cancer, "569 x 30, malignant or benign", "Street et al. 1993", source="bundled"
    ),
    "wine": DataEntry(bundled.wine, "178 x 13, three cultivars", "Aeberhard & Forina 1991", source="bundled"),
    "iris": DataEntry(bundled.iris, "150 x 4, three species", "Fisher 1936", source="bundled"),
    "digits": DataEntry(bundled.digits, "1797 images 8 x 8, ten digits", "Alpaydin & Kaynak 1998", source="bundled"),
    "mnist": DataEntry(
        mnist.mnist,
        "70,000 grey images 28 x 28, ten digits",
        "LeCun et al. 1998",
        source="ROBUSTQ_DATA_DIR or download",
    ),
    "fashion-mnist": DataEntry(
        mnist.fashion_mnist,
        "70,000 grey images 28 x 28, ten garments",
        "Xiao et al., arXiv:1708.07747",
        source="ROBUSTQ_DATA_DIR or download",
    ),
    "plus-minus": DataEntry(
        plus_minus.plus_minus,
        "1,200 grey images 16 x 16, four line figures",
        "Wendlinger et al., arXiv:2404.16154",
        source="ROBUSTQ_DATA_DIR",
    ),
    "pneumonia-mnist": DataEntry(
        pneumonia_mnist.pneumonia_mnist,
        "5,332 chest X-rays 28 x 28, normal or pneumonia",
        "Yang et al. 2023; Kermany et al. 2018",
        source="ROBUSTQ_DATA_DIR",
    ),
    "gtsrb": DataEntry(
        gtsrb.gtsrb,
        "2,570 colour images 32 x 32, 43 traffic signs",
        "Stallkamp et al. 2012",
        source="ROBUSTQ_DATA_DIR",
    ),
    "nsl-kdd": DataEntry(
        nsl_kdd.nsl_kdd,
        "47,736 x 118 connections, normal or attack",
        "Tavallaee et al. 2009",
        source="ROBUSTQ_DATA_DIR",
    ),
    "nsl-kdd-5": DataEntry(
        nsl_kdd.nsl_kdd_five,
        "47,736 x 118 connections, normal and four attacks",
        "Tavallaee et al. 2009",
        source="ROBUSTQ_DATA_DIR",
    ),
    "unsw-nb15": DataEntry(
        unsw_nb15.unsw_nb15,
        "53,940 x 182 distinct flows, normal or attack",
        "Moustafa & Slay 2015",
        source="ROBUSTQ_DATA_DIR",
    ),
    "wall-robot": DataEntry(
        wall_robot.wall_robot,
        "5,456 x 24 ultrasound ranges, four manoeuvres",
        "Freire et al. 2009",
        source="ROBUSTQ_DATA_DIR",
    ),
    "credit-card": DataEntry(
        finance.credit_card_fraud,
        "946 x 29 payments, legitimate or fraud",
        "Dal Pozzolo et al. 2015",
        source="ROBUSTQ_DATA_DIR",
    ),
    "german-credit": DataEntry(
        finance.german_credit, "1,000 x 61, good or bad risk", "Hofmann 1994", source="ROBUSTQ_DATA_DIR"
    ),
    "banknote": DataEntry(
        finance.banknote, "1,372 x 4 wavelet statistics, two classes", "Lohweg 2012", source="ROBUSTQ_DATA_DIR"
    ),
    "bbc-news": DataEntry(
        text.bbc_news, "2,225 articles, five sections", "Greene & Cunningham 2006", source="ROBUSTQ_DATA_DIR"
    ),
    "sst5": DataEntry(
        text.sst5, "10,754 sentences, five grades of sentiment", "Socher et al. 2013", source="ROBUSTQ_DATA_DIR"
    ),
    "trec": DataEntry(
        text.trec, "5,857 questions, five kinds of answer", "Li & Roth 2002", source="ROBUSTQ_DATA_DIR"
    ),
}


def load(name: str) -> RawData:
    """The raw data set called ``name``.

    >>> load("iris").classes
    ('setosa', 'versicolor', 'virginica')
    """
    return resolve("data set", name, DATA).make()
