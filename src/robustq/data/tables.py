"""Strict reading of comma-separated tables; one-hot columns fitted on the training part only."""

from __future__ import annotations

import csv
import lzma
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from robustq.errors import DataError

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as text, still knowing where they stood, so that a complaint can name the line.

    Attributes:
        path: the file they come from.
        columns: column names.
        rows: the cells of each row.
        lines: the line of the file on which each row ends.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """The cells of one column."""
        if name not in self.columns:
            raise DataError(f"{self.path}: expected a column {name!r}, got {list(self.columns)}")
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def numbers(self, name: str) -> Matrix:
        """One column as finite numbers."""
        cells = self.column(name)
        values = np.array([_number(cell) for cell in cells])
        for row in np.flatnonzero(~np.isfinite(values)).tolist():
            raise self._wrong(row, f"a finite number in column {name!r}", cells[row])
        return values

    def matrix(self, names: Sequence[str]) -> Matrix:
        """Some columns as finite numbers, ``(rows, columns)``."""
        return np.column_stack([self.numbers(name) for name in names])

    def labels(self, name: str, numbers: Mapping[str, int]) -> Labels:
        """One column as class numbers; a cell that ``numbers`` does not hold is an error."""
        cells = self.column(name)
        for row, cell in enumerate(cells):
            if cell not in numbers:
                allowed = ", ".join(sorted(numbers))
                raise self._wrong(row, f"one of {allowed} in column {name!r}", cell)
        return np.array([numbers[cell] for cell in cells], np.int64)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Table:
        """The table of some rows."""
        chosen = [self.rows[row] for row in rows], [self.lines[row] for row in rows]
        return Table(self.path, self.columns, *chosen)

    def _wrong(self, row: int, expected: str, got: str) -> DataError:
        return DataError(f"{self.path}, line {self.lines[row]}: expected {expected}, got {got!r}")


def _number(cell: str) -> float:
    """The value of a cell, NaN where it is not a number."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def open_text(path: Path, encoding: str = "utf-8-sig") -> TextIO:
    """A text file, plain or ``.xz``, with its line ends as they are."""
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def read_table(path: Path, columns: Sequence[str] | None = None) -> Table:
    """A ``.csv`` or ``.csv.xz`` whose first row names the columns, unless ``columns`` does.

    Raises:
        DataError: if a row is short or long, or the file cannot be read; names file and line.
    """
    rows, lines = _read_rows(path)
    start = int(columns is None)
    if len(rows) <= start:
        raise DataError(f"{path}: expected rows, got none")
    names = tuple(rows[0] if columns is None else columns)
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}: expected {len(names)} cells, got {len(row)}")
    return Table(path, names, rows[start:], lines[start:])


def _read_rows(path: Path) -> tuple[list[list[str]], list[int]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with open_text(path) as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                rows.append(row)
                lines.append(reader.line_num)
    except (csv.Error, UnicodeDecodeError, lzma.LZMAError, EOFError) as failure:
        after = lines[-1] if lines else 0
        raise DataError(f"{path}, after line {after}: expected a table, got {failure}") from failure
    return rows, lines


def encode(
    train: Table, test: Table, columns: Sequence[str], categorical: Collection[str]
) -> tuple[Matrix, Matrix, tuple[str, ...]]:
    """Both parts as numbers, with the column names.

    A categorical column becomes one 0/1 column for each category of ``train``, called
    ``column=category``; a category that only ``test`` has is all zeros there.
    """
    parts: list[tuple[Matrix, Matrix]] = []
    features: list[str] = []
    for name in columns:
        if name in categorical:
            seen = sorted(set(train.column(name)))
            parts.append((_one_hot(train.column(name), seen), _one_hot(test.column(name), seen)))
            features += [f"{name}={category}" for category in seen]
        else:
            parts.append((train.numbers(name)[:, None], test.numbers(name)[:, None]))
            features.append(name)
    return np.hstack([a for a, _ in parts]), np.hstack([b for _, b in parts]), tuple(features)


def _one_hot(cells: list[str], categories: list[str]) -> Matrix:
    place = {category: number for number, category in enumerate(categories)}
    codes = np.array([place.get(cell, -1) for cell in cells])
    return np.asarray(codes[:, None] == np.arange(len(categories)), float)
