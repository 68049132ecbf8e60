"""UNSW-NB15: network flows, normal or attack, from the partition of 82,332 rows."""

from __future__ import annotations

import numpy as np

from robustq.data.files import DataFile
from robustq.data.raw import RawData
from robustq.data.splits import split_fixed
from robustq.data.tables import Table, encode, read_table

UNSW = DataFile(
    "cyber/unsw_nb15/UNSW_NB15_82332.csv.xz", "b6a9185b527e625a2a8840f1310835c49bf240527e2cbdf77cad4bf741994fbf"
)

_CATEGORICAL = ("proto", "service", "state")
_NOT_FEATURES = ("id", "attack_cat", "label")

_SPLIT = (
    "ours: 80/20, stratified, train_test_split(random_state=0), of the 53,940 distinct rows of the "
    "82,332-row partition; no official split is possible without the other partition; repeated "
    "rows were dropped first (id and attack_cat put aside), and so were the 6 feature rows that "
    "occur with both labels; one-hot categories of the training part, others all zeros"
)


def unsw_nb15() -> RawData:
    """UNSW-NB15: 43,152 / 10,788 distinct flows x 182 (42 before one-hot), normal or attack."""
    table = _distinct(read_table(UNSW.fetch()))
    y = table.labels("label", {"0": 0, "1": 1})
    train, y_train, test, y_test = split_fixed(np.arange(len(y)), y)
    columns = [name for name in table.columns if name not in _NOT_FEATURES]
    x_train, x_test, features = encode(table.take(train), table.take(test), columns, _CATEGORICAL)
    return RawData(
        "unsw-nb15",
        "tabular",
        x_train,
        y_train,
        x_test,
        y_test,
        classes=("normal", "attack"),
        features=features,
        licence="none stated with the file; free for academic research by its publisher's page",
        citation="Moustafa & Slay, MilCIS 2015",
        split=_SPLIT,
    )


def _distinct(table: Table) -> Table:
    """The first of each set of equal feature rows, if they agree on the label."""
    columns = [k for k, name in enumerate(table.columns) if name not in _NOT_FEATURES]
    first: dict[tuple[str, ...], int] = {}
    labels: dict[tuple[str, ...], set[str]] = {}
    for number, (row, label) in enumerate(zip(table.rows, table.column("label"), strict=True)):
        key = tuple(row[k] for k in columns)
        first.setdefault(key, number)
        labels.setdefault(key, set()).add(label)
    return table.take([number for key, number in first.items() if len(labels[key]) == 1])
