"""A unit of work: a pure function and its arguments, identified by all that decides the bytes of its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from robustq.errors import RunError


@dataclass(frozen=True)
class Workspace:
    """What a unit's function is given beside its arguments.

    Attributes:
        folder: its own; every file there when the function returns belongs to its result. A function that was killed
            finds there what it had written, and need not do it again.
        inputs: the folders of the earlier units it reads, by their names.
    """

    folder: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)


class Work(Protocol):
    """A function that a unit can call: module-level, its arguments plain data."""

    def __call__(self, workspace: Workspace, /, **arguments: Any) -> None:
        """Leave files in ``workspace.folder``; the same arguments and inputs, the same bytes."""
        ...


@dataclass(frozen=True)
class Unit:
    """One call of a function, to be done once, anywhere.

    Attributes:
        function: where it stands, ``"package.module:name"``; called as :class:`Work`.
        arguments: JSON-able; with the function, the inputs and the environment they decide the result.
        name: of its folder, relative to the run's: unique in a run, not part of the id.
        label: what a reader is told; not part of the id.
        inputs: units of earlier rounds whose files it reads.
        needs: tags of the hardware it must have, such as ``gpu``.

    >>> unit = Unit("robustq.runs.unit:idle", {"number": 1}, "units/idle-1", "nothing, once")
    >>> unit.work()(Workspace(Path()), **unit.arguments)
    """

    function: str
    arguments: Mapping[str, Any]
    name: str
    label: str
    inputs: tuple[Unit, ...] = ()
    needs: frozenset[str] = frozenset()

    @cached_property
    def content(self) -> str:
        """What is hashed: canonical JSON, without the environment."""
        return canonical(
            {
                "function": self.function,
                "arguments": self.arguments,
                "inputs": {unit.name: hashed(unit.content) for unit in self.inputs},
                "needs": sorted(self.needs),
            }
        )

    def work(self) -> Work:
        """The function."""
        return function_at(self.function)


def canonical(content: Any) -> str:
    """Plain data as the one JSON text that equal data have.

    Raises:
        RunError: if it is no plain data, or holds NaN or infinity.

    >>> canonical({"b": 1, "a": [0.5]})
    '{"a":[0.5],"b":1}'
    """
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as failure:
        raise RunError(f"expected arguments of plain data, got {content!r} ({failure})") from None


def hashed(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def function_at(place: str) -> Work:
    """The function at ``"package.module:name"``.

    Raises:
        RunError: if there is none.
    """
    module, _, name = place.partition(":")
    try:
        found: Work = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as failure:
        raise RunError(f"expected a function at {place!r}: {failure}") from None
    return found


def idle(workspace: Workspace, *, number: int = 0) -> None:
    """Do nothing: the null member, to measure what the spine itself costs."""
