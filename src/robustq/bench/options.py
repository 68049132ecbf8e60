"""Options of what a specification names: checked against the signature of what builds it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import partial
from types import EllipsisType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict

from robustq.catalogue import Entry, resolve
from robustq.errors import SpecError

T = TypeVar("T")

# What an option may be where its type is one of these, and how that is said.
PLAIN: Mapping[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    str: ((str,), "a word"),
}
HOLDERS = (Union, UnionType, tuple, list, dict, Sequence, Mapping)


class Table(BaseModel):
    """One table of a specification: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def options_of(entry: Entry[Any]) -> dict[str, Any]:
    """The options of an entry and their types: what is plain data, and no need that the framework fills.

    >>> from robustq.defences.catalogue import DEFENCES
    >>> options_of(DEFENCES["adversarial-training"])
    {'weight': <class 'float'>}
    """
    make = inspect.unwrap(entry.make)
    hints = _hints(make)
    taken = [name for name in inspect.signature(make).parameters if name not in entry.needs]
    return {name: hints.get(name) for name in taken if _is_data(hints.get(name))}


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(make, partial):
        return _hints(make.func)
    is_plain_class = isinstance(make, type) and not is_dataclass(make)
    return get_type_hints(vars(make).get("__init__", make) if is_plain_class else make)


def _is_data(hint: Any) -> bool:
    """Whether values of a type can be written in a specification."""
    if hint in (None, Any, object, NoneType, EllipsisType, Ellipsis, *PLAIN):
        return True
    kind = get_origin(hint)
    return kind is Literal or (kind in HOLDERS and all(map(_is_data, get_args(hint))))


def check_options(kind: str, entry: Entry[Any], options: Mapping[str, Any]) -> None:
    """Refuse options that the builder does not take."""
    taken = options_of(entry)
    for name, value in options.items():
        if name not in taken:
            raise SpecError(f"unknown {kind} option {name!r}: {hint(name, sorted(taken))}")
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"{kind} option {name!r}: expected a finite number, got {value}")
        kinds, words = _accepted(taken[name])
        if kinds and type(value) not in kinds:
            raise SpecError(f"{kind}: expected {name} as {words}, got {value!r}")


def _accepted(hint: Any) -> tuple[tuple[type, ...], str]:
    """The types of values that suit, in words; none where the builder is to judge."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    named = [PLAIN[member] for member in members if member in PLAIN]
    if len(named) < sum(member is not NoneType for member in members):
        return (), ""
    kinds = {kind for kinds, _ in named for kind in kinds} | ({NoneType} if NoneType in members else set())
    return tuple(kinds), " or ".join(words for _, words in named)


def make(kind: str, name: str, entries: Mapping[str, Entry[T]], options: Mapping[str, Any]) -> T:
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
