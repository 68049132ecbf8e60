"""The data sets that a specification can name: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from robustq.catalogue import Entry, resolve
from robustq.data import bundled
from robustq.data.raw import RawData

DATA: Mapping[str, Entry] = {
    "breast-cancer": Entry(bundled.breast_cancer, "569 x 30, malignant or benign", "Street et al. 1993", {"source": "bundled"}),
    "wine": Entry(bundled.wine, "178 x 13, three cultivars", "Aeberhard & Forina 1991", {"source": "bundled"}),
    "iris": Entry(bundled.iris, "150 x 4, three species", "Fisher 1936", {"source": "bundled"}),
    "digits": Entry(bundled.digits, "1797 images 8 x 8, ten digits", "Alpaydin & Kaynak 1998", {"source": "bundled"}),
}  # fmt: skip


def load(name: str) -> RawData:
    """The raw data set called ``name``.

    >>> load("iris").classes
    ('setosa', 'versicolor', 'virginica')
    """
    raw: RawData = resolve("data set", name, DATA).make()
    return raw
