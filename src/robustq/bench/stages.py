"""A stage of a unit: one file, written as a whole and sealed, so that what is damaged or edited is done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from robustq.atomic import write_atomically
from robustq.errors import RunError

Table = NDArray[np.float64]


class Stage(BaseModel):
    """What one stage found: raw outcomes an input, never rates. What does not apply is left out of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What a unit's finished stage stored; None if it is missing or damaged."""
        content = read_stage(folder / cls.file)
        return None if content is None else cls.model_validate(content)

    @classmethod
    def once(cls, folder: Path, work: Callable[[], Self]) -> Self:
        """What the file holds, if it is whole; otherwise the work is done and written first."""
        stored = cls.read(folder)
        if stored is None:
            stored = work()
            write_stage(folder / cls.file, stored.model_dump(exclude_unset=True))
        return stored


G = TypeVar("G", bound=Stage)


def of_every_seed(kind: type[G], folders: Iterable[Path]) -> list[G]:
    """What one stage of all seeds stored; empty where it was not done.

    Raises:
        RunError: if only some seeds have it.
    """
    folders = list(folders)
    stored = [stage for stage in map(kind.read, folders) if stage is not None]
    if 0 < len(stored) < len(folders):
        raise RunError(f"{folders[0]}: expected {kind.file} of every seed; run the same command again")
    return stored


def write_stage(path: Path, content: dict[str, Any]) -> None:
    """Write a stage's content with its seal."""
    write_atomically(path, (json.dumps({"sha256": _seal(content), "content": content}) + "\n").encode())


def read_stage(path: Path) -> dict[str, Any] | None:
    """What :func:`write_stage` wrote; None if it is missing, damaged or was edited, and must be redone."""
    try:
        sealed = json.loads(path.read_bytes())
        content: dict[str, Any] = sealed["content"]
        return content if sealed["sha256"] == _seal(content) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _seal(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def pack(flags: Tensor) -> str:
    """Zeros and ones as text: compact, exact and readable in a JSON file."""
    return "".join("1" if flag else "0" for flag in flags.tolist())


def bits(text: str) -> Table:
    """The inverse: an array of 0.0 and 1.0.

    >>> bits("101").tolist()
    [1.0, 0.0, 1.0]
    """
    return np.array([float(letter) for letter in text])


def table(texts: Iterable[str]) -> Table:
    """Packed flags of every seed, ``(seeds, inputs)``.

    >>> table(["10", "11"]).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return np.array([bits(text) for text in texts])


def rounded(values: Tensor) -> list[float]:
    """Nine digits are enough for any figure, and short enough for a file."""
    return [round(v, 9) for v in values.tolist()]
