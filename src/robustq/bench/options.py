"""Options of what a specification names: checked against the signature of what builds it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict

from robustq.catalogue import Entry, resolve
from robustq.errors import SpecError

# Parameters of builders that are no options: the framework fills them in.
GIVEN = {"features", "classes", "generator", "groups", "attack", "threat", "device", "on"}

# By annotation: what an option may be, and how that is said.
PLAIN: Mapping[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a word"),
}


class Table(BaseModel):
    """One table of a specification: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def check_options(kind: str, entry: Entry, options: Mapping[str, Any]) -> None:
    """Refuse options that the builder does not take."""
    taken = inspect.signature(entry.make).parameters
    known = sorted(set(taken) - GIVEN)
    for name, value in options.items():
        if name not in known:
            raise SpecError(f"unknown {kind} option {name!r}: {hint(name, known)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"{kind} option {name!r}: expected a finite number, got {value}")
        kinds, words = PLAIN.get(str(taken[name].annotation), ((type(value),), ""))
        if type(value) not in kinds:
            raise SpecError(f"{kind}: expected {name} as {words}, got {value!r}")


def make(kind: str, name: str, entries: Mapping[str, Entry], options: Mapping[str, Any]) -> Any:
    """What an entry builds with these options.

    Raises:
        SpecError: on an unknown name, an unknown option, or one of the wrong type.
    """
    entry = resolve(kind, name, entries)
    check_options(kind, entry, options)
    try:
        return entry.make(**options)
    except TypeError as failure:
        raise SpecError(f"{kind} {name!r}: {failure}") from failure


def hint(name: str, known: list[str]) -> str:
    """The end of a sentence about an unknown name.

    >>> hint("stpes", ["steps"])
    "did you mean 'steps'? Known: steps"
    """
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"did you mean {near[0]!r}? " if near else "") + f"Known: {', '.join(known) or 'none'}"
