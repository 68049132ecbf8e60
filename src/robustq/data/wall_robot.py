"""Wall-following robot: 24 ultrasound ranges and the manoeuvre that followed, as a time series."""

from __future__ import annotations

import numpy as np

from robustq.data.files import DataFile
from robustq.data.raw import RawData
from robustq.data.tables import read_table

WALL_ROBOT = DataFile(
    "autonomous/wall_following_robot_24.csv.xz", "9da8190ecca58b852d78c0543667a17bc2822ed1e975559a7eddda18c99dc1e7"
)

_SENSORS = tuple(f"S{k}" for k in range(1, 25))
_CLASSES = ("Move-Forward", "Sharp-Right-Turn", "Slight-Right-Turn", "Slight-Left-Turn")
_BLOCKS = 20

_SPLIT = (
    "ours: one time series cut into 20 contiguous blocks, every fifth of which is test (blocks 4, "
    "9, 14, 19), because neighbouring rows are near copies; groups are the block numbers of the "
    "training rows; rows that touch across the 7 borders of a test block are still alike"
)


def wall_robot() -> RawData:
    """Wall-following robot: 4,365 / 1,091 x 24 sensors, four manoeuvres, split by time blocks."""
    table = read_table(WALL_ROBOT.fetch())
    x = table.matrix(_SENSORS)
    y = table.labels("OUTPUT", {name: number for number, name in enumerate(_CLASSES)})
    parts = np.array_split(np.arange(len(y)), _BLOCKS)
    block = np.repeat(np.arange(_BLOCKS), [len(rows) for rows in parts])
    test = block % 5 == 4
    return RawData(
        "wall-robot",
        "tabular",
        x[~test],
        y[~test],
        x[test],
        y[test],
        classes=_CLASSES,
        features=_SENSORS,
        licence="CC BY 4.0 by its publisher's page (UCI); check before redistributing",
        citation="Freire, Barreto, Veloso & Varela, LARS 2009 (UCI 194)",
        split=_SPLIT,
        groups=block[~test],
    )
